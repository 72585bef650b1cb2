/* Records of the quarantine bucket: what is read and written again is read as the same. */
#include "storage/actions/quarantine_record.h"

#include "common/text/text.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer json = BUFFER_WITH_MAXIMUM(QUARANTINE_RECORD_BYTES * 8);
    static struct quarantine_record first, second;
    char problem[128];

    if (quarantine_record_read((const char *)data, size, &first, problem) < 0)
        return 0;
    if (quarantine_record_write(&first, &json) < 0)
        abort();
    int r = quarantine_record_read(buffer_text(&json), json.length, &second, problem);
    if (json.length <= QUARANTINE_RECORD_BYTES &&
        (r < 0 || !text_equal(first.bucket, second.bucket) || !text_equal(first.key, second.key) ||
         first.tags.count != second.tags.count))
        abort();
    buffer_done(&json);
    return 0;
}
