// The typed filter over a list: field:value with completion. What it says is the address, so the
// other filters beside it and the box always agree.
import { html, useEffect, useId, useRef, useState } from "../../vendor/vendor.js";
import { complete, readFilter, writeFilter } from "../filter_text.js";
import { t } from "../i18n.js";
import { place, setQuery } from "../router.js";

const TYPING_MS = 250;

/** @param {{label: string, hint: string, fields: import("../filter_text.js").FilterField[], free?: string}} props */
export function FilterBox({ label, hint, fields, free = "" }) {
    const said = writeFilter(place.value.query, fields, free);
    const [text, setText] = useState(said);
    const [cursor, setCursor] = useState(-1);
    const [at, setAt] = useState(-1);
    const input = useRef(/** @type {HTMLInputElement | null} */ (null));
    const own = useRef(said); /* what this box wrote to the address */
    const id = useId();
    const { query, wrong } = readFilter(text, fields, free);
    const open = cursor >= 0;
    const choices = open ? complete(text, cursor, fields) : [];
    useEffect(() => {
        if (said !== own.current) setText(said);
        own.current = said;
    }, [said]);
    const apply = () => {
        const written = writeFilter(/** @type {Record<string, string>} */ (query), fields, free);
        if (wrong || written === said) return;
        own.current = written;
        setQuery(query);
    };
    useEffect(() => {
        const timer = setTimeout(apply, TYPING_MS);
        return () => clearTimeout(timer);
    }, [text]);
    /** @param {any} event */
    const follow = (event) => {
        setText(event.currentTarget.value);
        setCursor(event.currentTarget.selectionStart ?? event.currentTarget.value.length);
        setAt(-1);
    };
    /** @param {number} i */
    const choose = (i) => {
        const choice = choices[i];
        const after = text.slice(choice.to).trimStart();
        const before = `${text.slice(0, choice.from)}${choice.text}${choice.done ? " " : ""}`;
        setText(before + after);
        setCursor(choice.done ? -1 : before.length);
        setAt(-1);
        const element = input.current;
        if (!element) return;
        element.value = before + after; /* at once: who types fast is not to find the caret elsewhere */
        element.setSelectionRange(before.length, before.length);
        element.focus();
    };
    /** @param {KeyboardEvent} event */
    const key = (event) => {
        const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
        if (step && !open) {
            event.preventDefault();
            setCursor(input.current?.selectionStart ?? text.length);
        } else if (step && choices.length) {
            event.preventDefault();
            setAt((at + step + choices.length + (at < 0 && step < 0 ? 1 : 0)) % choices.length);
        } else if ((event.key === "Enter" || (event.key === "Tab" && at >= 0)) && choices[at]) {
            event.preventDefault();
            choose(at);
        } else if (event.key === "Enter") {
            setCursor(-1);
            apply();
        } else if (event.key === "Escape" && open) {
            event.preventDefault();
            setCursor(-1);
        }
    };
    return html`<div class="filter grow typed">
        <label for=${`${id}-input`}>${label}</label>
        <input
            id=${`${id}-input`}
            ref=${input}
            type="search"
            role="combobox"
            autocomplete="off"
            spellcheck="false"
            aria-autocomplete="list"
            aria-expanded=${choices.length > 0}
            aria-controls=${`${id}-list`}
            aria-activedescendant=${at >= 0 ? `${id}-${at}` : undefined}
            aria-invalid=${!open && wrong !== null}
            aria-describedby=${!open && wrong ? `${id}-wrong` : undefined}
            placeholder=${hint}
            value=${text}
            onInput=${follow}
            onKeyDown=${key}
            onFocus=${(/** @type {any} */ event) => setCursor(event.currentTarget.selectionStart ?? text.length)}
            onBlur=${() => (setCursor(-1), apply())}
        />
        <ul id=${`${id}-list`} role="listbox" aria-label=${label} hidden=${choices.length === 0}>
            ${choices.map(
                (choice, i) => html`<li key=${choice.text} id=${`${id}-${i}`} role="option" aria-selected=${i === at} onMouseDown=${(/** @type {Event} */ event) => (event.preventDefault(), choose(i))}>
                    <code>${choice.text}</code> <small>${choice.title}</small>
                </li>`,
            )}
        </ul>
        ${!open && wrong && html`<small id=${`${id}-wrong`} class="wrong">${t("filter.wrong", { word: wrong.field ? `${wrong.field}:${wrong.value}` : wrong.value })}</small>`}
    </div>`;
}
