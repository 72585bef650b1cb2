// What was put away, across the fleet: give it back, with an exclusion when it was no malware, or
// delete it for good. The files stay on their computers; this list is of the console's events.
import { html, useState } from "../../vendor/vendor.js";
import { post } from "../api.js";
import { useList } from "../data.js";
import { formatBytes, t } from "../i18n.js";
import { linkTo } from "../router.js";
import { may } from "../session.js";
import { Confirm, FormDialog } from "../ui/dialog.js";
import { Empty, Literal, Mark, Time } from "../ui/elements.js";
import { ListTable } from "../ui/table.js";
import { attempt, doUnlessUndone, say } from "../ui/toast.js";
import { AllowContent, mayAllow } from "./signatures.js";

/** @param {any} row @param {boolean} ofOne */
const columns = (ofOne) => [
    { name: "time", title: t("time"), cell: (/** @type {any} */ row) => html`<${Time} at=${row.time} />` },
    { name: "signature", title: t("signature"), cell: (/** @type {any} */ row) => html`<${Literal} text=${row.detail?.signature ?? "—"} />` },
    { name: "subject", title: t("file"), cell: (/** @type {any} */ row) => html`<${Literal} text=${row.subject} />` },
    ...(ofOne ? [] : [{ name: "computer", title: t("computer"), cell: (/** @type {any} */ row) => html`<a href=${linkTo(["computers", row.computer])}><${Literal} text=${row.hostname ?? row.computer} /></a>` }]),
    { name: "size", title: t("size"), wide: true, number: true, cell: (/** @type {any} */ row) => (row.detail?.size === undefined ? "—" : formatBytes(row.detail.size)) },
];

/** @param {{row: any, close: () => void, asked: () => void}} props */
function Restore({ row, close, asked }) {
    /** @param {FormData} data */
    const submit = async (data) => {
        const values = data.get("exclude") ? { id: row.detail.id, exclude: true } : { id: row.detail.id };
        await post(`computers/${row.computer}/commands`, { type: "quarantine_restore", arguments: values });
        asked();
        say(t("quarantine.restoring"));
    };
    return html`<${FormDialog} title=${t("quarantine.restore")} action=${t("quarantine.restore")} close=${close} submit=${submit}>
        <p class="subject"><${Literal} text=${row.subject} /></p>
        <p>${t("quarantine.restore_text", { signature: row.detail.signature ?? "" })}</p>
        <label class="check"><input type="checkbox" name="exclude" value="1" /> ${t("quarantine.exclude")}</label>
        <p class="dim">${t("quarantine.exclude_hint")}</p>
    <//>`;
}

/** @param {{computer?: string}} props */
export function QuarantineList({ computer }) {
    const list = useList("events", "events", { kind: "malware_quarantined", computer }, ["event", "command"]);
    const gone = useList("events", "events", { module: "quarantine", computer }, ["event"]);
    const [asking, setAsking] = useState(/** @type {{what: string, row: any} | null} */ (null));
    const [asked, setAsked] = useState(/** @type {Record<string, string>} */ ({}));
    const close = () => setAsking(null);
    const over = new Map((gone.rows ?? []).filter((row) => row.detail?.id).map((row) => [row.detail.id, row.kind]));
    /** @param {any} row */
    const actions = (row) => {
        const id = row.detail?.id;
        const kind = over.get(id);
        if (kind === "quarantine_restored") return html`<${Mark} tone="off">${t("quarantine.restored")}<//>`;
        if (kind === "quarantine_deleted" || kind === "quarantine_dropped") return html`<${Mark} tone="off">${t("quarantine.deleted")}<//>`;
        if (asked[id]) return html`<${Mark} tone="waiting">${t(`quarantine.${asked[id]}`)}<//>`;
        if (!id || !may("operate")) return null;
        return html`<button class="quiet" onClick=${() => setAsking({ what: "restore", row })}>${t("quarantine.restore")}</button>
            ${mayAllow(row) && html`<button class="quiet" onClick=${() => setAsking({ what: "allow", row })}>${t("signatures.allow")}</button>`}
            <button class="quiet" onClick=${() => setAsking({ what: "delete", row })}>${t("delete")}</button>`;
    };
    const erase = async () => {
        const { computer: of, detail } = asking?.row;
        setAsked((old) => ({ ...old, [detail.id]: "deleting" }));
        const back = () => setAsked(({ [detail.id]: _, ...rest }) => rest);
        const act = async () => void ((await attempt(() => post(`computers/${of}/commands`, { type: "quarantine_delete", arguments: { id: detail.id } }))) || back());
        doUnlessUndone(t("quarantine.deleting"), act, back);
    };
    return html`
        <${ListTable}
            caption=${t("page.quarantine")}
            columns=${columns(computer !== undefined)}
            list=${list}
            rowKey="number"
            csv="quarantine"
            actions=${actions}
            empty=${html`<${Empty} title=${t("quarantine.none")}><p>${t("quarantine.none_text")}</p><//>`}
        />
        ${asking?.what === "allow" && html`<${AllowContent} event=${asking.row} close=${close} />`}
        ${asking?.what === "restore" && html`<${Restore} row=${asking.row} close=${close} asked=${() => setAsked({ ...asked, [asking.row.detail.id]: "restoring" })} />`}
        ${asking?.what === "delete" && html`<${Confirm} title=${t("delete")} text=${t("quarantine.delete_text", { file: asking.row.subject })} action=${t("delete")} close=${close} act=${erase} />`}
    `;
}

export const Page = () => html`<h1>${t("page.quarantine")}</h1><${QuarantineList} />`;
