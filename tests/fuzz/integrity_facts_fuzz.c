/* Rows of a baseline that somebody else wrote: what is decoded encodes to the same bytes. */
#include "agent/integrity/file_facts.h"
#include "common/limits.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_BUFFER struct buffer again = BUFFER_WITH_MAXIMUM(LIMIT_INTEGRITY_FACTS * 2);
    AUTO_BUFFER struct buffer json = BUFFER_WITH_MAXIMUM((size_t)1 << 20);
    AUTO_FACTS struct file_facts facts = {.target = NULL};
    struct json_writer writer;

    if (size > LIMIT_INTEGRITY_FACTS || file_facts_decode(data, size, &facts) < 0)
        return 0;
    file_facts_encode(&facts, &again);
    /* A NUL within a text ends it. */
    if (buffer_failed(&again) < 0 || again.length > size ||
        (again.length == size && memcmp(again.data, data, size) != 0))
        abort();
    json_writer_init(&writer, &json);
    file_facts_write(&writer, &facts);
    return 0;
}
