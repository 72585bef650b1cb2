/* What an object's tags say of its verdict, and whether that is young enough to be believed. Only
 * where a bucket's policy keeps others from writing them is it worth to look. Thread-safe: no
 * state. */
#ifndef STORAGE_GATE_GATE_TAGS_H
#define STORAGE_GATE_GATE_TAGS_H

#include "common/attributes.h"
#include "common/aws/s3.h"
#include "storage/scan/tagger.h"

#include <stdint.h>

enum gate_known {
    GATE_UNKNOWN, /* no verdict, an old one, or one of a form that tells no age */
    GATE_CLEAN,
    GATE_INFECTED,
    GATE_NOT_CLEAN, /* incomplete, or an error */
};

/* signatures: of the engine that is loaded, "" = none: a verdict by these very ones is young
 * whatever its date. */
enum gate_known gate_tags_judge(const struct tagger *tagger, const struct s3_tags *tags,
                                const char *signatures, uint64_t now_ns, uint64_t fresh_ns);

/* "2026-11-29T10:20:30.123Z" or "...30Z". -EINVAL. */
int gate_parse_time(const char *text, uint64_t *ret_ns) MUST_USE;

#endif
