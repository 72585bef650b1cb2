// The page's start, in order: preferences, words, session, then the first screen.
import { html, render } from "../vendor/vendor.js";
import { App } from "./app.js";
import { loadWords } from "./i18n.js";
import { applyPreferences, language } from "./preferences.js";
import { startRouter } from "./router.js";
import { resumeSession } from "./session.js";

applyPreferences();
await loadWords(language.value);
startRouter();
await resumeSession();
const root = /** @type {HTMLElement} */ (document.getElementById("app"));
render(html`<${App} />`, root);
