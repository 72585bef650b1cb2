// The REST API: requests, problems, pages of lists. Holds no state but the token against cross-site
// requests, which the console gives once, at sign-in.
import { signal } from "../vendor/vendor.js";

const TOKEN = "yagura.csrf";
const KEPT_ALIVE = 32768; /* characters: what a browser sends even when the page is left */

/** True once any request was refused for want of a session. */
export const signedOut = signal(false);

/** An answer that is not good: RFC 9457's fields. */
export class Problem extends Error {
    /** @param {number} status @param {string} code @param {string} detail @param {number} wait */
    constructor(status, code, detail, wait = 0) {
        super(detail);
        this.status = status;
        this.code = code;
        this.detail = detail;
        this.wait = wait;
    }
}

/** @param {Response} answer */
async function problemOf(answer) {
    let body = {};
    try {
        body = await answer.json();
    } catch {
        /* a proxy's own page: the status says enough */
    }
    const wait = Number(answer.headers.get("Retry-After")) || 0;
    return new Problem(answer.status, body.code ?? "http", body.detail ?? answer.statusText, wait);
}

/**
 * JSON whose long numbers become texts: those of events and alerts have 64 bits, and a number of
 * JavaScript holds 53. A quote inside a text of JSON has a backslash before it, so only a key matches.
 * @param {string} text
 */
export const parseJson = (text) => JSON.parse(text.replace(/(?<!\\)("\w+":\s*)(\d{16,})(?=[,}\]\s])/g, '$1"$2"'));

/**
 * @param {string} method @param {string} path below /api/v1
 * @param {unknown} [body] @param {Record<string, string>} [headers] @param {AbortSignal} [abort]
 */
export async function request(method, path, body, headers = {}, abort) {
    /** @type {RequestInit} */
    const options = { method, headers: { Accept: "application/json", ...headers }, signal: abort, cache: "no-store" };
    if (method !== "GET") {
        options.headers["X-CSRF-Token"] = localStorage.getItem(TOKEN) ?? "";
        if (body !== undefined) {
            options.headers["Content-Type"] = "application/json";
            options.body = JSON.stringify(body);
            options.keepalive = options.body.length < KEPT_ALIVE;
        } else if (method !== "DELETE") {
            options.body = "";
        }
    }
    let answer;
    try {
        answer = await fetch(`api/v1/${path}`, options);
    } catch (error) {
        if (abort?.aborted) throw error;
        throw new Problem(0, "unreachable", "");
    }
    if (answer.ok) {
        const text = await answer.text();
        return { body: text ? parseJson(text) : null, etag: answer.headers.get("ETag") ?? "" };
    }
    const problem = await problemOf(answer);
    if (problem.status === 401 && problem.code === "not_signed_in") signedOut.value = true;
    throw problem;
}

/** @param {string} path @param {AbortSignal} [abort] */
export const get = async (path, abort) => (await request("GET", path, undefined, {}, abort)).body;
/** @param {string} path @param {unknown} [body] */
export const post = async (path, body) => (await request("POST", path, body)).body;
/** @param {string} path @param {unknown} body @param {Record<string, string>} [headers] */
export const put = async (path, body, headers) => (await request("PUT", path, body, headers)).body;
/** @param {string} path @param {unknown} body */
export const patch = async (path, body) => (await request("PATCH", path, body)).body;
/** @param {string} path */
export const remove = async (path) => (await request("DELETE", path)).body;

/** @param {string} token */
export function keepToken(token) {
    localStorage.setItem(TOKEN, token);
    signedOut.value = false;
}

/** "?a=1&b=2" of what is not empty. @param {Record<string, string | number | undefined>} values */
export function queryText(values) {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(values)) {
        if (value !== undefined && value !== "") query.set(name, String(value));
    }
    const text = query.toString();
    return text ? `?${text}` : "";
}

/** Saves what the console answers as a file. @param {string} path @param {string} name @param {string} [type] */
export async function saveAnswer(path, name, type = "*/*") {
    const answer = await fetch(`api/v1/${path}`, { headers: { Accept: type } });
    if (!answer.ok) throw await problemOf(answer);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await answer.blob());
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

/** Saves a list of any length: the console streams it. @param {string} path @param {string} name */
export const saveCsv = (path, name) => saveAnswer(path, name, "text/csv");
