/* Owns the profiles of our certificates. Must not decide who gets one, nor keep keys: console and
 * messenger do. */
#include "common/crypto/certificates.h"

#include "common/buffers/buffer.h"
#include "common/crypto/hash.h"
#include "common/crypto/pem.h"
#include "common/crypto/random.h"
#include "common/files/file.h"
#include "common/text/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define CERTIFICATE_FILE_MAXIMUM 65536
#define SERIAL_BYTES             16

static int set_serial(X509 *certificate)
{
    uint8_t bytes[SERIAL_BYTES];
    int r = random_bytes(bytes, sizeof(bytes));
    if (r < 0)
        return r;
    bytes[0] = (uint8_t)((bytes[0] & 0x7f) | 0x40); /* positive, and of full length */
    BIGNUM *number = BN_bin2bn(bytes, sizeof(bytes), NULL);
    if (!number)
        return -ENOMEM;
    bool good = BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;
    BN_free(number);
    return good ? 0 : -ENOMEM;
}

static int set_validity(X509 *certificate, int64_t now_s, int64_t life_s)
{
    time_t from = (time_t)(now_s - CERTIFICATE_CLOCK_SKEW_SECONDS);
    time_t until = (time_t)(now_s + life_s);
    if (!ASN1_TIME_set(X509_getm_notBefore(certificate), from) ||
        !ASN1_TIME_set(X509_getm_notAfter(certificate), until))
        return -ENOMEM;
    return 0;
}

static int set_subject(X509 *certificate, const char *common_name)
{
    X509_NAME *name = X509_get_subject_name(certificate);
    const unsigned char *text = (const unsigned char *)common_name;
    if (X509_NAME_add_entry_by_txt(name, "O", MBSTRING_UTF8, (const unsigned char *)"Yagura", -1,
                                   -1, 0) != 1 ||
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, text, -1, -1, 0) != 1)
        return -EIO;
    return 0;
}

static int add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    if (!extension)
        return -EIO;
    int added = X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
    return added == 1 ? 0 : -EIO;
}

struct profile {
    const char *subject;
    int64_t life_s;
    const char *basic_constraints, *key_usage, *extended_key_usage;
};

/* A certificate of the profile, not signed. issuer NULL: of itself. */
static int prepare(const struct profile *profile, EVP_PKEY *key, X509 *issuer, int64_t now_s,
                   X509 **ret_certificate)
{
    AUTO_CERTIFICATE X509 *certificate = X509_new();
    if (!certificate)
        return -ENOMEM;
    if (X509_set_version(certificate, X509_VERSION_3) != 1 ||
        X509_set_pubkey(certificate, key) != 1)
        return -EIO;
    int r = set_serial(certificate);
    if (r == 0)
        r = set_validity(certificate, now_s, profile->life_s);
    if (r == 0)
        r = set_subject(certificate, profile->subject);
    if (r < 0)
        return r;
    X509 *signer = issuer ? issuer : certificate;
    if (X509_set_issuer_name(certificate, X509_get_subject_name(signer)) != 1)
        return -EIO;
    r = add_extension(certificate, signer, NID_basic_constraints, profile->basic_constraints);
    if (r == 0)
        r = add_extension(certificate, signer, NID_key_usage, profile->key_usage);
    if (r == 0 && profile->extended_key_usage)
        r = add_extension(certificate, signer, NID_ext_key_usage, profile->extended_key_usage);
    if (r == 0)
        r = add_extension(certificate, signer, NID_subject_key_identifier, "hash");
    if (r == 0)
        r = add_extension(certificate, signer, NID_authority_key_identifier, "keyid:always");
    if (r == 0)
        *ret_certificate = TAKE_POINTER(certificate);
    return r;
}

static int sign(X509 **certificate, EVP_PKEY *key, X509 **ret_certificate)
{
    if (X509_sign(*certificate, key, EVP_sha256()) <= 0)
        return -EIO;
    *ret_certificate = TAKE_POINTER(*certificate);
    return 0;
}

int certificate_new_authority(EVP_PKEY *key, const char *name, int64_t now_s,
                              X509 **ret_certificate)
{
    struct profile profile = {.subject = name,
                              .life_s = CERTIFICATE_AUTHORITY_DAYS * CERTIFICATE_SECONDS_PER_DAY,
                              .basic_constraints = "critical,CA:TRUE,pathlen:0",
                              .key_usage = "critical,keyCertSign,cRLSign"};
    AUTO_CERTIFICATE X509 *certificate = NULL;
    int r = prepare(&profile, key, NULL, now_s, &certificate);
    return r < 0 ? r : sign(&certificate, key, ret_certificate);
}

static int add_name(GENERAL_NAMES *names, const char *text)
{
    uint8_t address[16];
    int length = inet_pton(AF_INET, text, address) == 1    ? 4
                 : inet_pton(AF_INET6, text, address) == 1 ? 16
                                                           : 0;
    size_t text_length = strlen(text);
    if (text_length == 0 || text_length > 253 ||
        (length == 0 && strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                     "0123456789.-_") != text_length))
        return -EINVAL;
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_STRING *value = length ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();
    bool good = name && value &&
                (length ? ASN1_STRING_set(value, address, length)
                        : ASN1_STRING_set(value, text, (int)text_length)) == 1;
    if (good) {
        GENERAL_NAME_set0_value(name, length ? GEN_IPADD : GEN_DNS, value);
        value = NULL;
        good = sk_GENERAL_NAME_push(names, name) > 0;
        if (good)
            name = NULL;
    }
    ASN1_STRING_free(value);
    GENERAL_NAME_free(name);
    return good ? 0 : -ENOMEM;
}

static int add_names(X509 *certificate, const char *const *texts)
{
    GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
    if (!names)
        return -ENOMEM;
    int r = texts[0] ? 0 : -EINVAL;
    for (size_t i = 0; r == 0 && texts[i]; i++)
        r = i < CERTIFICATE_NAMES_MAXIMUM ? add_name(names, texts[i]) : -EINVAL;
    if (r == 0 && X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, 0) != 1)
        r = -EIO;
    GENERAL_NAMES_free(names);
    return r;
}

int certificate_issue_server(const struct certificate_authority *authority, EVP_PKEY *key,
                             const char *const *names, int64_t now_s, X509 **ret_certificate)
{
    struct profile profile = {.subject = "yagura-console",
                              .life_s = CERTIFICATE_SERVER_DAYS * CERTIFICATE_SECONDS_PER_DAY,
                              .basic_constraints = "critical,CA:FALSE",
                              .key_usage = "critical,digitalSignature",
                              .extended_key_usage = "serverAuth"};
    AUTO_CERTIFICATE X509 *certificate = NULL;
    int r = prepare(&profile, key, authority->certificate, now_s, &certificate);
    if (r == 0)
        r = add_names(certificate, names);
    return r < 0 ? r : sign(&certificate, authority->key, ret_certificate);
}

int certificate_issue_agent(const struct certificate_authority *authority, EVP_PKEY *key,
                            const char *agent_id, int64_t now_s, int64_t life_s,
                            X509 **ret_certificate)
{
    struct profile profile = {.subject = agent_id,
                              .life_s = life_s,
                              .basic_constraints = "critical,CA:FALSE",
                              .key_usage = "critical,digitalSignature",
                              .extended_key_usage = "clientAuth"};
    char name[UUID_TEXT_BYTES + 16];
    /* The id goes into OpenSSL's extension syntax: only a UUID's own characters may. */
    if (strlen(agent_id) != UUID_TEXT_BYTES - 1 ||
        strspn(agent_id, "0123456789abcdef-") != UUID_TEXT_BYTES - 1)
        return -EINVAL;
    (void)text_format(name, sizeof(name), "URI:urn:uuid:%s", agent_id);
    AUTO_CERTIFICATE X509 *certificate = NULL;
    int r = prepare(&profile, key, authority->certificate, now_s, &certificate);
    if (r == 0)
        r = add_extension(certificate, authority->certificate, NID_subject_alt_name, name);
    return r < 0 ? r : sign(&certificate, authority->key, ret_certificate);
}

int certificate_to_pem(X509 *certificate, char **ret_pem)
{
    AUTO_BIO BIO *memory = BIO_new(BIO_s_mem());
    if (!memory)
        return -ENOMEM;
    return pem_take_text(memory, PEM_write_bio_X509(memory, certificate), ret_pem);
}

int certificate_from_pem(const char *pem, size_t length, X509 **ret_certificate)
{
    if (length > CERTIFICATE_FILE_MAXIMUM)
        return -EBADMSG;
    AUTO_BIO BIO *memory = BIO_new_mem_buf(pem, (int)length);
    if (!memory)
        return -ENOMEM;
    X509 *certificate = PEM_read_bio_X509(memory, NULL, NULL, NULL);
    if (!certificate)
        return -EBADMSG;
    *ret_certificate = certificate;
    return 0;
}

int certificate_save(X509 *certificate, const char *path)
{
    AUTO_FREE char *pem = NULL;
    int r = certificate_to_pem(certificate, &pem);
    return r < 0 ? r : file_replace(path, pem, strlen(pem), 0644);
}

int certificate_load(const char *path, X509 **ret_certificate)
{
    AUTO_BUFFER struct buffer pem = BUFFER_WITH_MAXIMUM(CERTIFICATE_FILE_MAXIMUM);
    int r = file_read_all(path, &pem);
    return r < 0 ? r : certificate_from_pem(buffer_text(&pem), pem.length, ret_certificate);
}

int certificate_digest(X509 *certificate, char ret_hex[static CERTIFICATE_DIGEST_BYTES])
{
    uint8_t digest[SHA256_BYTES];
    unsigned length = sizeof(digest);
    if (X509_digest(certificate, EVP_sha256(), digest, &length) != 1 || length != sizeof(digest))
        return -EIO;
    text_hex(ret_hex, digest, sizeof(digest));
    return 0;
}

static int time_of(const ASN1_TIME *time, int64_t *ret_seconds)
{
    struct tm parts;
    if (ASN1_TIME_to_tm(time, &parts) != 1)
        return -EBADMSG;
    *ret_seconds = (int64_t)timegm(&parts);
    return 0;
}

int certificate_validity(X509 *certificate, int64_t *ret_from_s, int64_t *ret_until_s)
{
    int64_t from = 0;
    int r = time_of(X509_get0_notBefore(certificate), &from);
    if (r == 0)
        r = time_of(X509_get0_notAfter(certificate), ret_until_s);
    if (r == 0)
        *ret_from_s = from;
    return r;
}
