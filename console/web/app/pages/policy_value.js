// One value of a policy, by an input that fits its type; the policy's text changes at that place only.
import { html } from "../../vendor/vendor.js";
import { request } from "../api.js";
import { t } from "../i18n.js";
import { readList, readText, setPolicyValue, writeValue } from "../policy_text.js";
import { language } from "../preferences.js";
import { FormDialog } from "../ui/dialog.js";
import { Field } from "../ui/elements.js";
import { sayDone } from "../ui/toast.js";

/** What a key means, in the reader's language. @param {any} row */
export const meaningOf = (row) => row[`meaning_${language.value}`] ?? row.meaning;

/** Has entries that do not come from this policy alone. @param {any} row @param {string} name */
const isInheritedList = ({ type, value, origin }, name) => type === "list" && readList(value).length > 0 && origin.replace(/(\.conf)?:\d+$/, "") !== name;

/** @param {any} row */
function hintOf({ type, bounds }) {
    const [least, most] = bounds.split("..");
    if (type === "list") return t("policy.hint.list");
    if (most === undefined) return undefined;
    return `${t(`policy.hint.${type}`)} ${t("policy.hint.between", { least, most })}`;
}

/** @param {{row: any}} props */
function Input({ row: { type, bounds, value } }) {
    const choices = type === "boolean" ? ["true", "false"] : bounds.split("|");
    const now = readText(value);
    if (type === "boolean" || type === "choice") return html`<select name="value">${choices.map((/** @type {string} */ each) => html`<option key=${each} value=${each} selected=${each === now}>${each}</option>`)}</select>`;
    if (type === "list") return html`<textarea name="value" rows=${Math.min(12, readList(value).length + 3)} autocapitalize="off" spellcheck="false">${readList(value).join("\n")}</textarea>`;
    return html`<input name="value" required=${type !== "text"} inputmode=${type === "number" ? "numeric" : undefined} value=${now} autocomplete="off" autocapitalize="off" spellcheck="false" />`;
}

/** @param {{name: string, row: any, close: () => void, done: () => void}} props name: of the policy */
export function ChangeValue({ name, row, close, done }) {
    const path = `policies/${encodeURIComponent(name)}`;
    /** @param {FormData} data */
    const submit = async (data) => {
        const before = await request("GET", path);
        const text = setPolicyValue(before.body.text, row.key, writeValue(row.type, String(data.get("value"))));
        const { etag } = await request("PUT", path, { text }, { "If-Match": before.etag });
        done();
        sayDone(t("policy.saved"), () => request("PUT", path, { text: before.body.text }, { "If-Match": etag }), done);
    };
    return html`<${FormDialog} title=${row.key} action=${t("policy.apply")} close=${close} submit=${submit}>
        <p>${meaningOf(row)}</p>
        ${isInheritedList(row, name) && html`<p class="note">${t("policy.replaces", { key: row.key })}</p>`}
        <${Field} label=${t("value")} hint=${hintOf(row)}><${Input} row=${row} /><//>
    <//>`;
}
