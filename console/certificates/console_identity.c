/* Owns the console's key files. Must not decide which agent gets a certificate. Hands the server
 * certificate to console/http. */
#include "console/certificates/console_identity.h"

#include "common/crypto/random.h"
#include "common/files/file.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "console/http/http_server.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/x509v3.h>

#define PATH_BYTES 4096
/* 2025-01-01: a clock that shows less was never set. */
#define EARLIEST_PLAUSIBLE_S 1735689600LL

static int path_of(char path[static PATH_BYTES], const char *directory, const char *name,
                   char ret_problem[static 256])
{
    (void)text_copy(ret_problem, 256, name);
    int r = text_format(path, PATH_BYTES, "%s/%s", directory, name);
    return r < 0 ? r : 0;
}

static int64_t now_seconds(void)
{
    return (int64_t)(clock_realtime_ns() / NS_PER_SECOND);
}

/* A key of the directory, made when it is not there. */
static int open_key(const char *directory, const char *name, int (*make)(EVP_PKEY **ret_key),
                    EVP_PKEY **ret_key, bool *ret_made, char ret_problem[static 256])
{
    char path[PATH_BYTES];
    *ret_made = false;
    int r = path_of(path, directory, name, ret_problem);
    if (r < 0)
        return r;
    r = key_load(path, ret_key);
    if (r != -ENOENT)
        return r;
    r = make(ret_key);
    if (r == 0)
        r = key_save(*ret_key, path);
    *ret_made = r == 0;
    return r;
}

/* Less than a third of its life is left, or it was made while the clock was ahead. */
static bool is_due(X509 *certificate)
{
    int64_t from = 0, until = 0, now = now_seconds();
    return certificate_validity(certificate, &from, &until) < 0 || now < from ||
           now > until - (until - from) / 3;
}

/* With a clock that was never set the good one of the right time is not yet valid: it stays, for
 * what would be made now would be over as soon as the clock is right. */
static bool authority_is_due(X509 *certificate)
{
    int64_t from = 0, until = 0, now = now_seconds();
    bool early = now < EARLIEST_PLAUSIBLE_S &&
                 certificate_validity(certificate, &from, &until) == 0 && now < from;
    return !early && is_due(certificate);
}

static int open_authority(const char *directory, struct console_identity *identity, bool *ret_made,
                          char ret_problem[static 256])
{
    int r = open_key(directory, "authority.key", key_new_p256, &identity->authority.key, ret_made,
                     ret_problem);
    if (r < 0)
        return r;
    char path[PATH_BYTES];
    r = path_of(path, directory, "authority.crt", ret_problem);
    if (r < 0)
        return r;
    r = certificate_load(path, &identity->authority.certificate);
    if (r == 0 &&
        authority_is_due(identity->authority.certificate)) { /* the same key, so pins hold */
        X509_free(identity->authority.certificate);
        identity->authority.certificate = NULL;
        r = -ENOENT;
    }
    if (r == -ENOENT) { /* also after a crash between the two files */
        char pin[KEY_PIN_BYTES];
        char name[64];
        r = key_pin(identity->authority.key, pin);
        if (r == 0) {
            (void)text_format(name, sizeof(name), "Yagura CA %.8s", pin + strlen("sha256//"));
            r = certificate_new_authority(identity->authority.key, name, now_seconds(),
                                          &identity->authority.certificate);
        }
        if (r == 0)
            r = certificate_save(identity->authority.certificate, path);
    }
    if (r == 0 &&
        X509_check_private_key(identity->authority.certificate, identity->authority.key) != 1)
        r = -EBADMSG;
    return r;
}

/* The certificate is for exactly these names, is valid and not due. */
static bool server_certificate_serves(X509 *certificate, EVP_PKEY *key, const char *const *names,
                                      const struct certificate_authority *authority)
{
    if (X509_check_private_key(certificate, key) != 1 ||
        X509_verify(certificate, authority->key) != 1 || is_due(certificate))
        return false;
    GENERAL_NAMES *held = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    int count = held ? sk_GENERAL_NAME_num(held) : 0;
    GENERAL_NAMES_free(held);
    int wanted = 0;
    for (; names[wanted]; wanted++)
        if (X509_check_host(certificate, names[wanted], 0, 0, NULL) != 1 &&
            X509_check_ip_asc(certificate, names[wanted], 0) != 1)
            return false;
    return wanted == count;
}

static int show_server_certificate(struct console_identity *identity, X509 *certificate,
                                   EVP_PKEY *key)
{
    AUTO_FREE char *server_pem = NULL;
    AUTO_FREE char *chain = NULL;
    int64_t from, until;
    int r = certificate_to_pem(certificate, &server_pem);
    if (r < 0)
        return r;
    /* The authority goes along, so that an agent that only has its pin can verify. */
    chain = text_format_new("%s%s", server_pem, identity->authority_pem);
    if (!chain)
        return -ENOMEM;
    char *key_pem = NULL;
    r = key_to_pem(key, &key_pem);
    if (r < 0)
        return r;
    r = http_identity_load(chain, key_pem);
    OPENSSL_cleanse(key_pem, strlen(key_pem));
    free(key_pem);
    if (r == 0)
        r = certificate_validity(certificate, &from, &until);
    if (r == 0)
        atomic_store(&identity->server_expires_s, until);
    return r;
}

int console_identity_reload(struct console_identity *identity, const char *directory,
                            const char *const *names, char ret_problem[static 256])
{
    bool made;
    AUTO_KEY EVP_PKEY *key = NULL;
    int r = open_key(directory, "server.key", key_new_p256, &key, &made, ret_problem);
    if (r < 0)
        return r;
    char path[PATH_BYTES];
    r = path_of(path, directory, "server.crt", ret_problem);
    if (r < 0)
        return r;
    AUTO_CERTIFICATE X509 *certificate = NULL;
    r = certificate_load(path, &certificate);
    if (r < 0 && r != -ENOENT && r != -EBADMSG)
        return r;
    if (!certificate || !server_certificate_serves(certificate, key, names, &identity->authority)) {
        X509_free(certificate);
        certificate = NULL;
        r = certificate_issue_server(&identity->authority, key, names, now_seconds(), &certificate);
        if (r == 0)
            r = certificate_save(certificate, path);
        if (r < 0)
            return r;
    }
    r = show_server_certificate(identity, certificate, key);
    if (r == 0)
        ret_problem[0] = '\0';
    return r;
}

int console_identity_open(const char *directory, const char *const *names,
                          struct console_identity *ret_identity, bool *ret_made,
                          char ret_problem[static 256])
{
    struct console_identity identity = {0};
    int r = open_authority(directory, &identity, ret_made, ret_problem);
    if (r == 0)
        r = certificate_to_pem(identity.authority.certificate, &identity.authority_pem);
    if (r == 0)
        r = key_pin(identity.authority.key, identity.pin);
    if (r == 0)
        r = signing_key_open(directory, &identity.signing, ret_problem);
    if (r == 0)
        r = console_identity_reload(&identity, directory, names, ret_problem);
    if (r < 0) {
        console_identity_done(&identity);
        return r;
    }
    *ret_identity = identity;
    return 0;
}

void console_identity_done(struct console_identity *identity)
{
    X509_free(identity->authority.certificate);
    EVP_PKEY_free(identity->authority.key);
    (void)signing_key_close(identity->signing);
    free(identity->authority_pem);
    *identity = (struct console_identity){0};
}
