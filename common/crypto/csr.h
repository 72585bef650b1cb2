/* Certificate signing requests. Nothing of one is trusted but its key. Thread-safe. */
#ifndef COMMON_CRYPTO_CSR_H
#define COMMON_CRYPTO_CSR_H

#include "common/attributes.h"

#include <openssl/evp.h>

#define CSR_PEM_MAXIMUM 8192

/* A request for key in PEM, freed by the caller. */
int csr_new(EVP_PKEY *key, char **ret_pem) MUST_USE;
/* The key of a request that is signed with it. -EBADMSG: not one PEM request, or badly signed;
 * -ENOTSUP: the key is not EC P-256. */
int csr_read_key(const char *pem, size_t length, EVP_PKEY **ret_key) MUST_USE;

#endif
