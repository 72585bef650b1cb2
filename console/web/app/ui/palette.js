// The command palette: Ctrl K or ⌘ K, a few letters, Enter.
import { html, useEffect, useId, useRef, useState } from "../../vendor/vendor.js";
import { get, queryText } from "../api.js";
import { t } from "../i18n.js";
import { goTo, linkTo } from "../router.js";
import { NAVIGATION } from "../routes.js";
import { signOut } from "../session.js";
import { literal } from "../text.js";
import { useModal } from "./dialog.js";

/** @typedef {{text: string, hint: string, run: () => void}} Choice */

/** @returns {Choice[]} */
function fixedChoices() {
    const pages = NAVIGATION.filter((page) => page.allowed()).map((page) => ({
        text: t(`page.${page.name}`),
        hint: t("palette.page"),
        run: () => goTo(linkTo([page.name])),
    }));
    return [
        ...pages,
        { text: t("activation.new"), hint: t("palette.action"), run: () => goTo(linkTo(["activation"], { new: "1" })) },
        { text: t("sign_out"), hint: t("palette.action"), run: () => void signOut() },
    ];
}

/** Computers whose name begins so. @param {string} text @returns {Promise<Choice[]>} */
async function findComputers(text) {
    const page = await get(`computers${queryText({ hostname: text, limit: 5 })}`);
    return page.computers.map((/** @type {any} */ computer) => ({
        text: literal(computer.display_name || computer.hostname),
        hint: t("palette.computer"),
        run: () => goTo(linkTo(["computers", computer.id])),
    }));
}

/** Scanners of buckets and functions. @param {string} text @returns {Promise<Choice[]>} */
async function findSensors(text) {
    const page = await get(`sensors${queryText({ name: text, limit: 5 })}`);
    return page.sensors.map((/** @type {any} */ sensor) => ({
        text: literal(sensor.name),
        hint: t(`page.${SENSOR_PAGES[sensor.kind]}`),
        run: () => goTo(linkTo([SENSOR_PAGES[sensor.kind], sensor.id])),
    }));
}

/** @type {Record<string, string>} */
const SENSOR_PAGES = { storage: "buckets", application: "functions" };

/** @param {string} text */
const find = async (text) => (await Promise.all([findComputers(text), findSensors(text)])).flat();

/** @param {{close: () => void}} props */
export function Palette({ close }) {
    const [text, setText] = useState("");
    const [computers, setComputers] = useState(/** @type {Choice[]} */ ([]));
    const [at, setAt] = useState(0);
    const element = useRef(/** @type {HTMLDialogElement | null} */ (null));
    const id = useId();
    const onClose = useModal(element, close);
    useEffect(() => {
        setAt(0);
        if (text.length < 2) return setComputers([]);
        let current = true;
        const timer = setTimeout(() => find(text).then((found) => current && setComputers(found), () => current && setComputers([])), 150);
        return () => {
            current = false;
            clearTimeout(timer);
        };
    }, [text]);
    const wanted = text.toLowerCase();
    const choices = [...fixedChoices().filter((choice) => choice.text.toLowerCase().includes(wanted)), ...computers];
    /** @param {number} i */
    const run = (i) => {
        close();
        choices[i]?.run();
    };
    /** @param {KeyboardEvent} event */
    const key = (event) => {
        const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
        if (step) {
            event.preventDefault();
            setAt((at + step + choices.length) % Math.max(1, choices.length));
        } else if (event.key === "Enter") {
            event.preventDefault();
            run(at);
        }
    };
    return html`<dialog ref=${element} class="palette" onClose=${onClose} aria-label=${t("palette.title")} onMouseDown=${(/** @type {any} */ event) => event.target === element.current && close()}>
        <div class="dialog">
            <input
                role="combobox"
                aria-expanded="true"
                aria-controls=${id}
                aria-activedescendant=${choices.length ? `${id}-${at}` : undefined}
                aria-label=${t("palette.title")}
                placeholder=${t("palette.hint")}
                value=${text}
                onInput=${(/** @type {any} */ event) => setText(event.currentTarget.value)}
                onKeyDown=${key}
            />
            <ul role="listbox" id=${id} aria-label=${t("palette.title")}>
                ${choices.map(
                    (choice, i) => html`<li key=${choice.text + choice.hint} id=${`${id}-${i}`} role="option" aria-selected=${i === at} onClick=${() => run(i)}>
                        <span>${choice.text}</span><small>${choice.hint}</small>
                    </li>`,
                )}
            </ul>
            ${choices.length === 0 && html`<p class="dim">${t("palette.none")}</p>`}
        </div>
    </dialog>`;
}
