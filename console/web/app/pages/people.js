// Users and API keys.
import { html, useState } from "../../vendor/vendor.js";
import { patch, post, remove } from "../api.js";
import { useList, useResource } from "../data.js";
import { t } from "../i18n.js";
import { Confirm, Dialog, FormDialog } from "../ui/dialog.js";
import { Copy, Empty, Fact, Field, Literal, Mark, Time } from "../ui/elements.js";
import { ListTable } from "../ui/table.js";
import { sayDone } from "../ui/toast.js";

const ROLES = ["administrator", "operator", "auditor", "reader"];

/** A password nobody has to invent: it is changed at the first sign-in. */
function freshPassword() {
    const letters = "abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    return Array.from(crypto.getRandomValues(new Uint32Array(18)), (value) => letters[value % letters.length]).join("");
}

/** @param {{chosen?: string}} props */
const RoleField = ({ chosen = "reader" }) => html`<${Field} label=${t("role")}>
    <select name="role">${ROLES.map((role) => html`<option key=${role} value=${role} selected=${role === chosen}>${t(`role.${role}`)}</option>`)}</select>
<//>`;

/** Limits to groups that are not seen here stay. @param {{chosen?: string[]}} props */
function GroupsField({ chosen = [] }) {
    const { data } = useResource("groups?limit=200");
    const groups = /** @type {any[]} */ (data?.groups ?? []);
    const unseen = chosen.filter((id) => groups.every((group) => group.id !== id));
    const kept = unseen.map((id) => html`<input type="hidden" key=${id} name="groups" value=${id} />`);
    if (!groups.length) return kept;
    return html`<fieldset>
        <legend>${t("people.groups")}</legend>
        ${kept}
        ${groups.map((/** @type {any} */ group) => html`<label class="check" key=${group.id}><input type="checkbox" name="groups" value=${group.id} checked=${chosen.includes(group.id)} /> ${group.name}</label>`)}
        <small>${t("people.groups_hint")}</small>
    </fieldset>`;
}

/** @param {{title: string, name: string, secret: string, close: () => void}} props */
const Once = ({ title, name, secret, close }) => html`<${Dialog} title=${title} close=${close}>
    <p class="note bad">${t("shown_once")}</p>
    <dl class="facts"><${Fact} name=${name}><code class="secret">${secret}</code> <${Copy} text=${secret} beside /><//></dl>
<//>`;

function Users() {
    const list = useList("users", "users", {});
    const [asking, setAsking] = useState(/** @type {any} */ (null));
    const close = () => setAsking(null);
    const columns = [
        { name: "name", title: t("name"), cell: (/** @type {any} */ row) => html`<${Literal} text=${row.name} />` },
        { name: "role", title: t("role"), cell: (/** @type {any} */ row) => t(`role.${row.role}`) },
        { name: "state", title: t("status"), cell: (/** @type {any} */ row) => html`<${Mark} tone=${row.disabled ? "off" : "good"}>${t(row.disabled ? "disabled" : "enabled")}<//>` },
        { name: "created", title: t("created"), wide: true, cell: (/** @type {any} */ row) => html`<${Time} at=${row.created} />` },
    ];
    /** @param {any} row */
    const actions = (row) => html`<button class="quiet" onClick=${() => setAsking({ what: "edit", row })}>${t("edit")}</button>
        <button class="quiet" onClick=${() => setAsking({ what: "password", row })}>${t("people.reset")}</button>
        <button class="quiet" onClick=${() => setAsking({ what: "delete", row })}>${t("delete")}</button>`;
    /** @param {FormData} data */
    const create = async (data) => {
        const password = freshPassword();
        await post("users", { name: data.get("name"), role: data.get("role"), groups: data.getAll("groups"), password });
        list.reload();
        setAsking({ what: "once", secret: password });
        return true;
    };
    /** @param {FormData} data */
    const change = async (data) => {
        const { id, role, groups, disabled } = asking.row;
        await patch(`users/${id}`, { role: data.get("role"), groups: data.getAll("groups"), disabled: data.get("disabled") === "1" });
        list.reload();
        sayDone(t("saved"), () => patch(`users/${id}`, { role, groups: groups ?? [], disabled }), list.reload);
    };
    const reset = async () => {
        const password = freshPassword();
        await patch(`users/${asking.row.id}`, { password });
        setAsking({ what: "once", secret: password });
        return true;
    };
    return html`<section>
        <header class="title">
            <h2>${t("people.users")}</h2>
            <div class="actions"><button class="primary" onClick=${() => setAsking({ what: "new" })}>${t("people.new_user")}</button></div>
        </header>
        <${ListTable} caption=${t("people.users")} columns=${columns} list=${list} actions=${actions} empty=${html`<${Empty} title="—" />`} />
        ${asking?.what === "new" && html`<${FormDialog} title=${t("people.new_user")} action=${t("create")} close=${close} submit=${create}>
            <${Field} label=${t("name")}><input name="name" required maxlength="128" autocomplete="off" /><//><${RoleField} /><${GroupsField} />
        <//>`}
        ${asking?.what === "edit" && html`<${FormDialog} title=${asking.row.name} action=${t("save")} close=${close} submit=${change}>
            <${RoleField} chosen=${asking.row.role} /><${GroupsField} chosen=${asking.row.groups} />
            <label class="check"><input type="checkbox" name="disabled" value="1" checked=${asking.row.disabled} /> ${t("people.disable")}</label>
        <//>`}
        ${asking?.what === "password" && html`<${Confirm} title=${t("people.reset")} text=${t("people.reset_text", { name: asking.row.name })} action=${t("people.reset")} close=${close} act=${reset} />`}
        ${asking?.what === "delete" && html`<${Confirm} title=${t("delete")} text=${t("people.delete_text", { name: asking.row.name })} action=${t("delete")} close=${close} act=${async () => (await remove(`users/${asking.row.id}`), list.reload())} />`}
        ${asking?.what === "once" && html`<${Once} title=${t("people.one_time")} name=${t("password")} secret=${asking.secret} close=${close} />`}
    </section>`;
}

function Keys() {
    const list = useList("keys", "keys", {});
    const [asking, setAsking] = useState(/** @type {any} */ (null));
    const close = () => setAsking(null);
    const columns = [
        { name: "name", title: t("name"), cell: (/** @type {any} */ row) => html`<${Literal} text=${row.name} />` },
        { name: "role", title: t("role"), cell: (/** @type {any} */ row) => t(`role.${row.role}`) },
        { name: "expires", title: t("expires"), cell: (/** @type {any} */ row) => (row.revoked ? html`<${Mark} tone="off">${t("revoked")}<//>` : html`<${Time} at=${row.expires} />`) },
        { name: "by", title: t("by"), wide: true, cell: (/** @type {any} */ row) => row.created_by.replace(/^user:/, "") },
    ];
    /** @param {any} row */
    const actions = (row) => !row.revoked && html`<button class="quiet" onClick=${() => setAsking({ what: "revoke", row })}>${t("revoke")}</button>`;
    /** @param {FormData} data */
    const create = async (data) => {
        const made = await post("keys", { name: data.get("name"), role: data.get("role"), groups: data.getAll("groups"), days: Number(data.get("days")) });
        list.reload();
        setAsking({ what: "once", secret: made.key });
        return true;
    };
    return html`<section>
        <header class="title">
            <h2>${t("people.keys")}</h2>
            <div class="actions"><button class="primary" onClick=${() => setAsking({ what: "new" })}>${t("people.new_key")}</button></div>
        </header>
        <${ListTable} caption=${t("people.keys")} columns=${columns} list=${list} actions=${actions} empty=${html`<${Empty} title=${t("people.no_keys")}><p>${t("people.no_keys_text")}</p><//>`} />
        ${asking?.what === "new" && html`<${FormDialog} title=${t("people.new_key")} action=${t("create")} close=${close} submit=${create}>
            <${Field} label=${t("name")}><input name="name" required maxlength="128" autocomplete="off" /><//><${RoleField} /><${GroupsField} />
            <${Field} label=${t("token.days")}><input name="days" type="number" min="1" max="730" value="90" required /><//>
        <//>`}
        ${asking?.what === "revoke" && html`<${Confirm} title=${t("revoke")} text=${t("people.revoke_text", { name: asking.row.name })} action=${t("revoke")} close=${close} act=${async () => (await remove(`keys/${asking.row.id}`), list.reload())} />`}
        ${asking?.what === "once" && html`<${Once} title=${t("people.key")} name=${t("people.key")} secret=${asking.secret} close=${close} />`}
    </section>`;
}

export const Page = () => html`<h1>${t("page.people")}</h1><${Users} /><${Keys} />`;
