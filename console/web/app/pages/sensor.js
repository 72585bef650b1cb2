// One scanner of buckets, or one function: how it is, what it reported, which policy it obeys.
import { html, useState } from "../../vendor/vendor.js";
import { patch, remove } from "../api.js";
import { useLive, useResource } from "../data.js";
import { formatNumber, formatTime, knows, t } from "../i18n.js";
import { goTo, linkTo, place } from "../router.js";
import { may } from "../session.js";
import { Choice } from "../ui/choice.js";
import { Confirm, FormDialog } from "../ui/dialog.js";
import { Copy, Empty, Fact, Literal, Mark, ProblemNote, Skeleton, Time } from "../ui/elements.js";
import { RangeFilter, timesOf } from "../ui/filters.js";
import { sayDone } from "../ui/toast.js";
import { EventList } from "./events.js";
import { PolicyValues } from "./policy.js";
import { Health, SensorStatus } from "./sensors.js";

const TABS = ["state", "events", "policy"];

/** @param {{sensor: any, reload: () => void, back: string}} props */
function Actions({ sensor, reload, back }) {
    const [asking, setAsking] = useState("");
    if (!may("operate")) return null;
    const close = () => setAsking("");
    /** @param {FormData} data */
    const choose = async (data) => {
        const before = { policy: sensor.policy ?? "" };
        await patch(`sensors/${sensor.id}`, { policy: String(data.get("policy")) });
        reload();
        sayDone(t("saved"), () => patch(`sensors/${sensor.id}`, before), reload);
    };
    const forget = async () => {
        await remove(`sensors/${sensor.id}`);
        goTo(linkTo([back]));
    };
    return html`<div class="actions">
        <button onClick=${() => setAsking("policy")}>${t("bulk.policy")}</button>
        <button class="danger" onClick=${() => setAsking("delete")}>${t("sensor.forget")}</button>
        ${asking === "policy" &&
        html`<${FormDialog} title=${t("bulk.policy")} action=${t("save")} close=${close} submit=${choose}>
            <${Choice} label=${t("policy")} name="policy" of="policies" chosen=${sensor.policy} none=${t("policy.of_group")} />
        <//>`}
        ${asking === "delete" && html`<${Confirm} title=${t("sensor.forget")} text=${t("sensor.forget_text", { name: sensor.name })} action=${t("sensor.forget")} close=${close} act=${forget} />`}
    </div>`;
}

/** A number or text that a sensor reports, by its name when the page knows it. @param {{name: string, value: any}} props */
const Reported = ({ name, value }) => html`<${Fact} name=${knows(`fact.${name}`) ? t(`fact.${name}`) : name.replaceAll("_", " ")}>
    ${typeof value === "number" ? formatNumber(value) : html`<${Literal} text=${typeof value === "string" ? value : JSON.stringify(value)} />`}
<//>`;

/** @param {{sensor: any}} props */
function State({ sensor }) {
    const { health, problem, ...counters } = sensor.facts ?? {};
    const entries = Object.entries(counters);
    return html`
        ${problem && html`<div class="note bad"><${Literal} text=${String(problem)} /></div>`}
        <div class="columns">
            <section class="panel">
                <h2>${t("sensor.counters")} <${Health} sensor=${sensor} /></h2>
                ${entries.length === 0 ? html`<${Empty} title=${t("sensor.no_counters")} />` : html`<dl class="facts">${entries.map(([name, value]) => html`<${Reported} key=${name} name=${name} value=${value} />`)}</dl>`}
            </section>
            <section class="panel">
                <h2>${t("tab.identity")}</h2>
                <dl class="facts">
                    <${Fact} name=${t("sensor.id")}><code>${sensor.id}</code> <${Copy} text=${sensor.id} beside /><//>
                    ${sensor.arn && html`<${Fact} name="ARN"><${Literal} text=${sensor.arn} /> <${Copy} text=${sensor.arn} beside /><//>`}
                    <${Fact} name=${t("sensor.account")}>${sensor.account || "—"}<//>
                    <${Fact} name=${t("sensor.region")}>${sensor.region || "—"}<//>
                    ${sensor.runtime && html`<${Fact} name=${t("sensor.runtime")}><${Literal} text=${sensor.runtime} /><//>`}
                    ${sensor.host && html`<${Fact} name=${t("hostname")}><${Literal} text=${sensor.host} /><//>`}
                    <${Fact} name=${t("version")}><${Literal} text=${sensor.version || "—"} /><//>
                    <${Fact} name=${t("address")}>${sensor.address}<//>
                    <${Fact} name=${t("sensor.key")}><${Literal} text=${sensor.key ?? "—"} /><//>
                    <${Fact} name=${t("sensor.first_report")}>${formatTime(sensor.first_seen)}<//>
                </dl>
            </section>
        </div>`;
}

/** @param {{sensor: any}} props */
const Policy = ({ sensor }) => html`
    ${sensor.policy_problem && html`<div class="note bad" role="alert">${t("sensor.policy_refused")}: <${Literal} text=${sensor.policy_problem} /></div>`}
    <p>${sensor.policy_in_force ? html`<${Mark} tone="good">${t("policy.in_force")}<//>` : html`<${Mark} tone="waiting">${t("policy.pending")}<//>`}</p>
    ${sensor.effective_policy && html`<${PolicyValues} name=${sensor.effective_policy} />`}
`;

/** @param {{path: string[], query: Record<string, string>}} props */
export function Page({ path, query }) {
    const { data: sensor, problem, reload } = useResource(`sensors/${encodeURIComponent(path[1])}`);
    useLive(["sensor"], reload, (data) => data.id === path[1]);
    if (!sensor) return problem ? html`<${ProblemNote} problem=${problem} retry=${reload} />` : html`<${Skeleton} lines=${10} />`;
    const tab = TABS.includes(query.tab) ? query.tab : "state";
    return html`
        <p class="trail"><a href=${linkTo([path[0]])}>${t(`page.${path[0]}`)}</a></p>
        <header class="title">
            <h1><${Literal} text=${sensor.name} /></h1>
            <${Actions} sensor=${sensor} reload=${reload} back=${path[0]} />
        </header>
        <p class="strip">
            <${SensorStatus} sensor=${sensor} />
            <span>${t("sensor.last_report")} <${Time} at=${sensor.last_seen} /></span>
            <span>${t("group")}: ${sensor.group ?? "—"}</span>
            <span>${t("policy")}: ${sensor.effective_policy ? html`<a href=${linkTo(["policies", sensor.effective_policy])}>${sensor.effective_policy}</a>` : "—"}</span>
        </p>
        <nav class="tabs" aria-label=${t("sections")}>
            ${TABS.map((name) => html`<a key=${name} href=${linkTo(place.value.path, { tab: name })} aria-current=${name === tab ? "true" : undefined}>${t(`tab.${name}`)}</a>`)}
        </nav>
        ${tab === "state" && html`<${State} sensor=${sensor} />`}
        ${tab === "events" && html`<search class="filters"><${RangeFilter} /></search><${EventList} filters=${{ sensor: sensor.id, ...timesOf(query.hours) }} />`}
        ${tab === "policy" && html`<${Policy} sensor=${sensor} />`}
    `;
}
