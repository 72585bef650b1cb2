/* Text in fixed buffers. Owns no state; allocates only in text_format_new and text_escape_new. */
#include "common/text/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int text_format_list(char *buffer, size_t size, const char *format, va_list arguments)
{
    int length = vsnprintf(buffer, size, format, arguments);

    if (length < 0) {
        if (size > 0)
            buffer[0] = '\0';
        return -EINVAL;
    }
    return (size_t)length < size ? length : -ENAMETOOLONG;
}

int text_format(char *buffer, size_t size, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    int r = text_format_list(buffer, size, format, arguments);
    va_end(arguments);
    return r;
}

int text_copy(char *buffer, size_t size, const char *text)
{
    size_t length = strlen(text);

    if (size == 0)
        return -ENAMETOOLONG;
    size_t copied = MIN(length, size - 1);
    memcpy(buffer, text, copied);
    buffer[copied] = '\0';
    return copied == length ? 0 : -ENAMETOOLONG;
}

char *text_new(const void *bytes, size_t length)
{
    char *text = length < SIZE_MAX ? malloc(length + 1) : NULL;

    if (text == NULL)
        return NULL;
    if (length > 0) /* bytes may be NULL then */
        memcpy(text, bytes, length);
    text[length] = '\0';
    return text;
}

char *text_format_new(const char *format, ...)
{
    char *text = NULL;
    va_list arguments;

    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    return length < 0 ? NULL : text;
}

static int parse_digits(const char *text, const char **ret_end, uint64_t *ret_value)
{
    uint64_t value = 0;
    const char *digit = text;

    for (; *digit >= '0' && *digit <= '9'; digit++)
        if (__builtin_mul_overflow(value, 10U, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*digit - '0'), &value))
            return -ERANGE;
    if (digit == text)
        return -EINVAL;
    *ret_end = digit;
    *ret_value = value;
    return 0;
}

int text_parse_u64(const char *text, uint64_t *ret_value)
{
    const char *end;
    uint64_t value;

    int r = parse_digits(text, &end, &value);
    if (r < 0)
        return r;
    if (*end != '\0')
        return -EINVAL;
    *ret_value = value;
    return 0;
}

struct unit {
    const char *suffix;
    uint64_t factor;
};

static int parse_with_unit(const char *text, const struct unit *units, size_t count,
                           uint64_t *ret_value)
{
    const char *end;
    uint64_t value;

    int r = parse_digits(text, &end, &value);
    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++) {
        if (!text_equal(end, units[i].suffix))
            continue;
        if (__builtin_mul_overflow(value, units[i].factor, &value))
            return -ERANGE;
        *ret_value = value;
        return 0;
    }
    return -EINVAL;
}

int text_parse_size(const char *text, uint64_t *ret_bytes)
{
    static const struct unit units[] = {
        {"", 1}, {"K", 1ULL << 10}, {"M", 1ULL << 20}, {"G", 1ULL << 30}, {"T", 1ULL << 40},
    };

    return parse_with_unit(text, units, ARRAY_LENGTH(units), ret_bytes);
}

int text_parse_duration(const char *text, uint64_t *ret_ns)
{
    static const uint64_t second = 1000000000ULL;
    static const struct unit units[] = {
        {"", second},       {"ms", second / 1000}, {"s", second},
        {"m", 60 * second}, {"h", 3600 * second},  {"d", 86400 * second},
    };

    return parse_with_unit(text, units, ARRAY_LENGTH(units), ret_ns);
}

bool text_starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool text_ends_with(const char *text, const char *suffix)
{
    size_t length = strlen(text), suffix_length = strlen(suffix);

    return length >= suffix_length &&
           memcmp(text + length - suffix_length, suffix, suffix_length) == 0;
}

bool text_equal(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

/* Length of the well-formed UTF-8 character at bytes (Unicode 15, table 3-7), 0 when there is none.
 */
static size_t utf8_decode(const uint8_t *bytes, size_t length, uint32_t *ret_code)
{
    static const struct {
        uint8_t low, high, extra, mask;
        uint32_t smallest;
    } forms[] = {
        {0x00, 0x7F, 0, 0x7F, 0x0},
        {0xC2, 0xDF, 1, 0x1F, 0x80},
        {0xE0, 0xEF, 2, 0x0F, 0x800},
        {0xF0, 0xF4, 3, 0x07, 0x10000},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(forms); i++) {
        if (bytes[0] < forms[i].low || bytes[0] > forms[i].high)
            continue;
        if (length <= forms[i].extra)
            return 0;
        uint32_t code = bytes[0] & forms[i].mask;
        for (size_t k = 1; k <= forms[i].extra; k++) {
            if ((bytes[k] & 0xC0) != 0x80)
                return 0;
            code = code << 6 | (bytes[k] & 0x3F);
        }
        if (code < forms[i].smallest || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
            return 0;
        *ret_code = code;
        return forms[i].extra + 1U;
    }
    return 0;
}

bool text_is_utf8(const char *text)
{
    const uint8_t *bytes = (const uint8_t *)text;
    uint32_t code;

    for (size_t left = strlen(text), width; left > 0; bytes += width, left -= width) {
        width = utf8_decode(bytes, left, &code);
        if (width == 0)
            return false;
    }
    return true;
}

/* Characters that change how a line looks without being seen (UAX #9,
 * Default_Ignorable_Code_Point), separators, noncharacters, private use and unusual blanks. */
static bool is_deceptive(uint32_t code)
{
    static const struct {
        uint32_t first, last;
    } ranges[] = {
        {0x0000, 0x001F},    {0x005C, 0x005C}, {0x007F, 0x00A0},   {0x00AD, 0x00AD},
        {0x034F, 0x034F},    {0x061C, 0x061C}, {0x115F, 0x1160},   {0x1680, 0x1680},
        {0x17B4, 0x17B5},    {0x180B, 0x180F}, {0x2000, 0x200F},   {0x2028, 0x202F},
        {0x205F, 0x206F},    {0x2800, 0x2800}, {0x3164, 0x3164},   {0xD800, 0xF8FF},
        {0xFDD0, 0xFDEF},    {0xFE00, 0xFE0F}, {0xFEFF, 0xFEFF},   {0xFFA0, 0xFFA0},
        {0xFFF0, 0xFFFB},    {0xFFFE, 0xFFFF}, {0x1BCA0, 0x1BCA3}, {0x1D173, 0x1D17A},
        {0xE0000, 0x10FFFF},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(ranges); i++)
        if (code >= ranges[i].first && code <= ranges[i].last)
            return true;
    return (code & 0xFFFE) == 0xFFFE;
}

int text_escape(char *buffer, size_t size, const void *bytes, size_t length)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *in = bytes;
    size_t out = 0;

    if (size == 0)
        return -ENAMETOOLONG;
    for (size_t i = 0; i < length;) {
        uint32_t code = 0;
        size_t width = utf8_decode(in + i, length - i, &code);
        bool shown = width > 0 && !is_deceptive(code);
        size_t taken = width > 0 ? width : 1;
        size_t needed = shown ? taken : 4 * taken;

        if (out + needed >= size) {
            buffer[out] = '\0';
            return -ENAMETOOLONG;
        }
        for (size_t k = 0; k < taken; k++, i++) {
            if (shown) {
                buffer[out++] = (char)in[i];
                continue;
            }
            buffer[out++] = '\\';
            buffer[out++] = 'x';
            buffer[out++] = digits[in[i] >> 4];
            buffer[out++] = digits[in[i] & 15];
        }
    }
    buffer[out] = '\0';
    return (int)out;
}

char *text_escape_new(const void *bytes, size_t length)
{
    size_t size;
    if (__builtin_mul_overflow(length, 4U, &size) || __builtin_add_overflow(size, 1U, &size))
        return NULL;
    char *text = malloc(size);
    if (text != NULL)
        (void)text_escape(text, size, bytes, length);
    return text;
}

static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

int text_unescape(char *buffer, size_t size, const char *text, size_t *ret_length)
{
    size_t out = 0;

    if (size == 0)
        return -ENAMETOOLONG;
    for (const char *in = text; *in != '\0';) {
        char byte = *in++;
        if (byte == '\\') {
            if (in[0] != 'x' || hex_value(in[1]) < 0 || hex_value(in[2]) < 0)
                return -EINVAL;
            byte = (char)(hex_value(in[1]) << 4 | hex_value(in[2]));
            in += 3;
            if (byte == '\0')
                return -EINVAL;
        }
        if (out + 1 >= size)
            return -ENAMETOOLONG;
        buffer[out++] = byte;
    }
    buffer[out] = '\0';
    *ret_length = out;
    return 0;
}

void text_hex(char *hex, const uint8_t *bytes, size_t length)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < length; i++) {
        hex[2 * i] = digits[bytes[i] >> 4];
        hex[2 * i + 1] = digits[bytes[i] & 15];
    }
    hex[2 * length] = '\0';
}

int text_parse_hex(const char *text, uint8_t *bytes, size_t length)
{
    if (strlen(text) != 2 * length)
        return -EINVAL;
    for (size_t i = 0; i < length; i++) {
        int high = hex_value(text[2 * i]), low = hex_value(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return -EINVAL;
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    return 0;
}
