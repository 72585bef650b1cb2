/* The watch's sink. Runs in the watch's threads: copies and enqueues, never waits. */
#include "agent/supervisor/watch_reports.h"

#include "agent/health/health.h"
#include "agent/integrity/integrity.h"
#include "agent/scan/scan_pipeline.h"
#include "agent/store/store.h"
#include "common/json/json_writer.h"
#include "common/log/log.h"
#include "common/text/text.h"

static void store_report(struct store *store, const struct watch_event *event, const char *kind,
                         enum event_severity severity)
{
    char subject[LIMIT_EVENT_SUBJECT_BYTES];
    AUTO_BUFFER struct buffer detail = BUFFER_WITH_MAXIMUM(LIMIT_EVENT_DETAIL_BYTES);
    struct json_writer json;

    (void)text_escape(subject, sizeof subject, event->path, event->path_length);
    json_writer_init(&json, &detail);
    json_write_object_begin(&json);
    if (event->detail != NULL)
        json_write_field_string(&json, "reason", event->detail);
    json_write_object_end(&json);
    struct event_draft draft = {
        .module = "watch",
        .kind = kind,
        .severity = severity,
        .subject = subject,
        .detail = buffer_failed(&detail) < 0 ? "{}" : buffer_text(&detail),
        .time_ns = event->time_ns,
    };
    int r = store_append(store, &draft, NULL, NULL, NULL);
    if (r < 0)
        log_error("event_not_stored", "kind", kind, "path", subject, "error", log_error_text(r),
                  NULL);
    else
        log_event(severity >= EVENT_MEDIUM ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, kind, "path",
                  subject, "reason", event->detail, NULL);
}

/* Health first: it must know that its file was seen before the verdict about it can come. */
static void take_file_event(struct watch_reports *reports, const struct watch_event *event)
{
    enum health_share share = health_take_event(reports->health, event);

    if (share != HEALTH_FOR_NOBODY)
        scan_pipeline_take_event(reports->pipeline, event);
    if (share == HEALTH_NOT_OURS)
        integrity_take_event(reports->integrity, event);
}

void watch_reports_take(void *user, const struct watch_event *event)
{
    struct watch_reports *reports = user;

    switch (event->kind) {
    case WATCH_GAP:
        store_report(reports->store, event, "watch_gap", EVENT_MEDIUM);
        break;
    case WATCH_WALKED:
        integrity_take_event(reports->integrity, event);
        break;
    case WATCH_GAP_CLOSED:
        integrity_take_event(reports->integrity, event);
        store_report(reports->store, event, "watch_gap_closed", EVENT_INFO);
        break;
    case WATCH_LIMITED:
        store_report(reports->store, event, "watch_limited", EVENT_HIGH);
        break;
    case WATCH_MOUNT_CHANGED:
        store_report(reports->store, event, "watch_mount_changed", EVENT_INFO);
        break;
    case WATCH_FILE_WRITTEN:
    case WATCH_FILE_ARRIVED:
    case WATCH_FILE_FOUND:
    case WATCH_FILE_CHANGED:
    case WATCH_FILE_REMOVED:
    case WATCH_DIRECTORY_ARRIVED:
    case WATCH_DIRECTORY_CHANGED:
    case WATCH_DIRECTORY_REMOVED:
        take_file_event(reports, event);
        break;
    }
}
