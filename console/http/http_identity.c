/* Owns the certificate all listeners show, and its change without a restart. Must not know where it
 * is kept. */
#include "console/http/http_internal.h"

#include <errno.h>
#include <gnutls/x509.h>

#define CHAIN_MAXIMUM 8

struct identity {
    gnutls_pcert_st chain[CHAIN_MAXIMUM];
    unsigned length;
    gnutls_privkey_t key;
    struct identity *older; /* handshakes may still use it */
};

static pthread_rwlock_t identity_lock = PTHREAD_RWLOCK_INITIALIZER;
static struct identity *current_identity;

int http_identity_load(const char *certificate_chain_pem, const char *key_pem)
{
    struct identity *identity = calloc(1, sizeof(*identity));
    if (!identity)
        return -ENOMEM;
    gnutls_datum_t chain = {(unsigned char *)(uintptr_t)certificate_chain_pem,
                            (unsigned)strlen(certificate_chain_pem)};
    gnutls_datum_t key = {(unsigned char *)(uintptr_t)key_pem, (unsigned)strlen(key_pem)};
    identity->length = CHAIN_MAXIMUM;
    if (gnutls_pcert_list_import_x509_raw(identity->chain, &identity->length, &chain,
                                          GNUTLS_X509_FMT_PEM, 0) < 0)
        goto bad_chain;
    if (gnutls_privkey_init(&identity->key) < 0)
        goto bad_key;
    if (gnutls_privkey_import_x509_raw(identity->key, &key, GNUTLS_X509_FMT_PEM, NULL, 0) < 0)
        goto mismatch;
    gnutls_certificate_credentials_t probe;
    if (gnutls_certificate_allocate_credentials(&probe) < 0)
        goto mismatch;
    /* Refuses a key that is not the certificate's. */
    int fits = gnutls_certificate_set_x509_key_mem(probe, &chain, &key, GNUTLS_X509_FMT_PEM);
    gnutls_certificate_free_credentials(probe);
    if (fits < 0)
        goto mismatch;

    (void)pthread_rwlock_wrlock(&identity_lock);
    identity->older = current_identity;
    current_identity = identity;
    (void)pthread_rwlock_unlock(&identity_lock);
    return 0;
mismatch:
    gnutls_privkey_deinit(identity->key);
bad_key:
    for (unsigned i = 0; i < identity->length; i++)
        gnutls_pcert_deinit(&identity->chain[i]);
bad_chain:
    free(identity);
    return -EBADMSG;
}

int http_identity_show(gnutls_session_t session UNUSED, const gnutls_datum_t *authorities UNUSED,
                       int authority_count UNUSED, const gnutls_pk_algorithm_t *algorithms UNUSED,
                       int algorithm_count UNUSED, gnutls_pcert_st **ret_chain,
                       unsigned *ret_length, gnutls_privkey_t *ret_key)
{
    (void)pthread_rwlock_rdlock(&identity_lock);
    struct identity *identity = current_identity;
    (void)pthread_rwlock_unlock(&identity_lock);
    if (!identity)
        return -1;
    *ret_chain = identity->chain;
    *ret_length = identity->length;
    *ret_key = identity->key;
    return 0;
}
