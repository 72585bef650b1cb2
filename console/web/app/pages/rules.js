// Activation rules: where a new computer belongs, in the order in which they are tried. Part of the
// Activation page.
import { html, useState } from "../../vendor/vendor.js";
import { post, remove } from "../api.js";
import { useList } from "../data.js";
import { t } from "../i18n.js";
import { may } from "../session.js";
import { Choice } from "../ui/choice.js";
import { Confirm, FormDialog } from "../ui/dialog.js";
import { Empty, Field, Literal, Tags } from "../ui/elements.js";
import { ListTable } from "../ui/table.js";
import { sayDone } from "../ui/toast.js";

const CONDITIONS = ["hostnames", "cidrs", "accounts", "regions", "tags"];

/** "host name: web-*, api-*". @param {{when: Record<string, string[]>}} props */
const When = ({ when }) => {
    const given = Object.entries(when ?? {}).filter(([, values]) => values.length);
    if (!given.length) return t("rule.always");
    return given.map(([name, values]) => html`<div key=${name}><span class="dim">${t(`rule.${name}`)}:</span> <${Literal} text=${values.join(", ")} /></div>`);
};

/** @param {{close: () => void, done: () => void}} props */
function NewRule({ close, done }) {
    /** @param {FormData} data */
    const submit = async (data) => {
        const list = (/** @type {string} */ name) => String(data.get(name) ?? "").split(/[\s,、]+/).filter(Boolean);
        const when = Object.fromEntries(CONDITIONS.map((name) => [name, list(`when.${name}`)]).filter(([, values]) => values.length));
        /** @type {Record<string, any>} */
        const body = { name: data.get("name"), when };
        for (const name of ["group", "policy"]) if (data.get(name)) body[name] = data.get(name);
        if (list("tags").length) body.tags = list("tags");
        await post("rules", body);
        done();
    };
    return html`<${FormDialog} title=${t("rule.new")} action=${t("create")} close=${close} submit=${submit}>
        <${Field} label=${t("name")}><input name="name" required maxlength="128" autocomplete="off" /><//>
        <fieldset>
            <legend>${t("rule.when")}</legend>
            ${CONDITIONS.map((name) => html`<${Field} key=${name} label=${t(`rule.${name}`)}><input name=${`when.${name}`} placeholder=${t(`rule.${name}_hint`)} autocomplete="off" /><//>`)}
            <small>${t("rule.when_hint")}</small>
        </fieldset>
        <${Choice} label=${t("group")} name="group" of="groups" none=${t("rule.unchanged")} />
        <${Choice} label=${t("policy")} name="policy" of="policies" none=${t("rule.unchanged")} />
        <${Field} label=${t("rule.add_tags")} hint=${t("tags.hint")}><input name="tags" autocomplete="off" /><//>
    <//>`;
}

/** What makes a rule as it was, at its place. @param {any} row */
const bodyOf = ({ name, position, when, group, policy, tags }) => ({ name, position, when: when ?? {}, ...(group && { group }), ...(policy && { policy }), ...(tags?.length && { tags }) });

export function Rules() {
    const list = useList("rules", "rules", {});
    const [asking, setAsking] = useState(/** @type {any} */ (null));
    /** @param {any} row */
    const forget = async (row) => {
        await remove(`rules/${row.id}`);
        list.reload();
        sayDone(t("rule.deleted", { name: row.name }), () => post("rules", bodyOf(row)), list.reload);
    };
    const columns = [
        { name: "name", title: t("name"), cell: (/** @type {any} */ row) => html`<${Literal} text=${row.name} />` },
        { name: "when", title: t("rule.when"), cell: (/** @type {any} */ row) => html`<${When} when=${row.when} />` },
        { name: "group", title: t("group"), cell: (/** @type {any} */ row) => row.group ?? "—" },
        { name: "policy", title: t("policy"), cell: (/** @type {any} */ row) => row.policy ?? "—" },
        { name: "tags", title: t("tags"), wide: true, cell: (/** @type {any} */ row) => html`<${Tags} tags=${row.tags} />` },
    ];
    return html`<section>
        <header class="title">
            <h2>${t("rules")}</h2>
            <div class="actions">${may("operate_all") && html`<button onClick=${() => setAsking({ what: "new" })}>${t("rule.new")}</button>`}</div>
        </header>
        <${ListTable}
            caption=${t("rules")}
            columns=${columns}
            list=${list}
            actions=${(/** @type {any} */ row) => may("operate_all") && html`<button class="quiet" onClick=${() => setAsking({ what: "delete", row })}>${t("delete")}</button>`}
            empty=${html`<${Empty} title=${t("rule.none")}><p>${t("rule.none_text")}</p><//>`}
        />
        ${asking?.what === "new" && html`<${NewRule} close=${() => setAsking(null)} done=${list.reload} />`}
        ${asking?.what === "delete" && html`<${Confirm} title=${t("delete")} text=${t("rule.delete_text", { name: asking.row.name })} action=${t("delete")} close=${() => setAsking(null)} act=${() => forget(asking.row)} />`}
    </section>`;
}
