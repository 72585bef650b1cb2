/* SHA-256 digests in an open table: grows, never shrinks. Not thread-safe. */
#ifndef AGENT_APPLICATION_CONTROL_DIGEST_TABLE_H
#define AGENT_APPLICATION_CONTROL_DIGEST_TABLE_H

#include "common/attributes.h"
#include "common/crypto/hash.h"

#include <stdbool.h>
#include <stddef.h>

struct digest_table {
    uint8_t (*slots)[SHA256_BYTES]; /* all zero: free */
    size_t count, capacity;         /* a power of two */
};

bool digest_table_has(const struct digest_table *table, const uint8_t digest[static SHA256_BYTES]);
/* 1: it is new, 0: it was there; -ENOMEM. */
int digest_table_add(struct digest_table *table,
                     const uint8_t digest[static SHA256_BYTES]) MUST_USE;
/* -EINVAL: no SHA-256 in lower-case hexadecimal. */
int digest_table_add_hex(struct digest_table *table, const char *hex) MUST_USE;
void digest_table_done(struct digest_table *table);

#endif
