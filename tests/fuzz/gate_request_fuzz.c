/* Requests to the read gate: a query, or the event of a function's URL. What is read names an
 * object and comes back from its own link; nothing but the right token opens. */
#include "storage/gate/gate_request.h"
#include "storage/gate/gate_tags.h"

#include "common/text/text.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct gate_request *request)
{
    struct buffer link = BUFFER_WITH_MAXIMUM(65536);
    struct gate_request read = {.head = false}, made = *request;

    if (request->bucket[0] == '\0' || request->key[0] == '\0')
        abort();
    made.expires = 100;
    /* A bucket's name goes into a link as it is: a strange one is refused or stays itself. */
    if (gate_request_write_link("s", &made, &link) == 0 &&
        gate_request_read_query(strchr(buffer_text(&link), '?') + 1, &read) == 0 &&
        text_equal(read.bucket, made.bucket) &&
        (!text_equal(read.key, made.key) || !gate_request_is_allowed(&read, "s", 1) ||
         gate_request_is_allowed(&read, "t", 1)))
        abort();
    buffer_done(&link);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gate_request request = {.head = false};
    char *text = text_new(data, size);
    uint64_t ns;

    if (text == NULL)
        return 0;
    if (gate_request_read_query(text, &request) == 0)
        check(&request);
    if (gate_request_read_event(text, strlen(text), &request) == 0)
        check(&request);
    if (gate_parse_time(text, &ns) == 0 && ns == 1)
        abort(); /* whole seconds */
    free(text);
    return 0;
}
