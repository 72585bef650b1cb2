/* Owns taking PEM text out of OpenSSL. Must not know what the text holds. */
#include "common/crypto/pem.h"

#include "common/text/text.h"

#include <errno.h>

int pem_take_text(BIO *memory, int written, char **ret_pem)
{
    char *bytes = NULL;
    if (written != 1)
        return -EIO;
    long length = BIO_get_mem_data(memory, &bytes);
    char *pem = text_new(bytes, (size_t)length);
    if (!pem)
        return -ENOMEM;
    *ret_pem = pem;
    return 0;
}
