// Where the person is. The whole state of a page lives in the address: "#/events?module=malware".
import { signal } from "../vendor/vendor.js";

/** @typedef {{path: string[], query: Record<string, string>}} Place */

/** @returns {Place} */
function read() {
    const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
    return {
        path: path.split("/").filter(Boolean).map(decodeURIComponent),
        query: Object.fromEntries(new URLSearchParams(query ?? "")),
    };
}

export const place = signal(read());

export function startRouter() {
    addEventListener("hashchange", () => {
        const before = place.value.path.join("/");
        place.value = read();
        if (place.value.path.join("/") !== before) scrollTo(0, 0);
    });
}

/** The address of a page. @param {string[]} path @param {Record<string, string | undefined>} [query] */
export function linkTo(path, query = {}) {
    const text = new URLSearchParams(Object.entries(query).filter((pair) => pair[1]).map(([name, value]) => [name, String(value)])).toString();
    return `#/${path.map(encodeURIComponent).join("/")}${text ? `?${text}` : ""}`;
}

/** @param {string} address of linkTo */
export const goTo = (address) => {
    location.hash = address;
};

/** Changes parts of the query without a new step in the history. @param {Record<string, string | undefined>} changes */
export function setQuery(changes) {
    const next = linkTo(place.value.path, { ...place.value.query, ...changes });
    history.replaceState(null, "", next);
    place.value = read();
}
