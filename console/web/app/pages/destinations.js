// Where events are sent on to: syslog, webhook, SNS. Part of the Settings page, for administrators.
import { html, useState } from "../../vendor/vendor.js";
import { patch, post, remove } from "../api.js";
import { useList } from "../data.js";
import { t } from "../i18n.js";
import { Confirm, FormDialog } from "../ui/dialog.js";
import { Empty, Field, Literal, Mark, Said, Time } from "../ui/elements.js";
import { ListTable } from "../ui/table.js";
import { attempt } from "../ui/toast.js";

const TYPES = ["syslog", "webhook", "sns"];
const TONES = /** @type {Record<string, string>} */ ({ working: "good", failing: "bad", disabled: "off" });

/** @param {any} row */
const addressOf = (row) => row.settings.url ?? row.settings.topic_arn ?? `${row.settings.host}:${row.settings.port ?? 6514}`;

/** What the console wants for each type. @param {string} type @param {(name: string) => string} text */
function bodyOf(type, text) {
    const authority = text("authority");
    if (type === "sns") return { settings: { topic_arn: text("topic_arn") } };
    if (type === "webhook") return { settings: { url: text("url"), ...(authority && { authority }) }, ...(text("key") && { secret: { key: text("key") } }) };
    return { settings: { host: text("host"), port: Number(text("port")), ...(authority && { authority }) } };
}

/** @param {{close: () => void, done: () => void}} props */
function NewDestination({ close, done }) {
    const [type, setType] = useState(TYPES[0]);
    /** @param {FormData} data */
    const submit = async (data) => {
        const text = (/** @type {string} */ name) => String(data.get(name) ?? "").trim();
        const severity = text("severity");
        await post("destinations", { name: text("name"), type, ...bodyOf(type, text), ...(severity && { filter: { severity } }) });
        done();
    };
    return html`<${FormDialog} title=${t("destination.new")} action=${t("create")} close=${close} submit=${submit}>
        <${Field} label=${t("name")}><input name="name" required maxlength="128" autocomplete="off" /><//>
        <${Field} label=${t("destination.type")}><select value=${type} onChange=${(/** @type {any} */ event) => setType(event.currentTarget.value)}>${TYPES.map((name) => html`<option key=${name} value=${name}>${t(`destination.${name}`)}</option>`)}</select><//>
        ${type === "syslog" && html`<${Field} label=${t("destination.host")}><input name="host" required autocomplete="off" /><//><${Field} label=${t("destination.port")}><input name="port" type="number" min="1" max="65535" value="6514" required /><//>`}
        ${type === "webhook" && html`<${Field} label="URL"><input name="url" type="url" required pattern="https://.*" placeholder="https://" /><//><${Field} label=${t("destination.key")} hint=${t("destination.key_hint")}><input name="key" type="password" minlength="16" maxlength="256" autocomplete="off" /><//>`}
        ${type === "sns" && html`<${Field} label=${t("destination.topic")} hint=${t("destination.topic_hint")}><input name="topic_arn" required placeholder="arn:aws:sns:…" autocomplete="off" /><//>`}
        ${type !== "sns" && html`<${Field} label=${t("destination.authority")} hint=${t("destination.authority_hint")}><textarea name="authority" rows="3" spellcheck="false"></textarea><//>`}
        <${Field} label=${t("destination.lowest")}><select name="severity"><option value="">${t("all")}</option>${["low", "medium", "high", "critical"].map((name) => html`<option key=${name} value=${name}>${t(`severity.${name}`)}</option>`)}</select><//>
    <//>`;
}

export function Destinations() {
    const list = useList("destinations", "destinations", {});
    const [asking, setAsking] = useState(/** @type {any} */ (null));
    const columns = [
        { name: "name", title: t("name"), cell: (/** @type {any} */ row) => html`<${Literal} text=${row.name} />` },
        { name: "address", title: t("address"), cell: (/** @type {any} */ row) => html`<${Literal} text=${addressOf(row)} />` },
        { name: "state", title: t("status"), cell: (/** @type {any} */ row) => html`<${Mark} tone=${TONES[row.state]}>${t(`destination.${row.state}`)}<//>${row.problem && html`<div class="dim"><${Said} text=${row.problem} /></div>`}` },
        { name: "sent", title: t("destination.sent"), number: true, wide: true, cell: (/** @type {any} */ row) => row.sent },
        { name: "dead", title: t("destination.dead"), number: true, wide: true, cell: (/** @type {any} */ row) => row.dead },
        { name: "last", title: t("destination.last"), wide: true, cell: (/** @type {any} */ row) => html`<${Time} at=${row.last_sent} />` },
    ];
    /** @param {any} row */
    const actions = (row) => html`<button class="quiet" onClick=${() => attempt(() => post(`destinations/${row.id}/test`, {}), t("destination.tested"))}>${t("destination.test")}</button>
        <button class="quiet" onClick=${() => attempt(() => patch(`destinations/${row.id}`, { enabled: !row.enabled })).then(list.reload)}>${t(row.enabled ? "destination.switch_off" : "destination.switch_on")}</button>
        <button class="quiet" onClick=${() => setAsking({ what: "delete", row })}>${t("delete")}</button>`;
    return html`<section>
        <header class="title">
            <h2>${t("destinations")}</h2>
            <div class="actions"><button onClick=${() => setAsking({ what: "new" })}>${t("destination.new")}</button></div>
        </header>
        <${ListTable} caption=${t("destinations")} columns=${columns} list=${list} actions=${actions} empty=${html`<${Empty} title=${t("destination.none")}><p>${t("destination.none_text")}</p><//>`} />
        ${asking?.what === "new" && html`<${NewDestination} close=${() => setAsking(null)} done=${list.reload} />`}
        ${asking?.what === "delete" && html`<${Confirm} title=${t("delete")} text=${t("destination.delete_text", { name: asking.row.name })} action=${t("delete")} close=${() => setAsking(null)} act=${async () => (await remove(`destinations/${asking.row.id}`), list.reload())} />`}
    </section>`;
}
