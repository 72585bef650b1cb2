// The way in: name and password, the authenticator's code when asked for, a new password at first.
import { html, useEffect, useState } from "../../vendor/vendor.js";
import { Problem, signedOut } from "../api.js";
import { t } from "../i18n.js";
import { changePassword, session, signIn, userName } from "../session.js";
import { Field, ProblemNote } from "../ui/elements.js";
import { LanguageChoice } from "./settings.js";

/** @param {{title: string, action: string, send: (data: FormData) => Promise<void>, children: any}} props */
function Card({ title, action, send, children }) {
    const [problem, setProblem] = useState(/** @type {Problem | null} */ (null));
    const [busy, setBusy] = useState(false);
    /** @param {SubmitEvent} event */
    const submit = async (event) => {
        event.preventDefault();
        setBusy(true);
        setProblem(null);
        try {
            await send(new FormData(/** @type {HTMLFormElement} */ (event.currentTarget)));
        } catch (error) {
            if (!(error instanceof Problem)) throw error;
            setProblem(error);
        }
        setBusy(false);
    };
    return html`<main class="sign-in">
        <form class="card" onSubmit=${submit}>
            <h1><img src="icon.svg" alt="" width="28" height="28" /> Yagura</h1>
            <h2>${title}</h2>
            ${children}
            ${problem && html`<${ProblemNote} problem=${problem} />`}
            <button class="primary" disabled=${busy}>${action}</button>
            <${LanguageChoice} />
        </form>
    </main>`;
}

function NewPassword() {
    const [name] = useState(userName.value);
    /** @param {FormData} data */
    const send = async (data) => {
        const old = String(data.get("old"));
        const fresh = String(data.get("new"));
        if (fresh !== data.get("again")) throw new Problem(400, "passwords_differ", t("password.differ"));
        await changePassword(old, fresh);
        await signIn(name, fresh, "");
    };
    return html`<${Card} title=${t("password.first")} action=${t("password.change")} send=${send}>
        <input type="text" name="name" autocomplete="username" value=${name} hidden readonly />
        <${Field} label=${t("people.one_time")}><input type="password" name="old" required autocomplete="current-password" /><//>
        <${Field} label=${t("password.new")} hint=${t("password.hint")}><input type="password" name="new" required minlength="12" autocomplete="new-password" /><//>
        <${Field} label=${t("password.again")}><input type="password" name="again" required minlength="12" autocomplete="new-password" /><//>
    <//>`;
}

export function SignIn() {
    const [code, setCode] = useState(false);
    useEffect(() => {
        document.title = `${t("sign_in")} – Yagura`;
    });
    if (session.value?.must_change_password && !signedOut.value) return html`<${NewPassword} />`;
    /** @param {FormData} data */
    const send = async (data) => {
        try {
            await signIn(String(data.get("name")), String(data.get("password")), String(data.get("code") ?? "").replace(/\s/g, ""));
        } catch (error) {
            if (error instanceof Problem && error.code === "code_required" && !code) setCode(true);
            else throw error;
        }
    };
    return html`<${Card} title=${t("sign_in")} action=${t("sign_in")} send=${send}>
        ${signedOut.value && session.value && html`<p class="note">${t("session_ended")}</p>`}
        <${Field} label=${t("name")}><input name="name" required autocomplete="username" autofocus /><//>
        <${Field} label=${t("password")}><input type="password" name="password" required autocomplete="current-password" /><//>
        ${code && html`<${Field} label=${t("code")} hint=${t("code.hint")}><input name="code" required inputmode="numeric" pattern="[0-9 ]{6,7}" autocomplete="one-time-code" autofocus /><//>`}
    <//>`;
}
