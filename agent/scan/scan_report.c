/* Owns the wording of the events. Hands them to the store; keeps nothing. */
#include "agent/scan/scan_report.h"

#include "agent/scan/scan_pipeline.h"
#include "common/json/json_writer.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>

const char *scan_cause_text(enum scan_cause cause)
{
    static const char *const names[] = {
        [SCAN_CAUSE_REALTIME] = "realtime",   [SCAN_CAUSE_DEMAND] = "demand",
        [SCAN_CAUSE_SCHEDULED] = "scheduled", [SCAN_CAUSE_RESCAN] = "rescan",
        [SCAN_CAUSE_SELF_TEST] = "self-test",
    };

    return cause < ARRAY_LENGTH(names) ? names[cause] : "unknown";
}

int scan_report_unfinished(struct store *store, const struct scan_task *task,
                           store_committed *committed, void *user)
{
    AUTO_BUFFER struct buffer detail = BUFFER_WITH_MAXIMUM(LIMIT_EVENT_DETAIL_BYTES);
    AUTO_FREE char *subject = text_escape_new(task->path, strlen(task->path));
    bool incomplete = task->result.verdict == SCAN_INCOMPLETE;
    struct json_writer json;

    json_writer_init(&json, &detail);
    json_write_object_begin(&json);
    json_write_field_string(&json, "reason", scan_reason_name(task->result.reason));
    if (task->error < 0)
        json_write_field_string(&json, "error", log_error_text(task->error));
    json_write_field_string(&json, "cause", scan_cause_text(task->cause));
    json_write_field_unsigned(&json, "size", task->identity.size);
    json_write_field_unsigned(&json, "scan_us", task->result.scan_ns / NS_PER_US);
    json_write_object_end(&json);
    if (subject == NULL || buffer_failed(&detail) < 0)
        return -ENOMEM;
    struct event_draft draft = {
        .module = "scanner",
        .kind = incomplete ? "scan_incomplete" : "scan_error",
        .severity = incomplete ? EVENT_LOW : EVENT_MEDIUM,
        .subject = subject,
        .detail = buffer_text(&detail),
    };
    return store_append(store, &draft, NULL, committed, user);
}

void scan_report_let_go(struct store *store, enum scan_cause cause)
{
    AUTO_BUFFER struct buffer detail = BUFFER_WITH_MAXIMUM(LIMIT_EVENT_DETAIL_BYTES);
    struct json_writer json;

    json_writer_init(&json, &detail);
    json_write_object_begin(&json);
    json_write_field_string(&json, "cause", scan_cause_text(cause));
    json_write_field_string(&json, "reason", "the host stayed busy: the scan waits no longer");
    json_write_field_unsigned(&json, "held_s", SCAN_HELD_MOST_NS / NS_PER_SECOND);
    json_write_object_end(&json);
    const struct event_draft draft = {.module = "scan",
                                      .kind = "scan_unheld",
                                      .severity = EVENT_INFO,
                                      .detail = buffer_text(&detail)};
    int r = store_append(store, &draft, NULL, NULL, NULL);
    if (r < 0)
        log_error("event_not_stored", "kind", draft.kind, "error", log_error_text(r), NULL);
    log_event(LOG_LEVEL_INFO, draft.kind, "cause", scan_cause_text(cause), NULL);
}

static void append_scanner_event(struct store *store, const char *kind,
                                 enum event_severity severity, const struct scanner_status *now)
{
    AUTO_BUFFER struct buffer detail = BUFFER_WITH_MAXIMUM(LIMIT_EVENT_DETAIL_BYTES);
    struct json_writer json;

    json_writer_init(&json, &detail);
    json_write_object_begin(&json);
    json_write_field_string(&json, "problem", now->problem);
    json_write_field_unsigned(&json, "signatures", now->signatures);
    json_write_field_hex(&json, "generation", now->generation);
    json_write_field_unsigned(&json, "crashed", now->crashed);
    json_write_field_unsigned(&json, "timed_out", now->timed_out);
    json_write_object_end(&json);
    struct event_draft draft = {
        .module = "scanner",
        .kind = kind,
        .severity = severity,
        .subject = now->engine_version,
        .detail = buffer_text(&detail),
    };
    /* With a full queue this one is only in the status, which always shows the last state. */
    if (buffer_failed(&detail) == 0)
        (void)!store_append(store, &draft, NULL, NULL, NULL);
}

void scan_report_scanner(struct store *store, const struct scanner_status *before,
                         const struct scanner_status *now)
{
    if (now->generation != before->generation && now->generation != 0)
        append_scanner_event(store, "scanner_ready", EVENT_INFO, now);
    if (now->problem[0] != '\0' && strcmp(now->problem, before->problem) != 0)
        append_scanner_event(store, "scanner_problem", EVENT_HIGH, now);
    if (now->state == SCANNER_RESTING && before->state != SCANNER_RESTING)
        log_info("scanner_rests", "until", "the next file", NULL);
    if (now->crashed > before->crashed)
        append_scanner_event(store, "scanner_crashed", EVENT_MEDIUM, now);
    if (now->timed_out > before->timed_out)
        append_scanner_event(store, "scanner_timed_out", EVENT_MEDIUM, now);
}
