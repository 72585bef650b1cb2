// What functions are protected from, group by group: off, report or mitigate. A change is a change
// of the group's policy, shown before it is saved.
import { html, useState } from "../../vendor/vendor.js";
import { patch, Problem, request } from "../api.js";
import { useResource } from "../data.js";
import { t } from "../i18n.js";
import { linkTo } from "../router.js";
import { setPolicyValue } from "../policy_text.js";
import { may } from "../session.js";
import { Dialog } from "../ui/dialog.js";
import { Difference } from "../ui/difference.js";
import { Literal, ProblemNote, Skeleton } from "../ui/elements.js";
import { ChoiceFilter } from "../ui/filters.js";
import { attempt, sayDone } from "../ui/toast.js";

const PROTECTIONS = ["sql_injection", "malicious_payload", "illegal_file_access", "remote_command_execution", "open_redirect", "malicious_file_upload", "ip_protection"];
const MODES = ["off", "report", "mitigate"];
const BASE = "base";

/** @param {string} protection */
const keyOf = (protection) => `application.protection.${protection}`;

/** @param {{name: string, mode: string, origin: string, changed: boolean, set: (mode: string) => void}} props */
const Protection = ({ name, mode, origin, changed, set }) => html`<fieldset class="protection" disabled=${!may("operate_all")}>
    <legend>${t(`protection.${name}`)} ${changed && html`<span class="mark waiting small">◐ ${t("protection.changed")}</span>`}</legend>
    <p class="dim">${t(`protection.${name}_text`)}</p>
    <div class="choices">
        ${MODES.map((each) => html`<label key=${each}><input type="radio" name=${name} value=${each} checked=${each === mode} onChange=${() => set(each)} /> ${t(`protection.mode.${each}`)}</label>`)}
    </div>
    <small>${origin}</small>
</fieldset>`;

/** The policy's text as it would be; a group without a policy of its own gets one. @param {any} group @param {Record<string, string>} chosen */
async function propose(group, chosen) {
    const own = group ? group.policy : BASE;
    const name = own ?? `functions-${group.name.replace(/[^\w.-]/g, "-")}`;
    let before = "";
    let headers = /** @type {Record<string, string>} */ ({ "If-None-Match": "*" });
    if (own) {
        const { body, etag } = await request("GET", `policies/${encodeURIComponent(name)}`);
        before = body.text;
        headers = { "If-Match": etag };
    }
    let after = own ? before : `parent = "${BASE}";\n`;
    for (const [protection, mode] of Object.entries(chosen)) after = setPolicyValue(after, keyOf(protection), `"${mode}"`);
    return { name, before, after, headers, assign: own ? null : group };
}

/** @param {{change: any, close: () => void, done: () => void}} props */
function Review({ change, close, done }) {
    const [problem, setProblem] = useState(/** @type {Problem | null} */ (null));
    const save = async () => {
        try {
            const path = `policies/${encodeURIComponent(change.name)}`;
            const { etag } = await request("PUT", path, { text: change.after }, change.headers);
            if (change.assign) await patch(`groups/${change.assign.id}`, { policy: change.name });
            const undo = change.assign ? () => patch(`groups/${change.assign.id}`, { policy: "" }) : () => request("PUT", path, { text: change.before }, { "If-Match": etag });
            sayDone(t("protection.saved"), undo, done);
            done();
        } catch (error) {
            if (!(error instanceof Problem)) throw error;
            setProblem(error);
        }
    };
    return html`<${Dialog} title=${t("policy.review_title", { name: change.name })} close=${close}>
        ${change.assign && html`<p class="note">${t("protection.new_policy", { policy: change.name, group: change.assign.name })}</p>`}
        <${Difference} before=${change.before} after=${change.after} />
        ${problem && html`<${ProblemNote} problem=${problem} />`}
        <footer><button onClick=${close}>${t("cancel")}</button><button class="primary" onClick=${save}>${t("policy.apply")}</button></footer>
    <//>`;
}

/** @param {{group: any, policy: string}} props group: null = those without one */
function Modes({ group, policy }) {
    const { data, problem, reload } = useResource(`policies/${encodeURIComponent(policy)}/effective`);
    const [chosen, setChosen] = useState(/** @type {Record<string, string>} */ ({}));
    const [change, setChange] = useState(/** @type {any} */ (null));
    if (!data) return problem ? html`<${ProblemNote} problem=${problem} retry=${reload} />` : html`<${Skeleton} lines=${8} />`;
    const rows = new Map(data.values.map((/** @type {any} */ row) => [row.key, row]));
    const review = async () => {
        await attempt(async () => setChange(await propose(group, chosen)));
    };
    const done = () => {
        setChange(null);
        setChosen({});
        reload();
    };
    /** @param {string} protection @param {string} now @param {string} mode */
    const choose = (protection, now, mode) => {
        const { [protection]: _, ...rest } = chosen;
        setChosen(mode === now ? rest : { ...rest, [protection]: mode });
    };
    const count = Object.keys(chosen).length;
    return html`
        <p>${t("protection.from")} <a href=${linkTo(["policies", policy])}><${Literal} text=${policy} /></a>. ${policy === BASE && group && t("protection.shared")}</p>
        <div class="columns">
            ${PROTECTIONS.map((name) => {
                const row = rows.get(keyOf(name));
                const now = (row?.value ?? "").replaceAll('"', "");
                const origin = !row || row.origin === "built-in default" ? t("policy.default") : row.origin.replace(".conf:", ", ");
                return html`<${Protection} key=${name} name=${name} mode=${chosen[name] ?? now} origin=${origin} changed=${name in chosen} set=${(/** @type {string} */ mode) => choose(name, now, mode)} />`;
            })}
        </div>
        ${may("operate_all") &&
        html`<div class="actions sticky">
            <button class="primary" disabled=${count === 0} onClick=${review}>${t("policy.review")}</button>
            <button disabled=${count === 0} onClick=${() => setChosen({})}>${t("policy.reset")}</button>
        </div>`}
        ${change && html`<${Review} change=${change} close=${() => setChange(null)} done=${done} />`}
    `;
}

/** @param {{group: string}} props its name; "": those without one */
export function Protections({ group }) {
    const groups = useResource("groups?limit=200");
    if (!groups.data) return groups.problem ? html`<${ProblemNote} problem=${groups.problem} retry=${groups.reload} />` : html`<${Skeleton} lines=${8} />`;
    const chosen = groups.data.groups.find((/** @type {any} */ each) => each.name === group) ?? null;
    const policy = chosen?.policy ?? BASE;
    return html`
        <search class="filters"><${ChoiceFilter} label=${t("group")} name="group" all=${t("protection.no_group")} options=${groups.data.groups.map((/** @type {any} */ each) => [each.name, each.name])} /></search>
        ${group && !chosen ? html`<p class="note bad" role="alert">${t("problem.not_found")}</p>` : html`<${Modes} key=${`${group}/${policy}`} group=${chosen} policy=${policy} />`}
    `;
}
