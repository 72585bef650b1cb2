// The frame around every page: navigation, who is signed in, the live mark, the palette.
import { html, useEffect, useRef, useState } from "../vendor/vendor.js";
import { signedOut } from "./api.js";
import { t } from "./i18n.js";
import { liveState } from "./live.js";
import { linkTo, place } from "./router.js";
import { loadPage, NAVIGATION, pageAt } from "./routes.js";
import { session, signOut, userName } from "./session.js";
import { SignIn } from "./pages/sign_in.js";
import { Empty, Skeleton } from "./ui/elements.js";
import { rescueFocus } from "./ui/focus.js";
import { Icon } from "./ui/icons.js";
import { Palette } from "./ui/palette.js";
import { Toasts } from "./ui/toast.js";

/** The component of a page, once it is there. @param {string} name */
function usePage(name) {
    const [loaded, setLoaded] = useState(/** @type {{name: string, Page: any}} */ ({ name: "", Page: null }));
    useEffect(() => {
        let current = true;
        if (name) loadPage(name).then((Page) => current && setLoaded({ name, Page }));
        return () => {
            current = false;
        };
    }, [name]);
    return loaded.name === name ? loaded.Page : null;
}

const Brand = () => html`<a class="brand" href="#/overview"><img src="icon.svg" alt="" width="22" height="22" /> Yagura</a>`;

/** Beside the page; a menu where there is no room beside it. */
function Navigation() {
    const current = place.value.path[0] ?? "overview";
    const menu = useRef(/** @type {HTMLElement | null} */ (null));
    useEffect(() => void (menu.current?.matches(":popover-open") && menu.current.hidePopover()), [place.value]);
    return html`<nav id="pages" ref=${menu} popover="auto" aria-label=${t("navigation")}>
        <${Brand} />
        <ul>
            ${NAVIGATION.filter((page) => page.allowed()).map(
                ({ name }) => html`<li key=${name}>
                    <a href=${linkTo([name])} aria-current=${name === current ? "page" : undefined}><${Icon} name=${name} /> ${t(`page.${name}`)}</a>
                </li>`,
            )}
        </ul>
    </nav>`;
}

const SHORTCUT = /Mac|iPhone|iPad/.test(navigator.platform) ? "⌘K" : "Ctrl K";

/** @param {{openPalette: () => void}} props */
const TopBar = ({ openPalette }) => html`<header class="top">
    <button class="menu icon-only" popovertarget="pages" aria-label=${t("navigation")}><${Icon} name="menu" /></button>
    <button class="search" onClick=${openPalette}><${Icon} name="search" /> <span>${t("palette.open")}</span> <kbd>${SHORTCUT}</kbd></button>
    <span class=${`live ${liveState.value}`} role="status">${liveState.value === "off" ? t("live.off") : ""}</span>
    <a href="#/settings">${userName.value}</a>
    <button class="quiet" onClick=${() => signOut()}>${t("sign_out")}</button>
</header>`;

function Frame() {
    const [palette, setPalette] = useState(false);
    const name = pageAt(place.value.path);
    const Page = usePage(name);
    useEffect(() => {
        /** @param {KeyboardEvent} event */
        const key = (event) => {
            if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
                event.preventDefault();
                setPalette(true);
            }
        };
        addEventListener("keydown", key);
        return () => removeEventListener("keydown", key);
    }, []);
    const title = name ? t(`page.${place.value.path[0] ?? "overview"}`) : t("not_found.title");
    useEffect(() => {
        document.title = `${title} – Yagura`;
    }, [title]);
    useEffect(rescueFocus, [place.value.path.join("/")]);
    return html`<div class="frame">
        <a class="skip" href="#main" onClick=${(/** @type {Event} */ event) => (event.preventDefault(), document.getElementById("main")?.focus())}>${t("skip")}</a>
        <${Navigation} />
        <div class="body">
            <${TopBar} openPalette=${() => setPalette(true)} />
            <main id="main" tabindex="-1">
                ${!name
                    ? html`<${Empty} title=${t("not_found.title")}><a href="#/overview">${t("not_found.next")}</a><//>`
                    : Page
                      ? html`<${Page} key=${place.value.path.join("/")} path=${place.value.path} query=${place.value.query} />`
                      : html`<${Skeleton} lines=${10} />`}
            </main>
        </div>
        ${palette && html`<${Palette} close=${() => setPalette(false)} />`}
    </div>`;
}

export function App() {
    const inside = session.value && !session.value.must_change_password && !signedOut.value;
    return html`${inside ? html`<${Frame} />` : html`<${SignIn} />`}<${Toasts} />`;
}
