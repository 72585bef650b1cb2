/* Ed25519 signatures over whole texts (RFC 8032), in base64. Thread-safe. */
#ifndef COMMON_CRYPTO_SIGNATURES_H
#define COMMON_CRYPTO_SIGNATURES_H

#include "common/attributes.h"

#include <openssl/evp.h>

#define SIGNATURE_BYTES      64
#define SIGNATURE_TEXT_BYTES 89

/* -EIO when OpenSSL failed. */
int signature_make(EVP_PKEY *key, const void *bytes, size_t length,
                   char ret_text[static SIGNATURE_TEXT_BYTES]) MUST_USE;
/* 0 when it is right, -EBADMSG when it is not, or the text is no signature. */
int signature_check(EVP_PKEY *key, const void *bytes, size_t length, const char *text) MUST_USE;

#endif
