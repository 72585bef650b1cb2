// Keys with which file storage and functions report, and what to set so that they do.
import { html, useState } from "../../vendor/vendor.js";
import { post, remove } from "../api.js";
import { useList, useResource } from "../data.js";
import { formatTime, t } from "../i18n.js";
import { linkTo } from "../router.js";
import { may } from "../session.js";
import { Choice } from "../ui/choice.js";
import { Confirm, Dialog, FormDialog } from "../ui/dialog.js";
import { CommandText, Copy, Empty, Fact, Field, Literal, Mark, Skeleton, Time } from "../ui/elements.js";
import { ListTable } from "../ui/table.js";

const WAYS = ["parameter_store", "file"];
const KEY_FILES = { storage: "/etc/yagura/sensor-key", application: "sensor-key" };

/** One word for a shell. @param {string} text */
const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** What to set, in the order of doing it. @param {"storage" | "application"} kind @param {string} way @param {string} pin */
function snippet(kind, way, pin) {
    const parameter = `/yagura/sensor-key-${kind}`;
    const lines = [`YAGURA_CONSOLE_URL=${location.origin}`, `YAGURA_CONSOLE_PIN=${pin}`];
    const file = KEY_FILES[kind];
    lines.push(way === "file" ? `YAGURA_CONSOLE_KEY_FILE=${kind === "application" ? "/var/task/" : ""}${file}` : `YAGURA_CONSOLE_KEY_PARAMETER=${parameter}`);
    if (kind === "application") lines.push("AWS_LAMBDA_EXEC_WRAPPER=/opt/yagura-wrapper");
    return [
        "# asks for the key, so that it is in no history:",
        way === "file"
            ? `(umask 077 && read -rs KEY && printf '%s\\n' "$KEY" > ${file})`
            : `read -rs KEY && aws ssm put-parameter --name ${quoted(parameter)} --type SecureString --value "$KEY"`,
        `# then set for the ${kind === "storage" ? "scanner" : "function"}:`,
        ...lines,
    ].join("\n");
}

/** Tells when a sensor that uses this key appears. @param {{kind: string, id: string}} props */
function Waiting({ kind, id }) {
    const { data } = useResource(`sensor-keys?kind=${kind}&limit=50`, ["sensor"]);
    const count = data?.sensor_keys.find((/** @type {any} */ each) => each.id === id)?.sensors ?? 0;
    return html`<p class="note" role="status">
        ${count === 0 ? html`<${Mark} tone="waiting">${t("sensor.waiting")}<//>` : html`<${Mark} tone="good">${t("sensor.arrived", { count })}<//>`}
    </p>`;
}

/** @param {{kind: "storage" | "application", made: {id: string, key: string, expires: string}, close: () => void}} props */
function Made({ kind, made, close }) {
    const about = useResource("about");
    const [way, setWay] = useState(WAYS[0]);
    return html`<${Dialog} title=${t("sensor.ready")} close=${close}>
        <p class="note bad">${t("shown_once")}</p>
        <dl class="facts">
            <${Fact} name=${t("sensor.key")}><code class="secret">${made.key}</code> <${Copy} text=${made.key} beside /><//>
            <${Fact} name=${t("expires")}>${formatTime(made.expires)}<//>
        </dl>
        <div class="tabs" role="tablist" aria-label=${t("activation.way")}>
            ${WAYS.map((name) => html`<button key=${name} role="tab" aria-selected=${name === way} onClick=${() => setWay(name)}>${t(`sensor.way.${name}`)}</button>`)}
        </div>
        <p>${t(`sensor.${kind}.${way}_text`)}</p>
        ${about.data ? html`<${CommandText} text=${snippet(kind, way, about.data.ca_pin ?? "")} />` : html`<${Skeleton} />`}
        <${Waiting} kind=${kind} id=${made.id} />
    <//>`;
}

/** @param {{kind: "storage" | "application", close: () => void, done: () => void}} props */
export function NewKey({ kind, close, done }) {
    const [made, setMade] = useState(/** @type {any} */ (null));
    /** @param {FormData} data */
    const submit = async (data) => {
        const text = (/** @type {string} */ name) => String(data.get(name) ?? "").trim();
        setMade(await post("sensor-keys", { name: text("name"), kind, days: Number(text("days")), group: text("group"), policy: text("policy") }));
        done();
        return true;
    };
    if (made) return html`<${Made} kind=${kind} made=${made} close=${close} />`;
    return html`<${FormDialog} title=${t(`sensor.${kind}.connect`)} action=${t("sensor.make_key")} close=${close} submit=${submit}>
        <p>${t(`sensor.${kind}.key_text`)}</p>
        <${Field} label=${t("name")} hint=${t(`sensor.${kind}.name_hint`)}><input name="name" required maxlength="128" autocomplete="off" /><//>
        <${Choice} label=${t("group")} name="group" of="groups" none=${may("operate_all") ? t("group.none") : undefined} hint=${t("sensor.group_hint")} />
        <${Choice} label=${t("policy")} name="policy" of="policies" none=${t("policy.of_group")} />
        <${Field} label=${t("token.days")}><input name="days" type="number" min="1" max="3650" value="365" required /><//>
    <//>`;
}

/** @param {any} key */
function keyState(key) {
    if (key.revoked) return html`<${Mark} tone="off">${t("revoked")}<//>`;
    if (Date.parse(key.expires) < Date.now()) return html`<${Mark} tone="off">${t("expired")}<//>`;
    return html`<${Mark} tone="good">${t("usable")}<//>`;
}

const columns = () => [
    { name: "name", title: t("name"), cell: (/** @type {any} */ row) => html`<${Literal} text=${row.name} />` },
    { name: "state", title: t("status"), cell: keyState },
    { name: "sensors", title: t("sensor.used_by"), number: true, cell: (/** @type {any} */ row) => row.sensors },
    { name: "group", title: t("group"), wide: true, cell: (/** @type {any} */ row) => row.group ?? "—" },
    { name: "policy", title: t("policy"), wide: true, cell: (/** @type {any} */ row) => (row.policy ? html`<a href=${linkTo(["policies", row.policy])}>${row.policy}</a>` : "—") },
    { name: "used", title: t("sensor.last_report"), wide: true, cell: (/** @type {any} */ row) => html`<${Time} at=${row.last_used} />` },
    { name: "expires", title: t("expires"), cell: (/** @type {any} */ row) => html`<${Time} at=${row.expires} />` },
];

/** @param {{kind: string}} props */
export function KeyList({ kind }) {
    const list = useList("sensor-keys", "sensor_keys", { kind });
    const [revoking, setRevoking] = useState(/** @type {any} */ (null));
    /** @param {any} row */
    const actions = (row) => !row.revoked && html`<button class="quiet" onClick=${() => setRevoking(row)}>${t("revoke")}</button>`;
    const act = async () => {
        await remove(`sensor-keys/${revoking.id}`);
        list.reload();
    };
    return html`
        <${ListTable} caption=${t("tab.keys")} columns=${columns()} list=${list} actions=${actions} empty=${html`<${Empty} title=${t("sensor.no_keys")}><p>${t("sensor.no_keys_text")}</p><//>`} />
        ${revoking && html`<${Confirm} title=${t("revoke")} text=${t("sensor.revoke_text", { name: revoking.name })} action=${t("revoke")} close=${() => setRevoking(null)} act=${act} />`}
    `;
}
