// Changes single values in a policy's text and leaves everything else as a person wrote it:
// comments, order, blanks. Knows just enough of libconfig to find a key: groups, strings, comments.

/** @typedef {{name: string, from: number, valueFrom: number, valueTo: number, inner: Setting[] | null, innerTo: number}} Setting
 * from, valueFrom, valueTo, innerTo: places in the text; inner: of a group, innerTo: of its "}" */

/** Past blanks and comments. @param {string} text @param {number} at */
function skip(text, at) {
    for (;;) {
        const blank = /^(\s+|#[^\n]*|\/\/[^\n]*|\/\*[^]*?\*\/)/.exec(text.slice(at));
        if (!blank) return at;
        at += blank[0].length;
    }
}

/** Past a value that is no group: to its ";" or "," or the end of what holds it. @param {string} text @param {number} at */
function skipValue(text, at) {
    let depth = 0;
    while (at < text.length) {
        const sign = text[at];
        if (sign === '"') {
            const string = /^"(?:[^"\\]|\\[^])*"/.exec(text.slice(at));
            at += string ? string[0].length : text.length;
            continue;
        }
        const next = skip(text, at);
        if (next !== at) {
            at = next;
            continue;
        }
        if ("([{".includes(sign)) depth++;
        if (")]}".includes(sign) && depth-- === 0) return at;
        if (depth === 0 && (sign === ";" || sign === ",")) return at;
        at++;
    }
    return at;
}

/** The settings from a place to the end of their group. @param {string} text @param {number} at @returns {{settings: Setting[], end: number}} */
function readSettings(text, at) {
    /** @type {Setting[]} */
    const settings = [];
    for (;;) {
        at = skip(text, at);
        const name = /^[A-Za-z*][\w*-]*/.exec(text.slice(at));
        if (!name) return { settings, end: at };
        const from = at;
        at = skip(text, at + name[0].length);
        if (text[at] !== "=" && text[at] !== ":") return { settings, end: at };
        at = skip(text, at + 1);
        const valueFrom = at;
        /** @type {Setting} */
        const setting = { name: name[0], from, valueFrom, valueTo: at, inner: null, innerTo: at };
        if (text[at] === "{") {
            const { settings: inner, end } = readSettings(text, at + 1);
            Object.assign(setting, { inner, innerTo: end, valueTo: end + 1 });
            at = end + 1;
        } else {
            at = skipValue(text, at);
            setting.valueTo = at;
            while (setting.valueTo > valueFrom && /\s/.test(text[setting.valueTo - 1])) setting.valueTo--;
        }
        settings.push(setting);
        at = skip(text, at);
        if (text[at] === ";" || text[at] === ",") at++;
    }
}

const INDENT = "    ";

/** "a = { b = { c = VALUE; }; };" in lines. @param {string[]} path @param {string} value @param {string} indent */
function written(path, value, indent) {
    const [name, ...rest] = path;
    if (rest.length === 0) return `${indent}${name} = ${value};\n`;
    return `${indent}${name} = {\n${written(rest, value, indent + INDENT)}${indent}};\n`;
}

/** The text with one value set; a list that KEY_add only added to becomes KEY. @param {string} text @param {string} key "a.b.c" @param {string} value as libconfig writes it */
export function setPolicyValue(text, key, value) {
    const path = key.split(".");
    let { settings, end } = readSettings(text, 0);
    for (let depth = 0; ; depth++) {
        const found = settings.find((setting) => setting.name === path[depth]);
        if (found && depth === path.length - 1) return text.slice(0, found.valueFrom) + value + text.slice(found.valueTo);
        if (found?.inner) {
            settings = found.inner;
            end = found.innerTo;
            continue;
        }
        const added = depth === path.length - 1 && settings.find((setting) => setting.name === `${path[depth]}_add`);
        if (added) return `${text.slice(0, added.from)}${path[depth]} = ${value}${text.slice(added.valueTo)}`;
        const indent = INDENT.repeat(depth);
        const lineFrom = text.lastIndexOf("\n", end - 1) + 1;
        const alone = text.slice(lineFrom, end).trim() === "";
        const at = depth > 0 && alone ? lineFrom : end;
        const before = text.slice(0, at);
        const lead = before === "" || before.endsWith("\n") ? "" : "\n";
        return before + lead + written(path.slice(depth), value, indent) + text.slice(at);
    }
}

/** As libconfig writes a text. @param {string} text */
const quoted = (text) => `"${text.replace(/[\\"]/g, "\\$&")}"`;

/** The text that a shown value is: the console shows bytes that a reader could take for others as
 * "\xNN", and every backslash and quote. @param {string} text */
export const readText = (text) =>
    text.replace(/^"(.*)"$/s, "$1").replace(/(?:\\x[0-9a-f]{2})+/g, (run) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(run.slice(2).split("\\x"), (byte) => parseInt(byte, 16))));

/** The entries of a list as it is shown: ("a", "b"). @param {string} text */
export const readList = (text) => [...text.matchAll(/"(?:[^"\\]|\\.)*"/g)].map(([entry]) => readText(entry));

/** Whether an input can hold it: a line, of which every byte can be seen. @param {string} type @param {string} value as it is shown */
export const canFillIn = (type, value) => (type === "list" ? readList(value) : [readText(value)]).every((text) => text === text.trim() && !/[\n\r\ufffd]/.test(text));

/** What was filled in, as it stands in a policy. @param {string} type @param {string} given */
export function writeValue(type, given) {
    if (type === "boolean" || type === "number") return given.trim();
    if (type === "size" || type === "duration") return quoted(given.trim().replace(/^"(.*)"$/, "$1"));
    if (type !== "list") return quoted(given.trim());
    return `(${given.split("\n").map((line) => line.trim()).filter(Boolean).map(quoted).join(", ")})`;
}
