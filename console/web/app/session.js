// Who is signed in, and what they may do. The console enforces it; the page only does not offer it.
import { computed, signal } from "../vendor/vendor.js";
import { get, keepToken, post, Problem, put, remove, signedOut } from "./api.js";

/** @typedef {{actor: string, role: string, must_change_password: boolean, groups: string[]}} Session */

export const session = signal(/** @type {Session | null} */ (null));
export const userName = computed(() => session.value?.actor.replace(/^user:/, "") ?? "");

const RIGHTS = {
    read_all: ["administrator", "operator", "auditor", "reader"],
    operate: ["administrator", "operator"],
    operate_all: ["administrator", "operator"],
    administer: ["administrator"],
    audit: ["administrator", "auditor"],
};

/** Who is limited to groups has nothing to do with what belongs to all. @param {keyof typeof RIGHTS} right */
export const may = (right) => {
    const who = session.value;
    if (!who || (right !== "operate" && who.groups.length > 0)) return false;
    return RIGHTS[right].includes(who.role);
};

/** Takes up the session of the cookie, if there is one. */
export async function resumeSession() {
    try {
        session.value = await get("session");
    } catch (error) {
        if (!(error instanceof Problem)) throw error;
        session.value = null;
    }
    signedOut.value = false;
}

/** @param {string} name @param {string} password @param {string} code */
export async function signIn(name, password, code) {
    const answer = await post("session", code ? { name, password, code } : { name, password });
    keepToken(answer.csrf_token);
    session.value = answer;
}

/** Every session ends with the old password. @param {string} old @param {string} fresh */
export async function changePassword(old, fresh) {
    const name = userName.value;
    await put("session/password", { old, new: fresh });
    return name;
}

export async function signOut() {
    try {
        await remove("session");
    } finally {
        session.value = null;
    }
}
