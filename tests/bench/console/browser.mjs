// Drives the page for browser.py and prints what it measured as JSON: medians and worst of several rounds.
import { createRequire } from "node:module";

const require = createRequire(`${process.argv[2]}/package.json`);
const { chromium } = require("playwright-core");
const ROUNDS = 7;
const PAGES = ["overview", "computers", "computers?status=offline", "computers?hostname=host-9", "events", "events?severity=critical", "events?module=malware&hours=720", "alerts", "quarantine", "policies", "buckets", "functions", "audit"];

/** @param {number[]} values */
const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

const browser = await chromium.launch({ executablePath: process.env.YAGURA_CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1280, height: 900 }, locale: "en-US" });
const page = await context.newPage();
await page.goto(process.env.YAGURA_PAGE);
await page.fill("input[name=name]", "admin");
await page.fill("input[name=password]", process.env.YAGURA_PAGE_PASSWORD);
await page.click("form button.primary");
await page.waitForSelector(".frame");

// In the page: from the click on a link to a painted list, and the API's part of that.
await page.evaluate(() => {
    window.measurePage = async (hash) => {
        performance.clearResourceTimings();
        performance.setResourceTimingBufferSize(5000);
        const main = document.querySelector("main");
        const begun = performance.now();
        location.hash = hash;
        const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
        let painted = 0;
        for (let calm = 0; calm < 6; ) {
            const before = main.innerHTML.length;
            await frame();
            const ready = main.querySelector("h1") && !main.querySelector(".skeleton") && main.innerHTML.length === before;
            if (!ready) calm = 0;
            else if (calm++ === 0) painted = performance.now();
        }
        const answers = performance.getEntriesByType("resource").filter((entry) => entry.name.includes("/api/v1/") && !entry.name.includes("/stream") && entry.startTime >= begun - 1 && entry.responseEnd <= painted);
        const answered = Math.max(begun, ...answers.map((entry) => entry.responseEnd));
        return { whole: painted - begun, after: painted - answered };
    };
    window.keys = [];
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) if (["keydown", "input", "keyup"].includes(entry.name)) window.keys.push(entry.duration);
    }).observe({ type: "event", durationThreshold: 16, buffered: false });
});

const pages = [];
for (const address of PAGES) {
    const rounds = [];
    for (let i = 0; i <= ROUNDS; i++) {
        await page.evaluate(() => window.measurePage("#/settings"));
        const round = await page.evaluate((hash) => window.measurePage(hash), `#/${address}`);
        if (i > 0) rounds.push(round); /* the first one fetches the page's code */
    }
    const after = rounds.map((round) => round.after);
    pages.push({ address, after_ms: median(after), worst_ms: Math.max(...after), whole_ms: median(rounds.map((round) => round.whole)) });
}

// Every list is as long as it gets: twenty times "show more" is what a patient person does.
await page.evaluate(() => window.measurePage("#/computers"));
for (let i = 0; i < 19; i++) {
    const groups = await page.locator("main tbody").count(); /* of 50 rows; those far away are one empty row */
    await page.getByRole("button", { name: "Show more" }).click();
    await page.waitForFunction((count) => document.querySelectorAll("main tbody").length > count, groups);
}
const rows = 50 * (await page.locator("main tbody").count());
const box = page.getByRole("combobox", { name: "Filter" });
await box.focus();
await page.evaluate(() => (window.keys = []));
const typed = "status:online group:large policy:base host-12 host-34";
for (const sign of typed) {
    await page.keyboard.type(sign);
    await page.waitForTimeout(60);
}
await page.waitForTimeout(500);
const slow = await page.evaluate(() => window.keys);
const all = [...slow, ...Array.from({ length: Math.max(0, typed.length - slow.length) }, () => 16)];
console.log(JSON.stringify({ pages, keys: { rows, count: typed.length, median_ms: median(all), worst_ms: Math.max(...all) } }));
await browser.close();
