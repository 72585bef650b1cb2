/* The rule language's transformations of a value before it is looked at ("t:urlDecodeUni"). A
 * result that is no different is the text itself; anything else is in the arena, and no longer than
 * its source but for the few that say so. Thread-safe: no state.
 * Source: ModSecurity Reference Manual (v3.x), "Transformation functions". */
#ifndef APPLICATION_DETECTION_TRANSFORMATIONS_H
#define APPLICATION_DETECTION_TRANSFORMATIONS_H

#include "application/events/arena.h"
#include "application/events/span.h"

/* Numbers stand in rule tables: append only. */
enum transformation {
    TRANSFORM_NONE,
    TRANSFORM_BASE64_DECODE,
    TRANSFORM_COMMAND_LINE,
    TRANSFORM_COMPRESS_WHITESPACE,
    TRANSFORM_CSS_DECODE,
    TRANSFORM_ESCAPE_SEQUENCE_DECODE,
    TRANSFORM_HEX_DECODE,
    TRANSFORM_HEX_ENCODE, /* twice as long */
    TRANSFORM_HTML_ENTITY_DECODE,
    TRANSFORM_JS_DECODE,
    TRANSFORM_LENGTH,
    TRANSFORM_LOWERCASE,
    TRANSFORM_NORMALIZE_PATH,
    TRANSFORM_NORMALIZE_PATH_WINDOWS,
    TRANSFORM_REMOVE_COMMENTS_MARKS,
    TRANSFORM_REMOVE_NULLS,
    TRANSFORM_REMOVE_WHITESPACE,
    TRANSFORM_REPLACE_COMMENTS,
    TRANSFORM_REPLACE_NULLS,
    TRANSFORM_TRIM,
    TRANSFORM_UPPERCASE,
    TRANSFORM_URL_DECODE,
    TRANSFORM_URL_DECODE_UNICODE,
    TRANSFORM_UTF8_TO_UNICODE, /* up to three times as long */
    TRANSFORM_COUNT
};

/* The transformation of that name, in any case; TRANSFORM_COUNT when it is not known. */
enum transformation transformation_of(struct span name);
/* SPAN_NONE when arena has no more. */
struct span transform(enum transformation transformation, struct arena *arena, struct span text);
/* Bytes of which one must be in a text that the transformation changes; false when any text may
 * be changed. */
bool transformation_needs(enum transformation transformation, uint64_t ret_bytes[4]);

static inline bool bytes_have(const uint64_t bytes[4], unsigned char byte)
{
    return (bytes[byte >> 6] >> (byte & 63) & 1) != 0;
}

static inline bool bytes_meet(const uint64_t a[4], const uint64_t b[4])
{
    return ((a[0] & b[0]) | (a[1] & b[1]) | (a[2] & b[2]) | (a[3] & b[3])) != 0;
}

#endif
