// A list as a native table: caption, headers, rows that are links, more rows on demand, CSV.
import { html, useEffect, useRef, useState } from "../../vendor/vendor.js";
import { saveCsv } from "../api.js";
import { t } from "../i18n.js";
import { ProblemNote, Skeleton } from "./elements.js";
import { attempt } from "./toast.js";

const TOGETHER = 50; /* rows */
const NEAR = 1500; /* px above and below the window */

/**
 * @typedef {{name: string, title: string, cell: (row: any) => any, wide?: boolean, number?: boolean}} Column
 * wide: left out on narrow screens
 */

/**
 * @param {{caption: string, columns: Column[], list: ReturnType<typeof import("../data.js").useList>, rowKey?: string,
 *   empty: any, csv?: string, select?: {chosen: Set<string>, set: (ids: Set<string>) => void}, actions?: (row: any) => any}} props
 */
export function ListTable({ caption, columns, list, rowKey = "id", empty, csv, select, actions }) {
    const { rows, problem } = list;
    if (!rows) return problem ? html`<${ProblemNote} problem=${problem} retry=${list.reload} />` : html`<${Skeleton} lines=${8} />`;
    if (rows.length === 0 && !problem) return empty;
    const all = select && rows.length > 0 && rows.every((row) => select.chosen.has(row[rowKey]));
    /** @param {any} row */
    const toggle = (row) => {
        const next = new Set(select?.chosen);
        if (!next.delete(row[rowKey])) next.add(row[rowKey]);
        select?.set(next);
    };
    /** @param {any} row @param {number} index */
    const rowOf = (row, index) => html`<tr key=${row[rowKey]} aria-rowindex=${index + 2}>
        ${select && html`<td class="pick"><input type="checkbox" aria-label=${t("select_row")} checked=${select.chosen.has(row[rowKey])} onChange=${() => toggle(row)} /></td>`}
        ${columns.map((column) => html`<td key=${column.name} class=${kindOf(column)} data-label=${column.title}>${column.cell(row)}</td>`)}
        ${actions && html`<td class="actions">${actions(row)}</td>`}
    </tr>`;
    return html`
        ${problem && html`<${ProblemNote} problem=${problem} retry=${list.reload} />`}
        <div class="table cards" role="region" aria-label=${caption} tabindex="0">
            <table aria-rowcount=${list.hasMore ? -1 : rows.length + 1}>
                <caption class="only-read">${caption}</caption>
                <thead>
                    <tr aria-rowindex="1">
                        ${select &&
                        html`<th class="pick" scope="col">
                            <input type="checkbox" aria-label=${t("select_all")} checked=${all} onChange=${() => select.set(all ? new Set() : new Set(rows.map((row) => row[rowKey])))} />
                        </th>`}
                        ${columns.map((column) => html`<th key=${column.name} scope="col" class=${kindOf(column)}>${column.title}</th>`)}
                        ${actions && html`<th scope="col"><span class="only-read">${t("actions")}</span></th>`}
                    </tr>
                </thead>
                ${Array.from({ length: Math.ceil(rows.length / TOGETHER) }, (_, i) => html`<${Group} key=${i} rows=${rows.slice(i * TOGETHER, (i + 1) * TOGETHER)} row=${(/** @type {any} */ row, /** @type {number} */ at) => rowOf(row, i * TOGETHER + at)} />`)}
            </table>
        </div>
        <div class="below">
            ${list.hasMore && html`<button onClick=${list.loadMore} disabled=${list.loadingMore}>${t("more")}</button>`}
            <span class="dim">${t(list.hasMore ? "rows_and_more" : "rows", { count: rows.length })}</span>
            ${csv && html`<${CsvButton} path=${list.csvPath} name=${csv} />`}
        </div>`;
}

/**
 * Some rows of a long list. Far from what is seen one empty row of their height stands for them, so that
 * a thousand rows cost no more than those near the window; never while the keyboard is there, nor on paper.
 * @param {{rows: any[], row: (row: any, at: number) => any}} props
 */
function Group({ rows, row }) {
    const body = useRef(/** @type {HTMLTableSectionElement | null} */ (null));
    const [height, setHeight] = useState(0); /* px of the empty row; 0: the rows themselves */
    useEffect(() => {
        const element = body.current;
        if (!element) return;
        const watcher = new IntersectionObserver(
            ([{ isIntersecting, boundingClientRect }]) => setHeight(isIntersecting || element.contains(document.activeElement) ? 0 : boundingClientRect.height),
            { rootMargin: `${NEAR}px 0px` },
        );
        const watch = () => watcher.observe(element);
        const showForPrint = () => {
            watcher.disconnect();
            setHeight(0);
        };
        watch();
        addEventListener("beforeprint", showForPrint);
        addEventListener("afterprint", watch);
        return () => {
            watcher.disconnect();
            removeEventListener("beforeprint", showForPrint);
            removeEventListener("afterprint", watch);
        };
    }, []);
    return html`<tbody ref=${body}>${height > 0 ? html`<tr class="far" aria-hidden="true"><td colspan="99" style=${{ height: `${height}px` }}></td></tr>` : rows.map(row)}</tbody>`;
}

/** @param {Column} column */
const kindOf = (column) => `c-${column.name} ${column.wide ? "wide" : ""} ${column.number ? "number" : ""}`.trim();

/** @param {{path: string, name: string}} props */
function CsvButton({ path, name }) {
    const [busy, setBusy] = useState(false);
    const save = async () => {
        setBusy(true);
        await attempt(() => saveCsv(path, `${name}.csv`));
        setBusy(false);
    };
    return html`<button class="quiet" onClick=${save} disabled=${busy}>${t("save_csv")}</button>`;
}
