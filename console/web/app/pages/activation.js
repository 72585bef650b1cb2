// Bringing computers in: tokens, and the ready command for each way of installing.
import { html, useEffect, useState } from "../../vendor/vendor.js";
import { post, queryText, remove, saveAnswer } from "../api.js";
import { useList, useLive, useResource } from "../data.js";
import { formatTime, t } from "../i18n.js";
import { linkTo, place, setQuery } from "../router.js";
import { may } from "../session.js";
import { Choice } from "../ui/choice.js";
import { Confirm, Dialog, FormDialog } from "../ui/dialog.js";
import { CommandText, Copy, Empty, Fact, Field, Literal, Mark, Tags, Time } from "../ui/elements.js";
import { ListTable } from "../ui/table.js";
import { attempt } from "../ui/toast.js";
import { Rules } from "./rules.js";

const WAYS = ["package", "parameter_store", "user_data"];

/** One word for a shell. @param {string} text */
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** The commands of each way. @param {string} way @param {string} token @param {any} about @param {string} url */
function commandOf(way, token, about, url) {
    const pin = about?.ca_pin ?? "";
    if (way === "parameter_store") {
        return [
            `aws ssm put-parameter --name /yagura/activation-url --type String --value ${quoted(url)}`,
            `aws ssm put-parameter --name /yagura/ca-pin --type String --value ${quoted(pin)}`,
            "# asks for the token, so that it is in no history:",
            "read -rs TOKEN && aws ssm put-parameter --name /yagura/token --type SecureString --value \"$TOKEN\"",
        ].join("\n");
    }
    if (way === "user_data") {
        return ["#!/bin/sh", "umask 077", `cat >/run/yagura-token <<'END'`, token, "END", "sh ./yagura-deployment.sh --packages https://PACKAGES --key PACKAGES_KEY --token-file /run/yagura-token", "rm -f /run/yagura-token"].join("\n");
    }
    return [`sudo yaguractl activate --url ${quoted(url)} \\`, `    --ca-pin ${quoted(pin)} \\`, "    --token-stdin <<'END'", token, "END"].join("\n");
}

/** The console's own deployment script: it knows this console's address and pin, and no token. @param {string} url */
const saveScript = (url) => attempt(() => saveAnswer(`deployment-script${queryText({ url })}`, "yagura-deployment.sh"));

/** Tells when a computer that used this token appears. @param {{id: string}} props */
function Waiting({ id }) {
    const tokens = useResource("tokens?limit=50", ["computer"]);
    const computers = useResource("computers?limit=200", ["computer"]);
    const uses = tokens.data?.tokens.find((/** @type {any} */ each) => each.id === id)?.uses ?? 0;
    useLive(["computer"], tokens.reload);
    useEffect(() => {
        const timer = setInterval(tokens.reload, 5000);
        return () => clearInterval(timer);
    }, []);
    const newest = [...(computers.data?.computers ?? [])].sort((a, b) => b.activated.localeCompare(a.activated))[0];
    return html`<p class="note" role="status">
        ${uses === 0
            ? html`<${Mark} tone="waiting">${t("activation.waiting")}<//>`
            : html`<${Mark} tone="good">${t("activation.arrived", { count: uses })}<//> ${newest && html`<a href=${linkTo(["computers", newest.id])}><${Literal} text=${newest.hostname} /></a>`}`}
    </p>`;
}

/** @param {{made: {id: string, token: string, expires: string}, close: () => void}} props */
function Made({ made, close }) {
    const about = useResource("about");
    const [way, setWay] = useState(WAYS[0]);
    const url = `https://${location.hostname}:${about.data?.agents_port ?? 4120}`;
    return html`<${Dialog} title=${t("activation.ready")} close=${close}>
        <p class="note bad">${t("activation.once")}</p>
        <dl class="facts">
            <${Fact} name=${t("token")}><code class="secret">${made.token}</code> <${Copy} text=${made.token} beside /><//>
            <${Fact} name=${t("expires")}>${formatTime(made.expires)}<//>
        </dl>
        <div class="tabs" role="tablist" aria-label=${t("activation.way")}>
            ${WAYS.map((name) => html`<button key=${name} role="tab" aria-selected=${name === way} onClick=${() => setWay(name)}>${t(`activation.${name}`)}</button>`)}
        </div>
        <p>${t(`activation.${way}_text`)}</p>
        ${way === "user_data" && html`<p><button onClick=${() => saveScript(url)}>${t("activation.script")}</button></p>`}
        <${CommandText} text=${commandOf(way, made.token, about.data, url)} />
        <${Waiting} id=${made.id} />
    <//>`;
}

/** @param {{close: () => void, done: (made: any) => void}} props */
function NewToken({ close, done }) {
    /** @param {FormData} data */
    const submit = async (data) => {
        const text = (/** @type {string} */ name) => String(data.get(name) ?? "").trim();
        const list = (/** @type {string} */ name) => text(name).split(/[\s,、]+/).filter(Boolean);
        /** @type {Record<string, any>} */
        const body = { name: text("name"), days: Number(text("days")), uses: Number(text("uses") || 0), tags: list("tags"), cidrs: list("cidrs") };
        if (text("group")) body.group = text("group");
        if (text("policy")) body.policy = text("policy");
        done(await post("tokens", body));
    };
    return html`<${FormDialog} title=${t("activation.new")} action=${t("create")} close=${close} submit=${submit}>
        <${Field} label=${t("name")} hint=${t("token.name_hint")}><input name="name" required maxlength="128" autocomplete="off" /><//>
        <${Field} label=${t("token.days")}><input name="days" type="number" min="1" max="3650" value="7" required /><//>
        <${Choice} label=${t("policy")} name="policy" of="policies" none=${t("policy.of_group")} hint=${t("token.policy_hint")} />
        <${Choice} label=${t("group")} name="group" of="groups" none=${may("operate_all") ? t("group.none") : undefined} />
        <details>
            <summary>${t("more_options")}</summary>
            <${Field} label=${t("token.uses")} hint=${t("token.uses_hint")}><input name="uses" type="number" min="0" value="0" /><//>
            <${Field} label=${t("tags")} hint=${t("tags.hint")}><input name="tags" autocomplete="off" /><//>
            <${Field} label=${t("token.cidrs")} hint=${t("token.cidrs_hint")}><input name="cidrs" placeholder="10.0.0.0/8" autocomplete="off" /><//>
        </details>
    <//>`;
}

/** @param {any} token */
function tokenState(token) {
    if (token.revoked) return html`<${Mark} tone="off">${t("revoked")}<//>`;
    if (Date.parse(token.expires) < Date.now()) return html`<${Mark} tone="off">${t("expired")}<//>`;
    return html`<${Mark} tone="good">${t("usable")}<//>`;
}

const columns = () => [
    { name: "name", title: t("name"), cell: (/** @type {any} */ row) => html`<${Literal} text=${row.name} />` },
    { name: "state", title: t("status"), cell: tokenState },
    { name: "uses", title: t("token.used"), number: true, cell: (/** @type {any} */ row) => (row.uses_left === null ? row.uses : `${row.uses} / ${row.uses + row.uses_left}`) },
    { name: "policy", title: t("policy"), wide: true, cell: (/** @type {any} */ row) => row.policy ?? "—" },
    { name: "group", title: t("group"), wide: true, cell: (/** @type {any} */ row) => row.group ?? "—" },
    { name: "tags", title: t("tags"), wide: true, cell: (/** @type {any} */ row) => html`<${Tags} tags=${row.tags} />` },
    { name: "expires", title: t("expires"), cell: (/** @type {any} */ row) => html`<${Time} at=${row.expires} />` },
];

export function Page() {
    const list = useList("tokens", "tokens", {});
    const [made, setMade] = useState(/** @type {any} */ (null));
    const [revoking, setRevoking] = useState(/** @type {any} */ (null));
    const making = place.value.query.new === "1";
    /** @param {any} row */
    const actions = (row) => !row.revoked && html`<button class="quiet" onClick=${() => setRevoking(row)}>${t("revoke")}</button>`;
    return html`
        <header class="title">
            <h1>${t("page.activation")}</h1>
            <div class="actions"><button class="primary" onClick=${() => setQuery({ new: "1" })}>${t("activation.new")}</button></div>
        </header>
        <${ListTable} caption=${t("tokens")} columns=${columns()} list=${list} actions=${actions} empty=${html`<${Empty} title=${t("token.none")}><p>${t("token.none_text")}</p><//>`} />
        <${Rules} />
        ${making && html`<${NewToken} close=${() => setQuery({ new: undefined })} done=${(/** @type {any} */ answer) => (setMade(answer), list.reload())} />`}
        ${made && html`<${Made} made=${made} close=${() => setMade(null)} />`}
        ${revoking &&
        html`<${Confirm}
            title=${t("revoke")}
            text=${t("token.revoke_text", { name: revoking.name })}
            action=${t("revoke")}
            close=${() => setRevoking(null)}
            act=${async () => {
                await remove(`tokens/${revoking.id}`);
                list.reload();
            }}
        />`}
    `;
}
