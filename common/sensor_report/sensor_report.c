/* Owns a report's beginning and end, and what it is to tell. Must not send: sensor_send.c and
 * sensor_fetch.c do. */
#include "common/limits.h"
#include "common/sensor_report/sensor_internal.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>

/* --- begin and end */

static int copy_sensor(struct sensor_report *report, const struct wire_sensor *sensor)
{
    const char *const given[SENSOR_TEXTS] = {sensor->kind,    sensor->name,   sensor->version,
                                             sensor->account, sensor->region, sensor->arn,
                                             sensor->runtime, sensor->host};
    for (size_t i = 0; i < SENSOR_TEXTS; i++) {
        report->texts[i] = strdup(given[i] ? given[i] : "");
        if (!report->texts[i])
            return -ENOMEM;
    }
    report->sensor = (struct wire_sensor){report->texts[0], report->texts[1], report->texts[2],
                                          report->texts[3], report->texts[4], report->texts[5],
                                          report->texts[6], report->texts[7]};
    return 0;
}

static bool is_header_value(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text <= ' ' || (unsigned char)*text > '~')
            return false;
    return true;
}

static bool options_are_valid(const struct sensor_report_options *options)
{
    const struct wire_sensor *sensor = &options->sensor;
    return options->url && text_starts_with(options->url, "https://") && options->key &&
           text_starts_with(options->key, "ysk1_") && is_header_value(options->key) &&
           sensor->kind && wire_is_sensor_kind(sensor->kind) && sensor->name && sensor->name[0] &&
           strlen(sensor->name) <= 256;
}

static int prepare(struct sensor_report *report, const struct sensor_report_options *options)
{
    const struct http_trust trust = {.pin = options->pin, .authority = options->authority};
    size_t length = strlen(options->url);
    while (length > 0 && options->url[length - 1] == '/')
        length--;
    report->url = text_new(options->url, length);
    report->authorization = text_format_new("Bearer %s", options->key);
    report->facts = strdup("{}");
    if (!report->url || !report->authorization || !report->facts)
        return -ENOMEM;
    if (options->signing_key &&
        text_copy(report->keys.current, sizeof(report->keys.current), options->signing_key) < 0)
        return -EINVAL;
    int r = copy_sensor(report, &options->sensor);
    if (r == 0)
        r = uuid_new(report->epoch);
    if (r == 0)
        r = sensor_queue_new(options->queue ? options->queue : LIMIT_SENSOR_QUEUE, &report->queue);
    return r < 0 ? r : http_client_new(&trust, &report->client);
}

int sensor_report_new(const struct sensor_report_options *options,
                      struct sensor_report **ret_report)
{
    if (!options_are_valid(options))
        return -EINVAL;
    struct sensor_report *report = calloc(1, sizeof(*report));
    if (!report)
        return -ENOMEM;
    (void)pthread_mutex_init(&report->lock, NULL);
    (void)pthread_mutex_init(&report->sending, NULL);
    int r = prepare(report, options);
    if (r < 0) {
        (void)sensor_report_free(report);
        return r;
    }
    *ret_report = report;
    return 0;
}

struct sensor_report *sensor_report_free(struct sensor_report *report)
{
    if (!report)
        return NULL;
    (void)http_client_free(report->client);
    (void)sensor_queue_free(report->queue);
    for (size_t i = 0; i < SENSOR_TEXTS; i++)
        free(report->texts[i]);
    free(report->facts);
    free(report->authorization);
    free(report->url);
    (void)pthread_mutex_destroy(&report->lock);
    (void)pthread_mutex_destroy(&report->sending);
    free(report);
    return NULL;
}

/* --- what is to be told */

int sensor_report_add(struct sensor_report *report, const struct sensor_event *event)
{
    char id[UUID_TEXT_BYTES], subject[LIMIT_EVENT_SUBJECT_BYTES + 1];
    const char *detail = event->detail ? event->detail : "{}";
    int r = uuid_new(id);
    if (r < 0)
        return r;
    if (!wire_is_word(event->kind) || event->severity > 4)
        return -EINVAL;
    (void)text_copy(subject, sizeof(subject), event->subject ? event->subject : "");
    struct wire_event copy = {
        .time_ms = event->time_ms ? event->time_ms : clock_realtime_ns() / NS_PER_MS,
        .severity = event->severity,
        .id = id,
        .module = report->sensor.kind,
        .kind = event->kind,
        .subject = subject,
        .detail = strlen(detail) <= LIMIT_EVENT_DETAIL_BYTES ? detail : "{\"cut\":true}"};
    (void)pthread_mutex_lock(&report->lock);
    r = sensor_queue_add(report->queue, &copy);
    (void)pthread_mutex_unlock(&report->lock);
    return r;
}

int sensor_report_set_facts(struct sensor_report *report, const char *facts)
{
    if (strlen(facts) > LIMIT_SENSOR_FACTS_BYTES)
        return -EMSGSIZE;
    char *copy = strdup(facts);
    if (!copy)
        return -ENOMEM;
    (void)pthread_mutex_lock(&report->lock);
    report->facts_untold |= strcmp(report->facts, copy) != 0;
    free(report->facts);
    report->facts = copy;
    (void)pthread_mutex_unlock(&report->lock);
    return 0;
}

void sensor_report_set_policy(struct sensor_report *report, const char *digest, const char *problem)
{
    (void)pthread_mutex_lock(&report->lock);
    bool changed =
        !text_equal(report->policy_digest, digest) || !text_equal(report->policy_problem, problem);
    (void)text_copy(report->policy_digest, sizeof(report->policy_digest), digest);
    (void)text_copy(report->policy_problem, sizeof(report->policy_problem), problem);
    if (changed)
        report->due_ns = 0;
    (void)pthread_mutex_unlock(&report->lock);
}

void sensor_report_status(struct sensor_report *report, struct sensor_report_status *ret_status)
{
    (void)pthread_mutex_lock(&report->lock);
    *ret_status = (struct sensor_report_status){.sent = report->sent,
                                                .dropped = sensor_queue_dropped(report->queue),
                                                .waiting = sensor_queue_count(report->queue)};
    (void)text_copy(ret_status->sensor_id, sizeof(ret_status->sensor_id), report->sensor_id);
    (void)text_copy(ret_status->problem, sizeof(ret_status->problem), report->problem);
    (void)pthread_mutex_unlock(&report->lock);
}
