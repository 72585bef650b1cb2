/* Bytes that stand somewhere else: in the event, or in an arena. Never terminated; empty is a
 * length of 0 with any pointer. */
#ifndef APPLICATION_EVENTS_SPAN_H
#define APPLICATION_EVENTS_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const char *data;
    size_t length;
};

#define SPAN(literal) ((struct span){(literal), sizeof(literal) - 1})
#define SPAN_NONE     ((struct span){NULL, 0})

/* ASCII only, whatever the locale. */
static inline char byte_lower(char byte)
{
    return byte >= 'A' && byte <= 'Z' ? (char)(byte + ('a' - 'A')) : byte;
}

static inline bool byte_is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

static inline bool byte_is_letter(char byte)
{
    char lower = byte_lower(byte);
    return lower >= 'a' && lower <= 'z';
}

/* What C's isspace knows in the C locale. */
static inline bool byte_is_space(char byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

/* The value of a hexadecimal digit, or -1. */
static inline int byte_hex(char byte)
{
    char lower = byte_lower(byte);
    if (byte_is_digit(byte))
        return byte - '0';
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static inline struct span span_of(const char *text)
{
    return (struct span){text, text == NULL ? 0 : strlen(text)};
}

static inline bool span_equal(struct span a, struct span b)
{
    return a.length == b.length && (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

static inline bool span_is(struct span a, const char *text)
{
    return span_equal(a, span_of(text));
}

/* Without regard to ASCII case. */
static inline bool span_alike(struct span a, struct span b)
{
    if (a.length != b.length)
        return false;
    for (size_t i = 0; i < a.length; i++) {
        if (byte_lower(a.data[i]) != byte_lower(b.data[i]))
            return false;
    }
    return true;
}

static inline struct span span_from(struct span whole, size_t offset)
{
    size_t from = offset < whole.length ? offset : whole.length;
    if (from == 0)
        return whole;
    return (struct span){whole.data + from, whole.length - from};
}

static inline struct span span_first(struct span whole, size_t length)
{
    return (struct span){whole.data, length < whole.length ? length : whole.length};
}

static inline bool span_begins(struct span whole, const char *prefix)
{
    size_t length = strlen(prefix);
    return whole.length >= length && (length == 0 || memcmp(whole.data, prefix, length) == 0);
}

static inline bool span_begins_alike(struct span whole, const char *prefix)
{
    struct span wanted = span_of(prefix);
    return whole.length >= wanted.length && span_alike(span_first(whole, wanted.length), wanted);
}

/* The offset of byte, or the length. */
static inline size_t span_find(struct span whole, char byte)
{
    const char *at = whole.length == 0 ? NULL : memchr(whole.data, byte, whole.length);
    return at == NULL ? whole.length : (size_t)(at - whole.data);
}

static inline bool span_contains(struct span whole, struct span part)
{
    return part.length == 0 || (whole.length >= part.length &&
                                memmem(whole.data, whole.length, part.data, part.length) != NULL);
}

static inline struct span span_trim(struct span whole)
{
    while (whole.length > 0 && byte_is_space(whole.data[0]))
        whole = span_from(whole, 1);
    while (whole.length > 0 && byte_is_space(whole.data[whole.length - 1]))
        whole.length--;
    return whole;
}

/* Cuts what stands before the first separator off *rest and returns it; false at the end. */
static inline bool span_next(struct span *rest, char separator, struct span *ret_piece)
{
    if (rest->data == NULL)
        return false;
    size_t at = span_find(*rest, separator);
    *ret_piece = span_first(*rest, at);
    *rest = at < rest->length ? span_from(*rest, at + 1) : SPAN_NONE;
    return true;
}

#endif
