// The page's few pictures, drawn as lines of 1.5 px on a field of 16; they take the colour of the text.
import { html } from "../../vendor/vendor.js";

/** @type {Record<string, string>} */
const LINES = {
    overview: "M2.5 2.5h4.5v6h-4.5zM9.5 2.5h4v3h-4zM9.5 8h4v5.5h-4zM2.5 11h4.5v2.5h-4.5z",
    computers: "M2 3.5h12v4h-12zM2 9h12v4h-12zM4.5 5.5h.01M4.5 11h.01M8 5.5h3.5M8 11h3.5",
    events: "M2.5 4h.01M5.5 4h8M2.5 8h.01M5.5 8h8M2.5 12h.01M5.5 12h8",
    alerts: "M8 2c-2.6 0-4 1.8-4 4.2 0 2.6-.8 3.8-1.5 4.800h11c-.7-1-1.5-2.2-1.5-4.8 0-2.4-1.4-4.2-4-4.200zM6.5 13.200c.3.6.8.9 1.5.9s1.2-.3 1.5-.9",
    buckets: "M2.5 4c0-1.1 2.5-2 5.5-2s5.5.9 5.5 2-2.5 2-5.5 2-5.5-.9-5.5-2zM2.5 4l1.3 8.500c.1.9 1.9 1.5 4.2 1.500s4.1-.6 4.2-1.500l1.3-8.5",
    functions: "M3 13.500l4.2-8.500M4.5 2.500h1.300c.9 0 1.3.4 1.6 1.200l3 8.200c.3.9.8 1.3 1.6 1.300h1",
    quarantine: "M8 1.800l5.5 2v4c0 3.2-2.2 5.3-5.5 6.4-3.3-1.1-5.5-3.2-5.5-6.400v-4zM6 6l4 4M10 6l-4 4",
    signatures: "M5.5 4.5l-3.5 3.5 3.5 3.5M10.5 4.500l3.5 3.5-3.5 3.500M9 3l-2 10",
    policies: "M3.5 1.800h6l3 3v9.400h-9zM9.5 1.800v3h3M6 8h4M6 10.800h4",
    activation: "M8 2.500v7M5 6.700l3 3 3-3M2.5 10.500v3h11v-3",
    people: "M6 7.500a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM1.5 13.500c0-2.5 1.8-4 4.5-4s4.5 1.5 4.5 4M10.8 7.300a2.2 2.2 0 0 0 0-4.400M12.3 9.800c1.4.5 2.2 1.8 2.2 3.7",
    audit: "M4.5 2.500h-1.500v11.500h10v-11.500h-1.500M5.5 1.500h5v2.500h-5zM5.5 9l1.8 1.8 3.2-3.6",
    settings: "M2 4.500h6.500M12 4.500h2M10.2 6.200a1.7 1.7 0 1 0 0-3.4 1.7 1.7 0 0 0 0 3.400zM2 11.500h2M7.5 11.500h6.500M5.7 13.200a1.7 1.7 0 1 0 0-3.4 1.7 1.7 0 0 0 0 3.400z",
    search: "M7 11.500a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zM10.3 10.300l3.4 3.4",
    menu: "M2 4h12M2 8h12M2 12h12",
    copy: "M5.5 5.5h8v8h-8zM3.5 10.5h-1v-8h8v1",
    close: "M3.5 3.500l9 9M12.5 3.500l-9 9",
};

/** Beside words, which say it. @param {{name: string}} props a page's, or search, menu, copy, close */
export const Icon = ({ name }) => html`<svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true"><path d=${LINES[name]} /></svg>`;
