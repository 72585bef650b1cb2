/* Owns Amazon SNS: one Publish for an event, whose message is the event as JSON, with severity,
 * module and kind as attributes for filter policies. */
#include "common/aws/aws_client.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "common/wire/wire.h"
#include "console/forward/sink.h"

#include <errno.h>
#include <stdlib.h>

#define PATIENCE_NS     (8 * NS_PER_SECOND)
#define ATTEMPTS        2
#define MESSAGE_MAXIMUM 262144 /* SNS takes 256 KiB with the attributes */

struct sns {
    struct sink sink;
    struct aws_client *client;
    char topic_arn[512];
};

static void close_sns(struct sink *sink)
{
    struct sns *sns = (struct sns *)sink;
    (void)aws_client_free(sns->client);
    free(sns);
}

static int open_sns(const struct destination *destination, struct sink **ret_sink,
                    char problem[static SINK_PROBLEM_BYTES])
{
    struct aws_settings *settings = calloc(1, sizeof(*settings));
    struct sns *sns = calloc(1, sizeof(*sns));
    const char *variable = "";
    int r = settings && sns ? 0 : -ENOMEM;
    if (r == 0) {
        (void)text_copy(settings->region, sizeof(settings->region), destination->region);
        (void)text_copy(settings->keys.access_key_id, sizeof(settings->keys.access_key_id),
                        destination->access_key_id);
        (void)text_copy(settings->keys.secret_access_key, sizeof(settings->keys.secret_access_key),
                        destination->secret_access_key);
        r = aws_settings_from_environment(settings, &variable);
        if (r < 0)
            (void)text_format(problem, SINK_PROBLEM_BYTES, "%s is too long", variable);
        /* A token of the environment belongs to the environment's keys. */
        if (destination->access_key_id[0])
            settings->keys.session_token[0] = '\0';
    }
    if (r == 0)
        r = aws_client_new(settings, NULL, &sns->client);
    if (settings)
        aws_settings_wipe(settings);
    free(settings);
    if (r < 0) {
        free(sns);
        return r;
    }
    aws_client_set_patience(sns->client, PATIENCE_NS, ATTEMPTS);
    (void)text_copy(sns->topic_arn, sizeof(sns->topic_arn), destination->topic_arn);
    *ret_sink = &sns->sink;
    return 0;
}

static void publish(struct sns *sns, const struct sink_event *event, struct sink_outcome *outcome)
{
    const char *severity = wire_severity_name(event->severity);
    const struct aws_pair pairs[] = {
        {"TopicArn", sns->topic_arn},
        {"Message", event->json},
        {"MessageAttributes.entry.1.Name", "severity"},
        {"MessageAttributes.entry.1.Value.DataType", "String"},
        {"MessageAttributes.entry.1.Value.StringValue", severity ? severity : "info"},
        {"MessageAttributes.entry.2.Name", "module"},
        {"MessageAttributes.entry.2.Value.DataType", "String"},
        {"MessageAttributes.entry.2.Value.StringValue", event->module},
        {"MessageAttributes.entry.3.Name", "kind"},
        {"MessageAttributes.entry.3.Value.DataType", "String"},
        {"MessageAttributes.entry.3.Value.StringValue", event->kind},
        {"MessageGroupId", "yagura"}, /* of FIFO topics only, with the next */
        {"MessageDeduplicationId", event->id},
    };
    size_t count = ARRAY_LENGTH(pairs) - (text_ends_with(sns->topic_arn, ".fifo") ? 0 : 2);
    struct aws_answer answer;
    enum aws_outcome result =
        aws_client_query(sns->client, "sns", NULL, "2010-03-31", "Publish", pairs, count, &answer);
    if (result != AWS_OK) {
        /* Only what is wrong with the message itself is given up. */
        bool bad = result == AWS_REFUSED && (text_equal(answer.code, "InvalidParameter") ||
                                             text_equal(answer.code, "InvalidParameterValue") ||
                                             text_equal(answer.code, "ParameterValueInvalid"));
        outcome->error = bad ? -EBADMSG : -EAGAIN;
        (void)text_copy(outcome->problem, sizeof(outcome->problem), answer.problem);
    }
    aws_answer_done(&answer);
}

static void send_sns(struct sink *sink, const struct sink_event *events, size_t count,
                     struct sink_outcome *outcome)
{
    for (; outcome->sent < count; outcome->sent++) {
        if (strlen(events[outcome->sent].json) > MESSAGE_MAXIMUM) {
            outcome->error = -EBADMSG;
            (void)text_copy(outcome->problem, sizeof(outcome->problem), "longer than 256 KiB");
            return;
        }
        publish((struct sns *)sink, &events[outcome->sent], outcome);
        if (outcome->error < 0)
            return;
    }
}

const struct sink_kind SNS_SINK = {open_sns, send_sns, close_sns};
