/* Text in fixed buffers: bounded formatting, strict numbers, and escaping of hostile names.
 * Thread-safe: no state. */
#ifndef COMMON_TEXT_TEXT_H
#define COMMON_TEXT_TEXT_H

#include "common/attributes.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

/* Formats into buffer of size bytes, always terminated. Returns the length, or -ENAMETOOLONG when
 * it did not fit (the buffer then holds the beginning). */
int text_format(char *buffer, size_t size, const char *format, ...) PRINTF_LIKE(3, 4);
int text_format_list(char *buffer, size_t size, const char *format, va_list arguments)
    PRINTF_LIKE(3, 0);

/* Copies text into buffer; -ENAMETOOLONG when it did not fit (cut and terminated). */
int text_copy(char *buffer, size_t size, const char *text);

/* The length bytes as a new string, freed with free(); they need no terminator (strndup would look
 * for one). NULL when out of memory. */
char *text_new(const void *bytes, size_t length);
/* A new string, freed with free(); NULL when out of memory. */
char *text_format_new(const char *format, ...) PRINTF_LIKE(1, 2);

/* Whole decimal numbers only: no sign, blanks, prefix or trailing bytes. -EINVAL, -ERANGE. */
int text_parse_u64(const char *text, uint64_t *ret_value) MUST_USE;
/* "4096", "64K", "25M", "2G", "1T": powers of 1024. -EINVAL, -ERANGE. */
int text_parse_size(const char *text, uint64_t *ret_bytes) MUST_USE;
/* "500ms", "30s", "5m", "12h", "7d"; a bare number is seconds. -EINVAL, -ERANGE. */
int text_parse_duration(const char *text, uint64_t *ret_ns) MUST_USE;

bool text_starts_with(const char *text, const char *prefix);
bool text_ends_with(const char *text, const char *suffix);
bool text_equal(const char *a, const char *b);

/* Whether all of it is well-formed UTF-8 (Unicode 15, table 3-7). */
bool text_is_utf8(const char *text);
/* Shows bytes an outsider chose: everything but printable UTF-8 becomes \xNN, and so do
 * backslashes, C0/C1 controls, bidirectional controls (U+061C, U+200E-F, U+202A-E, U+2066-9), line
 * and paragraph separators, other default-ignorable characters, and invalid UTF-8. Reversible with
 * text_unescape. Returns the length, or -ENAMETOOLONG when it did not fit (cut at a whole
 * character). */
int text_escape(char *buffer, size_t size, const void *bytes, size_t length);
/* The same into new memory (4 bytes per input byte at most); NULL when out of memory. */
char *text_escape_new(const void *bytes, size_t length);
/* Turns \xNN back into bytes; the result may hold any byte but NUL. -EINVAL on a broken escape. */
int text_unescape(char *buffer, size_t size, const char *text, size_t *ret_length) MUST_USE;

/* Lower-case hexadecimal of length bytes; hex must hold 2 * length + 1. */
void text_hex(char *hex, const uint8_t *bytes, size_t length);
/* The reverse; text must be exactly 2 * length digits. -EINVAL. */
int text_parse_hex(const char *text, uint8_t *bytes, size_t length) MUST_USE;

#endif
