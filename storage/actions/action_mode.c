/* The mode "action". Owns: where messages come from. */
#include "common/aws/sqs.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "storage/actions/actions.h"
#include "storage/actions/message_batch.h"
#include "storage/program/storage_client.h"
#include "storage/program/storage_mode.h"
#include "storage/runtime/lambda_runtime.h"
#include "storage/runtime/queue_stop.h"

#include <errno.h>
#define REPORT_TIME_NS      (3 * NS_PER_SECOND)
#define HIDE_S              900 /* the longest copy */
#define AGAIN_S             60
#define FAILURES_BEFORE_END 10

/* What both ways of running share. */
struct action_mode {
    const struct storage_settings *settings;
    struct scan_resources resources; /* without a scanner */
    struct console_report *report;   /* NULL = no console */
};

/* ---- a function: each thread has a client and actions of its own ---- */

struct action_context {
    struct aws_client *client;
    struct actions *actions;
};

static struct action_context *action_context_free(struct action_context *context)
{
    if (context == NULL)
        return NULL;
    (void)actions_free(context->actions);
    (void)aws_client_free(context->client);
    free(context);
    return NULL;
}

static int action_context_new(const struct action_mode *mode, struct action_context **ret_context)
{
    struct action_context *context = calloc(1, sizeof *context);
    char problem[512] = "memory is short";

    if (context == NULL)
        return -ENOMEM;
    int r = storage_client_open(&context->client, problem, sizeof problem);
    if (r == 0)
        r = actions_new(mode->settings, context->client, &context->actions, problem,
                        sizeof problem);
    if (r < 0) {
        log_error("action_cannot_start", "problem", problem, NULL);
        return (void)action_context_free(context), r;
    }
    actions_set_report(context->actions, mode->report);
    *ret_context = context;
    return 0;
}

static int begin(void *user, void **ret_context)
{
    struct action_context *context = NULL;

    int r = action_context_new(user, &context);
    *ret_context = context;
    return r;
}

static void end(void *user UNUSED, void *context)
{
    (void)action_context_free(context);
}

static int handle_message(void *user, const char *body, size_t length, bool again)
{
    return actions_handle(user, body, length, again);
}

static int handle_event(void *user UNUSED, void *context, const struct lambda_event *event,
                        struct buffer *response, struct lambda_failure *ret_failure)
{
    const struct action_context *own = context;

    int r =
        message_batch_handle(event->body, event->length, handle_message, own->actions, response);
    if (r < 0) {
        (void)text_copy(ret_failure->type, sizeof ret_failure->type, "Storage.NotUnderstood");
        (void)text_copy(ret_failure->message, sizeof ret_failure->message,
                        "the event is no batch of a queue's messages");
    }
    return r;
}

static void after(void *user, uint64_t deadline_ns)
{
    const struct action_mode *mode = user;

    console_report_flush(mode->report, MIN(deadline_ns, clock_monotonic_ns() + REPORT_TIME_NS));
}

static int serve_function(struct action_mode *mode)
{
    const struct lambda_function function = {
        .begin = begin, .end = end, .handle = handle_event, .after = after, .user = mode};

    return lambda_runtime_run(&function, storage_stop_flag()) < 0 ? 1 : 0;
}

/* ---- a queue ---- */

static void handle_one(struct aws_client *client, const char *queue, struct actions *actions,
                       struct sqs_message *message)
{
    const char *receipt = message->receipt;
    bool failed[SQS_MOST_MESSAGES];
    struct aws_answer answer;

    int r = actions_handle(actions, message->body, message->body_length, message->received > 1);
    if (r == 0)
        (void)sqs_delete(client, queue, &receipt, 1, failed, &answer);
    else
        (void)sqs_hide(client, queue, &receipt, 1, AGAIN_S, failed, &answer);
    if (answer.outcome != AWS_OK)
        log_warning("message_kept", "problem", answer.problem, "now", "it comes again by itself",
                    NULL);
    aws_answer_done(&answer);
}

static int serve_queue(const struct storage_settings *settings, struct aws_client *client,
                       struct actions *actions)
{
    const char *queue = storage_settings_text(settings, STORAGE_QUEUE);
    struct queue_stop stop = {.wanted = storage_stop_flag(),
                              .wait_ns = storage_settings_number(settings, STORAGE_WAIT),
                              .receiver = client};
    unsigned failures = 0;

    if (queue[0] == '\0') {
        log_error("settings_refused", "problem", "queue_url is not set", NULL);
        return 1;
    }
    aws_client_set_cancel(client, queue_stop_is_over, &stop);
    while (!queue_stop_is_wanted(&stop) && failures < FAILURES_BEFORE_END) {
        struct sqs_message messages[SQS_MOST_MESSAGES];
        struct aws_answer answer;
        size_t count = 0;
        enum aws_outcome outcome =
            sqs_receive(client, queue, 1, (unsigned)(stop.wait_ns / NS_PER_SECOND), HIDE_S,
                        messages, &count, &answer);
        failures = outcome == AWS_OK || outcome == AWS_CANCELLED ? 0 : failures + 1;
        if (failures > 0)
            log_error("queue_unreadable", "problem", answer.problem, NULL);
        aws_answer_done(&answer);
        /* What has begun is brought to its end. */
        aws_client_set_cancel(client, NULL, NULL);
        for (size_t i = 0; i < count; i++) {
            handle_one(client, queue, actions, &messages[i]);
            sqs_message_done(&messages[i]);
        }
        aws_client_set_cancel(client, queue_stop_is_over, &stop);
    }
    return failures > 0;
}

static int serve(struct action_mode *mode)
{
    struct action_context *context = NULL;

    if (action_context_new(mode, &context) < 0 || console_report_run(mode->report) < 0)
        return (void)action_context_free(context), 1;
    log_info("action_ready", NULL);
    int code = serve_queue(mode->settings, context->client, context->actions);
    (void)action_context_free(context);
    return code;
}

int storage_run_action(const struct storage_settings *settings, int argc, char **argv UNUSED)
{
    struct action_mode mode = {.settings = settings};
    int code = 1;

    if (argc != 1)
        return -1;
    if (scan_resources_start(settings, false, &mode.resources) < 0)
        return 1;
    if (console_report_start(&mode.resources, "action", &mode.report) == 0)
        code = lambda_runtime_is_here() ? serve_function(&mode) : serve(&mode);
    (void)console_report_stop(mode.report);
    scan_resources_stop(&mode.resources);
    return code;
}
