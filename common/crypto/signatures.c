/* Owns making and checking signatures. Must not parse what is signed. */
#include "common/crypto/signatures.h"

#include "common/crypto/base64.h"

#include <errno.h>

int signature_make(EVP_PKEY *key, const void *bytes, size_t length,
                   char ret_text[static SIGNATURE_TEXT_BYTES])
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (!context)
        return -ENOMEM;
    uint8_t signature[SIGNATURE_BYTES];
    size_t signature_length = sizeof(signature);
    bool good = EVP_DigestSignInit(context, NULL, NULL, NULL, key) == 1 &&
                EVP_DigestSign(context, signature, &signature_length, bytes, length) == 1 &&
                signature_length == sizeof(signature);
    EVP_MD_CTX_free(context);
    if (!good)
        return -EIO;
    base64_encode(ret_text, signature, sizeof(signature));
    return 0;
}

int signature_check(EVP_PKEY *key, const void *bytes, size_t length, const char *text)
{
    uint8_t signature[SIGNATURE_BYTES];
    size_t signature_length = 0;
    if (base64_decode(text, strlen(text), signature, sizeof(signature), &signature_length) < 0 ||
        signature_length != sizeof(signature))
        return -EBADMSG;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (!context)
        return -ENOMEM;
    bool good = EVP_DigestVerifyInit(context, NULL, NULL, NULL, key) == 1 &&
                EVP_DigestVerify(context, signature, signature_length, bytes, length) == 1;
    EVP_MD_CTX_free(context);
    return good ? 0 : -EBADMSG;
}
