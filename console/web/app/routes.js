// The pages, in the order of the navigation. Each is fetched with the first look at it.
import { may } from "./session.js";

const always = () => true;

export const NAVIGATION = [
    { name: "overview", allowed: always },
    { name: "computers", allowed: always },
    { name: "events", allowed: always },
    { name: "alerts", allowed: always },
    { name: "buckets", allowed: always },
    { name: "functions", allowed: always },
    { name: "quarantine", allowed: always },
    { name: "signatures", allowed: always },
    { name: "policies", allowed: always },
    { name: "activation", allowed: () => may("operate") },
    { name: "people", allowed: () => may("administer") },
    { name: "audit", allowed: () => may("audit") },
    { name: "settings", allowed: always },
];

/** @type {Record<string, () => Promise<{Page: any}>>} */
const PAGES = {
    overview: () => import("./pages/overview.js"),
    computers: () => import("./pages/computers.js"),
    computer: () => import("./pages/computer.js"),
    events: () => import("./pages/events.js"),
    alerts: () => import("./pages/alerts.js"),
    buckets: () => import("./pages/buckets.js"),
    functions: () => import("./pages/functions.js"),
    sensor: () => import("./pages/sensor.js"),
    quarantine: () => import("./pages/quarantine.js"),
    signatures: () => import("./pages/signatures.js"),
    policies: () => import("./pages/policies.js"),
    policy: () => import("./pages/policy.js"),
    activation: () => import("./pages/activation.js"),
    people: () => import("./pages/people.js"),
    audit: () => import("./pages/audit.js"),
    settings: () => import("./pages/settings.js"),
};
const DETAILS = /** @type {Record<string, string>} */ ({ computers: "computer", policies: "policy", buckets: "sensor", functions: "sensor" });

/** The name of the page at an address; "overview" for the empty one, "" for an unknown one. @param {string[]} path */
export function pageAt(path) {
    const first = path[0] ?? "overview";
    if (!NAVIGATION.some((page) => page.name === first)) return "";
    if (path.length === 1 || path.length === 0) return first;
    return path.length === 2 ? (DETAILS[first] ?? "") : "";
}

/** @param {string} name */
export const loadPage = async (name) => (await PAGES[name]()).Page;
