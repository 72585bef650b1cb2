/* Files sealed with AES-256-GCM in chunks, so that a large one needs no memory and a cut one is
 * seen. Format (version 1): magic "YGQ1", 12 random bytes of nonce base, then chunks of 64 KiB
 * plaintext
 * + 16 bytes tag; chunk i uses nonce base XOR i; the associated data is the file's label, i, and
 * whether it is the last. Thread-safe. */
#ifndef COMMON_CRYPTO_AEAD_H
#define COMMON_CRYPTO_AEAD_H

#include "common/attributes.h"

#include <stdint.h>

#define AEAD_KEY_BYTES 32

/* Reads from source_fd's offset 0 to its end, writes at target_fd's position. label binds the
 * sealed file to its catalogue entry. ret_bytes: plaintext bytes. -errno, -EFBIG above maximum. */
int aead_seal_fd(const uint8_t key[static AEAD_KEY_BYTES], const char *label, int source_fd,
                 int target_fd, uint64_t maximum, uint64_t *ret_bytes) MUST_USE;
/* The reverse; -EBADMSG when anything was changed or cut: what was written so far must be thrown
 * away by the caller. */
int aead_open_fd(const uint8_t key[static AEAD_KEY_BYTES], const char *label, int source_fd,
                 int target_fd, uint64_t *ret_bytes) MUST_USE;

#endif
