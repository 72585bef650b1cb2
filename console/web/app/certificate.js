// How a computer's certificate stands. It renews itself with a third of its life left; one that is older
// than that belongs to a computer that was not heard of, or could not take the new one.

/** @param {any} computer @param {number} seconds of a certificate's life, 0: not known yet @param {number} now ms @returns {"good" | "late" | "over"} */
export function certificateState(computer, seconds, now) {
    const left = Date.parse(computer.certificate_expires) - now;
    return left <= 0 ? "over" : left < seconds * 250 ? "late" : "good";
}

/** Whether a person should look at it. @param {any} computer @param {number} seconds @param {number} now ms */
export const certificateNeedsCare = (computer, seconds, now) => computer.status !== "Deactivated" && certificateState(computer, seconds, now) !== "good";
