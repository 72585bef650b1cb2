// What somebody should look at: open, acknowledged and resolved alerts, and the rules behind them.
import { html, useState } from "../../vendor/vendor.js";
import { patch, post } from "../api.js";
import { useList, useResource } from "../data.js";
import { t, word } from "../i18n.js";
import { linkTo } from "../router.js";
import { may } from "../session.js";
import { Empty, Literal, Mark, Severity, Time } from "../ui/elements.js";
import { ChoiceFilter } from "../ui/filters.js";
import { ListTable } from "../ui/table.js";
import { attempt, doUnlessUndone } from "../ui/toast.js";

const TONES = /** @type {Record<string, string>} */ ({ open: "bad", acknowledged: "waiting", resolved: "good" });
const STEPS = /** @type {const} */ ({ acknowledge: "acknowledged", resolve: "resolved" });

/** What an alert is about: its computer, or whatever else the rule counts by. @param {any} row */
const about = (row) => (row.computer ? html`<a href=${linkTo(["computers", row.computer])}><${Literal} text=${row.hostname ?? row.subject} /></a>` : html`<${Literal} text=${row.subject} />`);

/** @param {(row: any) => string} stateOf */
const columns = (stateOf) => [
    { name: "last", title: t("time"), cell: (/** @type {any} */ row) => html`<${Time} at=${row.last} />` },
    { name: "severity", title: t("severity"), cell: (/** @type {any} */ row) => html`<${Severity} severity=${row.severity} />` },
    { name: "rule", title: t("alert"), cell: (/** @type {any} */ row) => html`<${Literal} text=${word("alert.rule", row.rule)} />` },
    { name: "about", title: t("subject"), cell: about },
    { name: "count", title: t("count"), number: true, wide: true, cell: (/** @type {any} */ row) => row.count },
    { name: "state", title: t("status"), cell: (/** @type {any} */ row) => html`<${Mark} tone=${TONES[stateOf(row)]}>${t(`alert.${stateOf(row)}`)}<//>` },
];

function Rules() {
    const { data, reload } = useResource("alert-rules?limit=200", ["alert"]);
    if (!data) return null;
    /** @param {any} rule */
    const toggle = async (rule) => {
        await attempt(() => patch(`alert-rules/${rule.id}`, { enabled: !rule.enabled }));
        reload();
    };
    return html`<section class="panel">
        <h2>${t("alert.rules")}</h2>
        <ul class="rows">
            ${data.rules.map(
                (/** @type {any} */ rule) => html`<li key=${rule.id}>
                    <label class="check"><input type="checkbox" role="switch" checked=${rule.enabled} disabled=${!may("operate_all")} onChange=${() => toggle(rule)} /> <${Literal} text=${word("alert.rule", rule.name)} /></label>
                    <${Severity} severity=${rule.severity} />
                </li>`,
            )}
        </ul>
    </section>`;
}

/** @param {{query: Record<string, string>}} props */
export function Page({ query }) {
    const state = query.state ?? "unresolved";
    const list = useList("alerts", "alerts", { state: state === "all" ? undefined : state }, ["alert"]);
    /* What was pressed here and can still be taken back, by number. */
    const [pressed, setPressed] = useState(/** @type {Record<number, string>} */ ({}));
    const stateOf = (/** @type {any} */ row) => pressed[row.number] ?? row.state;
    /** @param {number} number */
    const release = (number) =>
        setPressed((old) => {
            const { [number]: _, ...rest } = old;
            return rest;
        });
    /** @param {any} row @param {keyof typeof STEPS} step */
    const press = (row, step) => {
        setPressed((old) => ({ ...old, [row.number]: STEPS[step] }));
        const act = async () => {
            await attempt(() => post(`alerts/${row.number}/${step}`, {}));
            release(row.number);
            list.reload();
        };
        doUnlessUndone(t(`alert.${STEPS[step]}`), act, () => release(row.number));
    };
    /** @param {any} row */
    const actions = (row) =>
        may("operate") &&
        !pressed[row.number] &&
        row.state !== "resolved" &&
        html`${row.state === "open" && html`<button class="quiet" onClick=${() => press(row, "acknowledge")}>${t("alert.acknowledge")}</button>`}
            <button class="quiet" onClick=${() => press(row, "resolve")}>${t("alert.resolve")}</button>`;
    return html`
        <h1>${t("page.alerts")}</h1>
        <search class="filters">
            <${ChoiceFilter} label=${t("status")} name="state" all=${t("alert.unresolved")} options=${["open", "acknowledged", "resolved", "all"].map((name) => [name, t(name === "all" ? "all" : `alert.${name}`)])} />
        </search>
        <${ListTable} caption=${t("page.alerts")} columns=${columns(stateOf)} list=${list} rowKey="number" actions=${actions} csv="alerts" empty=${html`<${Empty} title=${t("alert.none")}><p>${t("alert.none_text")}</p><//>`} />
        <${Rules} />
    `;
}
