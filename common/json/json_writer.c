/* Owns commas, escapes and nesting of JSON that is written once, front to back.
 * Must not own the buffer: its maximum is the caller's, and errors stick there. */
#include "common/json/json_writer.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>

#include "common/limits.h"
#include "common/text/text.h"

void json_writer_init(struct json_writer *writer, struct buffer *buffer)
{
    *writer = (struct json_writer){.buffer = buffer};
}

static void begin_value(struct json_writer *writer)
{
    if (writer->comma)
        (void)buffer_append(writer->buffer, ",", 1);
    writer->comma = true;
}

static void begin(struct json_writer *writer, const char *bracket)
{
    begin_value(writer);
    (void)buffer_append(writer->buffer, bracket, 1);
    writer->comma = false;
    if (++writer->depth > LIMIT_JSON_DEPTH)
        writer->buffer->error = writer->buffer->error != 0 ? writer->buffer->error : -EMSGSIZE;
}

static void end(struct json_writer *writer, const char *bracket)
{
    (void)buffer_append(writer->buffer, bracket, 1);
    writer->comma = true;
    writer->depth--;
}

void json_write_object_begin(struct json_writer *writer)
{
    begin(writer, "{");
}

void json_write_object_end(struct json_writer *writer)
{
    end(writer, "}");
}

void json_write_array_begin(struct json_writer *writer)
{
    begin(writer, "[");
}

void json_write_array_end(struct json_writer *writer)
{
    end(writer, "]");
}

/* Length of the well-formed UTF-8 sequence at bytes, 0 when there is none (RFC 3629: no overlong
 * forms, no surrogates, nothing above U+10FFFF). */
static size_t utf8_length(const unsigned char *bytes, size_t left)
{
    if (bytes[0] < 0x80)
        return 1;
    size_t length = bytes[0] >= 0xf0 ? 4 : bytes[0] >= 0xe0 ? 3 : 2;
    if (bytes[0] < 0xc2 || bytes[0] > 0xf4 || length > left)
        return 0;
    unsigned char low = bytes[0] == 0xe0 ? 0xa0 : bytes[0] == 0xf0 ? 0x90 : 0x80;
    unsigned char high = bytes[0] == 0xed ? 0x9f : bytes[0] == 0xf4 ? 0x8f : 0xbf;
    if (bytes[1] < low || bytes[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++) {
        if (bytes[i] < 0x80 || bytes[i] > 0xbf)
            return 0;
    }
    return length;
}

/* Characters that a terminal or a careless page acts upon: C1 controls, bidirectional and invisible
 * ones. All are below U+10000, so that one escape holds them; JSON's meaning stays the same. */
static unsigned hostile_character(const unsigned char *bytes, size_t size)
{
    unsigned code = 0;
    if (size == 2)
        code = (bytes[0] & 0x1fU) << 6 | (bytes[1] & 0x3fU);
    else if (size == 3)
        code = (bytes[0] & 0x0fU) << 12 | (bytes[1] & 0x3fU) << 6 | (bytes[2] & 0x3fU);
    bool hostile = (code >= 0x80 && code < 0xa0) || code == 0x61c || code == 0xfeff ||
                   (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
                   (code >= 0x2060 && code <= 0x2069);
    return hostile ? code : 0;
}

static void append_escape(struct buffer *buffer, unsigned char byte)
{
    static const char named[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    for (size_t i = 0; i + 1 < sizeof(named); i += 2) {
        if ((unsigned char)named[i] == byte) {
            const char escape[2] = {'\\', named[i + 1]};
            (void)buffer_append(buffer, escape, sizeof(escape));
            return;
        }
    }
    (void)buffer_append_format(buffer, "\\u%04x", byte);
}

static void append_string(struct buffer *buffer, const char *text, size_t length)
{
    const unsigned char *bytes = (const unsigned char *)text;
    size_t start = 0;
    (void)buffer_append(buffer, "\"", 1);
    for (size_t i = 0; i < length;) {
        size_t size = utf8_length(bytes + i, length - i);
        unsigned hostile = size > 1 ? hostile_character(bytes + i, size) : 0;
        bool plain = size > 0 && hostile == 0 && bytes[i] >= 0x20 && bytes[i] != '"' &&
                     bytes[i] != '\\' && bytes[i] != 0x7f;
        if (plain) {
            i += size;
            continue;
        }
        (void)buffer_append(buffer, text + start, i - start);
        if (size == 0)
            (void)buffer_append_text(buffer, "\\ufffd");
        else if (hostile != 0)
            (void)buffer_append_format(buffer, "\\u%04x", hostile);
        else
            append_escape(buffer, bytes[i]);
        i += size > 0 ? size : 1;
        start = i;
    }
    (void)buffer_append(buffer, text + start, length - start);
    (void)buffer_append(buffer, "\"", 1);
}

void json_write_key(struct json_writer *writer, const char *key)
{
    begin_value(writer);
    append_string(writer->buffer, key, strlen(key));
    (void)buffer_append(writer->buffer, ":", 1);
    writer->comma = false;
}

void json_write_string(struct json_writer *writer, const char *text)
{
    json_write_string_length(writer, text, strlen(text));
}

void json_write_string_length(struct json_writer *writer, const char *text, size_t length)
{
    begin_value(writer);
    append_string(writer->buffer, text, length);
}

void json_write_number(struct json_writer *writer, int64_t value)
{
    begin_value(writer);
    (void)buffer_append_format(writer->buffer, "%" PRId64, value);
}

void json_write_unsigned(struct json_writer *writer, uint64_t value)
{
    begin_value(writer);
    (void)buffer_append_format(writer->buffer, "%" PRIu64, value);
}

/* Stays a real for the reader: 7.0, not 7. The decimal point is the C locale's: programs never call
 * setlocale for LC_NUMERIC. */
void json_write_real(struct json_writer *writer, double value)
{
    if (!isfinite(value)) {
        json_write_null(writer);
        return;
    }
    begin_value(writer);
    char text[32];
    (void)text_format(text, sizeof(text), "%.17g", value);
    (void)buffer_append_text(writer->buffer, text);
    if (strpbrk(text, ".e") == NULL)
        (void)buffer_append_text(writer->buffer, ".0");
}

void json_write_bool(struct json_writer *writer, bool value)
{
    begin_value(writer);
    (void)buffer_append_text(writer->buffer, value ? "true" : "false");
}

void json_write_null(struct json_writer *writer)
{
    begin_value(writer);
    (void)buffer_append_text(writer->buffer, "null");
}

void json_write_raw(struct json_writer *writer, const char *json)
{
    begin_value(writer);
    (void)buffer_append_text(writer->buffer, json);
}

void json_write_field_string(struct json_writer *writer, const char *key, const char *text)
{
    json_write_key(writer, key);
    json_write_string(writer, text);
}

void json_write_field_number(struct json_writer *writer, const char *key, int64_t value)
{
    json_write_key(writer, key);
    json_write_number(writer, value);
}

void json_write_field_unsigned(struct json_writer *writer, const char *key, uint64_t value)
{
    json_write_key(writer, key);
    json_write_unsigned(writer, value);
}

void json_write_field_hex(struct json_writer *writer, const char *key, uint64_t value)
{
    char digits[17];

    (void)text_format(digits, sizeof digits, "%016llx", (unsigned long long)value);
    json_write_field_string(writer, key, digits);
}

void json_write_field_bool(struct json_writer *writer, const char *key, bool value)
{
    json_write_key(writer, key);
    json_write_bool(writer, value);
}
