/* Owns the way of a report: read, stored, answered after COMMIT. One that says nothing new, soon
 * after another, is answered from a reader's snapshot. */
#include "common/limits.h"
#include "common/text/text.h"
#include "console/api/api_service.h"
#include "console/events/event_store.h"
#include "console/sensors/sensor_service.h"
#include "console/store/console_store.h"

#include <errno.h>

#define SEEN_MS       10000LL /* last_seen may be so old without being written again */
#define RETRY_SECONDS "10"

void sensor_key_text(const struct http_request *request, char ret_text[static SECRET_TEXT_BYTES])
{
    const char *header = http_request_header(request, "Authorization");
    ret_text[0] = '\0';
    if (header && text_starts_with(header, "Bearer ysk1_") &&
        text_copy(ret_text, SECRET_TEXT_BYTES, header + strlen("Bearer ")) < 0)
        ret_text[0] = '\0';
}

void sensor_refuse_key(struct http_request *request)
{
    http_response_header(request, "WWW-Authenticate", "Bearer");
    http_respond_problem(request, 401, "key_refused",
                         "this sensor key is unknown, revoked or expired; make a new one");
}

void sensor_respond_failure(struct http_request *request, int error)
{
    if (error == -EDQUOT) {
        http_respond_problem(request, 403, "too_many_sensors",
                             "this console knows as many sensors as it may; remove old ones");
        return;
    }
    http_response_header(request, "Retry-After", error == -ENOBUFS ? RETRY_SECONDS : "30");
    if (error == -ENOBUFS)
        http_respond_problem(request, 503, "busy", "too much waits to be stored; come again");
    else
        http_respond_problem(request, 503, error == -ENOSPC ? "disk_full" : "store_failed",
                             "the console cannot store now: %s", strerrordesc_np(-error));
}

struct report {
    struct api_service *service;
    struct http_request *request;
    struct wire_sensor_report wire;
    char secret[SECRET_TEXT_BYTES];
    struct sensor_key key;
    struct sensor_record record;
    uint64_t acknowledged;
};

enum outcome { OUTCOME_SERVED = 1, OUTCOME_KEY, OUTCOME_KIND, OUTCOME_NEWS };

/* OUTCOME_SERVED once the key is good. */
static int check_key(struct sql *sql, struct report *report)
{
    int r = sensor_key_check(sql, report->secret, &report->key);
    if (r <= 0)
        return r < 0 ? r : OUTCOME_KEY;
    return text_equal(report->key.kind, report->wire.sensor.kind) ? OUTCOME_SERVED : OUTCOME_KIND;
}

static bool carries_events(const struct report *report)
{
    return report->wire.event_count > 0 || report->wire.dropped > 0;
}

static int look_work(struct sql *sql, void *user)
{
    struct report *report = user;
    int r = check_key(sql, report);
    if (r != OUTCOME_SERVED)
        return r;
    r = sensor_find(sql, &report->key, &report->wire, &report->record);
    if (r < 0)
        return r;
    bool known = r == 1 && report->record.as_reported && !carries_events(report) &&
                 console_store_now_ms() - report->record.last_seen_ms < SEEN_MS;
    return known ? OUTCOME_SERVED : OUTCOME_NEWS;
}

static int store_work(struct sql *sql, void *user)
{
    struct report *report = user;
    report->acknowledged = 0;
    int r = check_key(sql, report);
    if (r != OUTCOME_SERVED)
        return r;
    r = sensor_note(sql, &report->key, &report->wire, http_request_address(report->request),
                    &report->record);
    struct event_batch batch = {.computer = report->record.number,
                                .epoch = report->wire.epoch,
                                .events = report->wire.events,
                                .count = report->wire.event_count,
                                .dropped = report->wire.dropped,
                                .used_ms = console_store_now_ms()};
    if (r == 0 && carries_events(report))
        r = event_store_add(sql, &batch, &report->acknowledged);
    return r < 0 ? r : OUTCOME_SERVED;
}

static void answer(struct report *report)
{
    struct wire_sensor_reply reply = {.sensor_id = report->record.id,
                                      .epoch = report->wire.epoch,
                                      .acknowledged = report->acknowledged,
                                      .server_ms = (uint64_t)console_store_now_ms(),
                                      .next_seconds = report->service->heartbeat_seconds,
                                      .policy_digest = report->record.policy_digest};
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(4096);
    (void)wire_sensor_reply_encode(&reply, &body); /* a failure shows in the buffer */
    atomic_fetch_add(&report->service->agents->events, report->wire.event_count);
    http_respond_buffer(report->request, 200, "application/json", &body);
}

static void take(struct report *report)
{
    struct api_service *service = report->service;
    int r = console_store_read(service->store, look_work, report);
    if (r == OUTCOME_NEWS)
        r = console_store_waiting(service->store) >= service->agents->queue
                ? -ENOBUFS
                : console_store_write(service->store, store_work, report);
    if (r < 0)
        sensor_respond_failure(report->request, r);
    else if (r == OUTCOME_KEY)
        sensor_refuse_key(report->request);
    else if (r == OUTCOME_KIND)
        http_respond_problem(report->request, 403, "wrong_kind",
                             "this key is for sensors of the kind %s", report->key.kind);
    else
        answer(report);
}

void sensor_report(struct http_request *request, void *user)
{
    struct report report = {.service = user, .request = request};
    struct wire_problem problem = {""};
    size_t length;
    const char *body = http_request_body(request, &length);
    sensor_key_text(request, report.secret);
    if (!report.secret[0]) {
        sensor_refuse_key(request);
        return;
    }
    int r = wire_sensor_report_decode(body, length, &report.wire, &problem);
    if (r == -ENOMEM) {
        sensor_respond_failure(request, r);
        return;
    }
    if (r < 0) {
        http_respond_problem(request, 400, "bad_report", "%s", problem.text);
        return;
    }
    take(&report);
    wire_sensor_report_done(&report.wire);
}
