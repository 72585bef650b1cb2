// That the keyboard alone does everything: on every page Tab reaches every control, every dialog and
// drawer opens, holds the focus, closes and gives it back. New controls are tried without being named here.
import { axe, check, PATIENCE, show } from "./browser.js";

/* What a button does at once, without a dialog. */
const AT_ONCE = /^(Copy|Save as CSV|Show |Update signatures|Quick scan|Acknowledge|Resolve|Sign out|Test|Switch o|Take away|Undo|Try again|Review changes)/;
const CONTROLS = "a[href], button, input, select, textarea, summary, [tabindex='0']";

/** Runs in the page: what can have the focus inside something, a group of radios once. */
const countControls = ([root, controls]) => {
    const seen = [...document.querySelector(root).querySelectorAll(controls)].filter((each) => each.checkVisibility() && !each.disabled && !(each.type === "radio" && !each.checked));
    window.reached = new Set();
    window.wanted = seen;
    window.follow ??= document.addEventListener("focusin", (event) => window.reached.add(event.target)) ?? true;
    return seen.length;
};

/** @param {any} page @param {number} count */
async function pressTab(page, count) {
    for (let i = 0; i < count; i++) await page.keyboard.press("Tab");
}

/** @param {any} page */
const missed = (page) => page.evaluate(() => window.wanted.filter((each) => each.isConnected && !window.reached.has(each)).map((each) => each.outerHTML.slice(0, 100)));

/** @param {any} page @param {string[]} addresses */
export async function everyControlIsReached(page, addresses) {
    for (const address of addresses) {
        const [root, first] = address === addresses[0] ? [".frame", ".skip"] : ["main", "main"]; /* the frame is the same everywhere */
        await show(page, address);
        const count = await page.evaluate(countControls, [root, CONTROLS]);
        await page.evaluate(() => document.activeElement?.blur());
        await page.focus(first);
        await pressTab(page, count);
        const out = await missed(page);
        check(out.length === 0, `${address}: Tab does not reach ${out.join(" | ")}`);
    }
}

/** Runs in the page: the buttons by their words; one event stands for all. */
const buttonsOf = () => {
    const names = new Set();
    let events = 0;
    for (const each of document.querySelectorAll(".frame button:not(:disabled, [role=tab], [popovertarget])")) {
        if (!each.checkVisibility() || (each.closest(".c-kind") && events++)) continue;
        names.add(each.innerText.trim().replace(/\s+/g, " "));
    }
    return [...names];
};

/** Runs in the page. */
const buttonNamed = (name) => [...document.querySelectorAll(".frame button:not(:disabled)")].find((each) => each.checkVisibility() && each.innerText.trim().replace(/\s+/g, " ") === name);

/** @param {any} page @param {any} opener @param {string} what */
async function isBack(page, opener, what) {
    await page.waitForFunction(() => !document.querySelector("dialog[open]"), null, { timeout: PATIENCE });
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
    const lost = await opener.evaluate((each) => (each === document.activeElement ? "" : (document.activeElement?.outerHTML.slice(0, 100) ?? "nothing")));
    check(!lost, `${what}: the focus did not come back, it is at ${lost}`);
}

/** @param {any} page @param {string} address @param {string} name */
async function openAndClose(page, address, name) {
    const what = `${address}, “${name}”`;
    const opener = await page.evaluateHandle(buttonNamed, name);
    const open = async () => {
        await opener.evaluate((each) => each.focus());
        await page.keyboard.press("Enter");
        await page.waitForFunction(() => document.querySelector("dialog[open]:not(:has(.skeleton))")?.contains(document.activeElement), null, { timeout: PATIENCE }).catch(() => check(false, `${what} opens no dialog with the focus inside`));
    };
    await open();
    const count = await page.evaluate(countControls, ["dialog[open]", CONTROLS]);
    await pressTab(page, count + 2);
    const out = await missed(page);
    check(out.length === 0, `${what}: Tab does not reach ${out.join(" | ")}`);
    check(await page.evaluate(() => [...window.reached].every((each) => each.closest("dialog"))), `${what}: Tab leaves the dialog`);
    const findings = await axe(page, "dialog[open]");
    check(findings.length === 0, `${what}: ${findings.join("\n")}`);
    await page.keyboard.press("Escape");
    await isBack(page, opener, `${what}, closed by Escape`);
    await open();
    const closer = page.locator("dialog[open] :is(header button, footer button[type=button])").first();
    if (!(await closer.count())) return void (await page.keyboard.press("Escape")); /* the palette */
    await closer.focus();
    await page.keyboard.press("Enter");
    await isBack(page, opener, `${what}, closed by its button`);
}

/** @param {any} page @param {string[]} addresses */
export async function everyDialogOpensAndCloses(page, addresses) {
    const tried = new Set();
    for (const address of addresses) {
        await show(page, address);
        if (address === "computers") {
            await page.getByLabel("Select all shown").focus();
            await page.keyboard.press("Space");
            await page.waitForSelector(".bulk");
        }
        for (const name of await page.evaluate(buttonsOf)) {
            const key = `${address.split(/[/?]/)[0]} ${name.startsWith("Find or do") ? "" : name}`;
            if (AT_ONCE.test(name) || tried.has(key)) continue;
            tried.add(key);
            await openAndClose(page, address, name);
        }
    }
    check(tried.size > 30, `only ${tried.size} dialogs were found`);
}

/** @param {any} page narrow */
export async function theMenuOfANarrowPage(page) {
    await show(page, "overview");
    const menu = page.locator(".top .menu");
    await menu.focus();
    await page.keyboard.press("Enter");
    await page.waitForSelector("#pages:popover-open");
    await page.keyboard.press("Escape");
    await page.waitForSelector("#pages:not(:popover-open)", { state: "attached" });
    check(await menu.evaluate((each) => each === document.activeElement), "the menu does not give the focus back");
    await page.keyboard.press("Enter");
    await page.locator("#pages").getByRole("link", { name: "Alerts" }).focus();
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Alerts" }).waitFor();
    await page.waitForSelector("#pages:not(:popover-open)", { state: "attached" });
}
