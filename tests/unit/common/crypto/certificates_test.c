/* Keys, requests, certificates and signatures, against OpenSSL's own verification. */
#include "common/crypto/base64.h"
#include "common/crypto/certificates.h"
#include "common/crypto/csr.h"
#include "common/crypto/keys.h"
#include "common/crypto/signatures.h"
#include "common/text/text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cmocka.h>

#define NOW_S    1790000000LL
#define AGENT_ID "01890a5d-ac96-774b-bcce-b302099a8057"

static void encodes_base64_as_the_rfc(void **state UNUSED)
{
    static const char *const pairs[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < ARRAY_LENGTH(pairs); i++) {
        char text[32];
        uint8_t bytes[32];
        size_t length = 0;
        base64_encode(text, pairs[i][0], strlen(pairs[i][0]));
        assert_string_equal(text, pairs[i][1]);
        assert_int_equal(base64_decode(text, strlen(text), bytes, sizeof(bytes), &length), 0);
        assert_int_equal(length, strlen(pairs[i][0]));
        assert_memory_equal(bytes, pairs[i][0], length);
    }
    char url[16];
    base64_url_encode(url, "\xff\xfe\xfd\xfc", 4);
    assert_string_equal(url, "__79_A");
}

static void refuses_odd_base64(void **state UNUSED)
{
    static const char *const bad[] = {"Zg",     "Zg=",  "Zg= =", "Z===",
                                      "Zm9v\n", "Zh==", "=",     "Zm9v=Zm9"};
    uint8_t bytes[32];
    size_t length;
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
        assert_int_equal(base64_decode(bad[i], strlen(bad[i]), bytes, sizeof(bytes), &length),
                         -EINVAL);
    assert_int_equal(base64_decode("Zm9vYmFy", 8, bytes, 5, &length), -ENOBUFS);
    assert_int_equal(base64_url_decode("Zg==", 4, bytes, sizeof(bytes), &length), -EINVAL);
}

static void make_authority(struct certificate_authority *authority)
{
    assert_int_equal(key_new_p256(&authority->key), 0);
    assert_int_equal(certificate_new_authority(authority->key, "Yagura CA test", NOW_S,
                                               &authority->certificate),
                     0);
}

static void free_authority(struct certificate_authority *authority)
{
    X509_free(authority->certificate);
    EVP_PKEY_free(authority->key);
}

static int verify(struct certificate_authority *authority, X509 *certificate, int purpose,
                  const char *host, int64_t now_s)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    X509_STORE_add_cert(store, authority->certificate);
    X509_STORE_CTX_init(context, store, certificate, NULL);
    X509_VERIFY_PARAM *parameters = X509_STORE_CTX_get0_param(context);
    X509_VERIFY_PARAM_set_time(parameters, (time_t)now_s);
    X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_X509_STRICT);
    X509_STORE_CTX_set_purpose(context, purpose);
    if (host)
        X509_VERIFY_PARAM_set1_host(parameters, host, 0);
    int error = X509_verify_cert(context) == 1 ? 0 : X509_STORE_CTX_get_error(context);
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    return error;
}

static void issues_server_certificates(void **state UNUSED)
{
    struct certificate_authority authority;
    make_authority(&authority);
    AUTO_KEY EVP_PKEY *key = NULL;
    assert_int_equal(key_new_p256(&key), 0);
    const char *const names[] = {"console.example", "10.1.2.3", "::1", NULL};
    AUTO_CERTIFICATE X509 *certificate = NULL;
    assert_int_equal(certificate_issue_server(&authority, key, names, NOW_S, &certificate), 0);
    assert_int_equal(
        verify(&authority, certificate, X509_PURPOSE_SSL_SERVER, "console.example", NOW_S), 0);
    assert_int_equal(verify(&authority, certificate, X509_PURPOSE_SSL_SERVER, "other.example",
                            NOW_S),
                     X509_V_ERR_HOSTNAME_MISMATCH);
    assert_int_equal(verify(&authority, certificate, X509_PURPOSE_SSL_CLIENT, NULL, NOW_S),
                     X509_V_ERR_INVALID_PURPOSE);
    assert_int_equal(X509_check_ip_asc(certificate, "10.1.2.3", 0), 1);
    assert_int_equal(X509_check_ip_asc(certificate, "::1", 0), 1);
    assert_int_equal(verify(&authority, certificate, X509_PURPOSE_SSL_SERVER, NULL,
                            NOW_S + (CERTIFICATE_SERVER_DAYS + 1) * CERTIFICATE_SECONDS_PER_DAY),
                     X509_V_ERR_CERT_HAS_EXPIRED);

    const char *const none[] = {NULL};
    const char *const bad[] = {"a,IP:1.2.3.4", NULL};
    X509 *refused = NULL;
    assert_int_equal(certificate_issue_server(&authority, key, none, NOW_S, &refused), -EINVAL);
    assert_int_equal(certificate_issue_server(&authority, key, bad, NOW_S, &refused), -EINVAL);
    free_authority(&authority);
}

static void issues_agent_certificates(void **state UNUSED)
{
    struct certificate_authority authority;
    make_authority(&authority);
    AUTO_KEY EVP_PKEY *key = NULL;
    assert_int_equal(key_new_p256(&key), 0);
    AUTO_CERTIFICATE X509 *certificate = NULL;
    assert_int_equal(certificate_issue_agent(&authority, key, AGENT_ID, NOW_S, 3600, &certificate),
                     0);
    assert_int_equal(verify(&authority, certificate, X509_PURPOSE_SSL_CLIENT, NULL, NOW_S), 0);
    assert_int_equal(verify(&authority, certificate, X509_PURPOSE_SSL_SERVER, NULL, NOW_S),
                     X509_V_ERR_INVALID_PURPOSE);
    int64_t from, until;
    assert_int_equal(certificate_validity(certificate, &from, &until), 0);
    assert_int_equal(from, NOW_S - CERTIFICATE_CLOCK_SKEW_SECONDS);
    assert_int_equal(until, NOW_S + 3600);
    X509 *refused = NULL;
    assert_int_equal(certificate_issue_agent(&authority, key, "x,URI:http://evil", NOW_S, 3600,
                                             &refused),
                     -EINVAL);
    free_authority(&authority);
}

static void reads_only_the_key_of_a_request(void **state UNUSED)
{
    AUTO_KEY EVP_PKEY *key = NULL;
    AUTO_KEY EVP_PKEY *read = NULL;
    AUTO_FREE char *pem = NULL;
    assert_int_equal(key_new_p256(&key), 0);
    assert_int_equal(csr_new(key, &pem), 0);
    assert_int_equal(csr_read_key(pem, strlen(pem), &read), 0);
    assert_int_equal(EVP_PKEY_eq(key, read), 1);

    EVP_PKEY *refused = NULL;
    char *middle = strchr(pem, '\n') + 100;
    *middle = *middle == 'A' ? 'B' : 'A';
    assert_int_equal(csr_read_key(pem, strlen(pem), &refused), -EBADMSG);
    assert_int_equal(csr_read_key("hello", 5, &refused), -EBADMSG);
    assert_int_equal(csr_read_key(pem, CSR_PEM_MAXIMUM + 1, &refused), -EBADMSG);

    AUTO_KEY EVP_PKEY *rsa = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
    AUTO_FREE char *rsa_pem = NULL;
    assert_int_equal(csr_new(rsa, &rsa_pem), 0);
    assert_int_equal(csr_read_key(rsa_pem, strlen(rsa_pem), &refused), -ENOTSUP);
}

static void signs_and_checks(void **state UNUSED)
{
    AUTO_KEY EVP_PKEY *key = NULL;
    AUTO_KEY EVP_PKEY *public = NULL;
    char text[SIGNATURE_TEXT_BYTES], key_text[KEY_PUBLIC_TEXT_BYTES], id[KEY_ID_BYTES],
        other_id[KEY_ID_BYTES];
    assert_int_equal(key_new_ed25519(&key), 0);
    assert_int_equal(key_public_text(key, key_text), 0);
    assert_int_equal(key_from_public_text(key_text, &public), 0);
    assert_int_equal(key_id(key, id), 0);
    assert_int_equal(key_id(public, other_id), 0);
    assert_string_equal(id, other_id);
    assert_int_equal(signature_make(key, "policy", 6, text), 0);
    assert_int_equal(signature_check(public, "policy", 6, text), 0);
    assert_int_equal(signature_check(public, "Policy", 6, text), -EBADMSG);
    assert_int_equal(signature_check(public, "policy", 6, "AAAA"), -EBADMSG);
    assert_int_equal(key_from_public_text("AAAA", &public), -EBADMSG);
}

static void pins_like_openssl(void **state UNUSED)
{
    /* As openssl pkey -pubout -outform DER | openssl dgst -sha256 -binary | base64 says it of the
     * key of RFC 8032, section 7.1, test 1. */
    static const char raw[] = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    uint8_t bytes[32];
    assert_int_equal(text_parse_hex(raw, bytes, sizeof(bytes)), 0);
    AUTO_KEY EVP_PKEY *key =
        EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, bytes, sizeof(bytes));
    char pin[KEY_PIN_BYTES];
    assert_int_equal(key_pin(key, pin), 0);
    assert_string_equal(pin, "sha256//BuP9j9opu2CrWVV95h7bCuzbIxE0vjDnW0Vfjht5L6k=");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encodes_base64_as_the_rfc),
        cmocka_unit_test(refuses_odd_base64),
        cmocka_unit_test(issues_server_certificates),
        cmocka_unit_test(issues_agent_certificates),
        cmocka_unit_test(reads_only_the_key_of_a_request),
        cmocka_unit_test(signs_and_checks),
        cmocka_unit_test(pins_like_openssl),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
