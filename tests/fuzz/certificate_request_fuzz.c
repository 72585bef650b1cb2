/* The CSR an unknown machine sends: nothing but a P-256 key that signed it may come out. */
#include "common/crypto/csr.h"
#include "common/crypto/keys.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    EVP_PKEY *key = NULL;
    if (csr_read_key((const char *)data, size, &key) == 0 && (!key || !key_is_p256(key)))
        abort();
    EVP_PKEY_free(key);
    return 0;
}
