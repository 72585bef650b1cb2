/* SNS requests in its query protocol. Owns: their form. */
#include "common/aws/sns.h"

#include "common/text/text.h"

#include <string.h>

/* "arn:aws:sns:eu-west-1:123456789012:name": the topic's own region. */
static const char *region_of(const char *topic_arn, char region[static AWS_REGION_BYTES])
{
    const char *at = topic_arn;

    for (int colons = 0; colons < 3; colons++) {
        at = strchr(at, ':');
        if (at == NULL)
            return NULL;
        at++;
    }
    if (text_format(region, AWS_REGION_BYTES, "%.*s", (int)strcspn(at, ":"), at) < 0 ||
        !aws_region_is_valid(region))
        return NULL;
    return region;
}

enum aws_outcome sns_publish(struct aws_client *client, const char *topic_arn, const char *message,
                             const struct aws_pair *attributes, size_t count,
                             struct aws_answer *ret_answer)
{
    struct aws_pair pairs[2 + 3 * SNS_MOST_ATTRIBUTES] = {{"TopicArn", topic_arn},
                                                          {"Message", message}};
    char names[3 * SNS_MOST_ATTRIBUTES][64], region[AWS_REGION_BYTES];
    size_t used = 2, entry = 0;

    for (size_t i = 0; i < count && entry < SNS_MOST_ATTRIBUTES; i++) {
        const char *const parts[][2] = {{"Name", attributes[i].name},
                                        {"Value.DataType", "String"},
                                        {"Value.StringValue", attributes[i].value}};
        if (attributes[i].value[0] == '\0')
            continue;
        entry++;
        for (size_t part = 0; part < ARRAY_LENGTH(parts); part++) {
            char *name = names[used - 2];
            (void)text_format(name, sizeof names[0], "MessageAttributes.entry.%zu.%s", entry,
                              parts[part][0]);
            pairs[used++] = (struct aws_pair){name, parts[part][1]};
        }
    }
    return aws_client_query(client, "sns", region_of(topic_arn, region), "2010-03-31", "Publish",
                            pairs, used, ret_answer);
}
