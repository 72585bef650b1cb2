// Application protection: functions, what was tried on them, what is done about it, their keys.
import { html } from "../../vendor/vendor.js";
import { SensorPage } from "./sensors.js";

/** @param {{query: Record<string, string>}} props */
export const Page = ({ query }) => html`<${SensorPage} kind="application" query=${query} />`;
