/* PEM text in memory: what keys, certificates and requests share. Of this folder only. */
#ifndef COMMON_CRYPTO_PEM_H
#define COMMON_CRYPTO_PEM_H

#include "common/attributes.h"

#include <openssl/bio.h>

static inline void cleanup_bio(BIO **bio)
{
    (void)BIO_free(*bio);
}

#define AUTO_BIO CLEANUP(cleanup_bio)

/* Copies what was written into memory; the caller frees it. written is what OpenSSL's writer
 * returned: anything but 1 is -EIO. -ENOMEM. */
int pem_take_text(BIO *memory, int written, char **ret_pem) MUST_USE;

#endif
