// What the console and the agents say in English, in the reader's language. The catalogue's key is the English
// sentence as the sources hold it, with {} for each value; its text takes them as {1}, {2}. What it does not hold
// (another version's sentence, another program's output) stays as it is.
import { signal } from "../vendor/vendor.js";

const LONGEST = 2000; /* characters: what is longer is no sentence */
const DEEPEST = 2; /* a value of a sentence may be one itself */

/** @typedef {{parts: string[], text: string}} Template parts: the English between its values */

const exact = signal(/** @type {Record<string, string>} */ ({}));
/** @type {Template[]} the longest first */
let templates = [];

/** @param {Record<string, string>} catalogue */
export function setSaid(catalogue) {
    const holes = Object.entries(catalogue).filter(([english]) => english.includes("{}"));
    templates = holes.map(([english, text]) => ({ parts: english.split("{}"), text })).sort((a, b) => b.parts.join("").length - a.parts.join("").length);
    exact.value = catalogue;
}

/** The values of a text that was made by a template, or null. @param {string} text @param {string[]} parts @returns {string[] | null} */
function valuesOf(text, parts) {
    const last = parts[parts.length - 1];
    if (!text.startsWith(parts[0]) || !text.endsWith(last)) return null;
    const end = text.length - last.length;
    const values = [];
    let at = parts[0].length;
    for (const part of parts.slice(1, -1)) {
        const next = text.indexOf(part, at);
        if (next < 0 || next + part.length > end) return null;
        values.push(text.slice(at, next));
        at = next + part.length;
    }
    if (at > end) return null;
    return [...values, text.slice(at, end)];
}

/** @param {string} text @param {number} depth @returns {string | null} */
function find(text, depth) {
    if (Object.hasOwn(exact.value, text)) return exact.value[text];
    for (const template of templates) {
        const values = valuesOf(text, template.parts);
        if (values) return template.text.replace(/\{(\d)\}/g, (_, i) => (depth < DEEPEST && find(values[i - 1], depth + 1)) || values[i - 1]);
    }
    return null;
}

/** As a sentence of its own begins; names of files and programs stay as they are. @param {string} text */
const begun = (text) => text.replace(/^[a-z](?=[a-z]* )/, (letter) => letter.toUpperCase());

/** "web.conf:3: watch.paths: " and the like before a sentence stays as it is. @param {string} text */
export function said(text) {
    if (text.length > LONGEST) return text;
    const found = find(text, 0);
    if (found !== null) return found;
    const before = /^(?:\S+:\d+: )?(?:[\w.*-]+: )?/.exec(text)?.[0] ?? "";
    const rest = before && find(text.slice(before.length), 0);
    return rest ? before + rest : begun(text);
}
