// Short messages at the edge of the page, read aloud politely; some can be taken back.
import { html, signal } from "../../vendor/vendor.js";
import { t } from "../i18n.js";

const SHOWN_MS = 6000;

/** @typedef {{id: number, text: string, undo?: () => void}} Message */
const messages = signal(/** @type {Message[]} */ ([]));
let last = 0;

/** @param {number} id */
function drop(id) {
    messages.value = messages.value.filter((message) => message.id !== id);
}

/** @param {string} text @param {() => void} [undo] */
export function say(text, undo) {
    const id = ++last;
    messages.value = [...messages.value.slice(-3), { id, text, undo }];
    setTimeout(() => drop(id), SHOWN_MS);
}

/**
 * Does something after a few seconds in which it can still be taken back.
 * @param {string} text @param {() => Promise<void>} act @param {() => void} back shows the old state again
 */
export function doUnlessUndone(text, act, back) {
    const timer = setTimeout(act, SHOWN_MS);
    say(text, () => {
        clearTimeout(timer);
        back();
    });
}

export const Toasts = () => html`
    <div class="toasts" role="status" aria-live="polite">
        ${messages.value.map(
            ({ id, text, undo }) => html`<div class="toast" key=${id}>
                <span>${text}</span>
                ${undo &&
                html`<button
                    onClick=${() => {
                        undo();
                        drop(id);
                    }}
                >
                    ${t("undo")}
                </button>`}
            </div>`,
        )}
    </div>`;
