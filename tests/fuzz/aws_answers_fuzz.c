/* What S3 and SQS answer: tags, listings, messages, keys. First byte: which. Tags that were read
 * can be set again; nothing that is handed on is longer than its place. */
#include "common/aws/s3.h"
#include "common/aws/sqs.h"
#include "common/text/text.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static int each(void *user, const struct s3_listed *listed)
{
    size_t *count = user;

    must(listed->key[0] != '\0' && strlen(listed->key) < S3_KEY_BYTES);
    must(memchr(listed->etag, '\0', sizeof listed->etag) != NULL);
    ++*count;
    return 0;
}

static void read_tags(const char *text, size_t length)
{
    struct s3_tags tags, again = {.count = 0};

    if (s3_tags_read(text, length, &tags) < 0)
        return;
    must(tags.count <= S3_MOST_TAGS);
    for (size_t i = 0; i < tags.count; i++)
        must(s3_tags_set(&again, tags.tags[i].key, tags.tags[i].value) == 0);
    must(again.count == tags.count);
}

static void read_messages(const char *text, size_t length)
{
    struct sqs_message messages[SQS_MOST_MESSAGES];
    size_t count;

    if (sqs_messages_read(text, length, messages, &count) < 0)
        return;
    must(count <= SQS_MOST_MESSAGES);
    for (size_t i = 0; i < count; i++) {
        must(strlen(messages[i].body) == messages[i].body_length);
        sqs_message_done(&messages[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char token[S3_TOKEN_BYTES] = "", key[S3_KEY_BYTES];
    size_t count = 0;

    if (size == 0)
        return 0;
    const char *text = (const char *)data + 1;
    size_t length = size - 1;
    AUTO_FREE char *whole = text_new(text, length);
    if (data[0] % 4 == 0) {
        read_tags(text, length);
    } else if (data[0] % 4 == 1) {
        const struct s3_list list = {.each = each, .user = &count};
        must(s3_list_read(text, length, &list, token) < 0 || strlen(token) < S3_TOKEN_BYTES);
    } else if (data[0] % 4 == 2) {
        read_messages(text, length);
    } else if (whole != NULL && s3_decode_key(whole, true, key, sizeof key) == 0) {
        must(strlen(key) <= length);
    }
    return 0;
}
