// Fetching for components: one object, or a list that grows page by page.
import { useCallback, useEffect, useRef, useState } from "../vendor/vendor.js";
import { get, Problem, queryText } from "./api.js";
import { listen } from "./live.js";

const PAGE = 50;
const CALM_MS = 2000; /* a list asks again at most this often */

/**
 * Calls again when one of the topics is told, calmly.
 * @param {string[]} topics @param {() => void} again @param {(data: any) => boolean} [concerns]
 */
export function useLive(topics, again, concerns) {
    const latest = useRef({ again, concerns });
    latest.current = { again, concerns };
    useEffect(() => {
        let timer = 0;
        let last = 0;
        const stop = listen((topic, data) => {
            if (topic !== "resync" && !topics.includes(topic)) return;
            if (data && latest.current.concerns && !latest.current.concerns(data)) return;
            if (timer) return;
            timer = window.setTimeout(
                () => {
                    timer = 0;
                    last = Date.now();
                    latest.current.again();
                },
                Math.max(0, last + CALM_MS - Date.now()),
            );
        });
        return () => {
            stop();
            clearTimeout(timer);
        };
    }, [topics.join()]);
}

/** Calls again and again while somebody can see it: heartbeats change what no topic tells of. @param {number} ms @param {() => void} again */
export function useEvery(ms, again) {
    const latest = useRef(again);
    latest.current = again;
    useEffect(() => {
        const timer = setInterval(() => document.hidden || latest.current(), ms);
        return () => clearInterval(timer);
    }, [ms]);
}

/** What went wrong, as a Problem; an abort is none. @param {unknown} error */
function asProblem(error) {
    if (error instanceof Problem) return error;
    if (error instanceof DOMException && error.name === "AbortError") return null;
    throw error;
}

/**
 * @param {string | null} path null: nothing to fetch yet
 * @param {string[]} [topics] that make it stale
 * @returns {{data: any, problem: Problem | null, reload: () => void}}
 */
export function useResource(path, topics = []) {
    const [state, setState] = useState({ path, data: /** @type {any} */ (null), problem: /** @type {Problem | null} */ (null) });
    const [turn, setTurn] = useState(0);
    useEffect(() => {
        if (path === null) return;
        const abort = new AbortController();
        get(path, abort.signal).then(
            (data) => setState({ path, data, problem: null }),
            (error) => {
                const problem = asProblem(error);
                if (problem) setState((old) => ({ path, data: old.path === path ? old.data : null, problem }));
            },
        );
        return () => abort.abort();
    }, [path, turn]);
    const reload = useCallback(() => setTurn((n) => n + 1), []);
    useLive(topics, reload);
    const fresh = state.path === path;
    return { data: fresh ? state.data : null, problem: fresh ? state.problem : null, reload };
}

/**
 * A list of the API: its first page, and more when asked. When it goes stale everything shown so
 * far is fetched again, so that no row jumps.
 * @param {string} path @param {string} name of the array @param {Record<string, string | undefined>} filters
 * @param {string[]} [topics]
 */
export function useList(path, name, filters, topics = []) {
    const base = path + queryText({ ...filters });
    const [state, setState] = useState({ base: "", rows: /** @type {any[] | null} */ (null), next: "", problem: /** @type {Problem | null} */ (null), more: false });
    const [turn, setTurn] = useState(0);
    const shown = useRef(PAGE);

    /** @param {string} cursor @param {number} limit @param {AbortSignal} [abort] */
    const fetchPage = (cursor, limit, abort) => get(path + queryText({ ...filters, limit: Math.min(limit, 200), cursor }), abort);

    useEffect(() => {
        const abort = new AbortController();
        if (state.base !== base) shown.current = PAGE;
        (async () => {
            try {
                let rows = /** @type {any[]} */ ([]);
                let next = "";
                do {
                    const page = await fetchPage(next, shown.current - rows.length, abort.signal);
                    rows = rows.concat(page[name]);
                    next = page.next ?? "";
                } while (next && rows.length < shown.current);
                setState({ base, rows, next, problem: null, more: false });
            } catch (error) {
                const problem = asProblem(error);
                if (problem) setState((old) => ({ ...old, base, rows: old.base === base ? old.rows : null, problem, more: false }));
            }
        })();
        return () => abort.abort();
    }, [base, turn]);

    const reload = useCallback(() => setTurn((n) => n + 1), []);
    useLive(topics, reload);
    const loadMore = async () => {
        setState((old) => ({ ...old, more: true }));
        try {
            const page = await fetchPage(state.next, PAGE);
            shown.current += page[name].length;
            setState((old) => (old.base === base ? { ...old, rows: (old.rows ?? []).concat(page[name]), next: page.next ?? "", problem: null, more: false } : old));
        } catch (error) {
            setState((old) => ({ ...old, problem: asProblem(error), more: false }));
        }
    };
    const fresh = state.base === base;
    return {
        rows: fresh ? state.rows : null,
        problem: fresh ? state.problem : null,
        hasMore: fresh && state.next !== "",
        loadingMore: state.more,
        loadMore,
        reload,
        csvPath: base,
    };
}
