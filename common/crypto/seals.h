/* Seals over what we keep on disk: HMAC-SHA256 with a key that is derived from an Ed25519 key which
 * only root can read. Whoever changes a row without that key is noticed; a sum of all seals, signed
 * with the Ed25519 key itself, also shows that one is missing. One thread at a time. */
#ifndef COMMON_CRYPTO_SEALS_H
#define COMMON_CRYPTO_SEALS_H

#include "common/attributes.h"
#include "common/crypto/hash.h"
#include "common/crypto/keys.h"

#include <stddef.h>
#include <stdint.h>

#define SEAL_BYTES SHA256_BYTES

struct sealer;

/* key_path: made when it is missing. purpose: a fixed text, another one for each use of a key.
 * -errno, -EBADMSG, -ENOMEM. */
int sealer_open(const char *key_path, const char *purpose, struct sealer **ret_sealer) MUST_USE;
struct sealer *sealer_close(struct sealer *sealer);
EVP_PKEY *sealer_key(const struct sealer *sealer); /* borrowed */
const char *sealer_key_id(const struct sealer *sealer);

/* A seal in pieces, each with its length: none can be shifted into another. NULL is not "". */
int seal_begin(struct sealer *sealer) MUST_USE;
int seal_add(struct sealer *sealer, const void *bytes, size_t length) MUST_USE;
int seal_end(struct sealer *sealer, uint8_t ret_seal[static SEAL_BYTES]) MUST_USE;

/* Sums of seals: 256 bits, little-endian, modulo 2^256. */
struct seal_sum {
    uint64_t limbs[4];
};
void seal_sum_add(struct seal_sum *sum, const uint8_t seal[static SEAL_BYTES]);
void seal_sum_subtract(struct seal_sum *sum, const uint8_t seal[static SEAL_BYTES]);

#endif
