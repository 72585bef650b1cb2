/* Owns writing requests (agent) and reading the key out of hostile ones (console). */
#include "common/crypto/csr.h"

#include "common/crypto/keys.h"
#include "common/crypto/pem.h"

#include <errno.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

static inline void cleanup_request(X509_REQ **request)
{
    X509_REQ_free(*request);
}

int csr_new(EVP_PKEY *key, char **ret_pem)
{
    CLEANUP(cleanup_request) X509_REQ *request = X509_REQ_new();
    if (!request)
        return -ENOMEM;
    X509_NAME *subject = X509_REQ_get_subject_name(request);
    if (X509_REQ_set_version(request, X509_REQ_VERSION_1) != 1 ||
        X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)"yagura", -1,
                                   -1, 0) != 1 ||
        X509_REQ_set_pubkey(request, key) != 1 || X509_REQ_sign(request, key, EVP_sha256()) <= 0)
        return -EIO;
    AUTO_BIO BIO *memory = BIO_new(BIO_s_mem());
    if (!memory)
        return -ENOMEM;
    return pem_take_text(memory, PEM_write_bio_X509_REQ(memory, request), ret_pem);
}

int csr_read_key(const char *pem, size_t length, EVP_PKEY **ret_key)
{
    if (length > CSR_PEM_MAXIMUM)
        return -EBADMSG;
    AUTO_BIO BIO *memory = BIO_new_mem_buf(pem, (int)length);
    if (!memory)
        return -ENOMEM;
    CLEANUP(cleanup_request) X509_REQ *request = PEM_read_bio_X509_REQ(memory, NULL, NULL, NULL);
    if (!request)
        return -EBADMSG;
    AUTO_KEY EVP_PKEY *key = X509_REQ_get_pubkey(request);
    if (!key)
        return -EBADMSG;
    /* Before the signature is checked: a huge or odd key must cost nothing. */
    if (!key_is_p256(key))
        return -ENOTSUP;
    if (X509_REQ_verify(request, key) != 1)
        return -EBADMSG;
    *ret_key = TAKE_POINTER(key);
    return 0;
}
