/* SHA-256 and MD5 (identification only) by OpenSSL's EVP, fetched once. Thread-safe. */
#ifndef COMMON_CRYPTO_HASH_H
#define COMMON_CRYPTO_HASH_H

#include "common/attributes.h"

#include <stdint.h>

#define SHA256_BYTES     32
#define SHA256_HEX_BYTES 65
#define MD5_BYTES        16

int hash_sha256(const void *bytes, size_t length, uint8_t ret_digest[static SHA256_BYTES]) MUST_USE;
/* Of the file's content from offset 0 by pread; the file position is left alone. maximum bounds the
 * bytes read (-EFBIG beyond it). -errno, -EIO. */
int hash_sha256_fd(int fd, uint64_t maximum, uint8_t ret_digest[static SHA256_BYTES]) MUST_USE;
int hash_md5_fd(int fd, uint64_t maximum, uint8_t ret_digest[static MD5_BYTES]) MUST_USE;

/* In pieces. NULL is legal for _free. */
struct sha256;
int sha256_new(struct sha256 **ret_hash) MUST_USE;
int sha256_update(struct sha256 *hash, const void *bytes, size_t length) MUST_USE;
int sha256_finish(struct sha256 *hash, uint8_t ret_digest[static SHA256_BYTES]) MUST_USE;
struct sha256 *sha256_free(struct sha256 *hash);

#endif
