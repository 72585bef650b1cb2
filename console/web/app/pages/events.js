// Every event of every sensor, newest first, with its whole detail in a drawer.
import { html, useState } from "../../vendor/vendor.js";
import { useList, useResource } from "../data.js";
import { formatNumber, formatTime, knows, t, word, wordsOf } from "../i18n.js";
import { language } from "../preferences.js";
import { linkTo, place, setQuery } from "../router.js";
import { literal } from "../text.js";
import { Dialog } from "../ui/dialog.js";
import { Copy, Empty, Fact, Literal, ProblemNote, Said, Severity, Skeleton, Time } from "../ui/elements.js";
import { FilterBox } from "../ui/filter_box.js";
import { ChoiceFilter, RangeFilter, RANGES, timesOf } from "../ui/filters.js";
import { ListTable } from "../ui/table.js";
import { AllowContent, mayAllow } from "./signatures.js";

export const MODULES = ["malware", "quarantine", "integrity", "prevention", "application_control", "log", "watch", "scanner", "scan", "policy", "agent", "tamper", "health", "store", "storage", "application", "console"];
export const SEVERITIES = ["critical", "high", "medium", "low", "info"];

const FILTERS = ["module", "severity", "kind", "computer", "hours"];

/** @param {any} event */
const drawerOf = (event) => () => setQuery({ event: String(event.number) });

/** The computer or sensor an event is of. @param {{event: any}} props */
function Origin({ event }) {
    const id = event.computer ?? event.sensor;
    if (!id) return html`<span class="dim">—</span>`;
    const page = event.computer ? "computers" : event.module === "application" ? "functions" : "buckets";
    return html`<a href=${linkTo([page, id])}><${Literal} text=${event.hostname ?? id} /></a>`;
}

/** @param {boolean} ofOne */
const columns = (ofOne) => [
    { name: "time", title: t("time"), cell: (/** @type {any} */ event) => html`<${Time} at=${event.time} />` },
    { name: "severity", title: t("severity"), cell: (/** @type {any} */ event) => html`<${Severity} severity=${event.severity} />` },
    { name: "kind", title: t("event"), cell: (/** @type {any} */ event) => html`<button class="link" onClick=${drawerOf(event)}><${Literal} text=${word("kind", event.kind)} /></button>` },
    { name: "subject", title: t("subject"), cell: (/** @type {any} */ event) => html`<${Literal} text=${event.subject} />` },
    ...(ofOne
        ? []
        : [
              {
                  name: "computer",
                  title: t("event.from"),
                  cell: (/** @type {any} */ event) => html`<${Origin} event=${event} />`,
              },
          ]),
    { name: "module", title: t("module"), wide: true, cell: (/** @type {any} */ event) => html`<${Literal} text=${word("module", event.module)} />` },
];

/**
 * @param {{filters: Record<string, string | undefined>, short?: boolean}} props
 * short: a few rows, nothing below them
 */
export function EventList({ filters, short }) {
    const list = useList("events", "events", filters, ["event"]);
    const shown = short && list.rows ? { ...list, rows: list.rows.slice(0, 8), hasMore: false } : list;
    return html`
        <${ListTable}
            caption=${t("page.events")}
            columns=${columns(filters.computer !== undefined || filters.sensor !== undefined)}
            list=${shown}
            rowKey="number"
            csv=${short ? undefined : "events"}
            empty=${html`<${Empty} title=${t("events.none")}>
                <p>${t("events.none_text")}</p>
                ${FILTERS.some((name) => place.value.query[name]) && html`<a href=${linkTo(place.value.path, { tab: place.value.query.tab })}>${t("filter.clear")}</a>`}
            <//>`}
        />
        ${place.value.query.event && html`<${EventDrawer} number=${place.value.query.event} />`}
    `;
}

/* Whose values are words of ours; of all others they are strangers' texts. */
const OF_OURS = new Set(["action", "care", "cause", "changed", "reason", "trigger", "verdict"]);

/** @param {{name: string, value: any}} props */
function Value({ name, value }) {
    if (typeof value === "boolean") return t(value ? "yes" : "no");
    if (name === "size" && typeof value === "number") return html`${formatNumber(value)}`;
    if (Array.isArray(value) && value.every((each) => typeof each === "string")) return html`<${Literal} text=${value.map((each) => (OF_OURS.has(name) ? word("value", each) : each)).join(", ")} />`;
    if (typeof value !== "string") return html`<${Literal} text=${JSON.stringify(value)} />`;
    if (OF_OURS.has(name)) return knows(`value.${value}`) ? t(`value.${value}`) : html`<${Said} text=${value} />`;
    if (name === "problem" || name === "message") return html`<${Said} text=${value} />`;
    return html`<${Literal} text=${value} />`;
}

/** @param {{name: string, value: any}} props */
function Detail({ name, value }) {
    const title = literal(word("detail", name));
    const parts = (Array.isArray(value) ? value : [value]).filter((part) => part && typeof part === "object");
    if (parts.length === 0) return html`<${Fact} name=${title}><${Value} name=${name} value=${value} /><//>`;
    return html`<div class="part">
        <dt>${title}</dt>
        ${parts.map((part, i) => html`<dd key=${i}><dl class="facts">${Object.entries(part).map(([key, each]) => html`<${Detail} key=${key} name=${key} value=${each} />`)}</dl></dd>`)}
    </div>`;
}

/** What an event says of itself, once: descriptions in both languages are one. @param {any} event @returns {[string, any][]} */
const detailsOf = ({ detail }) =>
    Object.entries(detail ?? {})
        .filter(([name]) => name !== "description_ja")
        .map(([name, value]) => [name, name === "description" && language.value === "ja" ? (detail.description_ja ?? value) : value]);

/** @param {{number: string}} props */
function EventDrawer({ number }) {
    const { data, problem } = useResource(`events/${encodeURIComponent(number)}`);
    const close = () => setQuery({ event: undefined });
    const [allowing, setAllowing] = useState(false);
    if (allowing) return html`<${AllowContent} event=${data} close=${() => setAllowing(false)} />`;
    return html`<${Dialog} drawer title=${data ? literal(word("kind", data.kind)) : t("event")} close=${close}>
        ${problem && html`<${ProblemNote} problem=${problem} />`}
        ${!data && !problem && html`<${Skeleton} />`}
        ${data &&
        html`<p><${Severity} severity=${data.severity} /> <${Literal} text=${word("module", data.module)} /></p>
            <p class="subject"><${Literal} text=${data.subject} /></p>
            ${knows(`kind.${data.kind}.next`) && html`<p class="note">${t(`kind.${data.kind}.next`)}${data.kind === "malware_quarantined" && data.computer && html` <a href=${linkTo(["computers", data.computer], { tab: "quarantine" })}>${t("page.quarantine")}</a>`}</p>`}
            <dl class="facts">
                <${Fact} name=${t("time")}>${formatTime(data.time)}<//>
                <${Fact} name=${t("received")}>${formatTime(data.received)}<//>
                ${(data.computer || data.sensor) && html`<${Fact} name=${t(data.computer ? "computer" : "sensor.sensor")}><${Origin} event=${data} /><//>`}
                ${detailsOf(data).map(([name, value]) => html`<${Detail} key=${name} name=${name} value=${value} />`)}
                <${Fact} name=${t("event_id")}><code>${data.id}</code><//>
            </dl>
            <footer>
                ${mayAllow(data) && html`<button onClick=${() => setAllowing(true)}>${t("signatures.allow")}</button>`}
                <${Copy} text=${JSON.stringify(data, null, 2)} label=${t("copy_json")} />
            </footer>`}
    <//>`;
}

/** What of the address filters events. @param {Record<string, string>} query */
export const eventFilters = (query) => ({
    module: query.module,
    severity: query.severity,
    kind: query.kind,
    computer: query.computer,
    ...timesOf(query.hours),
});

/** What can be typed. @returns {import("../filter_text.js").FilterField[]} */
const eventFields = () => [
    { name: "module", title: t("module"), values: MODULES.map((name) => [name, word("module", name)]) },
    { name: "severity", title: t("severity"), several: true, values: SEVERITIES.map((name) => [name, word("severity", name)]) },
    { name: "kind", title: t("kind"), values: wordsOf("kind").map((name) => [name, word("kind", name)]), open: true },
    { name: "hours", title: t("filter.range"), values: RANGES.map((range) => [range, t(`range.${range}`)]) },
];

export const EventFilters = () => html`<search class="filters">
    <${ChoiceFilter} label=${t("module")} name="module" options=${MODULES.map((name) => [name, word("module", name)])} />
    <${ChoiceFilter} label=${t("severity")} name="severity" options=${SEVERITIES.map((name) => [name, word("severity", name)])} />
    <${FilterBox} label=${t("filter")} hint="kind:malware_found severity:high,critical" fields=${eventFields()} />
    <${RangeFilter} />
</search>`;

/** @param {{query: Record<string, string>}} props */
export const Page = ({ query }) => html`
    <h1>${t("page.events")}</h1>
    <${EventFilters} />
    <${EventList} filters=${eventFilters(query)} />
`;
