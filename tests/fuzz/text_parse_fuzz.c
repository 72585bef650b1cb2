/* Numbers, sizes, durations, hexadecimal digits and escapes as an outsider writes them. */
#include "common/text/text.h"

#include <errno.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool held)
{
    if (!held)
        abort();
}

/* What parses as a whole number is a number that prints the same, without leading zeros. */
static void check_number(const char *text)
{
    char printed[32];
    uint64_t value = 0, bytes = 0, ns = 0;

    if (text_parse_u64(text, &value) == 0) {
        while (text[0] == '0' && text[1] != '\0')
            text++;
        require(text_format(printed, sizeof printed, "%llu", (unsigned long long)value) > 0);
        require(text_equal(printed, text));
        require(text_parse_size(text, &bytes) == 0 && bytes == value);
        int r = text_parse_duration(text, &ns);
        require(r == -ERANGE || (r == 0 && ns / 1000000000U == value));
    } else {
        require(value == 0);
    }
    (void)!text_parse_size(text, &bytes);
    (void)!text_parse_duration(text, &ns);
}

static void check_hex(const char *text)
{
    uint8_t bytes[64];
    char hex[2 * sizeof bytes + 1];
    size_t length = MIN(strlen(text) / 2, sizeof bytes);

    if (text_parse_hex(text, bytes, length) == 0) {
        text_hex(hex, bytes, length);
        require(strcasecmp(hex, text) == 0);
    }
}

static void check_unescape(const char *text)
{
    size_t size = strlen(text) + 1, length = 0;
    AUTO_FREE char *back = malloc(size);

    require(back != NULL);
    if (text_unescape(back, size, text, &length) == 0)
        require(length == strlen(back) && length < size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_FREE char *text = malloc(size + 1);

    require(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    check_number(text);
    check_hex(text);
    check_unescape(text);
    return 0;
}
