// This person's own: language, theme, time zone, password, second factor; and facts of the console.
import { html, useState } from "../../vendor/vendor.js";
import { post, Problem, put } from "../api.js";
import { useResource } from "../data.js";
import { formatDuration, loadWords, t } from "../i18n.js";
import { language, LANGUAGES, theme, THEMES, zone, ZONES } from "../preferences.js";
import { changePassword, may, session, signIn } from "../session.js";
import { problemText } from "../text.js";
import { FormDialog } from "../ui/dialog.js";
import { Copy, Fact, Field } from "../ui/elements.js";
import { say } from "../ui/toast.js";
import { Destinations } from "./destinations.js";

export const LanguageChoice = () => html`<label class="filter">
    <span>${t("language")}</span>
    <select value=${language.value} onChange=${(/** @type {any} */ event) => loadWords(event.currentTarget.value)}>
        ${Object.entries(LANGUAGES).map(([code, name]) => html`<option key=${code} value=${code} lang=${code}>${name}</option>`)}
    </select>
</label>`;

const Appearance = () => html`<section class="panel">
    <h2>${t("settings.appearance")}</h2>
    <${LanguageChoice} />
    <label class="filter"><span>${t("theme")}</span><select value=${theme.value} onChange=${(/** @type {any} */ event) => (theme.value = event.currentTarget.value)}>${THEMES.map((name) => html`<option key=${name} value=${name}>${t(`theme.${name}`)}</option>`)}</select></label>
    <label class="filter"><span>${t("zone")}</span><select value=${zone.value} onChange=${(/** @type {any} */ event) => (zone.value = event.currentTarget.value)}>${ZONES.map((name) => html`<option key=${name} value=${name}>${t(`zone.${name}`)}</option>`)}</select></label>
</section>`;

/** @param {{close: () => void}} props */
function PasswordDialog({ close }) {
    /** @param {FormData} data */
    const submit = async (data) => {
        const fresh = String(data.get("new"));
        if (fresh !== data.get("again")) throw new Problem(400, "passwords_differ", t("password.differ"));
        const name = await changePassword(String(data.get("old")), fresh);
        try {
            await signIn(name, fresh, "");
            say(t("password.changed"));
        } catch (error) {
            if (!(error instanceof Problem)) throw error;
            session.value = null; /* a second factor is asked for: sign in again */
        }
    };
    return html`<${FormDialog} title=${t("password.change")} action=${t("password.change")} close=${close} submit=${submit}>
        <${Field} label=${t("password.old")}><input type="password" name="old" required autocomplete="current-password" /><//>
        <${Field} label=${t("password.new")} hint=${t("password.hint")}><input type="password" name="new" required minlength="12" autocomplete="new-password" /><//>
        <${Field} label=${t("password.again")}><input type="password" name="again" required minlength="12" autocomplete="new-password" /><//>
    <//>`;
}

/** @param {{offer: {secret: string, uri: string}, close: () => void}} props */
function TotpDialog({ offer, close }) {
    /** @param {FormData} data */
    const submit = async (data) => {
        await put("session/totp", { code: String(data.get("code")).replace(/\s/g, "") });
        say(t("totp.on"));
    };
    return html`<${FormDialog} title=${t("totp")} action=${t("totp.confirm")} close=${close} submit=${submit}>
        <p>${t("totp.text")}</p>
        <dl class="facts">
            <${Fact} name=${t("totp.secret")}><code class="secret">${offer.secret}</code> <${Copy} text=${offer.secret} beside /><//>
            <${Fact} name=${t("totp.uri")}><a href=${offer.uri}>${t("totp.open")}</a> <${Copy} text=${offer.uri} beside /><//>
        </dl>
        <${Field} label=${t("code")} hint=${t("code.hint")}><input name="code" required inputmode="numeric" pattern="[0-9 ]{6,7}" autocomplete="one-time-code" /><//>
    <//>`;
}

/** @param {{close: () => void}} props */
function TotpRemove({ close }) {
    /** @param {FormData} data */
    const submit = async (data) => {
        await post("session/totp/remove", { code: String(data.get("code")).replace(/\s/g, "") });
        say(t("totp.off"));
    };
    return html`<${FormDialog} title=${t("totp.remove")} action=${t("totp.remove")} close=${close} submit=${submit} danger>
        <p>${t("totp.remove_text")}</p>
        <${Field} label=${t("code")} hint=${t("code.hint")}><input name="code" required inputmode="numeric" pattern="[0-9 ]{6,7}" autocomplete="one-time-code" /><//>
    <//>`;
}

function Account() {
    const [asking, setAsking] = useState("");
    const [offer, setOffer] = useState(/** @type {any} */ (null));
    const close = () => setAsking("");
    const begin = async () => {
        try {
            setOffer(await post("session/totp"));
            setAsking("totp");
        } catch (error) {
            if (!(error instanceof Problem)) throw error;
            if (error.status === 409) setAsking("remove");
            else say(problemText(error));
        }
    };
    if (!session.value?.actor.startsWith("user:")) return null;
    return html`<section class="panel">
        <h2>${t("settings.account")}</h2>
        <p>${session.value.actor.slice(5)} — ${t(`role.${session.value.role}`)}</p>
        <div class="actions">
            <button onClick=${() => setAsking("password")}>${t("password.change")}</button>
            <button onClick=${begin}>${t("totp")}</button>
        </div>
        ${asking === "password" && html`<${PasswordDialog} close=${close} />`}
        ${asking === "totp" && html`<${TotpDialog} offer=${offer} close=${close} />`}
        ${asking === "remove" && html`<${TotpRemove} close=${close} />`}
    </section>`;
}

function About() {
    const { data } = useResource("about");
    if (!data) return null;
    return html`<section class="panel">
        <h2>${t("settings.console")}</h2>
        <dl class="facts">
            <${Fact} name=${t("version")}>${data.version}<//>
            <${Fact} name=${t("ca_pin")}><code>${data.ca_pin}</code> <${Copy} text=${data.ca_pin} beside /><//>
            <${Fact} name=${t("tenant_id")}><code>${data.tenant_id}</code><//>
            <${Fact} name=${t("heartbeat")}>${formatDuration(data.heartbeat_seconds)}<//>
            <${Fact} name="API"><a href="api/v1/openapi.json">OpenAPI 3.1</a><//>
        </dl>
    </section>`;
}

export const Page = () => html`<h1>${t("page.settings")}</h1><div class="columns"><${Appearance} /><${Account} /><${About} /></div>${may("administer") && html`<${Destinations} />`}`;
