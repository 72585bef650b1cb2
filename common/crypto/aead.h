/* Bytes and files sealed with AES-256-GCM. A file is sealed in chunks, so that a large one needs no
 * memory and a cut, lengthened or reordered one is seen.
 *
 * Stream (version 1): magic "YGQ1", 12 random bytes of nonce base, then chunks of 64 KiB plaintext
 * + 16 bytes tag, the last one shorter than 64 KiB (and perhaps empty); chunk i uses nonce base XOR
 * i; the associated data is the label, i, and whether it is the last. Thread-safe. */
#ifndef COMMON_CRYPTO_AEAD_H
#define COMMON_CRYPTO_AEAD_H

#include "common/attributes.h"

#include <stdint.h>

#define AEAD_KEY_BYTES   32
#define AEAD_NONCE_BYTES 12
#define AEAD_TAG_BYTES   16
/* What sealing adds to a few bytes: nonce in front, tag behind. */
#define AEAD_SEAL_BYTES (AEAD_NONCE_BYTES + AEAD_TAG_BYTES)

struct sha256;

/* Reads source_fd by pread from offset 0 to its end, writes the stream at target_fd's position.
 * label binds the sealed file to its catalogue entry. digest, when not NULL, takes the plaintext.
 * ret_bytes: plaintext bytes. -errno, -EFBIG above maximum plaintext bytes. */
int aead_seal_fd(const uint8_t key[static AEAD_KEY_BYTES], const char *label, int source_fd,
                 int target_fd, uint64_t maximum, struct sha256 *digest,
                 uint64_t *ret_bytes) MUST_USE;
/* The reverse: reads the stream at source_fd's position to the end of the file. target_fd -1 only
 * checks. -EBADMSG when anything was changed or cut, or the key is another: what was written so far
 * must be thrown away by the caller. */
int aead_open_fd(const uint8_t key[static AEAD_KEY_BYTES], const char *label, int source_fd,
                 int target_fd, struct sha256 *digest, uint64_t *ret_bytes) MUST_USE;
/* Bytes aead_seal_fd writes for so many bytes of plaintext. */
uint64_t aead_sealed_size(uint64_t plaintext_bytes);

/* sealed holds length + AEAD_SEAL_BYTES. The label is associated data. */
int aead_seal(const uint8_t key[static AEAD_KEY_BYTES], const void *label, size_t label_length,
              const void *plaintext, size_t length, uint8_t *sealed) MUST_USE;
/* plaintext holds length - AEAD_SEAL_BYTES. -EBADMSG. */
int aead_open(const uint8_t key[static AEAD_KEY_BYTES], const void *label, size_t label_length,
              const uint8_t *sealed, size_t length, void *plaintext) MUST_USE;

#endif
