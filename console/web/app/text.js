// Texts of strangers and of the console, ready to be shown.
import { t } from "./i18n.js";
import { said } from "./said.js";

/** Control and direction characters made visible. @param {string} text */
export const literal = (text) =>
    String(text ?? "").replace(/[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g, (sign) => `\\u{${sign.codePointAt(0)?.toString(16).padStart(4, "0")}}`);

/* Codes of 403 that are about who one is, not about what was typed. */
const FORBIDDEN = new Set(["not_allowed", "limited_to_groups", "cross_site", "password_change_required"]);

/** What to say about a problem. @param {import("./api.js").Problem} problem */
export function problemText(problem) {
    if (problem.code === "unreachable") return t("problem.unreachable");
    if (FORBIDDEN.has(problem.code)) return t("problem.forbidden");
    if (problem.status === 404) return t("problem.not_found");
    if (problem.status === 412) return t("problem.changed");
    if (problem.status === 429) return t("problem.wait", { count: problem.wait || 1 });
    if (problem.code === "wrong_credentials") return t("problem.wrong_credentials");
    return literal(said(problem.detail)) || t("problem.other", { status: String(problem.status) });
}
