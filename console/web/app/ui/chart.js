// Counts over time as stacked bars (uPlot), with the same numbers as a table, and small bars of one
// value. Colours come from the style sheet, so a theme change redraws.
import { html, uPlot, useEffect, useRef, useState } from "../../vendor/vendor.js";
import { formatAxis, formatNumber, formatTime, t } from "../i18n.js";
import { language, systemIsDark, theme, zone } from "../preferences.js";

const HEIGHT = 180;
const DAY = 86400;

/** What a variable of the style sheet is in the theme of now: a canvas does not resolve them. @param {string} name */
function colour(name) {
    const probe = document.createElement("span");
    probe.style.color = `var(${name})`;
    document.body.append(probe);
    const value = getComputedStyle(probe).color;
    probe.remove();
    return value;
}

/** Sums from the bottom up, so that each band is drawn over the one behind. @param {number[][]} values */
function stack(values) {
    /** @type {number[][]} */
    const sums = [];
    for (const series of values) {
        const below = sums[sums.length - 1];
        sums.push(series.map((value, i) => value + (below ? below[i] : 0)));
    }
    return sums.reverse();
}

/**
 * @param {{caption: string, times: number[], series: {name: string, colour: string, values: number[]}[]}} props
 * times: seconds since 1970, ascending; series: from the bottom up, colour is a variable's name
 */
export function TimeChart({ caption, times, series }) {
    const box = useRef(/** @type {HTMLDivElement | null} */ (null));
    const [asTable, setAsTable] = useState(false);
    const key = JSON.stringify([times, series, language.value, theme.value, systemIsDark.value, zone.value]);
    useEffect(() => {
        const parent = box.current;
        if (!parent || asTable || times.length === 0) return;
        const half = times.length > 1 ? (times[1] - times[0]) / 2 : DAY / 48;
        const long = times[times.length - 1] - times[0] > 2 * DAY;
        const axis = { stroke: colour("--text-dim"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
        const drawn = [...series].reverse();
        const bars = uPlot.paths.bars?.({ size: [0.8, 40] });
        const chart = new uPlot(
            {
                width: parent.clientWidth,
                height: HEIGHT,
                cursor: { show: false },
                legend: { show: false },
                scales: { x: { range: (_, first, last) => [first - half, last + half] }, y: { range: (_, __, most) => [0, Math.max(4, most * 1.1)] } },
                axes: [
                    { ...axis, size: 28, values: (_, splits) => splits.map((second) => formatAxis(second, long)) },
                    { ...axis, size: 44, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000], values: (_, splits) => splits.map((value) => formatNumber(value)) },
                ],
                series: [{}, ...drawn.map(({ colour: name }) => ({ fill: colour(name), stroke: colour(name), width: 0, paths: bars, points: { show: false } }))],
            },
            /** @type {any} */ ([times, ...stack(series.map(({ values }) => values))]),
            parent,
        );
        const watcher = new ResizeObserver(() => chart.setSize({ width: parent.clientWidth, height: HEIGHT }));
        watcher.observe(parent);
        return () => {
            watcher.disconnect();
            chart.destroy();
        };
    }, [key, asTable]);
    return html`<figure class="chart">
        <figcaption>
            ${caption}
            <span class="legend" aria-hidden="true">${series.map(({ name, colour: c }) => html`<span key=${name}><i data-colour=${c.slice(2)}></i>${name}</span>`)}</span>
            <button class="quiet" aria-pressed=${asTable} onClick=${() => setAsTable(!asTable)}>${t(asTable ? "chart.as_chart" : "chart.as_table")}</button>
        </figcaption>
        ${asTable ? html`<${ChartTable} caption=${caption} times=${times} series=${series} />` : html`<div ref=${box} class="plot" role="img" aria-label=${summary(caption, series)}></div>`}
    </figure>`;
}

/** @param {string} caption @param {{name: string, values: number[]}[]} series */
const summary = (caption, series) => `${caption}: ${series.map(({ name, values }) => `${name} ${formatNumber(values.reduce((a, b) => a + b, 0))}`).join(", ")}`;

/** @param {{caption: string, times: number[], series: {name: string, values: number[]}[]}} props */
const ChartTable = ({ caption, times, series }) => html`<div class="table short" role="region" aria-label=${caption} tabindex="0">
    <table>
        <thead>
            <tr><th scope="col">${t("time")}</th>${series.map(({ name }) => html`<th key=${name} scope="col" class="number">${name}</th>`)}</tr>
        </thead>
        <tbody>
            ${times.map(
                (second, i) => html`<tr key=${second}><th scope="row">${formatTime(second * 1000)}</th>${series.map(({ name, values }) => html`<td key=${name} class="number">${formatNumber(values[i])}</td>`)}</tr>`,
            )}
        </tbody>
    </table>
</div>`;

/** A share as a bar beside its number. @param {{value: number, most: number, tone: string}} props */
export const Bar = ({ value, most, tone }) => html`<span class="bar" aria-hidden="true"><i class=${tone} style=${{ width: `${most ? Math.max(2, (100 * value) / most) : 0}%` }}></i></span>`;
