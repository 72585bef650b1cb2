/* The mode "object-lambda". */
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "storage/object_lambda/object_lambda.h"
#include "storage/program/storage_mode.h"
#include "storage/report/console_report.h"
#include "storage/runtime/lambda_runtime.h"

#include <errno.h>

#define REPORT_TIME_NS (2 * NS_PER_SECOND)

struct object_function {
    struct scan_resources *resources;
    struct console_report *report; /* NULL = none */
};

static int begin(void *user, void **ret_context)
{
    const struct object_function *function = user;
    struct object_lambda *lambda = NULL;

    int r = object_lambda_new(function->resources, &lambda);
    *ret_context = lambda;
    return r;
}

static void end(void *user UNUSED, void *context)
{
    (void)object_lambda_free(context);
}

static int handle(void *user UNUSED, void *context, const struct lambda_event *event,
                  struct buffer *response, struct lambda_failure *ret_failure)
{
    int r = object_lambda_handle(context, event->body, event->length, event->deadline_ns, response);

    if (r < 0) {
        (void)text_copy(ret_failure->type, sizeof ret_failure->type,
                        r == -EBADMSG ? "Storage.NotUnderstood" : "Storage.Failed");
        (void)text_copy(ret_failure->message, sizeof ret_failure->message,
                        r == -EBADMSG ? "the event is none of S3 Object Lambda"
                                      : "the reader could not be answered; the log says why");
    }
    return r;
}

/* The reader has the object and does not wait for it. */
static void tell_console(void *user, uint64_t deadline_ns)
{
    const struct object_function *function = user;

    console_report_flush(function->report, MIN(deadline_ns, clock_monotonic_ns() + REPORT_TIME_NS));
}

static int serve(struct scan_resources *resources, struct console_report *report)
{
    struct object_function function = {resources, report};
    const struct lambda_function lambda = {
        .begin = begin, .end = end, .handle = handle, .after = tell_console, .user = &function};

    int r = scan_resources_wait(resources);
    if (r < 0)
        log_warning("signatures_not_loaded", "problem", log_error_text(r), NULL);
    return lambda_runtime_run(&lambda, storage_stop_flag()) < 0 ? 1 : 0;
}

int storage_serve_object_lambda(const struct storage_settings *settings, int argc,
                                char **argv UNUSED)
{
    struct console_report *report = NULL;
    struct scan_resources resources;
    int code = 1;

    if (argc != 1)
        return -1;
    if (!lambda_runtime_is_here()) {
        log_error("no_runtime", "cure",
                  "this mode runs on AWS Lambda (AWS_LAMBDA_RUNTIME_API); elsewhere use gate",
                  NULL);
        return 1;
    }
    if (scan_resources_start(settings, true, &resources) < 0)
        return 1;
    if (console_report_start(&resources, "object-lambda", &report) == 0)
        code = serve(&resources, report);
    scan_resources_hurry(&resources);
    (void)console_report_stop(report);
    scan_resources_stop(&resources);
    return code;
}
