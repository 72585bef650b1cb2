// Words, numbers and times in the person's language. Keys are flat; both catalogues hold the same ones.
import { signal } from "../vendor/vendor.js";
import { language, zone } from "./preferences.js";
import { setSaid } from "./said.js";

/** @typedef {Record<string, string>} Catalogue */

const ENGLISH = "en"; /* what console and agents say */

/** @type {Map<string, Catalogue[]>} a language's words, and its sentences of console and agents */
const catalogues = new Map();
const words = signal(/** @type {Catalogue} */ ({}));

/** Fetches a language once and shows it. @param {string} wanted */
export async function loadWords(wanted) {
    let found = catalogues.get(wanted);
    if (!found) {
        const fetched = async (/** @type {string} */ path) => /** @type {Catalogue} */ (await (await fetch(path)).json());
        found = await Promise.all([fetched(`i18n/${wanted}.json`), wanted === ENGLISH ? {} : fetched(`api/v1/sentences/${wanted}`).catch(() => ({}))]);
        catalogues.set(wanted, found);
    }
    [words.value] = found;
    setSaid(found[1]);
    language.value = wanted;
}

/** Whether the catalogue has a key. @param {string} key */
export const knows = (key) => key in words.value;

/**
 * The text of a key; {name} takes a value, and {count} chooses among the plural forms key_one and
 * key_other where the catalogue has them.
 * @param {string} key @param {Record<string, string | number>} [values]
 */
export function t(key, values = {}) {
    const catalogue = words.value;
    let text = catalogue[key];
    if (typeof values.count === "number") {
        const form = new Intl.PluralRules(language.value).select(values.count);
        text = catalogue[`${key}_${form}`] ?? catalogue[`${key}_other`] ?? text;
    }
    if (text === undefined) return key;
    return text.replace(/\{(\w+)\}/g, (whole, name) => {
        const value = values[name];
        return value === undefined ? whole : typeof value === "number" ? formatNumber(value) : value;
    });
}

/** Words of the API (status, kind, module …). One that a newer agent brought reads as words, too:
 * "login_failed" as "Login failed". Others are shown as they are.
 * @param {string} prefix @param {string} word */
export function word(prefix, word) {
    if (knows(`${prefix}.${word}`)) return t(`${prefix}.${word}`);
    return /^[a-z][a-z0-9]*(_[a-z0-9]+)+$/.test(word) ? (word[0].toUpperCase() + word.slice(1)).replaceAll("_", " ") : word;
}

/** All words of the API that the catalogue knows. @param {string} prefix */
export const wordsOf = (prefix) =>
    Object.keys(words.value)
        .filter((key) => key.startsWith(`${prefix}.`) && !key.slice(prefix.length + 1).includes("."))
        .map((key) => key.slice(prefix.length + 1));

/** @param {number} value @param {Intl.NumberFormatOptions} [options] */
export const formatNumber = (value, options) => new Intl.NumberFormat(language.value, options).format(value);

/** @param {number} bytes */
export function formatBytes(bytes) {
    const units = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];
    let power = 0;
    for (; bytes >= 1000 && power < units.length - 1; power++) bytes /= 1000;
    return formatNumber(bytes, { style: "unit", unit: units[power], maximumFractionDigits: bytes < 10 && power ? 1 : 0 });
}

const timeZone = () => (zone.value === "utc" ? "UTC" : undefined);

/** The exact time. @param {string | number | Date} time */
export const formatTime = (time) =>
    new Intl.DateTimeFormat(language.value, { dateStyle: "medium", timeStyle: "medium", hourCycle: "h23", timeZone: timeZone() }).format(new Date(time));

/** For the axis of a chart. @param {number} seconds @param {boolean} withDay */
export const formatAxis = (seconds, withDay) =>
    new Intl.DateTimeFormat(
        language.value,
        withDay ? { month: "numeric", day: "numeric", timeZone: timeZone() } : { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: timeZone() },
    ).format(new Date(seconds * 1000));

const STEPS = /** @type {const} */ ([["year", 31536000], ["month", 2592000], ["week", 604800], ["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]]);

/** "3 minutes ago". @param {string | number | Date} time @param {number} now in ms */
export function formatAgo(time, now) {
    const seconds = Math.round((new Date(time).getTime() - now) / 1000);
    const [unit, length] = STEPS.find(([, size]) => Math.abs(seconds) >= size) ?? STEPS[STEPS.length - 1];
    return new Intl.RelativeTimeFormat(language.value, { numeric: "auto" }).format(Math.trunc(seconds / length), unit);
}

/** A length of time, by its two largest units. @param {number} seconds */
export function formatDuration(seconds) {
    const parts = [];
    for (const [unit, size] of STEPS) {
        if (parts.length < 2 && (seconds >= size || (unit === "second" && parts.length === 0))) {
            parts.push(formatNumber(Math.floor(seconds / size), { style: "unit", unit, unitDisplay: "short" }));
            seconds %= size;
        }
    }
    return new Intl.ListFormat(language.value, { style: "narrow", type: "unit" }).format(parts);
}
