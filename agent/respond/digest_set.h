/* A set of SHA-256 digests. Not thread-safe: its owner locks. */
#ifndef AGENT_RESPOND_DIGEST_SET_H
#define AGENT_RESPOND_DIGEST_SET_H

#include "common/attributes.h"
#include "common/crypto/hash.h"

#include <stdbool.h>

struct digest_set {
    uint8_t (*digests)[SHA256_BYTES]; /* sorted */
    size_t count, capacity;
};

void digest_set_done(struct digest_set *set);
/* Hexadecimal; an upper-case or broken text is -EINVAL, one that is there already is fine. -ENOMEM.
 */
int digest_set_add(struct digest_set *set, const char *hex) MUST_USE;
void digest_set_remove(struct digest_set *set, const char *hex);
bool digest_set_contains(const struct digest_set *set, const char *hex);

#endif
