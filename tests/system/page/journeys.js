// What a person does with the page, in a real browser. Prints TAP; asks fleet.py for what the rest of
// the world does, a line each ("do NAME ARGUMENT…"), and reads its answer as a line of JSON.
import { canFillIn, readList, readText, setPolicyValue, writeValue } from "../../../console/web/app/policy_text.js";
import { ask, axe, browser, check, checkComplaints, journey, newContext, PAGE, PAGES, PASSWORD, PATIENCE, pictures, result, show, shows, signIn, watchedPage } from "./browser.js";
import { everyControlIsReached, everyDialogOpensAndCloses, theMenuOfANarrowPage } from "./keyboard.js";

await journey("one value is set in a policy's text, and nothing else", async () => {
    const cases = [
        ["", "a.b", "a = {\n    b = 1;\n};\n"],
        ["a = { b = 2; };", "a.b", "a = { b = 1; };"],
        ["a = { /* b = 3; */ b = (2, # }\n 3); c = 4; };", "a.b", "a = { /* b = 3; */ b = 1; c = 4; };"],
        ['s = "a = { b = 2; };";\n', "a.b", 's = "a = { b = 2; };";\na = {\n    b = 1;\n};\n'],
        ["a = {\n    c = { d = 1; };\n};\n", "a.c.b", "a = {\n    c = { d = 1; \n        b = 1;\n};\n};\n"],
        ["a = {\n    c = 4;\n};\n", "a.b", "a = {\n    c = 4;\n    b = 1;\n};\n"],
        ["a : { b : { c : 2 } }", "a.b.c", "a : { b : { c : 1 } }"],
        ["a = { b_add = (2, 3); c = 4; };", "a.b", "a = { b = 1; c = 4; };"],
        ["a = { b_add = (2, 3); b = 5; };", "a.b", "a = { b_add = (2, 3); b = 1; };"],
    ];
    for (const [text, key, wanted] of cases) {
        const got = setPolicyValue(text, key, "1");
        check(got === wanted, `${JSON.stringify(text)} became ${JSON.stringify(got)}`);
    }
});

await journey("a value is written as libconfig takes it", async () => {
    const cases = [
        ["boolean", "true", "true"], ["number", " 12 ", "12"], ["size", "64M", '"64M"'], ["duration", '"30s"', '"30s"'],
        ["text", 'a "b" \\c', '"a \\"b\\" \\\\c"'], ["text", '"a"', '"\\"a\\""'], ["list", " /srv \n\n/a b\n", '("/srv", "/a b")'], ["list", "", "()"],
    ];
    for (const [type, given, wanted] of cases) {
        const got = writeValue(type, given);
        check(got === wanted, `${type} ${JSON.stringify(given)} became ${got}`);
    }
});

await journey("a value that is shown is read as it is", async () => {
    const cases = [
        ['"C:\\x5cTemp \\x22a\\x22"', 'C:\\Temp "a"'], ['"\\x5cx41"', "\\x41"], ['"\\xe2\\x80\\xae\\xef\\xbb\\xbf/日本"', "\u202e\ufeff/日本"], ['"50M"', "50M"], ["50M", "50M"],
    ];
    for (const [shown, wanted] of cases) {
        const got = readText(shown);
        check(got === wanted && canFillIn("text", shown), `${shown} became ${JSON.stringify(got)}`);
        const [listed] = readList(`(${shown})`);
        check(!shown.startsWith('"') || listed === wanted, `in a list ${shown} became ${JSON.stringify(listed)}`);
    }
    for (const shown of ['"\\x93\\xfa"', '"a\\x0ab"', '"a "']) check(!canFillIn("text", shown) && !canFillIn("list", `("b", ${shown})`), `${shown} can be filled in`);
});

const context = await newContext();
const page = await watchedPage(context);

/** @param {any} page @param {string} name */
async function signInFirst(page, name) {
    await signIn(page, name, "one-time password 1");
    await page.fill("input[name=old]", "one-time password 1");
    await page.fill("input[name=new]", "my own password 1");
    await page.fill("input[name=again]", "my own password 1");
    await page.click("form button.primary");
    await page.waitForSelector(".frame");
}

await journey("first sign-in asks for a password of one's own", async () => {
    const other = await newContext();
    const first = await watchedPage(other);
    await signIn(first, "operator", "wrong password 123");
    await shows(first, "Wrong name, password or code");
    await signInFirst(first, "operator");
    await first.getByRole("button", { name: "Sign out" }).click();
    await first.waitForSelector("input[name=password]");
    await other.close();
    checkComplaints();
});

await journey("sign-in by keyboard alone, then the palette", async () => {
    await page.goto(PAGE);
    await page.waitForSelector("input[name=name]:focus");
    await page.keyboard.type("admin");
    await page.keyboard.press("Tab");
    await page.keyboard.type(PASSWORD);
    await page.keyboard.press("Enter");
    await page.waitForSelector(".frame");
    await page.keyboard.press("Control+k");
    await page.waitForSelector("dialog.palette input:focus");
    await page.keyboard.type("web-05");
    await shows(page, "web-05.tokyo.example");
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => location.hash.startsWith("#/computers/"));
    await page.getByRole("heading", { name: "web-05.tokyo.example" }).waitFor();
    checkComplaints();
});

await journey("a detection appears by itself", async () => {
    await show(page, "events");
    await ask("detection", "appears-live.exe");
    await shows(page, "/srv/appears-live.exe");
    checkComplaints();
});

await journey("names of strangers are shown literally", async () => {
    await show(page, "events?module=malware");
    await shows(page, "<img src=x onerror=alert(1)>");
    await shows(page, "invoice\\u{202e}gnp.exe");
    await shows(page, "\\u{0007}bell");
    await show(page, "computers?hostname=" + encodeURIComponent("<b"));
    await shows(page, "<b>bold</b>");
    check((await page.locator("main b").count()) === 0, "a host name became markup");
    checkComplaints();
});

await journey("a token brings a computer in", async () => {
    await show(page, "activation");
    await page.getByRole("button", { name: "New activation token" }).click();
    await page.fill("dialog input[name=name]", "journey");
    await page.getByRole("button", { name: "Create" }).click();
    const token = await page.locator("dialog code.secret").innerText();
    check(/^yt1\.[\w-]{43}$/.test(token), `this is no token: ${token}`);
    await shows(page, "Waiting for the first heartbeat");
    await ask("activation", token);
    await shows(page, "1 computer has activated");
    await page.keyboard.press("Escape");
    checkComplaints();
});

await journey("a content is allowed on every computer, and lists are written", async () => {
    await show(page, "quarantine");
    await page.locator("tr", { hasText: "/srv/report.pdf" }).getByRole("button", { name: "Allow this content" }).click();
    await shows(page, "a".repeat(64));
    await page.locator("dialog").getByRole("button", { name: "Allow this content" }).click();
    await shows(page, "Allowed: computers hear of it");
    await show(page, "signatures");
    await page.locator("tr", { hasText: "allowed" }).getByText("Allowed hashes").waitFor();
    await page.getByRole("button", { name: "New list" }).click();
    await page.fill("dialog input[name=name]", "unwanted");
    await page.selectOption("dialog select[name=type]", "deny");
    await page.fill("dialog textarea", "no hash");
    await page.getByRole("button", { name: "Save" }).click();
    await shows(page, "line 1");
    await page.fill("dialog textarea", `${"b".repeat(64)} tool`);
    await page.getByRole("button", { name: "Save" }).click();
    const row = page.locator("tr", { hasText: "unwanted" });
    await row.getByRole("button", { name: "Edit" }).click();
    await page.fill("dialog textarea", `${"b".repeat(64)} tool\n${"c".repeat(64)} other`);
    await page.getByRole("button", { name: "Save" }).click();
    await row.getByText("2", { exact: true }).waitFor();
    await row.getByRole("button", { name: "Delete" }).click();
    await page.locator("dialog").getByRole("button", { name: "Delete" }).click();
    await row.waitFor({ state: "detached" });
    checkComplaints();
});

/** What the API says. @param {string} path */
const told = (path) => page.evaluate(async (of) => (await fetch(`api/v1/${of}`)).json(), path);

await journey("what a dialog does not see, it does not change", async () => {
    const [group] = (await told("groups")).groups;
    await show(page, "signatures");
    await page.getByRole("button", { name: "New list" }).click();
    await page.fill("dialog input[name=name]", "of-web");
    await page.selectOption("dialog select[name=group]", "web");
    await page.fill("dialog textarea", `${"d".repeat(64)} tool`);
    await page.getByRole("button", { name: "Save" }).click();
    await page.locator("tr", { hasText: "of-web" }).getByText("web", { exact: true }).waitFor();
    const lost = { status: 503, contentType: "application/problem+json", body: '{"code":"busy","detail":"busy"}' };
    for (const path of ["groups?*", "policies?*"]) await page.route(`**/api/v1/${path}`, (route) => route.fulfill(lost));
    await page.locator("tr", { hasText: "of-web" }).getByRole("button", { name: "Edit" }).click();
    await page.fill("dialog textarea", `${"d".repeat(64)} tool\n${"e".repeat(64)} other`);
    await page.locator("dialog").getByRole("button", { name: "Save" }).click();
    await page.locator("tr", { hasText: "of-web" }).getByText("2", { exact: true }).waitFor();
    check((await told("signature-lists/of-web")).group === "web", "the list is for all now");

    const [computer] = (await told("computers?hostname=web-07")).computers;
    await show(page, `computers/${computer.id}`);
    await page.getByRole("button", { name: "Edit" }).click();
    await page.fill("dialog input[name=display_name]", "seventh");
    await page.locator("dialog").getByRole("button", { name: "Save" }).click();
    await page.getByRole("heading", { name: "seventh" }).waitFor();
    check((await told(`computers/${computer.id}`)).group === "web", "the computer has lost its group");

    await show(page, "people");
    await page.locator("tr", { hasText: "webmaster" }).getByRole("button", { name: "Edit" }).click();
    await page.selectOption("dialog select[name=role]", "operator");
    await page.locator("dialog").getByRole("button", { name: "Save" }).click();
    await page.locator("tr", { hasText: "webmaster" }).getByText("Operator").waitFor();
    const who = (await told("users")).users.find((/** @type {any} */ each) => each.name === "webmaster");
    check(who.groups.join() === group.id, `the limits of a person became ${JSON.stringify(who.groups)}`);
    await page.unrouteAll();
    checkComplaints();
});

await journey("who is limited to a group is offered what is that group's", async () => {
    const other = await newContext();
    const limited = await watchedPage(other);
    await signInFirst(limited, "webmaster");
    const offered = (/** @type {string} */ name, within = limited.locator("main")) => within.getByRole("button", { name }).count();
    await show(limited, "signatures");
    await limited.locator("tr", { hasText: "of-web" }).getByRole("button", { name: "Edit" }).waitFor();
    check((await offered("Edit", limited.locator("tr", { has: limited.getByText("allowed", { exact: true }) }))) === 0, "a list for all is offered to be changed");
    await limited.getByRole("button", { name: "New list" }).click();
    await limited.locator("dialog option", { hasText: "web" }).waitFor({ state: "attached" });
    check((await limited.locator("dialog select[name=group] option").count()) === 1, "a list for all is offered");
    await limited.keyboard.press("Escape");
    await show(limited, "quarantine");
    await limited.locator("tr", { hasText: "/srv/report.pdf" }).getByRole("button", { name: "Restore" }).waitFor();
    check((await offered("Allow this content")) === 0, "contents are offered to be allowed for all");
    await show(limited, "policies");
    check((await offered("New policy")) === 0, "a new policy is offered");
    await show(limited, "activation");
    check((await offered("New rule")) === 0, "a new rule is offered");
    await other.close();
    checkComplaints();
});

await journey("a false positive is restored with an exclusion", async () => {
    await show(page, "quarantine");
    await page.locator("tr", { hasText: "/srv/report.pdf" }).getByRole("button", { name: "Restore" }).click();
    await page.getByLabel("It is no malware").check();
    await page.locator("dialog").getByRole("button", { name: "Restore" }).click();
    await shows(page, "Asked to restore");
    const [order] = await ask("commands", "0");
    check(order?.type === "quarantine_restore", `the agent was ordered ${JSON.stringify(order)}`);
    check(order.arguments.exclude === true, `no exclusion in ${JSON.stringify(order)}`);
    await page.locator("tr", { hasText: "/srv/report.pdf" }).getByText("Restored").waitFor();
    checkComplaints();
});

await journey("a real agent: malware appears, comes back with an exclusion, and stays", async () => {
    const folder = await ask("real");
    if (!folder) return console.log("# SKIP a real agent needs root");
    await show(page, "events?module=malware");
    await ask("infect", "report.com");
    await shows(page, `${folder}/report.com`);
    await show(page, "quarantine");
    const row = page.locator("tr", { hasText: `${folder}/report.com` });
    await row.getByRole("button", { name: "Restore" }).click();
    await page.getByLabel("It is no malware").check();
    await page.locator("dialog").getByRole("button", { name: "Restore" }).click();
    await shows(page, "Asked to restore");
    const end = Date.now() + 4 * PATIENCE;
    for (let turn = 1; !(await ask("lies_there", "report.com")); turn++) {
        check(Date.now() < end, "the file did not come back");
        await ask("infect", `nudge-${turn}.com`, String(turn));
        await page.waitForTimeout(1000);
    }
    for (let turn = 1; !(await row.getByText("Restored").count()); turn++) {
        check(Date.now() < end, "the page does not tell of it");
        await ask("infect", `later-${turn}.com`, String(turn + 100));
        await page.waitForTimeout(1000);
    }
    check(await ask("lies_there", "report.com"), "the file was caught again");
    checkComplaints();
});

await journey("a policy is refused with its line, then saved", async () => {
    await show(page, "policies/web");
    const text = page.locator("textarea");
    await text.fill('parent = "base";\nwatch = { pathz = ("/srv"); };\n');
    await page.getByRole("status").filter({ hasText: "line 2" }).filter({ hasText: "pathz" }).waitFor();
    await page.getByRole("button", { name: "Review changes" }).click();
    await page.getByRole("button", { name: "Save and deliver" }).click();
    await page.getByRole("alert").filter({ hasText: /2/ }).filter({ hasText: "pathz" }).waitFor();
    await text.fill('parent = "base";\nwatch = { paths = ("/srv"); };\n');
    await page.getByRole("button", { name: "Review changes" }).click();
    await page.locator("dialog .added").filter({ hasText: "/srv" }).waitFor();
    await page.getByRole("button", { name: "Save and deliver" }).click();
    await shows(page, "Saved. Computers get it");
    await show(page, "policies/web?tab=values");
    await page.locator("tr", { hasText: "watch.paths" }).getByText("set here").waitFor();
    checkComplaints();
});

await journey("an earlier revision comes back", async () => {
    await show(page, "policies/web?tab=revisions");
    await page.getByRole("button", { name: "1", exact: true }).click();
    await page.getByRole("button", { name: "Go back to this revision" }).click();
    await page.getByRole("button", { name: "3", exact: true }).waitFor();
    checkComplaints();
});

await journey("a value is changed where it stands, and taken back", async () => {
    await show(page, "policies/web?tab=values");
    const row = page.locator("tr", { hasText: "scan.max_file_size" });
    await row.getByRole("button", { name: "Change" }).click();
    const value = page.locator("dialog input[name=value]");
    await value.fill('"nonsense"');
    await page.locator("dialog").getByRole("button", { name: "Save and deliver" }).click();
    await page.locator("dialog").getByRole("alert").filter({ hasText: "max_file_size" }).waitFor();
    await value.fill('"50M"');
    await page.locator("dialog").getByRole("button", { name: "Save and deliver" }).click();
    await row.getByText("set here").waitFor();
    await page.locator("h1").click();
    await page.keyboard.press("Control+z");
    await row.getByText("Built-in").waitFor();
    const paths = page.locator("tr", { has: page.getByText("watch.paths", { exact: true }) });
    await paths.getByRole("button", { name: "Change" }).click();
    await page.locator("dialog textarea").fill('/srv\n/a\\b "c"');
    await page.locator("dialog").getByRole("button", { name: "Save and deliver" }).click();
    await paths.getByText('("/srv", "/a\\x5cb \\x22c\\x22")').waitFor();
    await paths.getByRole("button", { name: "Change" }).click();
    check((await page.locator("dialog textarea").inputValue()) === '/srv\n/a\\b "c"', "the list is shown otherwise than it was written");
    await page.locator("dialog textarea").press("Control+End");
    await page.keyboard.type("\n/var/www");
    await page.locator("dialog").getByRole("button", { name: "Save and deliver" }).click();
    await paths.getByText('("/srv", "/a\\x5cb \\x22c\\x22", "/var/www")').waitFor();
    const action = page.locator("tr", { hasText: "respond.action" });
    await action.getByRole("button", { name: "Change" }).click();
    await page.locator("dialog select").selectOption("pass");
    await page.locator("dialog").getByRole("button", { name: "Save and deliver" }).click();
    await action.getByText("set here").waitFor();
    checkComplaints();
});

await journey("an inherited list is replaced knowingly, also one that was added to", async () => {
    await show(page, "policies/web");
    const text = page.locator("textarea");
    await text.fill(`${await text.inputValue()}scan = {\n    schedule_paths_add = ("/srv");\n};\n`);
    await page.getByRole("button", { name: "Review changes" }).click();
    await page.getByRole("button", { name: "Save and deliver" }).click();
    await page.getByRole("button", { name: "Review changes", disabled: true }).waitFor();
    await show(page, "policies/web?tab=values");
    const paths = page.locator("tr", { has: page.getByText("scan.schedule_paths", { exact: true }) });
    await paths.getByText("Built-in").waitFor();
    await paths.getByRole("button", { name: "Change" }).click();
    await page.locator("dialog").getByText("write scan.schedule_paths_add in the policy's text").waitFor();
    await page.locator("dialog textarea").fill("/srv\n/home");
    await page.locator("dialog").getByRole("button", { name: "Save and deliver" }).click();
    await paths.getByText('("/srv", "/home")').waitFor();
    check((await paths.getByText("Built-in").count()) === 0, "the inherited list still counts");
    await paths.getByRole("button", { name: "Change" }).click();
    await page.locator("dialog textarea").waitFor();
    check((await page.locator("dialog .note").count()) === 0, "a list of this policy is called inherited");
    await page.keyboard.press("Escape");
    await page.locator("dialog").waitFor({ state: "detached" });
    checkComplaints();
});

await journey("lists of groups are changed in the policy's text", async () => {
    await show(page, "policies/web?tab=values");
    const rules = page.locator("tr", { has: page.getByText("log_inspection.rules", { exact: true }) });
    check((await rules.getByRole("button", { name: "Change" }).count()) === 0, "a dialog is offered");
    await rules.getByRole("link", { name: "Change in the text" }).click();
    await page.locator(".editor textarea").waitFor();
    checkComplaints();
});

for (const [kind, address, name] of [["storage", "buckets", "Connect a scanner"], ["application", "functions", "Connect functions"]]) {
    await journey(`a key connects ${address}`, async () => {
        await show(page, address);
        await page.getByRole("button", { name }).click();
        await page.fill("dialog input[name=name]", "journey");
        await page.selectOption("dialog select[name=group]", "web");
        await page.getByRole("button", { name: "Make the key" }).click();
        const key = await page.locator("dialog code.secret").innerText();
        check(/^ysk1_[\w-]{43}$/.test(key), `this is no sensor key: ${key}`);
        await page.locator("dialog pre").filter({ hasText: `YAGURA_CONSOLE_URL=${PAGE.replace(/\/$/, "")}` }).filter({ hasText: "YAGURA_CONSOLE_PIN=sha256//" }).waitFor();
        await shows(page, "Waiting for the first report");
        await ask("report", kind, key);
        await shows(page, "1 sensor reports with this key");
        await page.keyboard.press("Escape");
        await show(page, `${address}?name=newcomer`);
        await page.getByRole("link", { name: `newcomer-${kind}` }).click();
        await page.getByRole("heading", { name: `newcomer-${kind}` }).waitFor();
        await page.getByRole("link", { name: "Events", exact: true }).last().click();
        await shows(page, "first/object");
        await show(page, `${address}?tab=keys`);
        await page.locator("tr", { hasText: "journey" }).getByRole("button", { name: "Revoke" }).click();
        await page.locator("dialog").getByRole("button", { name: "Revoke" }).click();
        await page.locator("tr", { hasText: "journey" }).getByText("Revoked").waitFor();
        checkComplaints();
    });
}

await journey("what functions report reads as it should", async () => {
    await show(page, "functions?tab=events");
    await page.getByRole("button", { name: "Attack reported, not blocked" }).click();
    await page.locator("dialog.drawer").getByText("<img src=x onerror=alert(1)>").waitFor();
    await page.locator("dialog.drawer").getByRole("link", { name: "shop-checkout" }).click();
    await shows(page, "48,211");
    checkComplaints();
});

await journey("a group's functions are protected, by keyboard alone", async () => {
    await show(page, "functions?tab=protections&group=web");
    const block = page.getByRole("group", { name: "SQL injection" }).getByLabel("Block and report");
    await page.getByRole("group", { name: "SQL injection" }).getByLabel("Report", { exact: true }).focus();
    await page.keyboard.press("ArrowRight");
    check(await block.isChecked(), "the arrow key chose nothing");
    await page.getByRole("button", { name: "Review changes" }).focus();
    await page.keyboard.press("Enter");
    await page.locator("dialog .added").filter({ hasText: 'sql_injection = "mitigate"' }).waitFor();
    await page.getByRole("button", { name: "Save and deliver" }).focus();
    await page.keyboard.press("Enter");
    await shows(page, "Saved. Functions get it");
    const values = await ask("policy_of", "web");
    check(values["application.protection.sql_injection"] === '"mitigate"', JSON.stringify(values));
    checkComplaints();
});

await journey("a group that is not found does not change the policy of all", async () => {
    await show(page, "functions?tab=protections&group=nowhere");
    await page.locator("main [role=alert]").waitFor();
    check((await page.getByRole("button", { name: "Review changes" }).count()) === 0, "changes are offered");
    checkComplaints();
});

await journey("a rule places new computers", async () => {
    await show(page, "activation");
    await page.getByRole("button", { name: "New rule" }).click();
    await page.fill("dialog input[name=name]", "web servers");
    await page.fill('dialog input[name="when.hostnames"]', "web-*, api-*");
    await page.selectOption("dialog select[name=group]", "web");
    await page.getByRole("button", { name: "Create" }).click();
    await page.locator("tr", { hasText: "web servers" }).getByText("web-*, api-*").waitFor();
    checkComplaints();
});

await journey("events are sent on, until it is switched off", async () => {
    await show(page, "settings");
    await page.getByRole("button", { name: "New destination" }).click();
    await page.fill("dialog input[name=name]", "SIEM");
    await page.fill("dialog input[name=host]", "127.0.0.1");
    await page.getByRole("button", { name: "Create" }).click();
    const row = page.locator("tr", { hasText: "SIEM" });
    await row.getByRole("button", { name: "Switch off" }).click();
    await row.getByText("Switched off").waitFor();
    await row.getByRole("button", { name: "Delete" }).click();
    await page.locator("dialog").getByRole("button", { name: "Delete" }).click();
    await shows(page, "Events are not sent on");
    checkComplaints();
});

await journey("a filter is typed, with completion, by keyboard alone", async () => {
    await show(page, "computers");
    const box = page.getByRole("combobox", { name: "Filter" });
    await box.focus();
    for (const [typed, choice] of [["sta", "status:"], ["onl", "status:online"], ["gr", "group:"], ["w", "group:web"]]) {
        await page.keyboard.type(typed);
        await page.getByRole("option").filter({ hasText: choice }).first().waitFor();
        await page.keyboard.press("ArrowDown");
        await page.keyboard.press("Enter");
    }
    await page.keyboard.type("web-1");
    await page.waitForFunction(() => /status=online/.test(location.hash) && /group=web/.test(location.hash) && /hostname=web-1/.test(location.hash));
    await page.getByRole("link", { name: "web-12.tokyo.example" }).waitFor();
    await page.reload();
    check((await box.inputValue()) === "status:online group:web web-1", `the box says ${await box.inputValue()}`);
    await show(page, "computers?tag=prod");
    check((await box.inputValue()) === "tag:prod", `the box says ${await box.inputValue()}`);
    await box.fill("nonsense:x");
    await box.press("Enter");
    await shows(page, "“nonsense:x” filters nothing");
    checkComplaints();
});

await journey("a policy is assigned to a group, taken away, and given back", async () => {
    await show(page, "policies/web?tab=assignment");
    await page.getByRole("button", { name: "Assign to a group" }).click();
    await page.locator("dialog").getByRole("button", { name: "Save" }).click();
    await shows(page, "12 computers");
    check((await ask("policy_of", "web")).policy === "web", "the group has another policy");
    await page.getByRole("button", { name: "Take away" }).click();
    await shows(page, "No group has it");
    await page.getByRole("button", { name: "Undo" }).last().click();
    await shows(page, "12 computers");
    checkComplaints();
});

await journey("one command to many computers", async () => {
    await show(page, "computers?group=web");
    await page.getByLabel("Select all shown").check();
    await shows(page, "12 chosen");
    await page.getByRole("button", { name: "Quick scan" }).click();
    await shows(page, "Done for 12 computers");
    const orders = await ask("commands", "3");
    check(orders.some((order) => order.type === "scan_quick"), `the agent was ordered ${JSON.stringify(orders)}`);
    checkComplaints();
});

await journey("what is undone for many comes back for those a filter hides, too", async () => {
    await show(page, "computers?group=web");
    await page.getByLabel("Select all shown").check();
    await show(page, "computers?hostname=web-05");
    await shows(page, "1 row");
    await shows(page, "12 chosen");
    await page.getByRole("toolbar").getByRole("button", { name: "Set group" }).click();
    await page.locator("dialog").getByRole("button", { name: "Apply to 12 computers" }).click();
    await page.locator(".toast", { hasText: "Done for 12 computers" }).getByRole("button", { name: "Undo" }).click();
    await page.locator(".toast", { hasText: "Done for 12 computers" }).getByRole("button", { name: "Undo" }).waitFor({ state: "detached" });
    const inGroup = () => page.evaluate(async () => (await (await fetch("api/v1/computers?group=web")).json()).computers.length);
    const end = Date.now() + PATIENCE;
    for (let count = await inGroup(); count !== 12; count = await inGroup()) {
        check(Date.now() < end, `${count} of 12 computers have their group again`);
        await page.waitForTimeout(200);
    }
    checkComplaints();
});

await journey("a scan shows how far it is", async () => {
    await show(page, "computers?hostname=web-05");
    await page.getByRole("link", { name: "web-05.tokyo.example" }).click();
    await page.getByRole("button", { name: "Scan", exact: true }).click();
    await page.getByRole("button", { name: "Start scan" }).click();
    await shows(page, "Quick scan");
    await page.getByRole("link", { name: "Commands" }).click();
    await ask("begin", "4");
    await shows(page, "1,234 files so far");
    check((await page.getByRole("progressbar").count()) > 0, "no bar is shown");
    await ask("end");
    await page.locator("main tr", { hasText: "Quick scan" }).first().getByText("Done").waitFor();
    check((await page.getByRole("progressbar").count()) === 0, "the bar is still shown");
    checkComplaints();
});

await journey("the page lives through a restart of the console", async () => {
    await show(page, "events");
    await ask("restart");
    await ask("detection", "after-restart.exe");
    await page.getByText("/srv/after-restart.exe").first().waitFor({ timeout: 2 * PATIENCE });
    checkComplaints();
});

await journey("the chart is drawn in the theme's colours, and is a table too", async () => {
    await show(page, "overview");
    await page.waitForSelector(".plot canvas");
    const drawn = await page.evaluate(() => {
        const mark = document.querySelector(".severity.critical");
        const wanted = getComputedStyle(mark).color.match(/\d+/g).map(Number);
        const canvas = document.querySelector(".plot canvas");
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        for (let i = 0; i < data.length; i += 4) if (wanted.every((value, k) => data[i + k] === value)) return true;
        return false;
    });
    check(drawn, "no bar has the colour of critical events");
    await page.getByRole("button", { name: "Show as table" }).click();
    await page.locator(".chart table tbody tr").nth(23).waitFor();
    await page.getByRole("button", { name: "Show as chart" }).click();
    checkComplaints();
});

await journey("a Japanese page says in Japanese what the console and the agents say", async () => {
    const own = await newContext({ storageState: await context.storageState(), locale: "ja-JP" });
    const japanese = await watchedPage(own);
    await japanese.goto(PAGE);
    await japanese.evaluate(() => localStorage.setItem("yagura.language", "ja"));
    await japanese.reload();
    await japanese.waitForSelector(".frame");
    await show(japanese, "policies/web?tab=values");
    await japanese.locator("tr", { hasText: "watch.enabled" }).getByText("リアルタイムに監視").waitFor();
    await show(japanese, "policies/web");
    await japanese.locator("textarea").fill('parent = "base";\nwatch = { pathz = ("/srv"); };\n');
    const verdict = japanese.getByRole("status").getByText("watch.pathz: 不明なキーです。watch.paths のことですか");
    await verdict.waitFor();
    check((await verdict.getAttribute("title")) === "watch.pathz: is not a known key; did you mean watch.paths?", "the original is not told");
    await japanese.locator("textarea").fill('parent = "base";\nscan = { max_time = "long"; };\n');
    await japanese.getByText("scan.max_time: 「long」は\"30s\" のような時間ではありません").waitFor();
    await show(japanese, "policies");
    await japanese.getByRole("button", { name: "ポリシーを作成" }).click();
    await japanese.fill("dialog input[name=name]", "web");
    await japanese.getByRole("button", { name: "作成", exact: true }).click();
    await japanese.getByRole("alert").getByText("この名前はすでに使われています").waitFor();
    await japanese.keyboard.press("Escape");
    await show(japanese, "computers?hostname=web-03");
    await japanese.getByRole("link", { name: "web-03.tokyo.example" }).click();
    await ask("trouble", "<b>9</b>"); /* appears by itself */
    await shows(japanese, "最新のシグネチャが <b>9</b> 日前のものです");
    await shows(japanese, "更新してください（例: freshclam）");
    check((await japanese.locator("main b").count()) === 0, "a value of a sentence became markup");
    await own.close();
    checkComplaints();
});

/** Looks at every page, and leaves its picture. @param {string} language @param {string} scheme */
async function lookAtEveryPage(language, scheme) {
    const own = await newContext({ storageState: await context.storageState() });
    const page = await watchedPage(own);
    await page.goto(PAGE);
    await page.evaluate(([l, s]) => (localStorage.setItem("yagura.language", l), localStorage.setItem("yagura.theme", s)), [language, scheme]);
    await page.reload();
    await page.waitForSelector(".frame");
    const sensors = await page.evaluate(async () => (await (await fetch("api/v1/sensors?kind=storage&name=uploads")).json()).sensors);
    const computers = await page.evaluate(async () => (await (await fetch("api/v1/computers?limit=3")).json()).computers);
    const findings = [];
    for (const address of [...PAGES, `computers/${computers[1].id}`, `computers/${computers[1].id}?tab=policy`, `buckets/${sensors[0].id}`]) {
        await show(page, address);
        findings.push(...(await axe(page)).map((finding) => `${address}: ${finding}`));
        const left = await page.evaluate(() => document.querySelector("main").innerText.match(/\b(page|kind|module|status|severity|tab|filter|policy|token|sensor|protection|health|audit|certificate)\.[a-z_]+\b/g));
        if (left && !address.startsWith("policies") && !address.includes("policy")) findings.push(`${address}: untranslated ${left}`);
        await page.screenshot({ path: `${pictures}/${address.replace(/\W+/g, "-").replace(computers[1].id, "one").replace(sensors[0].id, "one")}-${language}-${scheme}.png` });
    }
    await own.close();
    check(findings.length === 0, findings.join("\n"));
    checkComplaints();
}

for (const language of ["en", "ja"]) {
    for (const scheme of ["light", "dark"]) await journey(`accessible: every page, ${language}, ${scheme}`, () => lookAtEveryPage(language, scheme));
}

/** Every page with what stands behind it. @param {any} page */
async function everyAddress(page) {
    const first = (path, name) => page.evaluate(async ([p, n]) => (await (await fetch(`api/v1/${p}`)).json())[n][0].id, [path, name]);
    const computer = `computers/${await first("computers?hostname=web-02", "computers")}`;
    const tabs = ["events", "quarantine", "policy", "commands", "identity"];
    return [...PAGES.filter((address) => !address.includes("new=1")), "policies/web?tab=revisions", computer, ...tabs.map((tab) => `${computer}?tab=${tab}`), `buckets/${await first("sensors?kind=storage", "sensors")}`];
}

await journey("the keyboard alone opens and closes every dialog", async () => {
    await everyDialogOpensAndCloses(page, await everyAddress(page));
    checkComplaints();
});

await journey("the keyboard alone reaches every control", async () => {
    await everyControlIsReached(page, await everyAddress(page));
    checkComplaints();
});

await journey("a long list holds few rows, shows all, and keeps the keyboard", async () => {
    await ask("flood", "500");
    await show(page, "events?kind=integrity_updated");
    await shows(page, "/etc/499.conf");
    for (let groups = 1; groups < 10; groups++) {
        await page.getByRole("button", { name: "Show more" }).click();
        await page.waitForFunction((count) => document.querySelectorAll("main tbody").length > count, groups);
    }
    await shows(page, "500 rows");
    await page.locator("main").evaluate(() => scrollTo(0, document.body.scrollHeight));
    await shows(page, "/etc/000.conf");
    await page.waitForFunction(() => document.querySelectorAll("main tbody tr").length < 250);
    await page.evaluate(() => scrollTo(0, 0));
    await shows(page, "/etc/499.conf");
    const first = page.locator("main tbody button.link").first();
    await first.focus();
    await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
    await shows(page, "/etc/000.conf");
    check(await first.evaluate((each) => each === document.activeElement), "the row with the keyboard went away");
    const told = await page.evaluate(() => [document.querySelector("main table").ariaRowCount ?? document.querySelector("main table").getAttribute("aria-rowcount"), [...document.querySelectorAll("main tbody tr")].pop().getAttribute("aria-rowindex")]);
    check(told.join() === "501,501", `the table says row ${told[1]} of ${told[0]}`);
    const rows = "main tbody tr:not(.far)";
    check((await page.locator(rows).count()) < 250, "all rows are held");
    await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
    await page.waitForFunction((which) => document.querySelectorAll(which).length === 500, rows);
    await page.evaluate(() => dispatchEvent(new Event("afterprint")));
    await page.waitForFunction((which) => document.querySelectorAll(which).length < 250, rows);
    checkComplaints();
});

await journey("a telephone needs no sideways scrolling", async () => {
    const small = await newContext({ viewport: { width: 360, height: 740 } });
    const phone = await watchedPage(small);
    await signIn(phone);
    await phone.waitForSelector(".frame");
    for (const address of PAGES) {
        await show(phone, address);
        const wide = await phone.evaluate(() => {
            if (document.documentElement.scrollWidth <= innerWidth) return "";
            const out = [...document.querySelectorAll("body *")].filter((each) => each.getBoundingClientRect().right > innerWidth + 1);
            return out.map((each) => `${each.tagName}.${each.className}`).join(" ");
        });
        await phone.screenshot({ path: `${pictures}/${address.replace(/\W+/g, "-")}-phone.png` });
        check(!wide, `${address} is too wide: ${wide}`);
    }
    await theMenuOfANarrowPage(phone);
    await small.close();
    checkComplaints();
});

await browser.close();
process.exit(result.failures ? 1 : 0); /* standard input is still open */
