// What all journeys share: the browser, the questions to fleet.py, TAP, and what is looked for on every page.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

export const [modules, pictures] = process.argv.slice(2);
const require = createRequire(`${modules}/package.json`);
const { chromium } = require("playwright-core");
const AXE = require.resolve("axe-core/axe.min.js");

export const PAGE = process.env.YAGURA_PAGE;
export const PASSWORD = process.env.YAGURA_PAGE_PASSWORD;
export const PATIENCE = 30000; /* ms: far more than anything needs */
export const PAGES = ["overview", "computers", "events", "alerts", "buckets", "buckets?tab=events", "buckets?tab=keys", "buckets?new=1", "functions", "functions?tab=protections", "quarantine", "signatures", "policies", "policies/web", "policies/web?tab=values", "policies/web?tab=assignment", "activation", "activation?new=1", "people", "audit", "settings"];
const ONLY = new RegExp(process.env.YAGURA_PAGE_ONLY ?? "");
/* What a browser says by itself of answers the page expects. */
const EXPECTED = /status of (401|404|409|412|422|503)|ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_INCOMPLETE_CHUNKED|ERR_EMPTY_RESPONSE/;

const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** @param {string[]} words */
export async function ask(...words) {
    console.log(`do ${words.join(" ")}`);
    return JSON.parse((await answers.next()).value);
}

export const result = { failures: 0 };

/** @param {string} name @param {() => Promise<void>} act */
export async function journey(name, act) {
    if (!ONLY.test(name)) return;
    const begin = Date.now();
    try {
        await act();
        console.log(`# ${Date.now() - begin} ms`);
        console.log(`ok - page: ${name}`);
    } catch (error) {
        result.failures++;
        console.log(String(error.stack ?? error).replace(/^/gm, "# "));
        console.log(`not ok - page: ${name}`);
    }
}

/** @param {unknown} held @param {string} what */
export function check(held, what) {
    if (!held) throw new Error(what);
}

/** @type {string[]} what the browser complained of: policy violations, errors, requests elsewhere */
const complaints = [];

/** @param {any} context */
export async function watchedPage(context) {
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE);
    page.on("console", (message) => {
        if (["error", "warning"].includes(message.type()) && !EXPECTED.test(message.text())) complaints.push(message.text());
    });
    page.on("pageerror", (error) => complaints.push(String(error.stack ?? error)));
    page.on("dialog", (dialog) => (complaints.push(`dialog: ${dialog.message()}`), dialog.dismiss()));
    page.on("request", (request) => request.url().startsWith(PAGE) || request.url().startsWith("data:") || request.url().startsWith("blob:") || complaints.push(`request to ${request.url()}`));
    return page;
}

export function checkComplaints() {
    check(complaints.length === 0, `the browser complained: ${complaints.splice(0).join("\n")}`);
}

/** @param {any} page @param {string} [name] @param {string} [password] */
export async function signIn(page, name = "admin", password = PASSWORD) {
    await page.goto(PAGE);
    await page.fill("input[name=name]", name);
    await page.fill("input[name=password]", password);
    await page.click("form button.primary");
}

/** @param {any} page @param {string} address */
export async function show(page, address) {
    await page.evaluate((hash) => (location.hash = hash), `#/${address}`);
    await page.waitForFunction(() => document.querySelector("main h1, main .empty") && !document.querySelector("main .skeleton"));
}

/** @param {any} page @param {string} text */
export const shows = (page, text) => page.getByText(text).first().waitFor();

/** Of a long list the first dozen: the others are made by the same lines. @param {any} page @param {string} [within] */
export async function axe(page, within = "html") {
    if (!(await page.evaluate(() => "axe" in window))) await page.evaluate((await import("node:fs")).readFileSync(AXE, "utf8"));
    const { violations } = await page.evaluate((root) => window.axe.run({ include: [[root]], exclude: [["tbody tr:nth-child(n + 13)"]] }, { resultTypes: ["violations"], runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] }), within);
    return violations.map((each) => `${each.id}: ${each.nodes.map((node) => node.html.slice(0, 160)).slice(0, 3).join(" | ")}`);
}

export const browser = await chromium.launch({ executablePath: process.env.YAGURA_CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
/** @param {object} [more] */
export const newContext = (more) => browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1280, height: 900 }, locale: "en-US", reducedMotion: "reduce", ...more });
