// Who did what, from where. The console chains the entries; `yagura-console verify-audit` checks them.
import { html } from "../../vendor/vendor.js";
import { useList } from "../data.js";
import { formatTime, t, word } from "../i18n.js";
import { linkTo } from "../router.js";
import { Empty, Literal } from "../ui/elements.js";
import { ListTable } from "../ui/table.js";

/** A person by name; an agent is a computer, whose name is the subject. @param {any} row */
function actor(row) {
    const agent = /^agent:([0-9a-f-]{36})$/.exec(row.actor);
    return agent ? html`<a href=${linkTo(["computers", agent[1]])}>${t("audit.agent")}</a>` : html`<${Literal} text=${row.actor.replace(/^user:/, "")} />`;
}

export function Page() {
    const list = useList("audit", "entries", {});
    const columns = [
        { name: "time", title: t("time"), cell: (/** @type {any} */ row) => html`<time datetime=${row.time}>${formatTime(row.time)}</time>` },
        { name: "actor", title: t("by"), cell: actor },
        { name: "action", title: t("action"), cell: (/** @type {any} */ row) => html`<${Literal} text=${word("audit", row.action)} />` },
        { name: "subject", title: t("subject"), cell: (/** @type {any} */ row) => html`<${Literal} text=${row.subject} />` },
        { name: "address", title: t("address"), wide: true, cell: (/** @type {any} */ row) => row.address },
    ];
    return html`<h1>${t("page.audit")}</h1>
        <p class="dim">${t("audit.text")}</p>
        <${ListTable} caption=${t("page.audit")} columns=${columns} list=${list} rowKey="number" csv="audit" empty=${html`<${Empty} title="—" />`} />`;
}
