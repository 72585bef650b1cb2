// What the console tells by itself. One stream for the whole page; a list asks again, at most once
// in two seconds, when something it shows has changed. While the stream is down the page asks every
// 15 seconds, and says so.
import { effect, signal } from "../vendor/vendor.js";
import { parseJson } from "./api.js";
import { session } from "./session.js";

const TOPICS = ["event", "computer", "command", "alert", "sensor"];
const POLL_MS = 15000;

/** "on", "off" while it reconnects, "" while signed out. */
export const liveState = signal("");
/** The current time, in steps of ten seconds: for "3 minutes ago". */
export const now = signal(Date.now());
setInterval(() => {
    now.value = Date.now();
}, 10000);

/** @type {Set<(topic: string, data: any) => void>} */
const listeners = new Set();
/** @type {EventSource | null} */
let stream = null;
let polling = 0;

/** @param {string} topic @param {any} data */
function tell(topic, data) {
    for (const listener of listeners) listener(topic, data);
}

function startPolling() {
    if (!polling) polling = window.setInterval(() => document.hidden || tell("resync", null), POLL_MS);
}

function stopPolling() {
    clearInterval(polling);
    polling = 0;
}

/** @param {MessageEvent} message */
function parse(message) {
    try {
        return parseJson(message.data);
    } catch {
        return null;
    }
}

function open() {
    const opened = new EventSource("api/v1/stream");
    stream = opened;
    opened.onopen = () => {
        if (liveState.value === "off") tell("resync", null);
        liveState.value = "on";
        stopPolling();
    };
    opened.onerror = () => {
        liveState.value = "off";
        startPolling();
        if (opened.readyState === EventSource.CLOSED) {
            setTimeout(() => stream === opened && session.value && open(), POLL_MS);
        }
    };
    for (const topic of TOPICS) opened.addEventListener(topic, (message) => tell(topic, parse(message)));
    opened.addEventListener("resync", () => tell("resync", null));
}

effect(() => {
    if (session.value && !session.value.must_change_password) {
        if (!stream) open();
    } else if (stream) {
        stream.close();
        stream = null;
        stopPolling();
        liveState.value = "";
    }
});

/** @param {(topic: string, data: any) => void} listener @returns {() => void} ends it */
export function listen(listener) {
    listeners.add(listener);
    return () => listeners.delete(listener);
}
