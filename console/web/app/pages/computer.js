// One computer: its state, modules, events, quarantine, policy, commands, identity.
import { html, useState } from "../../vendor/vendor.js";
import { patch, post, remove } from "../api.js";
import { certificateNeedsCare, certificateState } from "../certificate.js";
import { useEvery, useList, useLive, useResource } from "../data.js";
import { formatDuration, formatNumber, formatTime, knows, t, word } from "../i18n.js";
import { now } from "../live.js";
import { goTo, linkTo, place, setQuery } from "../router.js";
import { may } from "../session.js";
import { Choice } from "../ui/choice.js";
import { Confirm, FormDialog } from "../ui/dialog.js";
import { Copy, Empty, Fact, Field, Literal, Mark, ProblemNote, Progress, Said, Skeleton, Status, Tags, Time } from "../ui/elements.js";
import { RangeFilter, timesOf } from "../ui/filters.js";
import { ListTable } from "../ui/table.js";
import { attempt, say, sayDone } from "../ui/toast.js";
import { EventList } from "./events.js";
import { PolicyValues } from "./policy.js";
import { QuarantineList } from "./quarantine.js";
import { RemovalCode } from "./removal_code.js";

const HEARTBEAT_MS = 10000; /* a heartbeat is seen at most so much later */
const TABS = ["state", "events", "quarantine", "policy", "commands", "identity"];

/** @param {string} id @param {string} type @param {Record<string, string>} [values] */
export async function command(id, type, values) {
    await post(`computers/${id}/commands`, values ? { type, arguments: values } : { type });
    say(t("command.queued", { command: t(`command.${type}`) }));
}

/** The same without a dialog, which would say what went wrong. @param {string} id @param {string} type */
const commandNow = (id, type) => attempt(() => command(id, type));

/** Whether application control is on there. @param {any} computer */
const controls = (computer) => (computer.facts?.application_control?.state ?? "off") !== "off";

/** @param {{computer: any, reload: () => void}} props */
function Actions({ computer, reload }) {
    const [asking, setAsking] = useState("");
    if (!may("operate")) return null;
    const close = () => setAsking("");
    return html`<div class="actions">
        <button class="primary" onClick=${() => setAsking("scan")}>${t("scan")}</button>
        <button onClick=${() => commandNow(computer.id, "update_signatures")}>${t("command.update_signatures")}</button>
        ${computer.facts?.protected && html`<button onClick=${() => setAsking("release")}>${t("command.release_protection")}</button>`}
        ${computer.facts?.protected && html`<button onClick=${() => setAsking("removal_code")}>${t("removal_code")}</button>`}
        ${controls(computer) && html`<button onClick=${() => setAsking("maintenance")}>${t("command.maintenance")}</button>`}
        <button onClick=${() => setAsking("edit")}>${t("edit")}</button>
        <button class="danger" onClick=${() => setAsking(computer.status === "Deactivated" ? "delete" : "deactivate")}>${t(computer.status === "Deactivated" ? "delete" : "deactivate")}</button>
        ${asking === "scan" && html`<${ScanDialog} id=${computer.id} close=${close} />`}
        ${asking === "removal_code" && html`<${RemovalCode} computer=${computer} close=${close} />`}
        ${asking === "release" && html`<${Confirm} title=${t("command.release_protection")} text=${t("command.release_protection_text")} action=${t("command.release_protection")} close=${close} act=${() => command(computer.id, "release_protection")} />`}
        ${asking === "maintenance" && html`<${Confirm} title=${t("command.maintenance")} text=${t("command.maintenance_text")} action=${t("command.maintenance")} close=${close} act=${() => command(computer.id, "maintenance", { minutes: "60" })} />`}
        ${asking === "edit" && html`<${EditDialog} computer=${computer} close=${close} reload=${reload} />`}
        ${asking === "deactivate" &&
        html`<${Deactivate} computer=${computer} title=${t("deactivate")} close=${close} reload=${reload} />`}
        ${asking === "delete" &&
        html`<${Confirm}
            title=${t("delete")}
            text=${t("computer.delete_text")}
            action=${t("delete")}
            close=${close}
            act=${async () => {
                await remove(`computers/${computer.id}`);
                goTo(linkTo(["computers"]));
            }}
        />`}
    </div>`;
}

/** @param {{computer: any, title: string, close: () => void, reload: () => void}} props */
function Deactivate({ computer, title, close, reload }) {
    const act = async () => {
        await post(`computers/${computer.id}/deactivate`);
        reload();
    };
    return html`<${Confirm} title=${title} text=${t("deactivate.text", { count: 1 })} action=${title} close=${close} act=${act} />`;
}

/** @param {{id: string, close: () => void}} props */
function ScanDialog({ id, close }) {
    /** @param {FormData} data */
    const submit = async (data) => {
        const path = String(data.get("path"));
        const type = path ? "scan" : String(data.get("type"));
        await command(id, type, path ? { path } : undefined);
    };
    return html`<${FormDialog} title=${t("scan")} action=${t("scan.start")} close=${close} submit=${submit}>
        <fieldset>
            <legend>${t("scan.what")}</legend>
            <label><input type="radio" name="type" value="scan_quick" checked /> ${t("command.scan_quick")}</label>
            <label><input type="radio" name="type" value="scan_full" /> ${t("command.scan_full")}</label>
        </fieldset>
        <${Field} label=${t("scan.path")} hint=${t("scan.path_hint")}><input name="path" pattern="/.*" placeholder="/srv" autocomplete="off" /><//>
    <//>`;
}

/** Writes what the person changed, and nothing else. @param {{computer: any, close: () => void, reload: () => void}} props */
function EditDialog({ computer, close, reload }) {
    const [was] = useState({ display_name: computer.display_name, group: computer.group ?? "", policy: computer.policy ?? "", tags: computer.tags ?? [] });
    /** @param {FormData} data */
    const submit = async (data) => {
        const text = (/** @type {string} */ name) => String(data.get(name) ?? "").trim();
        const given = { display_name: text("display_name"), group: text("group"), policy: text("policy"), tags: text("tags").split(/[\s,、]+/).filter(Boolean) };
        const names = /** @type {(keyof typeof given)[]} */ (Object.keys(given)).filter((name) => String(given[name]) !== String(was[name]));
        if (!names.length) return;
        const only = (/** @type {typeof given} */ all) => Object.fromEntries(names.map((name) => [name, all[name]]));
        await patch(`computers/${computer.id}`, only(given));
        reload();
        sayDone(t("saved"), () => patch(`computers/${computer.id}`, only(was)), reload);
    };
    return html`<${FormDialog} title=${t("edit")} action=${t("save")} close=${close} submit=${submit}>
        <${Field} label=${t("display_name")}><input name="display_name" maxlength="128" value=${was.display_name} /><//>
        <${Choice} label=${t("group")} name="group" of="groups" chosen=${was.group} none=${may("operate_all") ? t("group.none") : undefined} />
        <${Choice} label=${t("policy")} name="policy" of="policies" chosen=${was.policy} none=${t("policy.inherited")} />
        <${Field} label=${t("tags")} hint=${t("tags.hint")}><input name="tags" value=${was.tags.join(", ")} /><//>
    <//>`;
}

/** @param {{facts: any}} props */
function Problems({ facts }) {
    if (!facts.problems?.length) return null;
    return html`<div class="note bad">
        <h3>${t("computer.problems")}</h3>
        <ul>
            ${facts.problems.map((/** @type {any} */ each) => html`<li key=${each.problem}><${Said} text=${each.problem} />${each.cure && html`<div class="dim"><${Said} text=${each.cure} /></div>`}</li>`)}
        </ul>
    </div>`;
}

/** @param {{title: string, tone: string, state: string, problem?: string, children: any}} props */
const Module = ({ title, tone, state, problem, children }) => html`<section class="panel">
    <h2>${title} <${Mark} tone=${tone}>${state}<//></h2>
    ${problem && html`<p class="note bad"><${Said} text=${problem} /></p>`}
    <dl class="facts">${children}</dl>
</section>`;

const HEALTH_TONES = /** @type {Record<string, string>} */ ({ passed: "good", failed: "bad" });

/** Of a module that says how it is. @param {{state: string, problem?: string, tampered?: boolean}} module */
const toneOf = ({ state, problem, tampered }) => (problem || tampered || state === "failed" || state === "degraded" ? "bad" : state === "off" ? "off" : "good");

/** The numbers of a module that have words. @param {{facts: any}} props */
const Reported = ({ facts }) =>
    Object.entries(facts)
        .filter(([name, value]) => typeof value === "number" && knows(`fact.${name}`))
        .map(([name, value]) => html`<${Fact} key=${name} name=${t(`fact.${name}`)}>${formatNumber(Number(value))}<//>`);

/** @param {{computer: any}} props */
function State({ computer }) {
    const { watch, scanner, scan, integrity, prevention, logs, application_control: programs, health, store, agent, policy } = computer.facts ?? {};
    if (!agent) return html`<${Empty} title=${t("computer.no_facts")} />`;
    const number = (/** @type {number | undefined} */ value) => formatNumber(value ?? 0);
    return html`
        <${Problems} facts=${computer.facts} />
        <div class="columns">
            <${Module} title=${t("module.watch")} tone=${watch.complete ? "good" : "waiting"} state=${word("state", watch.state)}>
                <${Fact} name=${t("watch.coverage")}>${formatNumber(watch.coverage, { style: "percent", maximumFractionDigits: 1 })}<//>
                <${Fact} name=${t("watch.directories")}>${number(watch.directories_watched)}<//>
                <${Fact} name=${t("watch.lag")}>${formatDuration(Math.round((watch.lag_ns ?? 0) / 1e9))}<//>
                <${Fact} name=${t("watch.overflows")}>${number(watch.overflows)}<//>
                <${Fact} name=${t("watch.gaps_open")}>${number(watch.gaps_open)}<//>
            <//>
            <${Module} title=${t("module.scanner")} tone=${["ready", "resting"].includes(scanner.state) ? "good" : "bad"} state=${word("state", scanner.state)}>
                <${Fact} name=${t("scanner.signatures")}>${number(scanner.signatures)}<//>
                <${Fact} name=${t("signature_age")}><${Time} at=${scanner.signatures_time || null} /><//>
                <${Fact} name=${t("scanner.engine")}>${scanner.engine}<//>
                <${Fact} name=${t("scanner.sandbox")}>${word("value", scanner.sandbox ?? "")}<//>
                <${Fact} name=${t("scanner.crashed")}>${number(scanner.crashed)}<//>
            <//>
            <${Module} title=${t("module.scan")} tone="good" state=${t("scan.waiting", { count: scan.backlog_files ?? 0 })}>
                <${Fact} name=${t("scan.scanned")}>${number(scan.scanned)}<//>
                <${Fact} name=${t("scan.cached")}>${number(scan.cached)}<//>
                <${Fact} name=${t("scan.infected")}><a href=${linkTo(["computers", computer.id], { tab: "events", kind: "malware_found" })}>${number(scan.infected)}</a><//>
                <${Fact} name=${t("scan.incomplete")}>${number(scan.incomplete)}<//>
                <${Fact} name=${t("scan.errors")}>${number(scan.errors)}<//>
            <//>
            ${integrity &&
            html`<${Module} title=${t("module.integrity")} tone=${toneOf(integrity)} state=${word("state", integrity.state)} problem=${integrity.problem}>
                <${Fact} name=${t("integrity.entries")}>${number(integrity.entries)}<//>
                <${Fact} name=${t("integrity.changed")}><a href=${linkTo(["computers", computer.id], { tab: "events", module: "integrity" })}>${number(integrity.changed)}</a><//>
                <${Fact} name=${t("integrity.waiting")}>${number(integrity.waiting)}<//>
                <${Fact} name=${t("integrity.tampered")}>${t(integrity.tampered ? "yes" : "no")}<//>
            <//>`}
            ${prevention && html`<${Module} title=${t("module.prevention")} tone=${toneOf(prevention)} state=${word("state", prevention.state)} problem=${prevention.problem}><${Reported} facts=${prevention} /><//>`}
            ${programs && html`<${Module} title=${t("module.application_control")} tone=${toneOf(programs)} state=${word("state", programs.state)} problem=${programs.problem}><${Reported} facts=${programs} /><//>`}
            ${logs && html`<${Module} title=${t("module.log")} tone=${toneOf(logs)} state=${word("state", logs.state)} problem=${logs.problem}><${Reported} facts=${logs} /><//>`}
            ${health &&
            html`<${Module} title=${t("module.health")} tone=${HEALTH_TONES[health.self_test] ?? "off"} state=${word("health.test", health.self_test)}>
                <${Fact} name=${t("health.places")}>${number(health.places)}<//>
                <${Fact} name=${t("health.silent")}>${number(health.silent)}<//>
                <${Fact} name=${t("health.unscanned")}>${number(health.unscanned)}<//>
                <${Fact} name=${t("health.restarts")}>${number(health.restarts)}<//>
            <//>`}
            <${Module} title=${t("module.store")} tone=${store.problem ? "bad" : "good"} state=${t("store.waiting", { count: store.waiting ?? 0 })} problem=${store.problem}>
                <${Fact} name=${t("store.acknowledged")}>${number(store.acknowledged_number)}<//>
                <${Fact} name=${t("store.dropped")}>${number(store.dropped)}<//>
                <${Fact} name=${t("agent.uptime")}>${formatDuration(agent.uptime ?? 0)}<//>
                <${Fact} name=${t("policy.in_force")}>${policy?.name}<//>
            <//>
        </div>`;
}

/** @param {{id: string, query: Record<string, string>}} props */
const Events = ({ id, query }) => html`<search class="filters"><${RangeFilter} /></search><${EventList} filters=${{ computer: id, module: query.module, kind: query.kind, ...timesOf(query.hours) }} />`;

const TONES = /** @type {Record<string, string>} */ ({ done: "good", failed: "bad", expired: "bad", delivered: "waiting", queued: "off", running: "waiting" });

/** What a scan counted so far; null: this is no scan's output. @param {any} row @returns {Record<string, unknown> | null} */
function countsOf(row) {
    try {
        const counts = JSON.parse(row.output);
        return typeof counts?.files === "number" ? counts : null;
    } catch {
        return null;
    }
}

const SHORT = 120; /* characters that need no unfolding */
const COUNTED = ["files", "infected", "incomplete", "errors"];

/** What came of a command. @param {{row: any}} props */
function Result({ row }) {
    if (!row.output || row.state === "running") return "—";
    const counts = countsOf(row);
    if (counts) return COUNTED.filter((name) => typeof counts[name] === "number").map((name) => `${t(`fact.${name}`)} ${formatNumber(Number(counts[name]))}`).join(" · ");
    if (row.output.length <= SHORT && !row.output.includes("\n")) return html`<${Said} text=${row.output} />`;
    return html`<details><summary>${t("show")}</summary><pre tabindex="0"><${Said} text=${row.output} /></pre></details>`;
}

/** @param {{row: any}} props */
function CommandState({ row }) {
    const files = row.state === "running" ? Number(countsOf(row)?.files ?? NaN) : NaN; /* how many there are nobody knows before its end */
    return html`<${Mark} tone=${TONES[row.state] ?? "waiting"}>${word("command.state", row.state)}<//>
        ${row.state === "running" && html` <${Progress} label=${t("progress")} /> ${!isNaN(files) && html`<span class="dim">${t("scan.progress", { count: files })}</span>`}`}`;
}

/** @param {{id: string}} props */
function Commands({ id }) {
    const list = useList(`computers/${id}/commands`, "commands", {}, ["command"]);
    const columns = [
        { name: "created", title: t("time"), cell: (/** @type {any} */ row) => html`<${Time} at=${row.created} />` },
        { name: "type", title: t("command"), cell: (/** @type {any} */ row) => html`${t(`command.${row.type}`)} ${row.arguments?.path && html`<${Literal} text=${row.arguments.path} />`}` },
        { name: "state", title: t("status"), cell: (/** @type {any} */ row) => html`<${CommandState} row=${row} />` },
        { name: "by", title: t("by"), wide: true, cell: (/** @type {any} */ row) => row.created_by.replace(/^user:/, "") },
        { name: "output", title: t("result"), cell: (/** @type {any} */ row) => html`<${Result} row=${row} />` },
    ];
    return html`<${ListTable} caption=${t("commands")} columns=${columns} list=${list} empty=${html`<${Empty} title=${t("commands.none")}><p>${t("commands.none_text")}</p><//>`} />`;
}

const CERTIFICATE_TONES = { good: "good", late: "waiting", over: "bad" };

/** @param {{computer: any, life: number, reload: () => void}} props */
function Certificate({ computer, life, reload }) {
    const [revoking, setRevoking] = useState(false);
    const state = certificateState(computer, life, now.value);
    const over = computer.status === "Deactivated";
    return html`<section class="panel">
        <h2>${t("certificate")} ${over ? html`<${Mark} tone="off">${t("revoked")}<//>` : html`<${Mark} tone=${CERTIFICATE_TONES[state]}>${t(`certificate.${state}`)}<//>`}</h2>
        <p class="dim">${t(over ? "certificate.revoked_text" : `certificate.${state}_text`)}</p>
        <dl class="facts">
            <${Fact} name=${t("activated")}>${formatTime(computer.activated)}<//>
            <${Fact} name=${t("certificate_expires")}><${Time} at=${computer.certificate_expires} /> · ${formatTime(computer.certificate_expires)}<//>
        </dl>
        ${may("operate") && !over && html`<p class="actions below"><button class="danger" onClick=${() => setRevoking(true)}>${t("certificate.revoke")}</button></p>`}
        ${revoking && html`<${Deactivate} computer=${computer} title=${t("certificate.revoke")} close=${() => setRevoking(false)} reload=${reload} />`}
    </section>`;
}

/** @param {{computer: any, life: number, reload: () => void}} props */
const Identity = ({ computer, life, reload }) => html`<div class="columns two"><section class="panel">
    <h2>${t("tab.identity")}</h2>
    <dl class="facts">
        <${Fact} name=${t("computer_id")}><code>${computer.id}</code> <${Copy} text=${computer.id} beside /><//>
        <${Fact} name=${t("hostname")}><${Literal} text=${computer.hostname} /><//>
        <${Fact} name=${t("address")}>${computer.address}<//>
        <${Fact} name=${t("instance_id")}>${computer.instance_id || "—"}<//>
        <${Fact} name=${t("os")}><${Literal} text=${computer.os} /><//>
        <${Fact} name=${t("agent_version")}>${computer.agent_version}<//>
    </dl>
</section><${Certificate} computer=${computer} life=${life} reload=${reload} /></div>`;

/** @param {{computer: any}} props */
const Policy = ({ computer }) => html`
    ${computer.policy_problem && html`<div class="note bad" role="alert">${t("policy.refused")}: <${Said} text=${computer.policy_problem} /></div>`}
    <p>${computer.policy_in_force ? html`<${Mark} tone="good">${t("policy.in_force")}<//>` : html`<${Mark} tone="waiting">${t("policy.pending")}<//>`}</p>
    <${PolicyValues} name=${computer.effective_policy ?? "base"} />
`;

/** @param {{path: string[], query: Record<string, string>}} props */
export function Page({ path, query }) {
    const id = path[1];
    const life = useResource("about").data?.certificate_seconds ?? 0;
    const { data: computer, problem, reload } = useResource(`computers/${encodeURIComponent(id)}`);
    useEvery(HEARTBEAT_MS, reload);
    useLive(["computer", "command"], reload, (data) => (data.id ?? data.computer) === id || data.computer === id);
    if (!computer) return problem ? html`<${ProblemNote} problem=${problem} retry=${reload} />` : html`<${Skeleton} lines=${10} />`;
    const tab = TABS.includes(query.tab) ? query.tab : "state";
    return html`
        <p class="trail"><a href="#/computers">${t("page.computers")}</a></p>
        <header class="title">
            <h1><${Literal} text=${computer.display_name || computer.hostname} /></h1>
            <${Actions} computer=${computer} reload=${reload} />
        </header>
        <p class="strip">
            <${Status} status=${computer.status} />
            <span>${t("last_seen")} <${Time} at=${computer.last_seen} /></span>
            <span>${t("group")}: ${computer.group ?? "—"}</span>
            <span>${t("policy")}: ${computer.effective_policy ? html`<a href=${linkTo(["policies", computer.effective_policy])}>${computer.effective_policy}</a>` : "—"}${!computer.policy && html` <span class="dim">(${t(computer.effective_policy === "base" ? "policy.by_default" : "policy.inherited")})</span>`}</span>
            <span><${Tags} tags=${computer.tags} /></span>
        </p>
        <nav class="tabs" aria-label=${t("sections")}>
            ${TABS.map((name) => html`<a key=${name} href=${linkTo(place.value.path, { tab: name })} aria-current=${name === tab ? "true" : undefined}>${t(`tab.${name}`)}</a>`)}
        </nav>
        ${tab !== "identity" && certificateNeedsCare(computer, life, now.value) && html`<p class="note bad">${t(`certificate.${certificateState(computer, life, now.value)}_text`)} <a href=${linkTo(place.value.path, { tab: "identity" })}>${t("certificate")}</a></p>`}
        ${tab === "state" && html`<${State} computer=${computer} />`}
        ${tab === "events" && html`<${Events} id=${id} query=${query} />`}
        ${tab === "quarantine" && html`<${QuarantineList} computer=${id} />`}
        ${tab === "policy" && html`<${Policy} computer=${computer} />`}
        ${tab === "commands" && html`<${Commands} id=${id} />`}
        ${tab === "identity" && html`<${Identity} computer=${computer} life=${life} reload=${reload} />`}
    `;
}
