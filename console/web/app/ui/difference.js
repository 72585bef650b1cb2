// What changed between two texts, line by line.
import { html } from "../../vendor/vendor.js";
import { t } from "../i18n.js";

/** @typedef {{sign: " " | "+" | "-", text: string}} Line */

/** The longest common subsequence of lines; texts of policies are short. @param {string} before @param {string} after @returns {Line[]} */
export function compare(before, after) {
    const a = before.split("\n");
    const b = after.split("\n");
    const width = b.length + 1;
    const length = new Uint16Array((a.length + 1) * width);
    for (let i = a.length - 1; i >= 0; i--) {
        for (let j = b.length - 1; j >= 0; j--) {
            length[i * width + j] = a[i] === b[j] ? length[(i + 1) * width + j + 1] + 1 : Math.max(length[(i + 1) * width + j], length[i * width + j + 1]);
        }
    }
    /** @type {Line[]} */
    const lines = [];
    let i = 0;
    let j = 0;
    while (i < a.length || j < b.length) {
        if (i < a.length && j < b.length && a[i] === b[j]) {
            lines.push({ sign: " ", text: a[i++] });
            j++;
        } else if (j >= b.length || (i < a.length && length[(i + 1) * width + j] >= length[i * width + j + 1])) {
            lines.push({ sign: "-", text: a[i++] });
        } else {
            lines.push({ sign: "+", text: b[j++] });
        }
    }
    return lines;
}

/** @param {{before: string, after: string}} props */
export function Difference({ before, after }) {
    const lines = compare(before, after);
    if (lines.every((line) => line.sign === " ")) return html`<p class="dim">${t("difference.none")}</p>`;
    return html`<pre class="difference" tabindex="0" aria-label=${t("difference")}>${lines.map(
        (line, i) => html`<span key=${i} class=${line.sign === "+" ? "added" : line.sign === "-" ? "removed" : ""}>${line.sign} ${line.text}${"\n"}</span>`,
    )}</pre>`;
}
