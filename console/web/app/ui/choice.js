// A choice among groups or policies. What is chosen now is there at once and stays, also when the
// others come late, do not come, or are more than one page.
import { html } from "../../vendor/vendor.js";
import { useResource } from "../data.js";
import { Field, ProblemNote } from "./elements.js";

/** @param {{label: string, name: string, of: "groups" | "policies", chosen?: string | null, none?: string, hint?: string}} props none: the word for no choice; without it there must be one */
export function Choice({ label, name, of, chosen, none, hint }) {
    const { data, problem } = useResource(`${of}?limit=200`);
    const others = (data?.[of] ?? []).filter((/** @type {any} */ row) => row.name !== chosen);
    return html`<${Field} label=${label} hint=${hint}>
            <select name=${name} required=${none === undefined}>
                ${none !== undefined && html`<option value="">${none}</option>`}
                ${chosen && html`<option value=${chosen} selected>${chosen}</option>`}
                ${others.map((/** @type {any} */ row) => html`<option key=${row.name} value=${row.name}>${row.name}</option>`)}
            </select>
        <//>
        ${problem && html`<${ProblemNote} problem=${problem} />`}`;
}
