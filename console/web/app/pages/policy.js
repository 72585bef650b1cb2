// One policy: its text with what the agents' own parser says of it, the values in force and where
// each comes from, and how it came to be.
import { html, useEffect, useState } from "../../vendor/vendor.js";
import { patch, post, Problem, remove, request } from "../api.js";
import { useList, useResource } from "../data.js";
import { t } from "../i18n.js";
import { canFillIn } from "../policy_text.js";
import { goTo, linkTo, place } from "../router.js";
import { may } from "../session.js";
import { problemText } from "../text.js";
import { Confirm, Dialog, FormDialog } from "../ui/dialog.js";
import { Difference } from "../ui/difference.js";
import { Empty, Field, Literal, Mark, ProblemNote, Said, Skeleton, Time } from "../ui/elements.js";
import { ListTable } from "../ui/table.js";
import { attempt, sayDone } from "../ui/toast.js";
import { ChangeValue, meaningOf } from "./policy_value.js";

const TABS = ["text", "values", "assignment", "revisions"];

/** "web.conf:3", or several joined by " + ": the policies and lines a value comes from. @param {{text: string, name: string}} props */
function Origin({ text, name }) {
    if (text === "built-in default") return t("policy.default");
    return text.split(" + ").map((part) => {
        const [, policy, line] = /^(.*?)(?:\.conf)?:(\d+)$/.exec(part) ?? ["", part, ""];
        const where = policy === name ? t("policy.here") : policy;
        return html`<span key=${part}><a href=${linkTo(["policies", policy])}>${where}</a>${line && html` <span class="dim">${t("policy.line", { number: line })}</span>`} </span>`;
    });
}

/** The effective view. @param {{name: string, change?: boolean}} props change: offers to change values */
export function PolicyValues({ name, change = false }) {
    const [changing, setChanging] = useState(/** @type {any} */ (null));
    const mayChange = change && may("operate_all");
    const { data, problem, reload } = useResource(`policies/${encodeURIComponent(name)}/effective`);
    const [text, setText] = useState("");
    if (!data) return problem ? html`<${ProblemNote} problem=${problem} retry=${reload} />` : html`<${Skeleton} lines=${10} />`;
    const wanted = text.toLowerCase();
    const rows = data.values.filter((/** @type {any} */ row) => `${row.key} ${row.meaning} ${meaningOf(row)}`.toLowerCase().includes(wanted));
    return html`
        <search class="filters"><label class="filter grow"><span>${t("policy.find")}</span><input type="search" value=${text} onInput=${(/** @type {any} */ event) => setText(event.currentTarget.value)} /></label></search>
        <div class="table cards" role="region" aria-label=${t("tab.values")} tabindex="0">
            <table>
                <caption class="only-read">${t("tab.values")}</caption>
                <thead><tr><th scope="col">${t("policy.key")}</th><th scope="col">${t("value")}</th><th scope="col">${t("policy.origin")}</th><th scope="col" class="wide told">${t("meaning")}</th>${mayChange && html`<th scope="col"><span class="only-read">${t("actions")}</span></th>`}</tr></thead>
                <tbody>
                    ${rows.map(
                        (/** @type {any} */ row) => html`<tr key=${row.key}>
                            <th scope="row" data-label=${t("policy.key")}><code>${row.key}</code></th>
                            <td class="value" data-label=${t("value")}><code><${Literal} text=${row.value} /></code></td>
                            <td class="c-origin" data-label=${t("policy.origin")}><span><${Origin} text=${row.origin} name=${name} /></span></td>
                            <td class="wide told dim" data-label=${t("meaning")}>${meaningOf(row)}</td>
                            ${mayChange && html`<td class="actions">${row.bounds === "group" || !canFillIn(row.type, row.value) ? html`<a href=${linkTo(["policies", name])}>${t("policy.in_text")}</a>` : html`<button class="quiet" onClick=${() => setChanging(row)}>${t("policy.change")}</button>`}</td>`}
                        </tr>`,
                    )}
                </tbody>
            </table>
        </div>
        ${changing && html`<${ChangeValue} name=${name} row=${changing} close=${() => setChanging(null)} done=${reload} />`}`;
}

/** What the agents' own parser says of a text, once the person pauses. @param {{name: string, text: string}} props */
function Verdict({ name, text }) {
    const [verdict, setVerdict] = useState(/** @type {any} */ (null));
    useEffect(() => {
        let current = true;
        const ask = () => post(`policies/${encodeURIComponent(name)}/validate`, { text }).then((answer) => current && setVerdict(answer), () => current && setVerdict(null));
        const timer = setTimeout(ask, 500);
        return () => {
            current = false;
            clearTimeout(timer);
        };
    }, [name, text]);
    const problem = verdict?.problem;
    return html`<p role="status">
        ${verdict?.valid && html`<${Mark} tone="good">${t("policy.valid")}<//>`}
        ${problem && html`<${Mark} tone="bad">${problem.line ? `${t("policy.line", { number: String(problem.line) })}: ` : ""}<//><${Said} text=${`${problem.key ? `${problem.key}: ` : ""}${problem.message}`} />`}
    </p>`;
}

/** @param {{name: string}} props */
function Editor({ name }) {
    const path = `policies/${encodeURIComponent(name)}`;
    const [saved, setSaved] = useState(/** @type {{text: string, etag: string} | null} */ (null));
    const [text, setText] = useState("");
    const [problem, setProblem] = useState(/** @type {Problem | null} */ (null));
    const [checking, setChecking] = useState(false);
    const load = async () => {
        try {
            const { body, etag } = await request("GET", path);
            setSaved({ text: body.text, etag });
            setText(body.text);
            setProblem(null);
        } catch (error) {
            if (!(error instanceof Problem)) throw error;
            setProblem(error);
        }
    };
    useEffect(() => void load(), [name]);
    if (!saved) return problem ? html`<${ProblemNote} problem=${problem} retry=${load} />` : html`<${Skeleton} lines=${12} />`;
    const save = async () => {
        try {
            const { etag } = await request("PUT", path, { text }, { "If-Match": saved.etag });
            setChecking(false);
            await load();
            sayDone(t("policy.saved"), () => request("PUT", path, { text: saved.text }, { "If-Match": etag }), () => void load());
        } catch (error) {
            if (!(error instanceof Problem)) throw error;
            setProblem(error);
            setChecking(false);
        }
    };
    const changed = text !== saved.text;
    return html`
        ${problem && html`<div class="note bad" role="alert">${problem.status === 412 ? t("policy.changed_meanwhile") : problemText(problem)} ${problem.status === 412 && html`<button onClick=${load}>${t("policy.reload")}</button>`}</div>`}
        <label class="editor">
            <span class="only-read">${t("policy.text_of", { name })}</span>
            <textarea spellcheck="false" autocapitalize="off" rows=${Math.min(40, Math.max(16, text.split("\n").length + 2))} value=${text} readonly=${!may("operate_all")} onInput=${(/** @type {any} */ event) => setText(event.currentTarget.value)}></textarea>
        </label>
        ${may("operate_all") && changed && html`<${Verdict} name=${name} text=${text} />`}
        ${may("operate_all") &&
        html`<div class="actions">
            <button class="primary" disabled=${!changed} onClick=${() => setChecking(true)}>${t("policy.review")}</button>
            <button disabled=${!changed} onClick=${() => setText(saved.text)}>${t("policy.reset")}</button>
        </div>`}
        ${checking &&
        html`<${Dialog} title=${t("policy.review_title", { name })} close=${() => setChecking(false)}>
            <${Difference} before=${saved.text} after=${text} />
            <footer><button onClick=${() => setChecking(false)}>${t("cancel")}</button><button class="primary" onClick=${save}>${t("policy.apply")}</button></footer>
        <//>`}
    `;
}

/** @param {{name: string, revision: number, newest: boolean, close: () => void, done: () => void}} props */
function RevisionDialog({ name, revision, newest, close, done }) {
    const policy = `policies/${encodeURIComponent(name)}`;
    const path = `${policy}/revisions`;
    const restore = async () => {
        const restored = await attempt(async () => {
            const { body, etag } = await request("GET", policy);
            const answer = await request("POST", `${path}/${revision}/restore`, undefined, { "If-Match": etag });
            sayDone(t("policy.saved"), () => request("PUT", policy, { text: body.text }, { "If-Match": answer.etag }), done);
        });
        if (!restored) return;
        done();
        close();
    };
    const now = useResource(`${path}/${revision}`);
    const before = useResource(revision > 1 ? `${path}/${revision - 1}` : null);
    const ready = now.data && (revision === 1 || before.data || before.problem);
    return html`<${Dialog} title=${t("revision.title", { number: String(revision) })} close=${close}>
        ${now.problem && html`<${ProblemNote} problem=${now.problem} />`}
        ${ready ? html`<${Difference} before=${before.data?.text ?? ""} after=${now.data.text} />` : html`<${Skeleton} />`}
        ${!newest && may("operate_all") && html`<footer><button class="primary" onClick=${restore}>${t("revision.restore")}</button></footer>`}
    <//>`;
}

/** @param {{name: string}} props */
function Revisions({ name }) {
    const [shown, setShown] = useState(0);
    const list = useList(`policies/${encodeURIComponent(name)}/revisions`, "revisions", {});
    const columns = [
        { name: "revision", title: t("revision"), cell: (/** @type {any} */ row) => html`<button class="link" onClick=${() => setShown(row.revision)}>${row.revision}</button>` },
        { name: "changed", title: t("changed"), cell: (/** @type {any} */ row) => html`<${Time} at=${row.changed} />` },
        { name: "author", title: t("by"), cell: (/** @type {any} */ row) => row.author.replace(/^user:/, "") },
    ];
    return html`<${ListTable} caption=${t("tab.revisions")} columns=${columns} list=${list} rowKey="revision" empty=${html`<${Empty} title=${t("revision.none")} />`} />
        ${shown > 0 && html`<${RevisionDialog} name=${name} revision=${shown} newest=${list.rows?.[0]?.revision === shown} close=${() => setShown(0)} done=${list.reload} />`}`;
}

/** Which groups have it, and for whom it counts. @param {{name: string}} props */
function Assignment({ name }) {
    const groups = useResource("groups?limit=200");
    const [asking, setAsking] = useState(false);
    if (!groups.data) return groups.problem ? html`<${ProblemNote} problem=${groups.problem} retry=${groups.reload} />` : html`<${Skeleton} />`;
    const all = /** @type {any[]} */ (groups.data.groups);
    const own = all.filter((group) => group.policy === name);
    const others = all.filter((group) => group.policy !== name);
    /** @param {any} group @param {string} policy */
    const assign = async (group, policy) => {
        await patch(`groups/${group.id}`, { policy });
        groups.reload();
        sayDone(t("policy.assigned"), () => patch(`groups/${group.id}`, { policy: group.policy ?? "" }), groups.reload);
    };
    /** @param {any} group */
    const takeAway = async (group) => {
        if (!(await attempt(() => patch(`groups/${group.id}`, { policy: "" })))) return;
        groups.reload();
        sayDone(t("policy.taken"), () => patch(`groups/${group.id}`, { policy: name }), groups.reload);
    };
    return html`<section class="panel">
        <header class="title">
            <h2>${t("policy.groups")}</h2>
            ${may("operate_all") && others.length > 0 && html`<div class="actions"><button class="primary" onClick=${() => setAsking(true)}>${t("policy.assign")}</button></div>`}
        </header>
        ${name === "base" && html`<p class="dim">${t("policy.base_text")}</p>`}
        ${own.length === 0 && name !== "base" && html`<p class="dim">${t("policy.no_groups")}</p>`}
        <ul class="rows">
            ${own.map(
                (group) => html`<li key=${group.id}>
                    <span><a href=${linkTo(["computers"], { group: group.name })}><${Literal} text=${group.name} /></a> <span class="dim">${t("policy.computers", { count: group.computers })}</span></span>
                    ${may("operate_all") && html`<button class="quiet" onClick=${() => takeAway(group)}>${t("policy.unassign")}</button>`}
                </li>`,
            )}
        </ul>
        ${asking &&
        html`<${FormDialog} title=${t("policy.assign")} action=${t("save")} close=${() => setAsking(false)} submit=${(/** @type {FormData} */ data) => assign(others.find((group) => group.id === data.get("group")), name)}>
            <${Field} label=${t("group")}><select name="group">${others.map((group) => html`<option key=${group.id} value=${group.id}>${group.name}${group.policy ? ` (${group.policy})` : ""}</option>`)}</select><//>
        <//>`}
    </section>`;
}

/** @param {{path: string[], query: Record<string, string>}} props */
export function Page({ path, query }) {
    const name = path[1];
    const [deleting, setDeleting] = useState(false);
    const tab = TABS.includes(query.tab) ? query.tab : "text";
    const act = async () => {
        const address = `policies/${encodeURIComponent(name)}`;
        const { text } = (await request("GET", address)).body;
        await remove(address);
        goTo(linkTo(["policies"]));
        const putBack = async () => {
            await request("PUT", address, { text }, { "If-None-Match": "*" });
            goTo(linkTo(["policies", name]));
        };
        sayDone(t("policy.deleted", { name }), putBack);
    };
    return html`
        <p class="trail"><a href="#/policies">${t("page.policies")}</a></p>
        <header class="title">
            <h1>${name}</h1>
            <div class="actions">
                <a class="button" href=${linkTo(["computers"], { policy: name })}>${t("page.computers")}</a>
                ${may("operate_all") && name !== "base" && html`<button class="danger" onClick=${() => setDeleting(true)}>${t("delete")}</button>`}
            </div>
        </header>
        <nav class="tabs" aria-label=${t("sections")}>
            ${TABS.map((each) => html`<a key=${each} href=${linkTo(place.value.path, { tab: each })} aria-current=${each === tab ? "true" : undefined}>${t(`tab.${each}`)}</a>`)}
        </nav>
        ${tab === "text" && html`<${Editor} name=${name} />`}
        ${tab === "values" && html`<${PolicyValues} name=${name} change />`}
        ${tab === "assignment" && html`<${Assignment} name=${name} />`}
        ${tab === "revisions" && html`<${Revisions} name=${name} />`}
        ${deleting && html`<${Confirm} title=${t("delete")} text=${t("policy.delete_text", { name })} action=${t("delete")} close=${() => setDeleting(false)} act=${act} />`}
    `;
}
