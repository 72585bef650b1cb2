// Modal dialogs and the side drawer, both of the browser's own <dialog>: it keeps the focus inside,
// and Escape closes.
import { html, useEffect, useId, useRef, useState } from "../../vendor/vendor.js";
import { Problem } from "../api.js";
import { t } from "../i18n.js";
import { ProblemNote } from "./elements.js";
import { keepFocus } from "./focus.js";
import { Icon } from "./icons.js";

/** What a person does first: fill in, or, where nothing is to be filled in, refrain. */
const FIRST = "form :is(input, select, textarea):not([type=hidden], [hidden], [readonly]), form footer button";

/**
 * Shows the dialog that the reference leads to while its component is there; then the focus goes
 * back to where it was.
 * @param {{current: HTMLDialogElement | null}} element @param {() => void} close
 * @returns {() => void} for the dialog's own "close" event
 */
export function useModal(element, close) {
    const leaving = useRef(false);
    useEffect(() => {
        const dialog = element.current;
        const giveBack = keepFocus();
        dialog?.showModal();
        /** @type {HTMLElement | null | undefined} */ (dialog?.querySelector(FIRST))?.focus();
        return () => {
            leaving.current = true;
            dialog?.close();
            giveBack();
        };
    }, []);
    return () => leaving.current || close();
}

/** @param {{title: string, close: () => void, drawer?: boolean, children: any}} props */
export function Dialog({ title, close, drawer, children }) {
    const element = useRef(/** @type {HTMLDialogElement | null} */ (null));
    const id = useId();
    const onClose = useModal(element, close);
    /** @param {MouseEvent} event */
    const clickOutside = (event) => event.target === element.current && close();
    return html`<dialog ref=${element} class=${drawer ? "drawer" : ""} aria-labelledby=${id} onClose=${onClose} onMouseDown=${clickOutside}>
        <div class="dialog">
            <header>
                <h2 id=${id}>${title}</h2>
                <button class="quiet icon-only" onClick=${close} aria-label=${t("close")}><${Icon} name="close" /></button>
            </header>
            ${children}
        </div>
    </dialog>`;
}

/**
 * A form in a dialog: says what went wrong and stays open, or closes; not when submit answers true:
 * then the caller shows something else already.
 * @param {{title: string, action: string, close: () => void, submit: (data: FormData) => Promise<void | boolean>, danger?: boolean, children?: any}} props
 */
export function FormDialog({ title, action, close, submit, danger, children }) {
    const [problem, setProblem] = useState(/** @type {Problem | null} */ (null));
    const [busy, setBusy] = useState(false);
    /** @param {SubmitEvent} event */
    const send = async (event) => {
        event.preventDefault();
        setBusy(true);
        try {
            if ((await submit(new FormData(/** @type {HTMLFormElement} */ (event.currentTarget)))) !== true) close();
        } catch (error) {
            if (!(error instanceof Problem)) throw error;
            setProblem(error);
            setBusy(false);
        }
    };
    return html`<${Dialog} title=${title} close=${close}>
        <form onSubmit=${send}>
            ${children}
            ${problem && html`<${ProblemNote} problem=${problem} />`}
            <footer>
                <button type="button" onClick=${close}>${t("cancel")}</button>
                <button class=${danger ? "danger" : "primary"} disabled=${busy}>${action}</button>
            </footer>
        </form>
    <//>`;
}

/**
 * Asks before what cannot be undone; from `many` on, the number has to be typed.
 * @param {{title: string, text: string, action: string, count?: number, close: () => void, act: () => Promise<void | boolean>}} props
 */
export function Confirm({ title, text, action, count = 1, close, act }) {
    const many = 10;
    return html`<${FormDialog} title=${title} action=${action} close=${close} danger submit=${act}>
        <p>${text}</p>
        ${count >= many &&
        html`<label class="field"><span>${t("confirm.type", { number: String(count) })}</span><input required pattern=${String(count)} inputmode="numeric" autocomplete="off" /></label>`}
    <//>`;
}
