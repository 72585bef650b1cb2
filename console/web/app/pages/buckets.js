// File storage: the scanners of buckets, what they found, their keys.
import { html } from "../../vendor/vendor.js";
import { SensorPage } from "./sensors.js";

/** @param {{query: Record<string, string>}} props */
export const Page = ({ query }) => html`<${SensorPage} kind="storage" query=${query} />`;
