// What this person chose for this browser: language, theme, time zone. Kept in the browser only.
import { effect, signal } from "../vendor/vendor.js";

export const LANGUAGES = { en: "English", ja: "日本語" };
export const THEMES = ["auto", "light", "dark"];
export const ZONES = ["local", "utc"];

/** @param {string} name @param {readonly string[]} allowed @param {string} otherwise */
function kept(name, allowed, otherwise) {
    const value = localStorage.getItem(`yagura.${name}`);
    return value !== null && allowed.includes(value) ? value : otherwise;
}

const browserLanguage = navigator.languages.some((tag) => tag.toLowerCase().startsWith("ja")) ? "ja" : "en";

export const language = signal(kept("language", Object.keys(LANGUAGES), browserLanguage));
export const theme = signal(kept("theme", THEMES, "auto"));
export const zone = signal(kept("zone", ZONES, "local"));

const systemScheme = matchMedia("(prefers-color-scheme: dark)");
/** What "auto" means now. */
export const systemIsDark = signal(systemScheme.matches);

/** Keeps the document and the browser's store in step with the signals. */
export function applyPreferences() {
    effect(() => {
        localStorage.setItem("yagura.language", language.value);
        document.documentElement.lang = language.value;
    });
    effect(() => {
        localStorage.setItem("yagura.theme", theme.value);
        document.documentElement.dataset.theme = theme.value;
    });
    effect(() => localStorage.setItem("yagura.zone", zone.value));
    systemScheme.addEventListener("change", () => {
        systemIsDark.value = systemScheme.matches;
    });
}
