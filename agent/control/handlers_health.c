/* health: {"timeout_ns":N} writes a test file on each watched mount and waits for what comes back:
 *   <- {"place":{"directory","outcome","seen_ns","verdict_ns","error"}}   each
 * done 0: all that could be tried passed, and at least one did; 1: not so.
 * metrics: <- {"metrics":"text"}, once. */
#include "agent/control/handlers_private.h"

#include "agent/health/health.h"
#include "common/limits.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>

#define PLACE_BYTES (LIMIT_PATH_BYTES * 8 + 1024)

struct health_request {
    struct control_request *request;
    bool passed, failed, unsent;
};

static void send_place(void *user, const struct health_place *place)
{
    struct health_request *health = user;
    AUTO_FREE char *shown = text_escape_new(place->directory, strlen(place->directory));
    AUTO_BUFFER struct buffer line = BUFFER_WITH_MAXIMUM(PLACE_BYTES);
    struct json_writer json;

    health->passed = health->passed || place->outcome == HEALTH_PASSED;
    health->failed = health->failed || place->outcome == HEALTH_SILENT ||
                     place->outcome == HEALTH_UNSCANNED || place->outcome == HEALTH_WAITING;
    json_writer_init(&json, &line);
    json_write_object_begin(&json);
    json_write_key(&json, "place");
    json_write_object_begin(&json);
    json_write_field_string(&json, "directory", shown != NULL ? shown : "");
    json_write_field_string(&json, "outcome", health_outcome_name(place->outcome));
    json_write_field_unsigned(&json, "seen_ns", place->seen_ns);
    json_write_field_unsigned(&json, "verdict_ns", place->verdict_ns);
    json_write_field_string(&json, "error", place->error < 0 ? log_error_text(place->error) : "");
    json_write_object_end(&json);
    json_write_object_end(&json);
    if (buffer_failed(&line) < 0 || control_request_send(health->request, buffer_text(&line)) < 0)
        health->unsent = true;
}

static void work_health(struct control_handlers *handlers, struct control_request *request,
                        const json_t *arguments)
{
    struct health_request health = {.request = request};
    uint64_t timeout_ns = 300 * NS_PER_SECOND;

    (void)argument_unsigned(arguments, "timeout_ns", &timeout_ns);
    int r = health_check(handlers->context.health, timeout_ns, send_place, &health);
    if (r == 0 && health.unsent)
        r = -EPIPE;
    if (r < 0)
        control_request_fail(request, 2, "the mounts could not be tried: %s", log_error_text(r));
    else
        control_request_done(request, health.failed || !health.passed ? 1 : 0);
}

void handle_health(void *user, struct control_request *request, const json_t *arguments)
{
    struct control_handlers *handlers = user;

    int problem = handlers->context.watch_problem(handlers->context.user);
    if (problem < 0)
        control_request_fail(request, 2, "no directory is watched: %s", log_error_text(problem));
    else if (handlers->context.watch(handlers->context.user) == NULL)
        control_request_fail(request, 2, "watching is switched off: set watch.enabled");
    else
        control_run_task(handlers, request, arguments, work_health);
}

void handle_metrics(void *user, struct control_request *request, const json_t *arguments UNUSED)
{
    const struct control_handlers *handlers = user;
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(LIMIT_METRICS_BYTES);
    AUTO_BUFFER struct buffer line = BUFFER_WITH_MAXIMUM(2 * LIMIT_METRICS_BYTES);
    struct json_writer json;

    control_write_metrics(&handlers->context, &text);
    json_writer_init(&json, &line);
    json_write_object_begin(&json);
    json_write_field_string(&json, "metrics", buffer_text(&text));
    json_write_object_end(&json);
    if (send_json(request, &line) == 0)
        control_request_done(request, 0);
}
