// The filters over a list; their state is the address.
import { html, useEffect, useState } from "../../vendor/vendor.js";
import { t } from "../i18n.js";
import { zone } from "../preferences.js";
import { place, setQuery } from "../router.js";

const TYPING_MS = 250;

/** @param {{label: string, name: string, options: [string, string][], all?: string}} props options: value and text */
export const ChoiceFilter = ({ label, name, options, all }) => html`
    <label class="filter">
        <span>${label}</span>
        <select value=${place.value.query[name] ?? ""} onChange=${(/** @type {any} */ event) => setQuery({ [name]: event.currentTarget.value })}>
            <option value="">${all ?? t("all")}</option>
            ${options.map(([value, text]) => html`<option key=${value} value=${value}>${text}</option>`)}
        </select>
    </label>`;

/** Asks the console only when the person pauses. @param {{label: string, name: string, hint?: string}} props */
export function TextFilter({ label, name, hint }) {
    const given = place.value.query[name] ?? "";
    const [text, setText] = useState(given);
    useEffect(() => setText(given), [given]);
    useEffect(() => {
        if (text === given) return;
        const timer = setTimeout(() => setQuery({ [name]: text }), TYPING_MS);
        return () => clearTimeout(timer);
    }, [text]);
    return html`<label class="filter grow">
        <span>${label}</span>
        <input type="search" value=${text} placeholder=${hint ?? ""} onInput=${(/** @type {any} */ event) => setText(event.currentTarget.value)} />
    </label>`;
}

export const RANGES = ["1", "24", "today", "yesterday", "168", "720"];

/** Which time: written to the address as hours back, or a day. @param {{name?: string}} props */
export const RangeFilter = ({ name = "hours" }) => html`
    <${ChoiceFilter} label=${t("filter.range")} name=${name} all=${t("range.all")} options=${RANGES.map((range) => [range, t(`range.${range}`)])} />`;

/** When a day began in the reader's zone. @param {number} back days */
function dayBegin(back) {
    const now = new Date();
    if (zone.value === "utc") return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate() - back)).toISOString();
    return new Date(now.getFullYear(), now.getMonth(), now.getDate() - back).toISOString();
}

/** The filters of a range, steady for ten minutes so that paging and caching hold. @param {string | undefined} range @returns {{since?: string, until?: string}} */
export function timesOf(range) {
    if (range === "today") return { since: dayBegin(0) };
    if (range === "yesterday") return { since: dayBegin(1), until: dayBegin(0) };
    const step = 600000;
    const count = Number(range);
    return count > 0 ? { since: new Date(Math.floor((Date.now() - count * 3600000) / step) * step).toISOString() } : {};
}
