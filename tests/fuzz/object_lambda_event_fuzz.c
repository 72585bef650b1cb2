/* Events of S3 Object Lambda, and the range a reader asks for: what is read holds no line end that
 * would go into a header, and a range stays inside the object. */
#include "storage/object_lambda/object_lambda_event.h"

#include "common/text/text.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_range(const char *text, uint64_t size)
{
    uint64_t first, length;

    if (object_lambda_range(text, size, &first, &length) == 0 &&
        (length == 0 || first >= size || length > size - first))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct object_lambda_event event;
    char *text = text_new(data, size);

    if (text == NULL)
        return 0;
    check_range(text, 1000);
    check_range(text, 0);
    if (object_lambda_url_is_s3(text, "") && !text_starts_with(text, "https://"))
        abort();
    if (object_lambda_event_read(text, strlen(text), &event) == 0) {
        for (size_t i = 0; i < event.header_count; i++)
            if (strpbrk(event.headers[i].value, "\r\n") != NULL)
                abort();
        check_range(event.range, 1000);
        object_lambda_event_done(&event);
    }
    free(text);
    return 0;
}
