// Short messages at the edge of the page, read aloud politely; some can be taken back, also by Ctrl Z.
import { html, signal, useEffect } from "../../vendor/vendor.js";
import { Problem } from "../api.js";
import { t } from "../i18n.js";
import { problemText } from "../text.js";

const SHOWN_MS = 10000;

/** @typedef {{id: number, text: string, undo?: () => void}} Message */
const messages = signal(/** @type {Message[]} */ ([]));
let last = 0;

/** @param {number} id */
function drop(id) {
    messages.value = messages.value.filter((message) => message.id !== id);
}

/** Not while somebody is at it. @param {number} id */
function dropLater(id) {
    setTimeout(() => {
        if (document.querySelector(`.toast[data-id="${id}"]:is(:hover, :focus-within)`)) dropLater(id);
        else drop(id);
    }, SHOWN_MS);
}

/** @param {string} text @param {() => void} [undo] */
export function say(text, undo) {
    const id = ++last;
    messages.value = [...messages.value.slice(-3), { id, text, undo }];
    dropLater(id);
    return id;
}

/**
 * Tells of what was done and can be done backwards.
 * @param {string} text @param {() => Promise<unknown>} undo @param {() => void} [after] shows what is now
 */
export function sayDone(text, undo, after) {
    say(text, async () => {
        await attempt(undo, t("undone"));
        after?.();
    });
}

/** Does something, and says what went wrong, or that it is done. @param {() => Promise<unknown>} act @param {string} [done] @returns {Promise<boolean>} */
export async function attempt(act, done) {
    try {
        await act();
        if (done) say(done);
        return true;
    } catch (error) {
        if (!(error instanceof Problem)) throw error;
        say(problemText(error));
        return false;
    }
}

/** @type {Set<() => Promise<void>>} what was promised and not done yet */
const promised = new Set();
addEventListener("pagehide", () => promised.forEach((act) => void act()));

/**
 * Does something that cannot be done backwards after a few seconds in which it can still be taken
 * back; at once when the page is left.
 * @param {string} text @param {() => Promise<void>} act @param {() => void} back shows the old state again
 */
export function doUnlessUndone(text, act, back) {
    const once = async () => {
        clearTimeout(timer);
        if (promised.delete(once)) await act();
    };
    const timer = setTimeout(once, SHOWN_MS);
    promised.add(once);
    const id = say(text, () => {
        clearTimeout(timer);
        if (promised.delete(once)) back();
    });
    setTimeout(() => drop(id), SHOWN_MS);
}

/** @param {Message} message */
function takeBack({ id, undo }) {
    drop(id);
    undo?.();
}

/** @param {KeyboardEvent} event */
function takeBackNewest(event) {
    const typing = event.target instanceof Element && event.target.closest("input, textarea, select");
    const newest = messages.value.findLast((message) => message.undo);
    if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z" || event.shiftKey || typing || !newest) return;
    event.preventDefault();
    takeBack(newest);
}

export function Toasts() {
    useEffect(() => {
        addEventListener("keydown", takeBackNewest);
        return () => removeEventListener("keydown", takeBackNewest);
    }, []);
    return html`<div class="toasts" role="status" aria-live="polite">
        ${messages.value.map(
            (message) => html`<div class="toast" key=${message.id} data-id=${message.id}>
                <span>${message.text}</span>
                ${message.undo && html`<button aria-keyshortcuts="Control+Z" title="Ctrl Z" onClick=${() => takeBack(message)}>${t("undo")}</button>`}
            </div>`,
        )}
    </div>`;
}
