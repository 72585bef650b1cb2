// Bundles other people's code into vendor/vendor.js, with their licences in vendor/LICENSES.txt.
// The same package-lock.json gives the same bytes.
import { readFileSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

const here = new URL(".", import.meta.url).pathname;
const modules = new URL("node_modules/", import.meta.url).pathname;
const libraries = ["preact", "@preact/signals", "@preact/signals-core", "htm", "uplot"];

await build({
    stdin: {
        contents: `
            export { Component, Fragment, h, render } from "preact";
            export { useCallback, useEffect, useId, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
            export { batch, computed, effect, signal, useComputed, useSignal, useSignalEffect } from "@preact/signals";
            import { h } from "preact";
            import htm from "htm";
            export const html = htm.bind(h);
            export { default as uPlot } from "uplot";`,
        resolveDir: here,
    },
    bundle: true,
    format: "esm",
    minify: true,
    legalComments: "none",
    target: "es2022",
    outfile: `${here}vendor/vendor.js`,
    banner: { js: "/* Made by `npm run vendor`; do not edit. Licences: LICENSES.txt */" },
});

writeFileSync(`${here}vendor/uplot.css`, readFileSync(`${modules}uplot/dist/uPlot.min.css`));

const texts = libraries.map((name) => {
    const { version, license } = JSON.parse(readFileSync(`${modules}${name}/package.json`, "utf8"));
    const text = readFileSync(`${modules}${name}/LICENSE`, "utf8").trim();
    return `${name} ${version} (${license})\n\n${text}\n`;
});
writeFileSync(`${here}vendor/LICENSES.txt`, texts.join("\n----\n\n"));
