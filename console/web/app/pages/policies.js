// The policies as a tree of inheritance, and a new one.
import { html, useState } from "../../vendor/vendor.js";
import { Problem, put } from "../api.js";
import { useResource } from "../data.js";
import { formatNumber, t } from "../i18n.js";
import { goTo, linkTo } from "../router.js";
import { may } from "../session.js";
import { FormDialog } from "../ui/dialog.js";
import { Field, ProblemNote, Skeleton, Time } from "../ui/elements.js";

const NAME = "[A-Za-z0-9][A-Za-z0-9._\\-]*";

/** In the order of a tree, each with its depth. @param {any[]} policies */
function asTree(policies) {
    /** @type {{policy: any, depth: number}[]} */
    const rows = [];
    /** @param {string} parent @param {number} depth */
    const add = (parent, depth) => {
        for (const policy of policies.filter((each) => (each.parent || "") === parent)) {
            if (rows.some((row) => row.policy === policy)) continue;
            rows.push({ policy, depth });
            add(policy.name, depth + 1);
        }
    };
    add("", 0);
    return rows;
}

/** @param {{policies: any[], close: () => void}} props */
function NewPolicy({ policies, close }) {
    /** @param {FormData} data */
    const submit = async (data) => {
        const name = String(data.get("name"));
        try {
            await put(`policies/${encodeURIComponent(name)}`, { text: `parent = "${data.get("parent")}";\n` }, { "If-None-Match": "*" });
        } catch (error) {
            throw error instanceof Problem && error.status === 412 ? new Problem(409, "exists", t("name_taken")) : error;
        }
        goTo(linkTo(["policies", name]));
    };
    return html`<${FormDialog} title=${t("policy.new")} action=${t("create")} close=${close} submit=${submit}>
        <${Field} label=${t("name")}><input name="name" required pattern=${NAME} maxlength="64" autocomplete="off" /><//>
        <${Field} label=${t("policy.parent")} hint=${t("policy.parent_hint")}>
            <select name="parent">${policies.map((policy) => html`<option key=${policy.name}>${policy.name}</option>`)}</select>
        <//>
    <//>`;
}

export function Page() {
    const { data, problem, reload } = useResource("policies?limit=200");
    const [making, setMaking] = useState(false);
    if (!data) return problem ? html`<${ProblemNote} problem=${problem} retry=${reload} />` : html`<${Skeleton} />`;
    return html`
        <header class="title">
            <h1>${t("page.policies")}</h1>
            ${may("operate_all") && html`<div class="actions"><button class="primary" onClick=${() => setMaking(true)}>${t("policy.new")}</button></div>`}
        </header>
        <div class="table cards" role="region" aria-label=${t("page.policies")} tabindex="0">
            <table>
                <caption class="only-read">${t("page.policies")}</caption>
                <thead>
                    <tr><th scope="col">${t("name")}</th><th scope="col" class="number">${t("page.computers")}</th><th scope="col" class="number">${t("revision")}</th><th scope="col">${t("changed")}</th><th scope="col" class="wide">${t("by")}</th></tr>
                </thead>
                <tbody>
                    ${asTree(data.policies).map(
                        ({ policy, depth }) => html`<tr key=${policy.name}>
                            <td data-label=${t("name")}><span style=${{ paddingInlineStart: `${depth * 20}px` }}>${depth > 0 && html`<span class="dim" aria-hidden="true">└ </span>`}<a href=${linkTo(["policies", policy.name])}>${policy.name}</a></span></td>
                            <td class="number" data-label=${t("page.computers")}><a href=${linkTo(["computers"], { policy: policy.name })}>${formatNumber(policy.effective_computers)}</a></td>
                            <td class="number" data-label=${t("revision")}>${policy.revision}</td>
                            <td data-label=${t("changed")}><${Time} at=${policy.changed} /></td>
                            <td class="wide">${policy.author.replace(/^user:/, "")}</td>
                        </tr>`,
                    )}
                </tbody>
            </table>
        </div>
        ${making && html`<${NewPolicy} policies=${data.policies} close=${() => setMaking(false)} />`}
    `;
}
