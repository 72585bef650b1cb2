/* The mode "action". Owns: where messages come from. */
#include "common/aws/sqs.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "storage/actions/actions.h"
#include "storage/program/storage_client.h"
#include "storage/program/storage_mode.h"

#include <errno.h>
#include <signal.h>

#define HIDE_S              900 /* the longest copy */
#define AGAIN_S             60
#define FAILURES_BEFORE_END 10

static bool stopping; /* set by a signal */

static void stop(int signal_number UNUSED)
{
    __atomic_store_n(&stopping, true, __ATOMIC_RELAXED);
}

static bool is_stopping(void *user UNUSED)
{
    return __atomic_load_n(&stopping, __ATOMIC_RELAXED);
}

static void catch_signals(void)
{
    const struct sigaction action = {.sa_handler = stop};

    (void)sigaction(SIGTERM, &action, NULL);
    (void)sigaction(SIGINT, &action, NULL);
}

/* ---- a queue ---- */

static void handle_one(struct aws_client *client, const char *queue, struct actions *actions,
                       struct sqs_message *message)
{
    const char *receipt = message->receipt;
    bool failed[SQS_MOST_MESSAGES];
    struct aws_answer answer;

    int r = actions_handle(actions, message->body, message->body_length);
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
    uint64_t wait_ns = storage_settings_number(settings, STORAGE_WAIT);
    unsigned failures = 0;

    if (queue[0] == '\0') {
        log_error("settings_refused", "problem", "queue_url is not set", NULL);
        return 1;
    }
    aws_client_set_cancel(client, is_stopping, NULL);
    while (!is_stopping(NULL) && failures < FAILURES_BEFORE_END) {
        struct sqs_message messages[SQS_MOST_MESSAGES];
        struct aws_answer answer;
        size_t count = 0;
        enum aws_outcome outcome = sqs_receive(client, queue, 1, (unsigned)(wait_ns / 1000000000),
                                               HIDE_S, messages, &count, &answer);
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
        aws_client_set_cancel(client, is_stopping, NULL);
    }
    return failures > 0;
}

int storage_run_action(const struct storage_settings *settings, int argc, char **argv UNUSED)
{
    struct aws_client *client = NULL;
    struct actions *actions = NULL;
    char problem[512] = "memory is short";
    int code = 1;

    if (argc != 1)
        return -1;
    int r = storage_client_open(&client, problem, sizeof problem);
    if (r == 0)
        r = actions_new(settings, client, &actions, problem, sizeof problem);
    if (r < 0) {
        log_error("action_cannot_start", "problem", problem, NULL);
    } else {
        catch_signals();
        log_info("action_ready", NULL);
        code = serve_queue(settings, client, actions);
    }
    (void)actions_free(actions);
    (void)aws_client_free(client);
    return code;
}
