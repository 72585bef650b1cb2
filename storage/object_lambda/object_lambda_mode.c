/* The mode "object-lambda". */
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "storage/object_lambda/object_lambda.h"
#include "storage/program/storage_mode.h"
#include "storage/runtime/lambda_runtime.h"

#include <errno.h>

#define START_TIME_NS (8500 * NS_PER_MS) /* as runtime/function.c */

static int begin(void *user, void **ret_context)
{
    struct object_lambda *lambda = NULL;

    int r = object_lambda_new(user, &lambda);
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

int storage_serve_object_lambda(const struct storage_settings *settings, int argc,
                                char **argv UNUSED)
{
    struct scan_resources resources;

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
    const struct lambda_function function = {
        .begin = begin, .end = end, .handle = handle, .user = &resources};
    int r = scan_service_wait(resources.service, clock_monotonic_ns() + START_TIME_NS);
    if (r < 0)
        log_warning("signatures_not_loaded", "problem", log_error_text(r), NULL);
    r = lambda_runtime_run(&function, storage_stop_flag());
    scan_resources_hurry(&resources);
    scan_resources_stop(&resources);
    return r < 0 ? 1 : 0;
}
