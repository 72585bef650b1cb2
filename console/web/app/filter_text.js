// The grammar of the filter box: words like status:online group:"web servers", and free text. Read
// and written here; what a field means is its page's.

/** @typedef {{name: string, title: string, values?: [string, string][], several?: boolean, open?: boolean}} FilterField
 * values: all there are, with their names for people; without, anything goes. several: values by commas. open: values
 * that are not in the list are good, too */

/** @typedef {{from: number, to: number, field: string, value: string}} FilterToken field "": free text */

/** @param {string} text @returns {FilterToken[]} */
export function readTokens(text) {
    const tokens = [];
    for (const match of text.matchAll(/(?:([a-z_]+):)?("[^"]*"?|[^\s"]+)?/g)) {
        if (match[0] === "") continue;
        tokens.push({ from: match.index, to: match.index + match[0].length, field: match[1] ?? "", value: (match[2] ?? "").replaceAll('"', "") });
    }
    return tokens;
}

/** @param {string} value */
const quoted = (value) => (/[\s"]/.test(value) ? `"${value.replaceAll('"', "")}"` : value);

/** @param {FilterField} field @param {string} value */
function isKnown(field, value) {
    if (!field.values || field.open) return value !== "";
    const values = field.several ? value.split(",") : [value];
    return values.every((each) => field.values?.some(([known]) => known === each));
}

/**
 * The query that a text asks for, or what is wrong with it: a word whose field is not known, or a
 * value that the field does not have (yet).
 * @param {string} text @param {FilterField[]} fields @param {string} free name of the parameter that takes free text, "" = none
 * @returns {{query: Record<string, string | undefined>, wrong: FilterToken | null}}
 */
export function readFilter(text, fields, free) {
    /** @type {Record<string, string | undefined>} */
    const query = Object.fromEntries([...fields.map(({ name }) => name), ...(free ? [free] : [])].map((name) => [name, undefined]));
    const words = [];
    for (const token of readTokens(text)) {
        const field = fields.find(({ name }) => name === token.field);
        if (!token.field && free) words.push(token.value);
        else if (!field || !isKnown(field, token.value)) return { query, wrong: token };
        else query[field.name] = token.value;
    }
    if (free && words.length) query[free] = words.join(" ");
    return { query, wrong: null };
}

/** The text that says what the address says. @param {Record<string, string>} query @param {FilterField[]} fields @param {string} free */
export function writeFilter(query, fields, free) {
    const words = fields.filter(({ name }) => query[name]).map(({ name }) => `${name}:${quoted(query[name])}`);
    if (free && query[free]) words.push(quoted(query[free]));
    return words.join(" ");
}

/** @typedef {{text: string, title: string, from: number, to: number, done: boolean}} Completion done: nothing follows it */

/** What the word at the cursor may become. @param {string} text @param {number} cursor @param {FilterField[]} fields @returns {Completion[]} */
export function complete(text, cursor, fields) {
    const token = readTokens(text).find(({ from, to }) => from < cursor && cursor <= to) ?? { from: cursor, to: cursor, field: "", value: "" };
    const place = { from: token.from, to: token.to };
    const field = fields.find(({ name }) => name === token.field);
    if (token.field === "") {
        const wanted = token.value.toLowerCase();
        const used = new Set(readTokens(text).map((each) => each.field));
        return fields
            .filter(({ name, title }) => !used.has(name) && (name.startsWith(wanted) || title.toLowerCase().startsWith(wanted)))
            .map(({ name, title }) => ({ ...place, text: `${name}:`, title, done: false }));
    }
    if (!field?.values) return [];
    const parts = token.value.split(",");
    const last = (field.several ? (parts.pop() ?? "") : token.value).toLowerCase();
    const before = field.several && parts.length ? `${parts.join(",")},` : "";
    return field.values
        .filter(([value, title]) => !parts.includes(value) && (value.toLowerCase().includes(last) || title.toLowerCase().includes(last)))
        .slice(0, 12)
        .map(([value, title]) => ({ ...place, text: `${field.name}:${quoted(before + value)}`, title, done: true }));
}
