// Lists of signatures that people write, and the files of the mirror. The console has libclamav
// judge a list before it is kept, and says what is wrong with which line.
import { html, useEffect, useState } from "../../vendor/vendor.js";
import { post, remove, request } from "../api.js";
import { useList } from "../data.js";
import { formatBytes, t } from "../i18n.js";
import { may } from "../session.js";
import { Choice } from "../ui/choice.js";
import { Confirm, FormDialog } from "../ui/dialog.js";
import { Empty, Field, Literal, Time } from "../ui/elements.js";
import { ListTable } from "../ui/table.js";
import { attempt, say } from "../ui/toast.js";

const TYPES = ["allow", "deny", "hdb", "hsb", "ndb", "ldb", "fp", "sfp", "ign2", "yara"];
const ALLOWED = "allowed";

/** @param {string} type */
const typeName = (type) => (type === "allow" || type === "deny" ? t(`signatures.type.${type}`) : type);
/** @param {string} name */
const pathOf = (name) => `signature-lists/${encodeURIComponent(name)}`;

/** A hash of an event goes to the list of allowed contents. @param {{event: any, close: () => void}} props */
export function AllowContent({ event, close }) {
    const submit = async () => {
        await post(`${pathOf(ALLOWED)}/hashes`, { type: "allow", hash: event.detail.sha256, name: String(event.detail.signature ?? "").slice(0, 60) });
        say(t("signatures.allowed"));
    };
    return html`<${FormDialog} title=${t("signatures.allow")} action=${t("signatures.allow")} close=${close} submit=${submit}>
        <p class="subject"><${Literal} text=${event.subject} /></p>
        <p><code>${event.detail.sha256}</code></p>
        <p>${t("signatures.allow_text", { list: ALLOWED })}</p>
    <//>`;
}

/** Whether an event tells of a file that may be allowed everywhere. @param {any} event */
export const mayAllow = (event) => may("operate_all") && event.module === "malware" && /^[0-9a-f]{64}$/.test(event.detail?.sha256 ?? "");

/** name "": a new one. @param {{name: string, close: () => void, done: () => void}} props */
function Editor({ name, close, done }) {
    const [list, setList] = useState(/** @type {any} */ (name ? null : { type: "allow", group: "", text: "", etag: "" }));
    useEffect(() => {
        const read = async () => {
            const { body, etag } = await request("GET", pathOf(name));
            setList({ ...body, etag });
        };
        if (name) void attempt(read).then((done) => done || close());
    }, [name]);
    /** @param {FormData} data */
    const submit = async (data) => {
        const body = { type: data.get("type"), group: data.get("group"), text: data.get("text") };
        await request("PUT", pathOf(name || String(data.get("name"))), body, name ? { "If-Match": list.etag } : { "If-None-Match": "*" });
        say(t("signatures.saved"));
        done();
    };
    if (!list) return null;
    return html`<${FormDialog} title=${name || t("signatures.new")} action=${t("save")} close=${close} submit=${submit}>
        ${!name && html`<${Field} label=${t("name")}><input name="name" required maxlength="64" pattern="[A-Za-z0-9][A-Za-z0-9._\\-]*" autocomplete="off" /><//>`}
        <${Field} label=${t("signatures.type")}>
            <select name="type" defaultValue=${list.type}>${TYPES.map((type) => html`<option key=${type} value=${type} selected=${type === list.type}>${typeName(type)}</option>`)}</select>
        <//>
        <${Choice} label=${t("group")} name="group" of="groups" chosen=${list.group} none=${may("operate_all") ? t("signatures.for_all") : undefined} />
        <${Field} label=${t("signatures.text")} hint=${t("signatures.text_hint")}><textarea name="text" rows="12" spellcheck=${false} required>${list.text}</textarea><//>
    <//>`;
}

function Lists() {
    const list = useList("signature-lists", "lists", {});
    const [asking, setAsking] = useState(/** @type {{what: string, name: string} | null} */ (null));
    const close = () => setAsking(null);
    const columns = [
        { name: "name", title: t("name"), cell: (/** @type {any} */ row) => html`<${Literal} text=${row.name} />` },
        { name: "type", title: t("signatures.type"), cell: (/** @type {any} */ row) => typeName(row.type) },
        { name: "group", title: t("group"), cell: (/** @type {any} */ row) => (row.group ? html`<${Literal} text=${row.group} />` : t("signatures.for_all")) },
        { name: "entries", title: t("signatures.entries"), number: true, cell: (/** @type {any} */ row) => row.entries },
        { name: "changed", title: t("changed"), wide: true, cell: (/** @type {any} */ row) => html`<${Time} at=${row.changed} />` },
    ];
    /** @param {any} row */
    const actions = (row) =>
        may(row.group ? "operate" : "operate_all") &&
        html`<button class="quiet" onClick=${() => setAsking({ what: "edit", name: row.name })}>${t("edit")}</button>
            <button class="quiet" onClick=${() => setAsking({ what: "delete", name: row.name })}>${t("delete")}</button>`;
    return html`<section>
        <header class="title">
            <h2>${t("signatures.lists")}</h2>
            <div class="actions">${may("operate") && html`<button onClick=${() => setAsking({ what: "edit", name: "" })}>${t("signatures.new")}</button>`}</div>
        </header>
        <${ListTable} caption=${t("signatures.lists")} columns=${columns} list=${list} rowKey="name" actions=${actions} empty=${html`<${Empty} title=${t("signatures.none")}><p>${t("signatures.none_text")}</p><//>`} />
        ${asking?.what === "edit" && html`<${Editor} name=${asking.name} close=${close} done=${list.reload} />`}
        ${asking?.what === "delete" && html`<${Confirm} title=${t("delete")} text=${t("signatures.delete_text", { name: asking.name })} action=${t("delete")} close=${close} act=${async () => (await remove(pathOf(asking.name)), list.reload())} />`}
    </section>`;
}

function Mirror() {
    const list = useList("signature-files", "files", {});
    const columns = [
        { name: "name", title: t("name"), cell: (/** @type {any} */ row) => html`<${Literal} text=${row.name} />` },
        { name: "version", title: t("version"), number: true, cell: (/** @type {any} */ row) => row.version || "—" },
        { name: "size", title: t("size"), number: true, cell: (/** @type {any} */ row) => formatBytes(row.size) },
        { name: "built", title: t("signatures.built"), wide: true, cell: (/** @type {any} */ row) => (row.built ? html`<${Time} at=${row.built} />` : "—") },
    ];
    return html`<section>
        <header class="title"><h2>${t("signatures.mirror")}</h2></header>
        <${ListTable} caption=${t("signatures.mirror")} columns=${columns} list=${list} rowKey="name" empty=${html`<${Empty} title=${t("signatures.mirror_none")}><p>${t("signatures.mirror_text")}</p><//>`} />
    </section>`;
}

export const Page = () => html`<h1>${t("page.signatures")}</h1><${Lists} /><${Mirror} />`;
