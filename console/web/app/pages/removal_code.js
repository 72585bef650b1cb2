// A code by which protected agents may be removed without the console: asked for, and shown once.
import { html, useState } from "../../vendor/vendor.js";
import { post } from "../api.js";
import { useResource } from "../data.js";
import { formatTime, t } from "../i18n.js";
import { session } from "../session.js";
import { Dialog, FormDialog } from "../ui/dialog.js";
import { CommandText, Copy, Fact, Field } from "../ui/elements.js";

const DAYS = [1, 3, 7];
const DAY_SECONDS = 86400;
const PARAMETER = "aws ssm put-parameter --name /yagura/removal-code --type SecureString --tier Intelligent-Tiering --overwrite --value file://code";

/** @param {{made: {code: string, expires: string}, close: () => void}} props */
const Made = ({ made, close }) => html`<${Dialog} title=${t("removal_code")} close=${close}>
    <p class="note bad">${t("removal_code.once")}</p>
    <dl class="facts">
        <${Fact} name=${t("removal_code")}><code class="secret">${made.code}</code> <${Copy} text=${made.code} beside /><//>
        <${Fact} name=${t("expires")}>${formatTime(made.expires)}<//>
    </dl>
    <p>${t("removal_code.by_hand")}</p>
    <${CommandText} text="sudo yaguractl release code" />
    <p>${t("removal_code.by_parameter")}</p>
    <${CommandText} text=${PARAMETER} />
<//>`;

/** @param {{computer: any, close: () => void}} props */
export function RemovalCode({ computer, close }) {
    const [made, setMade] = useState(/** @type {any} */ (null));
    const groups = useResource("groups?limit=200");
    const group = (groups.data?.groups ?? []).find((/** @type {any} */ each) => each.name === computer.group);
    /** @param {FormData} data */
    const submit = async (data) => {
        const scope = String(data.get("scope"));
        const place = scope === "all" ? "" : scope === "group" ? `groups/${group.id}/` : `computers/${computer.id}/`;
        setMade(await post(`${place}removal-code`, { expires_seconds: Number(data.get("days")) * DAY_SECONDS }));
        return true;
    };
    if (made) return html`<${Made} made=${made} close=${close} />`;
    return html`<${FormDialog} title=${t("removal_code")} action=${t("create")} close=${close} submit=${submit}>
        <p>${t("removal_code.text")}</p>
        <fieldset>
            <legend>${t("removal_code.for")}</legend>
            <label><input type="radio" name="scope" value="computer" checked /> ${t("removal_code.computer")}</label>
            ${group && html`<label><input type="radio" name="scope" value="group" /> ${t("removal_code.group", { name: group.name })}</label>`}
            ${!session.value?.groups.length && html`<label><input type="radio" name="scope" value="all" /> ${t("removal_code.all")}</label>`}
        </fieldset>
        <${Field} label=${t("token.days")}><select name="days">${DAYS.map((days) => html`<option key=${days} value=${days}>${days}</option>`)}</select><//>
    <//>`;
}
