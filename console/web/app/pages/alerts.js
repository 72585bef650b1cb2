// What somebody should look at: open, acknowledged and resolved alerts, and the rules behind them.
import { html, useState } from "../../vendor/vendor.js";
import { patch, post, Problem } from "../api.js";
import { useList, useResource } from "../data.js";
import { t, word } from "../i18n.js";
import { linkTo } from "../router.js";
import { may } from "../session.js";
import { Empty, Literal, Mark, problemText, Severity, Time } from "../ui/elements.js";
import { ChoiceFilter } from "../ui/filters.js";
import { ListTable } from "../ui/table.js";
import { say } from "../ui/toast.js";

const TONES = /** @type {Record<string, string>} */ ({ open: "bad", acknowledged: "waiting", resolved: "good" });

const columns = () => [
    { name: "opened", title: t("time"), cell: (/** @type {any} */ row) => html`<${Time} at=${row.opened} />` },
    { name: "severity", title: t("severity"), cell: (/** @type {any} */ row) => html`<${Severity} severity=${row.severity} />` },
    { name: "title", title: t("alert"), cell: (/** @type {any} */ row) => html`<${Literal} text=${word("alert.rule", row.rule_name ?? row.rule)} />` },
    {
        name: "subject",
        title: t("subject"),
        cell: (/** @type {any} */ row) => (row.computer ? html`<a href=${linkTo(["computers", row.computer])}><${Literal} text=${row.hostname ?? row.subject} /></a>` : html`<${Literal} text=${row.subject ?? ""} />`),
    },
    { name: "count", title: t("count"), number: true, wide: true, cell: (/** @type {any} */ row) => row.count ?? 1 },
    { name: "state", title: t("status"), cell: (/** @type {any} */ row) => html`<${Mark} tone=${TONES[row.state]}>${t(`alert.${row.state}`)}<//>` },
];

function Rules() {
    const { data, reload } = useResource("alert-rules?limit=200");
    if (!data?.rules) return null;
    /** @param {any} rule */
    const toggle = async (rule) => {
        try {
            await patch(`alert-rules/${rule.id}`, { enabled: !rule.enabled });
        } catch (error) {
            if (!(error instanceof Problem)) throw error;
            say(problemText(error));
        }
        reload();
    };
    return html`<section class="panel">
        <h2>${t("alert.rules")}</h2>
        <ul class="rows">
            ${data.rules.map(
                (/** @type {any} */ rule) => html`<li key=${rule.id}>
                    <label class="check"><input type="checkbox" role="switch" checked=${rule.enabled} disabled=${!may("administer")} onChange=${() => toggle(rule)} /> ${word("alert.rule", rule.name)}</label>
                    <${Severity} severity=${rule.severity} />
                </li>`,
            )}
        </ul>
    </section>`;
}

/** @param {{query: Record<string, string>}} props */
export function Page({ query }) {
    const state = query.state ?? "open";
    const list = useList("alerts", "alerts", { state: state === "all" ? undefined : state, severity: query.severity }, ["alert"]);
    const [busy, setBusy] = useState("");
    /** @param {any} row @param {string} step */
    const move = async (row, step) => {
        setBusy(row.id);
        try {
            await post(`alerts/${row.id}/${step}`);
            list.reload();
        } catch (error) {
            if (!(error instanceof Problem)) throw error;
            say(problemText(error));
        }
        setBusy("");
    };
    /** @param {any} row */
    const actions = (row) =>
        may("operate") &&
        row.state !== "resolved" &&
        html`${row.state === "open" && html`<button class="quiet" disabled=${busy === row.id} onClick=${() => move(row, "acknowledge")}>${t("alert.acknowledge")}</button>`}
            <button class="quiet" disabled=${busy === row.id} onClick=${() => move(row, "resolve")}>${t("alert.resolve")}</button>`;
    return html`
        <h1>${t("page.alerts")}</h1>
        <search class="filters">
            <${ChoiceFilter} label=${t("status")} name="state" all=${t("alert.open")} options=${["acknowledged", "resolved", "all"].map((name) => [name, t(name === "all" ? "all" : `alert.${name}`)])} />
        </search>
        <${ListTable} caption=${t("page.alerts")} columns=${columns()} list=${list} actions=${actions} empty=${html`<${Empty} title=${t("alert.none")}><p>${t("alert.none_text")}</p><//>`} />
        <${Rules} />
    `;
}
