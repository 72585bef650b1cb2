// The table that answers most questions: which machines, in which state, under which policy.
import { html, useRef, useState } from "../../vendor/vendor.js";
import { patch, post, Problem } from "../api.js";
import { certificateNeedsCare } from "../certificate.js";
import { useEvery, useList, useResource } from "../data.js";
import { t } from "../i18n.js";
import { now } from "../live.js";
import { linkTo } from "../router.js";
import { may } from "../session.js";
import { Choice } from "../ui/choice.js";
import { FormDialog } from "../ui/dialog.js";
import { Empty, Field, Literal, Status, Tags, Time } from "../ui/elements.js";
import { FilterBox } from "../ui/filter_box.js";
import { ChoiceFilter } from "../ui/filters.js";
import { ListTable } from "../ui/table.js";
import { say, sayDone } from "../ui/toast.js";

const STATUSES = ["online", "offline", "reactivation_required", "deactivated"];
const REFRESH_MS = 30000; /* "last seen" of all that is shown */
const TOGETHER = 6; /* requests at once */

/** @param {number} life seconds of a certificate */
const columns = (life) => [
    {
        name: "name",
        title: t("computer"),
        cell: (/** @type {any} */ row) => html`<a href=${linkTo(["computers", row.id])}><${Literal} text=${row.display_name || row.hostname} /></a>${problems(row, life) > 0 && html` <span class="mark bad small">▲ ${t("computers.problems", { count: problems(row, life) })}</span>`}`,
    },
    { name: "status", title: t("status"), cell: (/** @type {any} */ row) => html`<${Status} status=${row.status} />` },
    { name: "group", title: t("group"), wide: true, cell: (/** @type {any} */ row) => row.group ?? "—" },
    { name: "policy", title: t("policy"), wide: true, cell: (/** @type {any} */ row) => html`${row.effective_policy ?? "—"}${!row.policy_in_force && row.status === "Managed (Online)" && html` <span class="mark waiting small">◐ ${t("policy.pending")}</span>`}` },
    { name: "tags", title: t("tags"), wide: true, cell: (/** @type {any} */ row) => html`<${Tags} tags=${row.tags} />` },
    { name: "agent", title: t("agent_version"), wide: true, cell: (/** @type {any} */ row) => row.agent_version },
    { name: "signatures", title: t("signature_age"), wide: true, cell: (/** @type {any} */ row) => html`<${Time} at=${row.facts?.scanner?.signatures_time || null} />` },
    { name: "seen", title: t("last_seen"), cell: (/** @type {any} */ row) => html`<${Time} at=${row.last_seen} />` },
];

/** @param {any} row @param {number} life */
const problems = (row, life) => (row.facts?.problems?.length ?? 0) + (certificateNeedsCare(row, life, now.value) ? 1 : 0);

/** Does one thing to many, a few at a time. @param {string[]} ids @param {(id: string) => Promise<unknown>} act @returns {Promise<string>} how many went well */
async function toEach(ids, act) {
    let failed = 0;
    const waiting = [...ids];
    const work = async () => {
        for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) {
            try {
                await act(id);
            } catch (error) {
                if (!(error instanceof Problem)) throw error;
                failed++;
            }
        }
    };
    await Promise.all(Array.from({ length: TOGETHER }, work));
    return failed ? t("bulk.some_failed", { count: ids.length - failed, failed }) : t("bulk.done", { count: ids.length });
}

/** @param {{chosen: Set<string>, known: Map<string, any>, done: () => void}} props known: the rows of the chosen, also of those a filter hides now */
function BulkActions({ chosen, known, done }) {
    const [asking, setAsking] = useState("");
    const ids = [...chosen];
    const count = ids.length;
    const close = () => setAsking("");
    /** @param {(id: string) => Promise<unknown>} act */
    const run = async (act) => {
        say(await toEach(ids, act));
        done();
    };
    /** Sets a group or policy, and knows what it was. @param {string} what @param {string} choice */
    const set = async (what, choice) => {
        const before = new Map(ids.map((id) => [id, known.get(id)?.[what] ?? ""]));
        const text = await toEach(ids, (id) => patch(`computers/${id}`, { [what]: choice }));
        sayDone(text, () => toEach(ids, (id) => patch(`computers/${id}`, { [what]: before.get(id) })), done);
        done();
    };
    return html`<div class="bulk" role="toolbar" aria-label=${t("actions")}>
        <strong>${t("bulk.chosen", { count })}</strong>
        <button onClick=${() => run((id) => post(`computers/${id}/commands`, { type: "scan_quick" }))}>${t("command.scan_quick")}</button>
        <button onClick=${() => run((id) => post(`computers/${id}/commands`, { type: "update_signatures" }))}>${t("command.update_signatures")}</button>
        <button onClick=${() => setAsking("group")}>${t("bulk.group")}</button>
        <button onClick=${() => setAsking("policy")}>${t("bulk.policy")}</button>
        <button class="danger" onClick=${() => setAsking("deactivate")}>${t("deactivate")}</button>
        ${(asking === "group" || asking === "policy") &&
        html`<${FormDialog} title=${t(`bulk.${asking}`)} action=${t("bulk.apply", { count })} close=${close} submit=${(/** @type {FormData} */ data) => set(asking, String(data.get("choice")))}>
            ${asking === "group" ? html`<${Choice} label=${t("group")} name="choice" of="groups" none=${may("operate_all") ? t("group.none") : undefined} />` : html`<${Choice} label=${t("policy")} name="choice" of="policies" none=${t("policy.inherited")} />`}
        <//>`}
        ${asking === "deactivate" &&
        html`<${FormDialog} title=${t("deactivate")} action=${t("bulk.apply", { count })} danger close=${close} submit=${() => run((id) => post(`computers/${id}/deactivate`))}>
            <p>${t("deactivate.text", { count })}</p>
            ${count >= 10 && html`<${Field} label=${t("confirm.type", { number: String(count) })}><input required pattern=${String(count)} inputmode="numeric" autocomplete="off" /><//>`}
        <//>`}
    </div>`;
}

/** @param {{query: Record<string, string>}} props */
export function Page({ query }) {
    const [chosen, setChosen] = useState(/** @type {Set<string>} */ (new Set()));
    const about = useResource("about");
    const groups = useResource("groups?limit=200");
    const policies = useResource("policies?limit=200");
    const filters = { hostname: query.hostname, status: query.status, group: query.group, effective_policy: query.policy, tag: query.tag };
    const list = useList("computers", "computers", filters, ["computer"]);
    useEvery(REFRESH_MS, list.reload);
    const known = useRef(/** @type {Map<string, any>} */ (new Map()));
    for (const row of list.rows ?? []) known.current.set(row.id, row);
    const filtered = Object.values(filters).some(Boolean);
    /** @param {any[] | undefined} rows @returns {[string, string][]} */
    const names = (rows) => (rows ?? []).map((row) => [row.name, row.name]);
    const fields = [
        { name: "status", title: t("status"), values: /** @type {[string, string][]} */ (STATUSES.map((name) => [name, t(`filter.status.${name}`)])) },
        { name: "group", title: t("group"), values: names(groups.data?.groups) },
        { name: "policy", title: t("policy"), values: names(policies.data?.policies) },
        { name: "tag", title: t("tags") },
    ];
    return html`
        <h1>${t("page.computers")}</h1>
        <search class="filters">
            <${FilterBox} label=${t("filter")} hint=${t("computers.filter_hint")} fields=${fields} free="hostname" />
            <${ChoiceFilter} label=${t("status")} name="status" options=${STATUSES.map((name) => [name, t(`filter.status.${name}`)])} />
            <${ChoiceFilter} label=${t("group")} name="group" options=${names(groups.data?.groups)} />
            <${ChoiceFilter} label=${t("policy")} name="policy" options=${names(policies.data?.policies)} />
        </search>
        ${chosen.size > 0 &&
        html`<${BulkActions}
            chosen=${chosen}
            known=${known.current}
            done=${() => {
                setChosen(new Set());
                list.reload();
            }}
        />`}
        <${ListTable}
            caption=${t("page.computers")}
            columns=${columns(about.data?.certificate_seconds ?? 0)}
            list=${list}
            csv="computers"
            select=${may("operate") ? { chosen, set: setChosen } : undefined}
            empty=${filtered
                ? html`<${Empty} title=${t("computers.none_match")}><a href=${linkTo(["computers"])}>${t("filter.clear")}</a><//>`
                : html`<${Empty} title=${t("overview.first_title")}>${may("operate") && html`<a class="button primary" href=${linkTo(["activation"], { new: "1" })}>${t("activation.new")}</a>`}<//>`}
        />
    `;
}
