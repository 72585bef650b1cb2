/* SNS requests in its query protocol. Owns: their form, and what of an answer is believed. */
#include "common/aws/sns.h"

#include "common/aws/xml_reader.h"
#include "common/text/text.h"

#include <stdlib.h>
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

/* The parts of a request that live as long as it does. */
struct form {
    struct aws_pair pairs[1 + SNS_MOST_ENTRIES * (2 + 3 * SNS_MOST_ATTRIBUTES)];
    char names[SNS_MOST_ENTRIES * (2 + 3 * SNS_MOST_ATTRIBUTES)][96];
    size_t count;
};

static void add(struct form *form, const char *prefix, const char *name, const char *value)
{
    char *whole = form->names[form->count - 1];

    (void)text_format(whole, sizeof form->names[0], "%s%s", prefix, name);
    form->pairs[form->count++] = (struct aws_pair){whole, value};
}

static void add_attributes(struct form *form, const char *prefix, const struct sns_entry *message)
{
    size_t entry = 0;

    for (size_t i = 0; i < message->count && entry < SNS_MOST_ATTRIBUTES; i++) {
        const struct aws_pair *attribute = &message->attributes[i];
        char place[64];
        if (attribute->value[0] == '\0')
            continue;
        (void)text_format(place, sizeof place, "%sMessageAttributes.entry.%zu.", prefix, ++entry);
        add(form, place, "Name", attribute->name);
        add(form, place, "Value.DataType", "String");
        add(form, place, "Value.StringValue", attribute->value);
    }
}

static enum aws_outcome no_memory(struct aws_answer *answer)
{
    *answer = (struct aws_answer){.outcome = AWS_UNAVAILABLE};
    (void)text_copy(answer->problem, sizeof answer->problem, "memory is short");
    return answer->outcome;
}

static enum aws_outcome send(struct aws_client *client, const char *topic_arn, const char *action,
                             const struct form *form, struct aws_answer *ret_answer)
{
    char region[AWS_REGION_BYTES];

    return aws_client_query(client, "sns", region_of(topic_arn, region), "2010-03-31", action,
                            form->pairs, form->count, ret_answer);
}

enum aws_outcome sns_publish(struct aws_client *client, const char *topic_arn, const char *message,
                             const struct aws_pair *attributes, size_t count,
                             struct aws_answer *ret_answer)
{
    const struct sns_entry entry = {.message = message, .attributes = attributes, .count = count};
    AUTO_FREE struct form *form = malloc(sizeof *form);

    if (form == NULL)
        return no_memory(ret_answer);
    form->pairs[0] = (struct aws_pair){"TopicArn", topic_arn};
    form->count = 1;
    add(form, "", "Message", message);
    add_attributes(form, "", &entry);
    return send(client, topic_arn, "Publish", form, ret_answer);
}

/* ---- several at once ---- */

struct outcome_reader {
    struct sns_entry *entries;
    size_t count;
    bool good; /* within the list of those that succeeded */
    uint64_t id;
    char code[sizeof((struct sns_entry *)NULL)->code];
};

static void begin_element(struct outcome_reader *outcomes, const char *name)
{
    if (text_equal(name, "Successful") || text_equal(name, "Failed"))
        outcomes->good = text_equal(name, "Successful");
    if (text_equal(name, "member")) {
        outcomes->id = UINT64_MAX;
        outcomes->code[0] = '\0';
    }
}

static void end_element(struct outcome_reader *outcomes, const char *name, const char *text)
{
    if (text_equal(name, "Id") && text_parse_u64(text, &outcomes->id) < 0)
        outcomes->id = UINT64_MAX;
    if (text_equal(name, "Code"))
        (void)text_format(outcomes->code, sizeof outcomes->code, "%s", text);
    if (!text_equal(name, "member") || outcomes->id >= outcomes->count)
        return;
    struct sns_entry *entry = &outcomes->entries[outcomes->id];
    entry->failed = !outcomes->good;
    (void)text_copy(entry->code, sizeof entry->code, outcomes->code);
}

/* Those that the answer names as successful did not fail. */
static enum aws_outcome read_outcomes(struct aws_answer *answer, struct sns_entry *entries,
                                      size_t count)
{
    struct outcome_reader outcomes = {.entries = entries, .count = count, .id = UINT64_MAX};
    struct xml_reader reader;

    xml_reader_begin(&reader, buffer_text(&answer->http.body), answer->http.body.length);
    enum xml_token token = xml_reader_next(&reader);
    for (; token == XML_OPEN || token == XML_CLOSE; token = xml_reader_next(&reader)) {
        if (token == XML_OPEN)
            begin_element(&outcomes, reader.name);
        else
            end_element(&outcomes, reader.name, buffer_text(&reader.text));
    }
    xml_reader_done(&reader);
    if (token == XML_END)
        return AWS_OK;
    (void)text_copy(answer->problem, sizeof answer->problem, "the answer is none of SNS's");
    return answer->outcome = AWS_UNAVAILABLE;
}

enum aws_outcome sns_publish_batch(struct aws_client *client, const char *topic_arn,
                                   struct sns_entry *entries, size_t count,
                                   struct aws_answer *ret_answer)
{
    AUTO_FREE struct form *form = malloc(sizeof *form);
    static const char *const ids[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};

    if (form == NULL)
        return no_memory(ret_answer);
    form->pairs[0] = (struct aws_pair){"TopicArn", topic_arn};
    form->count = 1;
    for (size_t i = 0; i < count && i < ARRAY_LENGTH(ids); i++) {
        char prefix[64];
        (void)text_format(prefix, sizeof prefix, "PublishBatchRequestEntries.member.%zu.", i + 1);
        add(form, prefix, "Id", ids[i]);
        add(form, prefix, "Message", entries[i].message);
        add_attributes(form, prefix, &entries[i]);
        entries[i].failed = true;
        entries[i].code[0] = '\0';
    }
    if (send(client, topic_arn, "PublishBatch", form, ret_answer) != AWS_OK)
        return ret_answer->outcome;
    return read_outcomes(ret_answer, entries, MIN(count, ARRAY_LENGTH(ids)));
}
