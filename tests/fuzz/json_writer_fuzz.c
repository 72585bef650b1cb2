/* Any bytes written as JSON are read by jansson, and valid UTF-8 comes back as it was. */
#include "common/json/json_writer.h"

#include <jansson.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool held)
{
    if (!held)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_BUFFER struct buffer buffer = BUFFER_WITH_MAXIMUM(8 * size + 1024);
    struct json_writer writer;
    int64_t number = 0;
    json_error_t error;

    memcpy(&number, data != NULL ? (const void *)data : "", MIN(size, sizeof number));
    json_writer_init(&writer, &buffer);
    json_write_object_begin(&writer);
    json_write_key(&writer, "text");
    json_write_string_length(&writer, (const char *)data, size);
    json_write_field_number(&writer, "number", number);
    json_write_object_end(&writer);
    require(buffer_failed(&buffer) == 0);
    json_t *tree =
        json_loads(buffer_text(&buffer), JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    require(tree != NULL);
    require(json_integer_value(json_object_get(tree, "number")) == number);

    const json_t *text = json_object_get(tree, "text");
    json_t *same = json_stringn((const char *)data, size); /* NULL: not UTF-8 */
    require(json_is_string(text));
    if (same != NULL)
        require(json_string_length(text) == size &&
                memcmp(json_string_value(text), data, size) == 0);
    json_decref(same);
    json_decref(tree);
    return 0;
}
