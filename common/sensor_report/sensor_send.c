/* Owns the way of reports: when one may go, how much it carries, what the answer means. */
#include "common/limits.h"
#include "common/sensor_report/sensor_internal.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>

#define CONNECT_NS       (5 * NS_PER_SECOND)
#define PAUSE_LEAST_NS   NS_PER_SECOND
#define PAUSE_MOST_NS    (300 * NS_PER_SECOND)
#define PAUSE_REFUSED_NS (60 * NS_PER_SECOND)
#define NEXT_LEAST_S     1ULL
#define NEXT_MOST_S      3600ULL

static void note_problem(struct sensor_report *report, const char *format, ...) PRINTF_LIKE(2, 3);
static void note_problem(struct sensor_report *report, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)pthread_mutex_lock(&report->lock);
    (void)text_format_list(report->problem, sizeof(report->problem), format, arguments);
    (void)pthread_mutex_unlock(&report->lock);
    va_end(arguments);
}

/* After a failure: longer each time, or as long as the console says. */
static void pause_for(struct sensor_report *report, uint64_t told_s, uint64_t least_ns)
{
    (void)pthread_mutex_lock(&report->lock);
    uint64_t ns = report->pause_ns ? 2 * report->pause_ns : PAUSE_LEAST_NS;
    report->pause_ns = MIN(MAX(ns, least_ns), PAUSE_MOST_NS);
    uint64_t wait_ns = told_s ? MIN(told_s, NEXT_MOST_S) * NS_PER_SECOND : report->pause_ns;
    report->pause_until_ns = clock_monotonic_ns() + wait_ns;
    (void)pthread_mutex_unlock(&report->lock);
}

/* What an answer that is not the wanted one means. */
int sensor_judge_status(struct sensor_report *report, const struct http_answer *answer)
{
    note_problem(report, "the console answers %ld", answer->status);
    switch (answer->status) {
    case 401:
    case 403:
        pause_for(report, answer->retry_after_s, PAUSE_REFUSED_NS);
        return -EACCES;
    case 400:
    case 413:
        return -EBADMSG;
    case 429:
    case 503:
        pause_for(report, answer->retry_after_s, 0);
        return -EAGAIN;
    default:
        pause_for(report, answer->retry_after_s, 0);
        return -EPROTO;
    }
}

/* The status, or an error. body NULL: GET. */
int sensor_exchange(struct sensor_report *report, const char *path, const struct buffer *body,
                    size_t maximum, uint64_t deadline_ns, struct http_answer *ret_answer)
{
    char url[2048];
    uint64_t now_ns = clock_monotonic_ns();
    const struct http_header header = {"Authorization", report->authorization};
    *ret_answer = (struct http_answer){.status = 0};
    if (now_ns >= deadline_ns)
        return -ETIMEDOUT;
    if (text_format(url, sizeof(url), "%s%s", report->url, path) < 0)
        return -EINVAL;
    struct http_request request = {.method = body ? "POST" : "GET",
                                   .url = url,
                                   .headers = &header,
                                   .header_count = 1,
                                   .body = body ? buffer_text(body) : NULL,
                                   .body_length = body ? body->length : 0,
                                   .connect_timeout_ns = MIN(CONNECT_NS, deadline_ns - now_ns),
                                   .timeout_ns = deadline_ns - now_ns,
                                   .maximum_answer = maximum};
    int r = http_client_perform(report->client, &request, ret_answer);
    if (r < 0) {
        note_problem(report, "%s", ret_answer->problem);
        pause_for(report, 0, 0);
    }
    return r;
}

static int take_reply(struct sensor_report *report, const struct buffer *body, size_t sent)
{
    struct wire_sensor_reply reply;
    struct wire_problem problem = {""};
    int r = wire_sensor_reply_decode(buffer_text(body), body->length, &reply, &problem);
    if (r == -EBADMSG) {
        note_problem(report, "the console's answer: %s", problem.text);
        pause_for(report, 0, 0);
        return -EPROTO;
    }
    if (r < 0)
        return r;
    (void)pthread_mutex_lock(&report->lock);
    size_t before = sensor_queue_count(report->queue);
    sensor_queue_settle(report->queue,
                        text_equal(reply.epoch, report->epoch) ? reply.acknowledged : 0);
    size_t settled = before - sensor_queue_count(report->queue);
    uint64_t next_s = MIN(MAX(reply.next_seconds, NEXT_LEAST_S), NEXT_MOST_S);
    report->sent += settled;
    report->due_ns = clock_monotonic_ns() + next_s * NS_PER_SECOND;
    (void)text_copy(report->sensor_id, sizeof(report->sensor_id), reply.sensor_id);
    (void)text_copy(report->wanted_digest, sizeof(report->wanted_digest), reply.policy_digest);
    report->problem[0] = '\0';
    report->pause_ns = report->pause_until_ns = 0;
    (void)pthread_mutex_unlock(&report->lock);
    wire_sensor_reply_done(&reply);
    if (settled >= sent)
        return 0;
    note_problem(report, "the console acknowledged less than it was given");
    pause_for(report, 0, 0);
    return -EPROTO;
}

/* The body with as many of the waiting events as fit. */
static int write_body(struct sensor_report *report, size_t most, struct buffer *body,
                      size_t *ret_count)
{
    int r = 0;
    (void)pthread_mutex_lock(&report->lock);
    do {
        const struct wire_event *events;
        *ret_count = sensor_queue_begin(report->queue, most, &events);
        struct wire_sensor_report wire = {.sensor = report->sensor,
                                          .epoch = report->epoch,
                                          .dropped = sensor_queue_dropped(report->queue),
                                          .policy_digest = report->policy_digest,
                                          .policy_problem = report->policy_problem,
                                          .facts = report->facts,
                                          .events = (struct wire_event *)(uintptr_t)events,
                                          .event_count = *ret_count};
        buffer_clear(body);
        r = wire_sensor_report_encode(&wire, body);
        most = *ret_count / 2;
    } while (r == -EMSGSIZE && *ret_count > 0);
    report->facts_untold = false;
    (void)pthread_mutex_unlock(&report->lock);
    return r;
}

/* The console will never take this report: one event at a time, until the one it means is found. */
static int give_up_first(struct sensor_report *report, size_t sent, size_t *most)
{
    if (sent == 0) {
        pause_for(report, 0, PAUSE_REFUSED_NS);
        return -EBADMSG;
    }
    (void)pthread_mutex_lock(&report->lock);
    if (sent == 1)
        sensor_queue_drop_first(report->queue);
    else
        sensor_queue_settle(report->queue, 0);
    (void)pthread_mutex_unlock(&report->lock);
    *most = 1;
    return 0;
}

/* Those that were on their way may be given up again. */
static void let_go(struct sensor_report *report)
{
    (void)pthread_mutex_lock(&report->lock);
    sensor_queue_settle(report->queue, 0);
    (void)pthread_mutex_unlock(&report->lock);
}

static int send_one(struct sensor_report *report, uint64_t deadline_ns, size_t *most)
{
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(LIMIT_HEARTBEAT_BYTES);
    struct http_answer answer;
    size_t count;
    int r = write_body(report, *most, &body, &count);
    if (r < 0)
        return r;
    r = sensor_exchange(report, "/api/v1/sensor/report", &body, SENSOR_ANSWER_MAXIMUM, deadline_ns,
                        &answer);
    if (r == 0)
        r = answer.status == 200 ? take_reply(report, &answer.body, count)
                                 : sensor_judge_status(report, &answer);
    http_answer_done(&answer);
    if (r == -EBADMSG)
        return give_up_first(report, count, most);
    if (r < 0)
        let_go(report);
    return r;
}

/* --- when */

static bool is_due(const struct sensor_report *report, uint64_t now_ns)
{
    return now_ns >= report->due_ns || sensor_queue_count(report->queue) > 0;
}

bool sensor_report_is_due(struct sensor_report *report)
{
    uint64_t now_ns = clock_monotonic_ns();
    (void)pthread_mutex_lock(&report->lock);
    bool due = now_ns >= report->pause_until_ns && is_due(report, now_ns);
    (void)pthread_mutex_unlock(&report->lock);
    return due;
}

/* 1: something is to be sent; 0: nothing; -EAGAIN. */
static int look(struct sensor_report *report, bool last)
{
    uint64_t now_ns = clock_monotonic_ns();
    (void)pthread_mutex_lock(&report->lock);
    bool due = is_due(report, now_ns) || (last && report->facts_untold);
    int r = !due ? 0 : !last && now_ns < report->pause_until_ns ? -EAGAIN : 1;
    (void)pthread_mutex_unlock(&report->lock);
    return r;
}

static int send_all(struct sensor_report *report, uint64_t deadline_ns, bool last)
{
    size_t most = LIMIT_HEARTBEAT_EVENTS;
    (void)pthread_mutex_lock(&report->sending);
    int r = look(report, last);
    while (r == 1) {
        r = clock_monotonic_ns() >= deadline_ns ? -ETIMEDOUT : send_one(report, deadline_ns, &most);
        if (r == 0)
            r = look(report, last);
    }
    (void)pthread_mutex_unlock(&report->sending);
    return r;
}

int sensor_report_flush(struct sensor_report *report, uint64_t deadline_ns)
{
    return send_all(report, deadline_ns, false);
}

int sensor_report_finish(struct sensor_report *report, uint64_t deadline_ns)
{
    return send_all(report, deadline_ns, true);
}
