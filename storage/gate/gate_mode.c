/* The modes "gate" and "gate-link". Owns: whether the gate is a function or a service. */
#include "common/json/json_writer.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "storage/gate/gate.h"
#include "storage/gate/gate_server.h"
#include "storage/program/storage_client.h"
#include "storage/program/storage_mode.h"
#include "storage/report/console_report.h"
#include "storage/runtime/lambda_runtime.h"
#include "storage/settings/storage_secret.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#define REPORT_TIME_NS (2 * NS_PER_SECOND)
#define LOOK_AGAIN_NS  (200 * NS_PER_MS)
#define DEFAULT_LINK_S 3600

/* ---- a function ---- */

struct gate_function {
    struct gate *gate;
    struct scan_resources *resources;
    struct console_report *report; /* NULL = none */
};

static int begin(void *user, void **ret_context)
{
    struct gate_function *function = user;
    struct object_scanner *scanner = NULL;

    int r = object_scanner_new(function->resources, &scanner);
    *ret_context = scanner;
    return r;
}

static void end(void *user UNUSED, void *context)
{
    (void)object_scanner_free(context);
}

/* Payload format 2.0. */
static int write_response(const struct gate_answer *answer, struct buffer *response)
{
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(4096);
    struct json_writer writer;
    char seconds[16];

    int r = gate_answer_write(answer, &body);
    if (r < 0)
        return r;
    json_writer_init(&writer, response);
    json_write_object_begin(&writer);
    json_write_field_number(&writer, "statusCode", answer->status);
    json_write_key(&writer, "headers");
    json_write_object_begin(&writer);
    json_write_field_string(&writer, "content-type", "application/json");
    json_write_field_string(&writer, "cache-control", "no-store");
    if (answer->location.length > 0)
        json_write_field_string(&writer, "location", buffer_text(&answer->location));
    if (answer->retry_after_s > 0) {
        (void)text_format(seconds, sizeof seconds, "%u", answer->retry_after_s);
        json_write_field_string(&writer, "retry-after", seconds);
    }
    json_write_object_end(&writer);
    json_write_field_string(&writer, "body", buffer_text(&body));
    json_write_object_end(&writer);
    return buffer_failed(response);
}

static int handle(void *user, void *context, const struct lambda_event *event,
                  struct buffer *response, struct lambda_failure *ret_failure)
{
    const struct gate_function *function = user;
    struct gate_request request;
    struct gate_answer answer;

    int r = gate_request_read_event(event->body, event->length, &request);
    gate_serve(function->gate, context, &request, r, event->deadline_ns, &answer);
    r = write_response(&answer, response);
    gate_answer_done(&answer);
    if (r < 0) {
        (void)text_copy(ret_failure->type, sizeof ret_failure->type, "Storage.Failed");
        (void)text_copy(ret_failure->message, sizeof ret_failure->message, log_error_text(r));
    }
    return r;
}

/* The reader has the answer and does not wait for it. */
static void tell_console(void *user, uint64_t deadline_ns)
{
    const struct gate_function *function = user;

    console_report_flush(function->report, MIN(deadline_ns, clock_monotonic_ns() + REPORT_TIME_NS));
}

static int serve_function(struct gate *gate, struct scan_resources *resources,
                          struct console_report *report)
{
    struct gate_function function = {gate, resources, report};
    const struct lambda_function lambda = {
        .begin = begin, .end = end, .handle = handle, .after = tell_console, .user = &function};

    /* What is not loaded by then is loaded while readers are asked to come again. */
    int r = scan_resources_wait(resources);
    if (r < 0)
        log_warning("signatures_not_loaded", "problem", log_error_text(r), NULL);
    return lambda_runtime_run(&lambda, storage_stop_flag()) < 0 ? 1 : 0;
}

/* ---- a service ---- */

static int serve_http(const struct storage_settings *settings, struct gate *gate,
                      struct scan_resources *resources, struct console_report *report)
{
    const char *address = storage_settings_text(settings, STORAGE_GATE_LISTEN);
    const bool *stop = storage_stop_flag();
    struct gate_server *server = NULL;

    if (gate_secret(gate)[0] == '\0') {
        log_error("gate_not_started", "problem",
                  "gate.secret_file or gate.secret_parameter must name the secret of its links",
                  NULL);
        return 1;
    }
    int r = console_report_run(report);
    if (r == 0)
        r = gate_server_start(address, gate, resources, &server);
    if (r < 0) {
        log_error("gate_not_started", "listen", address, "problem", log_error_text(r), NULL);
        return 1;
    }
    log_info("gate_ready", "listen", address, "port", log_number(gate_server_port(server)), NULL);
    while (!__atomic_load_n(stop, __ATOMIC_RELAXED)) {
        const struct timespec pause = timespec_from_ns(LOOK_AGAIN_NS);
        (void)nanosleep(&pause, NULL); /* a signal ends it */
    }
    (void)gate_server_stop(server);
    return 0;
}

static int serve(const struct storage_settings *settings, struct scan_resources *resources,
                 struct console_report *report)
{
    struct gate *gate = NULL;
    char problem[512] = "memory is short";
    int code = 1;

    if (gate_new(resources, &gate, problem, sizeof problem) < 0)
        log_error("gate_not_started", "problem", problem, NULL);
    else
        code = lambda_runtime_is_here() ? serve_function(gate, resources, report)
                                        : serve_http(settings, gate, resources, report);
    (void)gate_free(gate);
    return code;
}

int storage_serve_gate(const struct storage_settings *settings, int argc, char **argv UNUSED)
{
    struct console_report *report = NULL;
    struct scan_resources resources;
    int code = 1;

    if (argc != 1)
        return -1;
    if (scan_resources_start(settings, true, &resources) < 0)
        return 1;
    if (console_report_start(&resources, "gate", &report) == 0)
        code = serve(settings, &resources, report);
    scan_resources_hurry(&resources);
    (void)console_report_stop(report);
    scan_resources_stop(&resources);
    return code;
}

/* ---- links ---- */

static int read_object(const char *place, struct gate_request *request)
{
    const char *slash = text_starts_with(place, "s3://") ? strchr(place + 5, '/') : NULL;

    if (slash == NULL || slash[1] == '\0' || slash == place + 5)
        return -EINVAL;
    if (text_format(request->bucket, sizeof request->bucket, "%.*s", (int)(slash - place - 5),
                    place + 5) < 0)
        return -EINVAL;
    return text_copy(request->key, sizeof request->key, slash + 1) < 0 ? -EINVAL : 0;
}

static int read_words(int argc, char **argv, struct gate_request *request)
{
    static const struct option options[] = {{"version", required_argument, NULL, 'v'},
                                            {"for", required_argument, NULL, 'f'},
                                            {NULL, 0, NULL, 0}};
    uint64_t life_ns = DEFAULT_LINK_S * NS_PER_SECOND;
    int option;

    optind = 0; /* begin anew, with another argv */
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'v' && text_copy(request->version, sizeof request->version, optarg) >= 0)
            continue;
        if (option != 'f' || text_parse_duration(optarg, &life_ns) < 0)
            return -EINVAL;
    }
    if (optind != argc - 1 || life_ns < NS_PER_SECOND ||
        life_ns > GATE_LONGEST_LINK * NS_PER_SECOND)
        return -EINVAL;
    request->expires = (clock_realtime_ns() + life_ns) / NS_PER_SECOND;
    return read_object(argv[optind], request);
}

int storage_make_gate_link(const struct storage_settings *settings, int argc, char **argv)
{
    AUTO_BUFFER struct buffer link = BUFFER_WITH_MAXIMUM(16384);
    char secret[STORAGE_SECRET_BYTES] = "", problem[512] = "memory is short";
    struct gate_request request = {.head = false};
    struct aws_client *client = NULL;

    if (read_words(argc, argv, &request) < 0)
        return -1;
    int r = storage_client_open(&client, problem, sizeof problem);
    if (r == 0)
        r = storage_secret_load(settings, STORAGE_GATE_SECRET, STORAGE_GATE_PARAMETER, client,
                                secret, problem, sizeof problem);
    if (r == 0 && secret[0] == '\0') {
        (void)text_copy(problem, sizeof problem,
                        "gate.secret_file or gate.secret_parameter must name the secret");
        r = -EINVAL;
    }
    if (r == 0)
        r = gate_request_write_link(secret, &request, &link);
    explicit_bzero(secret, sizeof secret);
    (void)aws_client_free(client);
    if (r < 0) {
        (void)fprintf(stderr, "yagura-storage: %s\n", problem);
        return 1;
    }
    return puts(buffer_text(&link)) < 0;
}
