/* scan: {"paths":[...],"use_cache":true,"report_all":false,"act":true,"polite":false,
 *        "changed_within_ns":0}
 *   <- {"result":{"path","verdict","reason","signature"}}   what is not clean, or everything
 *   <- {"progress":{totals}}                                about twice a second
 *   <- {"totals":{totals}}                                  once
 * sync: {"timeout_ns":N}: done once everything that happened before has a committed verdict, and
 * was compared with the baseline.
 *
 * Results that a slow client does not take are left out and counted ("unsent"): the scan never
 * waits for it. */
#include "agent/control/handlers_private.h"

#include "agent/integrity/integrity.h"
#include "agent/logs/logs.h"
#include "agent/scan/scan_pipeline.h"
#include "agent/store/store.h"
#include "agent/watch/watch.h"
#include "common/limits.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <stdatomic.h>

#define RESULT_BYTES    (LIMIT_PATH_BYTES * 8 + 2048)
#define TOTALS_BYTES    2048
#define SCAN_PATHS      1024
#define SYNC_TIMEOUT_NS (300 * NS_PER_SECOND)

/* Whether nothing can be scanned for now, and it would be waiting for somebody to act: fails the
 * request then. While signatures are being loaded it is worth waiting. */
static bool refuse_without_engine(struct control_request *request,
                                  const struct scanner_status *scanner)
{
    if (scanner->state != SCANNER_NO_SIGNATURES && scanner->state != SCANNER_FAILED)
        return false;
    control_request_fail(request, 2, "nothing can be scanned: %s",
                         scanner->problem[0] != '\0'               ? scanner->problem
                         : scanner->state == SCANNER_NO_SIGNATURES ? "there are no signatures"
                                                                   : "the scanner does not start");
    return true;
}

/* --- scan ------------------------------------------------------------------------------------- */

struct scan_request {
    atomic_uint references; /* the handler's and the job's */
    struct control_request *request;
    struct scan_job *job; /* set before gone may be called */
    atomic_ullong unsent;
    char *paths[SCAN_PATHS + 1];
};

static void scan_request_unref(struct scan_request *scan)
{
    if (atomic_fetch_sub(&scan->references, 1) != 1)
        return;
    for (char **path = scan->paths; *path != NULL; path++)
        free(*path);
    (void)control_request_unref(scan->request);
    free(scan);
}

static void write_totals(struct json_writer *json, const struct scan_job_totals *totals,
                         uint64_t unsent)
{
    json_write_object_begin(json);
    json_write_field_unsigned(json, "files_seen", totals->files_seen);
    json_write_field_unsigned(json, "files_scanned", totals->files_scanned);
    json_write_field_unsigned(json, "files_cached", totals->files_cached);
    json_write_field_unsigned(json, "files_excluded", totals->files_excluded);
    json_write_field_unsigned(json, "files_expected", totals->files_expected);
    json_write_field_bool(json, "walking", totals->walking);
    json_write_field_bool(json, "paused", totals->paused);
    json_write_field_unsigned(json, "clean", totals->clean);
    json_write_field_unsigned(json, "infected", totals->infected);
    json_write_field_unsigned(json, "incomplete", totals->incomplete);
    json_write_field_unsigned(json, "errors", totals->errors);
    json_write_field_unsigned(json, "bytes", totals->bytes);
    json_write_field_unsigned(json, "unsent", unsent);
    json_write_object_end(json);
}

static int send_totals(struct scan_request *scan, const char *key,
                       const struct scan_job_totals *totals)
{
    AUTO_BUFFER struct buffer line = BUFFER_WITH_MAXIMUM(TOTALS_BYTES);
    struct json_writer json;
    json_writer_init(&json, &line);
    json_write_object_begin(&json);
    json_write_key(&json, key);
    write_totals(&json, totals, atomic_load(&scan->unsent));
    json_write_object_end(&json);
    return buffer_failed(&line) < 0 ? buffer_failed(&line)
                                    : control_request_send(scan->request, buffer_text(&line));
}

static void scan_result(void *user, const char *path, const struct scan_result *result)
{
    struct scan_request *scan = user;
    AUTO_BUFFER struct buffer line = BUFFER_WITH_MAXIMUM(RESULT_BYTES);
    struct json_writer json;
    AUTO_FREE char *shown = text_escape_new(path, strlen(path));
    json_writer_init(&json, &line);
    json_write_object_begin(&json);
    json_write_key(&json, "result");
    json_write_object_begin(&json);
    json_write_field_string(&json, "path", shown != NULL ? shown : "");
    json_write_field_string(&json, "verdict", scan_verdict_name(result->verdict));
    json_write_field_string(&json, "reason", scan_reason_name(result->reason));
    json_write_field_string(&json, "signature", result->signature);
    json_write_object_end(&json);
    json_write_object_end(&json);
    if (shown == NULL || buffer_failed(&line) < 0 ||
        control_request_send(scan->request, buffer_text(&line)) < 0)
        atomic_fetch_add(&scan->unsent, 1);
}

static void scan_progress(void *user, const struct scan_job_totals *totals)
{
    (void)send_totals(user, "progress", totals); /* the next one is as good */
}

/* 0 clean, 1 infected, 2 something has no verdict that means clean. */
static int exit_code_of(int result, const struct scan_job_totals *totals)
{
    if (totals->infected > 0)
        return 1;
    return result < 0 || totals->errors > 0 || totals->incomplete > 0 ? 2 : 0;
}

static void scan_done(void *user, int result, const struct scan_job_totals *totals)
{
    struct scan_request *scan = user;
    if (result < 0)
        control_request_fail(scan->request, exit_code_of(result, totals), "the scan stopped: %s",
                             result == -ECANCELED ? "it was cancelled" : log_error_text(result));
    else if (send_totals(scan, "totals", totals) < 0)
        control_request_fail(scan->request, 2, "the result was not read in time; scan again");
    else
        control_request_done(scan->request, exit_code_of(result, totals));
    scan_request_unref(scan);
}

static void scan_cancel(void *user)
{
    struct scan_request *scan = user;
    scan_job_cancel(scan->job);
}

/* What is wrong with the request, or NULL. */
static const char *read_scan(const json_t *arguments, struct scan_request *scan,
                             struct scan_job_options *options)
{
    const json_t *paths = json_object_get(arguments, "paths");
    size_t count = json_array_size(paths);
    if (count == 0)
        return "name at least one path to scan";
    if (count > SCAN_PATHS)
        return "too many paths at once; name a directory above them";
    for (size_t i = 0; i < count; i++) {
        scan->paths[i] = argument_path(json_array_get(paths, i));
        if (scan->paths[i] == NULL)
            return "a path is not absolute, or not written as it should be";
    }
    bool act = true, use_cache = true, report_all = false, polite = false;
    uint64_t changed_within = 0;
    if (argument_bool(arguments, "act", &act) == -EINVAL ||
        argument_bool(arguments, "use_cache", &use_cache) == -EINVAL ||
        argument_bool(arguments, "report_all", &report_all) == -EINVAL ||
        argument_bool(arguments, "polite", &polite) == -EINVAL ||
        argument_unsigned(arguments, "changed_within_ns", &changed_within) == -EINVAL)
        return "an option of the scan has a wrong type";
    *options = (struct scan_job_options){
        .paths = (const char *const *)scan->paths,
        .cause = SCAN_CAUSE_DEMAND,
        .use_cache = use_cache,
        .report_all = report_all,
        .polite = polite,
        .act = act,
        .changed_within_ns = changed_within,
    };
    return NULL;
}

void handle_scan(void *user, struct control_request *request, const json_t *arguments)
{
    static const struct scan_job_callbacks callbacks = {.result = scan_result,
                                                        .progress = scan_progress,
                                                        .done = scan_done};
    const struct control_handlers *handlers = user;
    struct scan_job_options options;
    struct scan_pipeline_status status;
    scan_pipeline_status(handlers->context.pipeline, &status);
    if (refuse_without_engine(request, &status.scanner))
        return;
    struct scan_request *scan = calloc(1, sizeof(*scan));
    if (scan == NULL) {
        control_request_fail(request, 2, "the agent is out of memory");
        return;
    }
    atomic_init(&scan->references, 1);
    scan->request = control_request_ref(request);
    const char *problem = read_scan(arguments, scan, &options);
    if (problem != NULL) {
        control_request_fail(request, 2, "%s", problem);
        scan_request_unref(scan);
        return;
    }
    atomic_fetch_add(&scan->references, 1);
    int r = scan_job_start(handlers->context.pipeline, &options, &callbacks, scan, &scan->job);
    if (r < 0) {
        control_request_fail(request, 2, "the scan could not be started: %s", log_error_text(r));
        scan_request_unref(scan);
    } else {
        control_request_on_gone(request, scan_cancel, scan);
    }
    scan_request_unref(scan);
}

/* --- sync ------------------------------------------------------------------------------------- */

struct sync_request {
    struct control_request *request;
    struct scan_pipeline *pipeline;
    struct integrity *integrity;
    struct logs *logs;
    struct store *store;
};

static void sync_end(struct sync_request *sync, int result)
{
    if (result == -ETIMEDOUT)
        control_request_fail(sync->request, 2,
                             "the watch did not catch up in time; look at "
                             "yaguractl status");
    else if (result < 0)
        control_request_fail(sync->request, 2, "cannot wait for all verdicts: %s",
                             log_error_text(result));
    else
        control_request_done(sync->request, 0);
    (void)control_request_unref(sync->request);
    free(sync);
}

static void sync_flushed(void *user, int result, uint64_t number UNUSED)
{
    sync_end(user, result);
}

static void sync_inspected(void *user)
{
    struct sync_request *sync = user;
    int r = store_flush(sync->store, sync_flushed, sync);
    if (r < 0)
        sync_end(sync, r);
}

static void sync_compared(void *user)
{
    struct sync_request *sync = user;
    int r = logs_drain(sync->logs, sync_inspected, sync);
    if (r < 0)
        sync_end(sync, r);
}

static void sync_drained(void *user)
{
    struct sync_request *sync = user;
    int r = integrity_drain(sync->integrity, sync_compared, sync);
    if (r < 0)
        sync_end(sync, r);
}

static void sync_watched(void *user, int result)
{
    struct sync_request *sync = user;
    if (result == 0)
        result = scan_pipeline_drain(sync->pipeline, sync_drained, sync);
    if (result != 0)
        sync_end(sync, result);
}

void handle_sync(void *user, struct control_request *request, const json_t *arguments)
{
    const struct control_handlers *handlers = user;
    struct watch *watch = handlers->context.watch(handlers->context.user);
    uint64_t timeout_ns = SYNC_TIMEOUT_NS;
    if (argument_unsigned(arguments, "timeout_ns", &timeout_ns) == -EINVAL) {
        control_request_fail(request, 2, "timeout_ns must be a number");
        return;
    }
    struct sync_request *sync = calloc(1, sizeof(*sync));
    if (sync == NULL) {
        control_request_fail(request, 2, "the agent is out of memory");
        return;
    }
    *sync = (struct sync_request){.request = control_request_ref(request),
                                  .pipeline = handlers->context.pipeline,
                                  .integrity = handlers->context.integrity,
                                  .logs = handlers->context.logs,
                                  .store = handlers->context.store};
    if (watch == NULL) {
        sync_watched(sync, handlers->context.watch_problem(handlers->context.user));
        return;
    }
    int r = watch_sync(watch, timeout_ns, sync_watched, sync);
    if (r < 0)
        sync_end(sync, r);
}
