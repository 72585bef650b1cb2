/* The suite's own certificate authority: one self-signed P-256 CA, server certificates, and client
 * certificates of agents. Profiles follow RFC 5280; serials are 128 random bits. Thread-safe. */
#ifndef COMMON_CRYPTO_CERTIFICATES_H
#define COMMON_CRYPTO_CERTIFICATES_H

#include "common/attributes.h"

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdint.h>

#define CERTIFICATE_SECONDS_PER_DAY 86400LL
#define CERTIFICATE_AUTHORITY_DAYS  3650
#define CERTIFICATE_SERVER_DAYS     397
/* Valid from so long ago, for agents whose clock is behind. */
#define CERTIFICATE_CLOCK_SKEW_SECONDS 300
#define CERTIFICATE_NAMES_MAXIMUM      64

static inline void cleanup_certificate(X509 **certificate)
{
    X509_free(*certificate);
}
#define AUTO_CERTIFICATE CLEANUP(cleanup_certificate)

struct certificate_authority {
    X509 *certificate;
    EVP_PKEY *key;
};

/* now_s: seconds since 1970. */
int certificate_new_authority(EVP_PKEY *key, const char *name, int64_t now_s,
                              X509 **ret_certificate) MUST_USE;
/* names: DNS names and IP addresses, NULL at the end. -EINVAL when there is none or one is neither.
 */
int certificate_issue_server(const struct certificate_authority *authority, EVP_PKEY *key,
                             const char *const *names, int64_t now_s,
                             X509 **ret_certificate) MUST_USE;
/* Subject CN = agent_id, SAN urn:uuid:agent_id, extended key usage clientAuth only; valid for
 * life_s from now_s on. */
int certificate_issue_agent(const struct certificate_authority *authority, EVP_PKEY *key,
                            const char *agent_id, int64_t now_s, int64_t life_s,
                            X509 **ret_certificate) MUST_USE;

/* Freed by the caller. */
int certificate_to_pem(X509 *certificate, char **ret_pem) MUST_USE;
/* The first certificate of the text. -EBADMSG. */
int certificate_from_pem(const char *pem, size_t length, X509 **ret_certificate) MUST_USE;
int certificate_save(X509 *certificate, const char *path) MUST_USE;
int certificate_load(const char *path, X509 **ret_certificate) MUST_USE;

/* SHA-256 over the DER form, in hex. */
#define CERTIFICATE_DIGEST_BYTES 65
int certificate_digest(X509 *certificate, char ret_hex[static CERTIFICATE_DIGEST_BYTES]) MUST_USE;
/* Seconds since 1970. */
int certificate_validity(X509 *certificate, int64_t *ret_from_s, int64_t *ret_until_s) MUST_USE;

#endif
