// Sensors that are not hosts, of one kind: the list, their events, their keys; for functions also
// what they are protected from.
import { html, useState } from "../../vendor/vendor.js";
import { useList, useResource } from "../data.js";
import { knows, t, word } from "../i18n.js";
import { linkTo, place, setQuery } from "../router.js";
import { may } from "../session.js";
import { Empty, Literal, Mark, Time } from "../ui/elements.js";
import { ChoiceFilter, RangeFilter, timesOf, TextFilter } from "../ui/filters.js";
import { ListTable } from "../ui/table.js";
import { EventList, SEVERITIES } from "./events.js";
import { Protections } from "./protections.js";
import { KeyList, NewKey } from "./sensor_keys.js";

/** The page of a kind of sensor. @type {Record<string, string>} */
export const SENSOR_PAGES = { storage: "buckets", application: "functions" };

const HEALTH_TONES = /** @type {Record<string, string>} */ ({ good: "good", degraded: "waiting", failed: "bad" });

/** What a sensor says of itself. @param {{sensor: any}} props */
export function Health({ sensor }) {
    const health = sensor.facts?.health;
    if (!health) return html`<span class="dim">—</span>`;
    return html`<${Mark} tone=${HEALTH_TONES[health] ?? "waiting"}>${word("health", String(health))}<//>`;
}

/** @param {{sensor: any}} props */
export const SensorStatus = ({ sensor }) => html`<${Mark} tone=${sensor.status === "reporting" ? "good" : "off"}>${t(`sensor.${sensor.status}`)}<//>`;

/** @param {string} kind */
const columns = (kind) => [
    { name: "name", title: t("name"), cell: (/** @type {any} */ row) => html`<a href=${linkTo([SENSOR_PAGES[kind], row.id])}><${Literal} text=${row.name} /></a>` },
    { name: "status", title: t("status"), cell: (/** @type {any} */ row) => html`<${SensorStatus} sensor=${row} />` },
    { name: "health", title: t("sensor.health"), cell: (/** @type {any} */ row) => html`<${Health} sensor=${row} />` },
    { name: "place", title: t("sensor.place"), wide: true, cell: (/** @type {any} */ row) => [row.account, row.region].filter(Boolean).join(" · ") || "—" },
    { name: "group", title: t("group"), wide: true, cell: (/** @type {any} */ row) => row.group ?? "—" },
    { name: "policy", title: t("policy"), wide: true, cell: (/** @type {any} */ row) => row.effective_policy ?? "—" },
    { name: "version", title: t("version"), wide: true, cell: (/** @type {any} */ row) => row.version || "—" },
    { name: "seen", title: t("sensor.last_report"), cell: (/** @type {any} */ row) => html`<${Time} at=${row.last_seen} />` },
];

/** @param {{kind: string, query: Record<string, string>, connect: () => void}} props */
function SensorList({ kind, query, connect }) {
    const groups = useResource("groups?limit=200");
    const list = useList("sensors", "sensors", { kind, name: query.name, status: query.status, group: query.group }, ["sensor"]);
    const filtered = query.name || query.status || query.group;
    return html`
        <search class="filters">
            <${TextFilter} label=${t("name")} name="name" hint=${t("computers.begins")} />
            <${ChoiceFilter} label=${t("status")} name="status" options=${["reporting", "silent"].map((name) => [name, t(`sensor.${name}`)])} />
            <${ChoiceFilter} label=${t("group")} name="group" options=${(groups.data?.groups ?? []).map((/** @type {any} */ row) => [row.name, row.name])} />
        </search>
        <${ListTable}
            caption=${t(`page.${SENSOR_PAGES[kind]}`)}
            columns=${columns(kind)}
            list=${list}
            csv=${SENSOR_PAGES[kind]}
            empty=${filtered
                ? html`<${Empty} title=${t("sensor.none_match")}><a href=${linkTo([SENSOR_PAGES[kind]])}>${t("filter.clear")}</a><//>`
                : html`<${Empty} title=${t(`sensor.${kind}.none`)}><p>${t(`sensor.${kind}.none_text`)}</p>${may("operate") && html`<button class="primary" onClick=${connect}>${t(`sensor.${kind}.connect`)}</button>`}<//>`}
        />
    `;
}

/** @param {{kind: string, query: Record<string, string>}} props */
const Events = ({ kind, query }) => html`
    <search class="filters">
        <${ChoiceFilter} label=${t("severity")} name="severity" options=${SEVERITIES.map((name) => [name, word("severity", name)])} />
        <${RangeFilter} />
    </search>
    <${EventList} filters=${{ module: kind, severity: query.severity, ...timesOf(query.hours) }} />
`;

/** @param {string} kind */
function tabsOf(kind) {
    const tabs = ["sensors", "events"];
    if (kind === "application") tabs.push("protections");
    if (may("operate")) tabs.push("keys");
    return tabs;
}

/** @param {{kind: string, query: Record<string, string>}} props */
export function SensorPage({ kind, query }) {
    const [turn, setTurn] = useState(0);
    const tabs = tabsOf(kind);
    const tab = tabs.includes(query.tab) ? query.tab : "sensors";
    const connect = () => setQuery({ new: "1" });
    return html`
        <header class="title">
            <h1>${t(`page.${SENSOR_PAGES[kind]}`)}</h1>
            ${may("operate") && html`<div class="actions"><button class="primary" onClick=${connect}>${t(`sensor.${kind}.connect`)}</button></div>`}
        </header>
        <nav class="tabs" aria-label=${t("sections")}>
            ${tabs.map((name) => html`<a key=${name} href=${linkTo(place.value.path, { tab: name })} aria-current=${name === tab ? "true" : undefined}>${t(knows(`tab.${kind}.${name}`) ? `tab.${kind}.${name}` : `tab.${name}`)}</a>`)}
        </nav>
        ${tab === "sensors" && html`<${SensorList} kind=${kind} query=${query} connect=${connect} />`}
        ${tab === "events" && html`<${Events} kind=${kind} query=${query} />`}
        ${tab === "protections" && html`<${Protections} group=${query.group ?? ""} />`}
        ${tab === "keys" && html`<${KeyList} key=${turn} kind=${kind} />`}
        ${query.new === "1" && may("operate") && html`<${NewKey} kind=${kind} close=${() => setQuery({ new: undefined })} done=${() => setTurn(turn + 1)} />`}
    `;
}
