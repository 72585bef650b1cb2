// The state of the fleet, what was detected, what wants attention. Every number leads to its list.
import { html } from "../../vendor/vendor.js";
import { queryText } from "../api.js";
import { useResource } from "../data.js";
import { formatNumber, t, word } from "../i18n.js";
import { linkTo } from "../router.js";
import { may } from "../session.js";
import { Bar, TimeChart } from "../ui/chart.js";
import { Empty, Literal, Mark, ProblemNote, Severity, Skeleton, Time } from "../ui/elements.js";
import { EventList } from "./events.js";

const HOUR = 3600;
const NEWEST = 6; /* alerts that want attention */
const SEVERITIES = ["info", "low", "medium", "high", "critical"];

/** @param {{text: string, value: number, href: string, tone?: string}} props */
const Number = ({ text, value, href, tone }) => html`<a class=${`number-card ${value > 0 ? (tone ?? "") : ""}`} href=${href}><strong>${formatNumber(value)}</strong><span>${text}</span></a>`;

/** @param {{computers: any, sensors: any, alerts: any}} props */
function Numbers({ computers, sensors, alerts }) {
    return html`<section class="numbers" aria-label=${t("overview.fleet")}>
        <${Number} text=${t("overview.computers")} value=${computers.all} href=${linkTo(["computers"])} />
        <${Number} text=${t("overview.online")} value=${computers.online} href=${linkTo(["computers"], { status: "online" })} tone="good" />
        <${Number} text=${t("overview.offline")} value=${computers.offline} href=${linkTo(["computers"], { status: "offline" })} tone="bad" />
        <${Number} text=${t("overview.deactivated")} value=${computers.deactivated} href=${linkTo(["computers"], { status: "deactivated" })} />
        ${sensors.storage > 0 && html`<${Number} text=${t("page.buckets")} value=${sensors.storage} href=${linkTo(["buckets"])} />`}
        ${sensors.application > 0 && html`<${Number} text=${t("page.functions")} value=${sensors.application} href=${linkTo(["functions"])} />`}
        <${Number} text=${t("overview.alerts")} value=${alerts.open} href=${linkTo(["alerts"], { state: "open" })} tone="bad" />
    </section>`;
}

/** Counts by hour as the chart wants them. @param {{hour: string, severity: string, count: number}[]} counts */
function asSeries(counts) {
    const last = Math.floor(Date.now() / 1000 / HOUR) * HOUR;
    const times = Array.from({ length: 24 }, (_, i) => last - (23 - i) * HOUR);
    const shown = SEVERITIES.filter((severity) => severity !== "info");
    const series = shown.map((severity) => ({ name: word("severity", severity), colour: `--severity-${severity}`, values: times.map(() => 0) }));
    for (const { hour, severity, count } of counts) {
        const i = times.indexOf(Math.floor(Date.parse(hour) / 1000));
        const of = shown.indexOf(severity);
        if (i >= 0 && of >= 0) series[of].values[i] += count;
    }
    return { times, series };
}

/** @param {{counts: {module: string, severity: string, count: number}[]}} props */
function ByModule({ counts }) {
    const modules = [...new Set(counts.map((count) => count.module))]
        .map((module) => ({ module, count: counts.filter((each) => each.module === module).reduce((sum, each) => sum + each.count, 0) }))
        .sort((a, b) => b.count - a.count);
    const most = modules[0]?.count ?? 0;
    if (!modules.length) return html`<p class="dim">${t("overview.no_events")}</p>`;
    return html`<ul class="bars">
        ${modules.map(
            ({ module, count }) => html`<li key=${module}>
                <a href=${linkTo(["events"], { module, hours: "24" })}>${word("module", module)}</a>
                <${Bar} value=${count} most=${most} tone="accent" />
                <span class="number">${formatNumber(count)}</span>
            </li>`,
        )}
    </ul>`;
}

/** The newest of what nobody has taken up. @param {{alerts: any[]}} props */
const Attention = ({ alerts }) =>
    alerts.length === 0
        ? html`<p><${Mark} tone="good">${t("alert.none_text")}<//></p>`
        : html`<ul class="rows">
              ${alerts.map(
                  (alert) => html`<li key=${alert.number}>
                      <span><${Severity} severity=${alert.severity} /> ${word("alert.rule", alert.rule)}: ${alert.computer ? html`<a href=${linkTo(["computers", alert.computer])}><${Literal} text=${alert.hostname ?? alert.subject} /></a>` : html`<${Literal} text=${alert.subject} />`}</span>
                      <${Time} at=${alert.last} />
                  </li>`,
              )}
          </ul>`;

const FirstSteps = () => html`<${Empty} title=${t("overview.first_title")}>
    <p>${t("overview.first_text")}</p>
    ${may("operate") ? html`<a class="button primary" href=${linkTo(["activation"], { new: "1" })}>${t("activation.new")}</a>` : html`<p>${t("overview.first_ask")}</p>`}
<//>`;

export function Page() {
    const { data, problem, reload } = useResource("overview", ["alert", "computer", "event", "sensor"]);
    const timeline = useResource(may("read_all") ? `events/counts${queryText({ hours: 24 })}` : null, ["event"]);
    const alerts = useResource(`alerts${queryText({ state: "open", limit: NEWEST })}`, ["alert"]);
    if (!data) return problem ? html`<${ProblemNote} problem=${problem} retry=${reload} />` : html`<${Skeleton} lines=${12} />`;
    const chart = timeline.data && asSeries(timeline.data.counts);
    return html`
        <h1>${t("page.overview")}</h1>
        <${Numbers} computers=${data.computers} sensors=${data.sensors} alerts=${data.alerts} />
        ${data.computers.all + data.sensors.storage + data.sensors.application === 0
            ? html`<${FirstSteps} />`
            : html`<div class="columns two">
                  ${chart && html`<section class="panel span"><${TimeChart} caption=${t("overview.chart")} times=${chart.times} series=${chart.series} /></section>`}
                  ${data.events_24h && html`<section class="panel"><h2>${t("overview.by_module")}</h2><${ByModule} counts=${data.events_24h} /></section>`}
                  ${alerts.data && html`<section class="panel"><h2><a href=${linkTo(["alerts"])}>${t("overview.attention")}</a></h2><${Attention} alerts=${alerts.data.alerts} /></section>`}
                  <section class="panel span">
                      <h2><a href=${linkTo(["events"], { severity: "critical" })}>${t("overview.latest")}</a></h2>
                      <${EventList} filters=${{ severity: "critical" }} short />
                  </section>
              </div>`}
    `;
}
