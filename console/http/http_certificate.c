/* Owns the judgement on a client's certificate, once a connection. Must not know whose it is. */
#include "common/crypto/hash.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "console/http/http_internal.h"

#include <gnutls/x509.h>

static void check_certificate(gnutls_session_t session, struct connection_facts *facts)
{
    unsigned count = 0;
    const gnutls_datum_t *chain = gnutls_certificate_get_peers(session, &count);
    facts->certificate = HTTP_CERTIFICATE_NONE;
    if (!chain || count == 0)
        return;
    facts->certificate = HTTP_CERTIFICATE_REFUSED;
    uint8_t digest[SHA256_BYTES];
    if (hash_sha256(chain[0].data, chain[0].size, digest) < 0)
        return;
    text_hex(facts->digest, digest, sizeof(digest));

    gnutls_x509_crt_t certificate;
    if (gnutls_x509_crt_init(&certificate) < 0)
        return;
    if (gnutls_x509_crt_import(certificate, &chain[0], GNUTLS_X509_FMT_DER) == 0)
        facts->expires_s = (int64_t)gnutls_x509_crt_get_expiration_time(certificate);
    gnutls_x509_crt_deinit(certificate);

    gnutls_typed_vdata_st purpose = {GNUTLS_DT_KEY_PURPOSE_OID,
                                     (unsigned char *)(uintptr_t)GNUTLS_KP_TLS_WWW_CLIENT, 0};
    unsigned status = 0;
    if (gnutls_certificate_verify_peers(session, &purpose, 1, &status) < 0)
        return;
    if (status == 0)
        facts->certificate = HTTP_CERTIFICATE_VALID;
    else if ((status & ~(unsigned)GNUTLS_CERT_INVALID) == GNUTLS_CERT_EXPIRED)
        facts->certificate = HTTP_CERTIFICATE_EXPIRED;
}

enum http_certificate http_request_certificate(struct http_request *request,
                                               char ret_digest[static 65])
{
    ret_digest[0] = '\0';
    const union MHD_ConnectionInfo *context =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    const union MHD_ConnectionInfo *session =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    struct connection_facts *facts = context ? context->socket_context : NULL;
    if (!facts || !session || !session->tls_session)
        return HTTP_CERTIFICATE_NONE;
    if (!facts->checked) {
        check_certificate(session->tls_session, facts);
        facts->checked = true;
    }
    (void)text_copy(ret_digest, 65, facts->digest);
    /* The connection may outlive the certificate. */
    if (facts->certificate == HTTP_CERTIFICATE_VALID &&
        (int64_t)(clock_realtime_ns() / NS_PER_SECOND) >= facts->expires_s)
        return HTTP_CERTIFICATE_EXPIRED;
    return facts->certificate;
}
