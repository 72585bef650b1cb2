/* Streaming JSON into a buffer: no tree, commas and escapes by itself. Strings are UTF-8; invalid
 * bytes are written as \ufffd, so pass names an outsider chose through text_escape first when they
 * must be reversible. Control, bidirectional and invisible characters are escaped, so that a line
 * of JSON can be shown on a terminal. Errors stick in the buffer (buffer_failed). The prefix is
 * json_write_ because jansson owns json_string and its like. */
#ifndef COMMON_JSON_JSON_WRITER_H
#define COMMON_JSON_JSON_WRITER_H

#include "common/buffers/buffer.h"

#include <stdbool.h>
#include <stdint.h>

struct json_writer {
    struct buffer *buffer;
    bool comma; /* a value stands before */
    unsigned depth;
};

void json_writer_init(struct json_writer *writer, struct buffer *buffer);
void json_write_object_begin(struct json_writer *writer);
void json_write_object_end(struct json_writer *writer);
void json_write_array_begin(struct json_writer *writer);
void json_write_array_end(struct json_writer *writer);
void json_write_key(struct json_writer *writer, const char *key);
void json_write_string(struct json_writer *writer, const char *text);
void json_write_string_length(struct json_writer *writer, const char *text, size_t length);
void json_write_number(struct json_writer *writer, int64_t value);
void json_write_unsigned(struct json_writer *writer, uint64_t value);
void json_write_real(struct json_writer *writer, double value);
void json_write_bool(struct json_writer *writer, bool value);
void json_write_null(struct json_writer *writer);
/* A value that is JSON already. */
void json_write_raw(struct json_writer *writer, const char *json);

/* key and value in one. */
void json_write_field_string(struct json_writer *writer, const char *key, const char *text);
void json_write_field_number(struct json_writer *writer, const char *key, int64_t value);
void json_write_field_unsigned(struct json_writer *writer, const char *key, uint64_t value);
/* Identifiers of 64 bits, which JSON readers take for numbers of 53 or 63: 16 hexadecimal digits.
 */
void json_write_field_hex(struct json_writer *writer, const char *key, uint64_t value);
void json_write_field_bool(struct json_writer *writer, const char *key, bool value);

#endif
