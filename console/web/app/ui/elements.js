// Small elements every page is made of.
import { html, useEffect, useState } from "../../vendor/vendor.js";
import { formatAgo, formatTime, t, word } from "../i18n.js";
import { now } from "../live.js";
import { said } from "../said.js";
import { literal, problemText } from "../text.js";
import { Icon } from "./icons.js";
import { say } from "./toast.js";

/** A time in words; exact on hover and for readers. @param {{at: string | null | undefined}} props */
export function Time({ at }) {
    if (!at) return html`<span class="dim">${t("never")}</span>`;
    const exact = formatTime(at);
    return html`<time datetime=${at} title=${exact}>${formatAgo(at, Math.max(now.value, Date.now()))}<span class="only-read"> (${exact})</span></time>`;
}

const SHAPES = { good: "●", bad: "▲", waiting: "◐", off: "○" };
const STATUS_TONES = {
    "Managed (Online)": "good",
    "Managed (Offline)": "bad",
    "Reactivation Required": "bad",
    Deactivated: "off",
};

/** By shape, word and colour. @param {{tone: keyof typeof SHAPES, children: any}} props */
export const Mark = ({ tone, children }) => html`<span class=${`mark ${tone}`}><span aria-hidden="true">${SHAPES[tone]}</span> ${children}</span>`;

/** @param {{status: string}} props */
export const Status = ({ status }) => html`<${Mark} tone=${STATUS_TONES[/** @type {keyof typeof STATUS_TONES} */ (status)] ?? "waiting"}>${word("status", status)}<//>`;

/** @param {{severity: string}} props */
export const Severity = ({ severity }) => html`<span class=${`severity ${severity}`}>${word("severity", severity)}</span>`;

/** @param {{tags: string[]}} props */
export const Tags = ({ tags }) => (tags?.length ? tags.map((tag) => html`<span class="tag" key=${tag}>${tag}</span>`) : html`<span class="dim">—</span>`);

/** Text of strangers, shown literally: control and direction characters are made visible. @param {{text: string}} props */
export const Literal = ({ text }) => html`<bdi class="literal">${literal(text)}</bdi>`;

/** A sentence of the console or an agent, in the reader's language; as it was said on hover. @param {{text: string}} props */
export function Said({ text }) {
    const shown = said(text);
    return html`<bdi class="literal" title=${shown === text ? undefined : literal(text)}>${literal(shown)}</bdi>`;
}

/** @param {{problem: import("../api.js").Problem, retry?: () => void}} props */
export const ProblemNote = ({ problem, retry }) => html`
    <div class="note bad" role="alert">
        <span>${problemText(problem)}</span>
        ${retry && html`<button onClick=${retry}>${t("try_again")}</button>`}
    </div>`;

/** Grey lines in the shape of what comes, after 200 ms. @param {{lines?: number}} props */
export function Skeleton({ lines = 4 }) {
    const [late, setLate] = useState(false);
    useEffect(() => {
        const timer = setTimeout(() => setLate(true), 200);
        return () => clearTimeout(timer);
    }, []);
    return html`<div class="skeleton" aria-busy="true" aria-label=${t("loading")} role="status">
        ${late && Array.from({ length: lines }, (_, i) => html`<span key=${i}></span>`)}
    </div>`;
}

/** Nothing here yet, and the next step. @param {{title: string, children?: any}} props */
export const Empty = ({ title, children }) => html`<div class="empty"><h3>${title}</h3>${children}</div>`;

/** Beside a value its picture says it; elsewhere its words. @param {{text: string, label?: string, beside?: boolean}} props */
export function Copy({ text, label, beside }) {
    const copy = async () => {
        try {
            await navigator.clipboard.writeText(text);
            say(t("copied"));
        } catch {
            say(t("copy_failed"));
        }
    };
    const words = label ?? t("copy");
    return beside
        ? html`<button class="quiet copy" title=${words} onClick=${copy}><${Icon} name="copy" /><span class="only-read">${words}</span></button>`
        : html`<button class="quiet" onClick=${copy}>${words}</button>`;
}

/** A command to paste, with its button. @param {{text: string}} props */
export const CommandText = ({ text }) => html`<div class="command"><pre tabindex="0">${text}</pre><${Copy} text=${text} /></div>`;

/** A value with its name. @param {{name: string, children: any}} props */
export const Fact = ({ name, children }) => html`<div class="fact"><dt>${name}</dt><dd>${children ?? "—"}</dd></div>`;

/** A labelled input. @param {{label: string, hint?: string, children: any}} props */
export const Field = ({ label, hint, children }) => html`<label class="field"><span>${label}</span>${children}${hint && html`<small>${hint}</small>`}</label>`;

/** A bar of something that is under way; its end is not known. @param {{label: string}} props */
export const Progress = ({ label }) => html`<progress aria-label=${label}></progress>`;
