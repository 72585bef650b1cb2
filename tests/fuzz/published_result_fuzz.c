/* What a topic's message may hold: a result, or a batch of messages around one. A result that is
 * read names an object, and clean is never what tells of a finding. */
#include "storage/actions/message_batch.h"
#include "storage/actions/published_result.h"

#include "common/text/text.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int take(void *user, const char *body, size_t length, bool again UNUSED)
{
    struct published_result *result = user;
    char problem[128];

    int r = published_result_read(body, length, result, problem);
    if (r != 0)
        return r;
    if (result->bucket[0] == '\0' || result->key[0] == '\0' ||
        (result->malware[0] != '\0' && result->verdict != PUBLISHED_INFECTED))
        abort();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer answer = BUFFER_WITH_MAXIMUM(1024 * 1024);
    static struct published_result result;

    (void)take(&result, (const char *)data, size, false);
    if (message_batch_handle((const char *)data, size, take, &result, &answer) == 0 &&
        answer.length == 0)
        abort();
    buffer_done(&answer);
    return 0;
}
