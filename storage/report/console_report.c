/* Events of a sensor. Owns: which results are events, the counters, the thread that tells. */
#include "storage/report/console_report.h"

#include "common/files/file.h"
#include "common/json/json_writer.h"
#include "common/log/log.h"
#include "common/sensor_report/sensor_report.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "storage/settings/storage_secret.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#define MOST_PEM      (1024 * 1024)
#define TURN_NS       (2 * NS_PER_SECOND)
#define LAST_TIME_NS  (5 * NS_PER_SECOND)
#define FLUSH_TIME_NS (15 * NS_PER_SECOND)
#define VERDICTS      6
#define DETAIL_BYTES  (64 * 1024)

struct console_report {
    struct scan_resources *resources;
    struct sensor_report *sensor;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    bool running, ending, urgent;
    uint64_t verdicts[VERDICTS], bytes, untagged, acted, failed;
    char problem[256]; /* the last one that was logged */
};

/* ---- results ---- */

static void write_detail(const struct storage_result *result, struct buffer *json)
{
    const struct storage_object *object = &result->object;
    struct json_writer writer;

    json_writer_init(&writer, json);
    json_write_object_begin(&writer);
    json_write_field_string(&writer, "bucket", object->bucket);
    json_write_field_string(&writer, "region", object->region);
    json_write_field_string(&writer, "version", object->version);
    json_write_field_string(&writer, "etag", object->etag);
    json_write_field_string(&writer, "verdict", storage_verdict_name(result->verdict));
    json_write_field_string(&writer, "signature", result->signature);
    json_write_field_string(&writer, "reason", result->reason);
    json_write_field_unsigned(&writer, "code", result->code);
    json_write_field_string(&writer, "problem", result->problem);
    json_write_field_string(&writer, "sha256", result->sha256);
    json_write_field_unsigned(&writer, "size", object->size);
    json_write_field_string(&writer, "trigger", storage_trigger_name(object->trigger));
    json_write_field_string(&writer, "signatures", result->signatures);
    json_write_field_bool(&writer, "tagged", result->tagged);
    json_write_object_end(&writer);
}

static const char *kind_of(const struct storage_result *result, unsigned *ret_severity)
{
    if (result->verdict == STORAGE_INFECTED) {
        *ret_severity = 4;
        return "malware_found";
    }
    if (result->verdict == STORAGE_INCOMPLETE) {
        *ret_severity = 2;
        return "object_incomplete";
    }
    if (result->verdict == STORAGE_ERROR) {
        *ret_severity = 3;
        return "object_not_scanned";
    }
    return NULL;
}

/* What finds no room is counted there. */
static void add(struct console_report *report, struct sensor_event *event, const char *bucket,
                const char *object)
{
    bool shown = storage_settings_number(report->resources->settings, STORAGE_REPORT_KEY) != 0;
    AUTO_FREE char *key = text_escape_new(object, strlen(object));
    AUTO_FREE char *subject =
        text_format_new("%s/%s", bucket, shown && key != NULL ? key : "(not shown)");

    event->subject = subject != NULL ? subject : bucket;
    (void)sensor_report_add(report->sensor, event);
}

static void add_event(struct console_report *report, const struct storage_result *result)
{
    AUTO_BUFFER struct buffer detail = BUFFER_WITH_MAXIMUM(DETAIL_BYTES);
    struct sensor_event event = {.time_ms = result->begin_ns / NS_PER_MS};

    event.kind = kind_of(result, &event.severity);
    if (event.kind == NULL)
        return;
    write_detail(result, &detail);
    event.detail = buffer_text(&detail);
    add(report, &event, result->object.bucket, result->object.key);
}

static void told(void *user, const struct storage_result *result)
{
    struct console_report *report = user;

    (void)pthread_mutex_lock(&report->lock);
    report->verdicts[result->verdict]++;
    report->bytes += result->object.size;
    report->untagged += result->tag_problem[0] != '\0';
    if (result->verdict == STORAGE_INFECTED) {
        report->urgent = true;
        (void)pthread_cond_signal(&report->changed);
    }
    (void)pthread_mutex_unlock(&report->lock);
    add_event(report, result);
}

/* ---- actions ---- */

static void write_action(const struct console_action *action, struct buffer *json)
{
    struct json_writer writer;

    json_writer_init(&writer, json);
    json_write_object_begin(&writer);
    json_write_field_string(&writer, "bucket", action->bucket);
    json_write_field_string(&writer, "version", action->version);
    json_write_field_string(&writer, "sha256", action->sha256);
    json_write_field_string(&writer, "verdict", action->verdict);
    json_write_field_string(&writer, "signature", action->signature);
    json_write_field_string(&writer, "action", action->action);
    json_write_field_string(&writer, "quarantine_id", action->id);
    json_write_field_string(&writer, "problem", action->problem);
    json_write_object_end(&writer);
}

void console_report_action(struct console_report *report, const struct console_action *action)
{
    AUTO_BUFFER struct buffer detail = BUFFER_WITH_MAXIMUM(DETAIL_BYTES);
    struct sensor_event event = {.kind = action->kind, .severity = action->severity};

    if (report == NULL)
        return;
    write_action(action, &detail);
    event.detail = buffer_text(&detail);
    (void)pthread_mutex_lock(&report->lock);
    report->acted += !action->failed;
    report->failed += action->failed;
    (void)pthread_mutex_unlock(&report->lock);
    add(report, &event, action->bucket, action->key);
}

/* ---- facts ---- */

static void write_scanner(struct json_writer *writer, struct scan_service *service)
{
    char signatures[SCAN_SIGNATURES_BYTES];
    struct scanner_status status;

    if (service == NULL)
        return;
    scan_service_status(service, &status);
    scan_service_signatures(service, signatures);
    json_write_field_string(writer, "engine_version", status.engine_version);
    json_write_field_string(writer, "signatures", signatures);
    json_write_field_unsigned(writer, "signature_count", status.signatures);
    json_write_field_unsigned(writer, "signature_time_ms", status.database_time_ns / NS_PER_MS);
    json_write_field_string(writer, "sandbox", status.sandbox);
    json_write_field_unsigned(writer, "scanner_crashes", status.crashed);
    json_write_field_string(writer, "scanner_problem", status.problem);
}

static void write_mirror(struct json_writer *writer, struct signature_mirror *mirror)
{
    struct signature_mirror_status status;

    if (mirror == NULL)
        return;
    signature_mirror_status(mirror, &status);
    json_write_field_unsigned(writer, "mirror_checked_ms", status.checked_ns / NS_PER_MS);
    json_write_field_string(writer, "mirror_problem", status.problem);
}

static void set_facts(struct console_report *report)
{
    AUTO_BUFFER struct buffer json = BUFFER_WITH_MAXIMUM(16 * 1024);
    struct json_writer writer;

    json_writer_init(&writer, &json);
    json_write_object_begin(&writer);
    write_scanner(&writer, report->resources->service);
    write_mirror(&writer, report->resources->mirror);
    (void)pthread_mutex_lock(&report->lock);
    for (size_t i = 0; i < VERDICTS; i++)
        json_write_field_unsigned(&writer, storage_verdict_name((enum storage_verdict)i),
                                  report->verdicts[i]);
    json_write_field_unsigned(&writer, "bytes", report->bytes);
    json_write_field_unsigned(&writer, "untagged", report->untagged);
    json_write_field_unsigned(&writer, "actions", report->acted);
    json_write_field_unsigned(&writer, "actions_failed", report->failed);
    (void)pthread_mutex_unlock(&report->lock);
    json_write_object_end(&writer);
    if (buffer_failed(&json) == 0)
        (void)sensor_report_set_facts(report->sensor, buffer_text(&json));
}

/* ---- telling ---- */

/* Each problem once. */
static void note_problem(struct console_report *report, int error)
{
    struct sensor_report_status status = {.problem = ""};

    if (error < 0 && error != -EAGAIN)
        sensor_report_status(report->sensor, &status);
    if (error == -EAGAIN || text_equal(status.problem, report->problem))
        return;
    (void)text_copy(report->problem, sizeof report->problem, status.problem);
    if (status.problem[0] != '\0')
        log_warning("console_not_told", "problem", status.problem, NULL);
}

static void flush_once(struct console_report *report, uint64_t deadline_ns, bool last)
{
    if (!last && !sensor_report_is_due(report->sensor))
        return;
    set_facts(report);
    note_problem(report, last ? sensor_report_finish(report->sensor, deadline_ns)
                              : sensor_report_flush(report->sensor, deadline_ns));
}

void console_report_flush(struct console_report *report, uint64_t deadline_ns)
{
    if (report != NULL)
        flush_once(report, deadline_ns, false);
}

static void *run(void *user)
{
    struct console_report *report = user;

    (void)pthread_mutex_lock(&report->lock);
    while (!report->ending) {
        report->urgent = false;
        (void)pthread_mutex_unlock(&report->lock);
        flush_once(report, clock_monotonic_ns() + FLUSH_TIME_NS, false);
        (void)pthread_mutex_lock(&report->lock);
        struct timespec until = clock_deadline(TURN_NS);
        if (!report->ending && !report->urgent)
            (void)pthread_cond_clockwait(&report->changed, &report->lock, CLOCK_MONOTONIC, &until);
    }
    (void)pthread_mutex_unlock(&report->lock);
    return NULL;
}

int console_report_run(struct console_report *report)
{
    if (report == NULL)
        return 0;
    int r = -pthread_create(&report->thread, NULL, run, report);
    report->running = r == 0;
    return r;
}

/* ---- the key ---- */

static int find_key(const struct scan_resources *resources, char key[static STORAGE_SECRET_BYTES])
{
    struct aws_client *client;
    char problem[768];

    int r = aws_client_new(&resources->aws, NULL, &client);
    if (r < 0)
        return r;
    r = storage_secret_load(resources->settings, STORAGE_CONSOLE_KEY_FILE,
                            STORAGE_CONSOLE_KEY_PARAMETER, client, key, problem, sizeof problem);
    (void)aws_client_free(client);
    if (r < 0)
        log_error("sensor_key_not_read", "problem", problem, NULL);
    else if (key[0] == '\0')
        log_error("no_sensor_key", "cure", "set console.key_file or console.key_parameter", NULL);
    return r == 0 && key[0] == '\0' ? -ENOKEY : r;
}

/* ---- start and end ---- */

static int read_authority(const struct storage_settings *settings, struct buffer *pem)
{
    const char *path = storage_settings_text(settings, STORAGE_CONSOLE_AUTHORITY);

    return path[0] != '\0' ? file_read_all(path, pem) : 0;
}

static int start_sensor(struct console_report *report, const char *runtime)
{
    AUTO_BUFFER struct buffer pem = BUFFER_WITH_MAXIMUM(MOST_PEM);
    const struct storage_settings *settings = report->resources->settings;
    const char *pin = storage_settings_text(settings, STORAGE_CONSOLE_PIN);
    char key[STORAGE_SECRET_BYTES];

    int r = find_key(report->resources, key);
    if (r < 0)
        return r;
    r = read_authority(settings, &pem);
    const struct sensor_report_options options = {
        .url = storage_settings_text(settings, STORAGE_CONSOLE_URL),
        .key = key,
        .pin = pin[0] != '\0' ? pin : NULL,
        .authority = pem.length > 0 ? buffer_text(&pem) : NULL,
        .sensor = {.kind = "storage",
                   .name = report->resources->name,
                   .version = YAGURA_VERSION,
                   .account = "",
                   .region = report->resources->aws.region,
                   .arn = "",
                   .runtime = runtime,
                   .host = ""},
    };
    if (r == 0)
        r = sensor_report_new(&options, &report->sensor);
    explicit_bzero(key, sizeof key);
    if (r < 0)
        log_error("console_refused", "problem", log_error_text(r), "cure",
                  "check console.url, its pin or authority, and the sensor key", NULL);
    return r;
}

int console_report_start(struct scan_resources *resources, const char *runtime,
                         struct console_report **ret_report)
{
    *ret_report = NULL;
    if (storage_settings_text(resources->settings, STORAGE_CONSOLE_URL)[0] == '\0')
        return 0;
    struct console_report *report = calloc(1, sizeof *report);
    if (report == NULL)
        return -ENOMEM;
    report->resources = resources;
    (void)pthread_mutex_init(&report->lock, NULL);
    (void)pthread_cond_init(&report->changed, NULL);
    int r = start_sensor(report, runtime);
    if (r < 0) {
        (void)console_report_stop(report);
        return r;
    }
    resources->told = told;
    resources->told_user = report;
    *ret_report = report;
    return 0;
}

struct console_report *console_report_stop(struct console_report *report)
{
    if (report == NULL)
        return NULL;
    if (report->running) {
        (void)pthread_mutex_lock(&report->lock);
        report->ending = true;
        (void)pthread_cond_signal(&report->changed);
        (void)pthread_mutex_unlock(&report->lock);
        (void)pthread_join(report->thread, NULL);
    }
    if (report->sensor != NULL)
        flush_once(report, clock_monotonic_ns() + LAST_TIME_NS, true);
    (void)sensor_report_free(report->sensor);
    (void)pthread_cond_destroy(&report->changed);
    (void)pthread_mutex_destroy(&report->lock);
    free(report);
    return NULL;
}
