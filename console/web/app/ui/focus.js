// Where the keyboard is: it must never fall off the page when what had the focus goes away.

const isLost = () => !document.activeElement || document.activeElement === document.body;

/** Takes up the keyboard at the page's content when nothing has it. */
export function rescueFocus() {
    if (isLost()) document.getElementById("main")?.focus({ preventScroll: true });
}

/** Remembers what has the focus. @returns {() => void} gives it back, once what took it is gone */
export function keepFocus() {
    const before = document.activeElement;
    return () =>
        requestAnimationFrame(() => {
            if (isLost() && before instanceof HTMLElement && before.isConnected) before.focus({ preventScroll: true });
            rescueFocus();
        });
}
