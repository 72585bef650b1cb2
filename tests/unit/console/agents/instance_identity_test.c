/* Documents that a pinned certificate signed, and those that look like it. */
#include "console/agents/instance_identity.h"

#include "common/crypto/base64.h"
#include "common/files/file.h"
#include "common/text/text.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/cms.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DOCUMENT \
    "{\"accountId\":\"123456789012\",\"region\":\"eu-west-1\",\"instanceId\":\"i-0abc\"}"

struct signer {
    EVP_PKEY *key;
    X509 *certificate;
};

static struct signer new_signer(void)
{
    struct signer signer = {.key = EVP_RSA_gen(2048), .certificate = X509_new()};
    static long serial;

    assert_non_null(signer.key);
    assert_non_null(signer.certificate);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(signer.certificate), ++serial), 1);
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(signer.certificate), 0));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(signer.certificate), 3600));
    assert_int_equal(X509_set_pubkey(signer.certificate, signer.key), 1);
    X509_NAME *name = X509_get_subject_name(signer.certificate);
    assert_int_equal(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                                (const unsigned char *)"pinned", -1, -1, 0),
                     1);
    assert_int_equal(X509_set_issuer_name(signer.certificate, name), 1);
    assert_true(X509_sign(signer.certificate, signer.key, EVP_sha256()) > 0);
    return signer;
}

static void free_signer(struct signer *signer)
{
    EVP_PKEY_free(signer->key);
    X509_free(signer->certificate);
}

/* In lines, as EC2's metadata service gives it. */
static char *sign(const struct signer *signer, const EVP_MD *digest, const struct signer *other)
{
    const unsigned flags = CMS_BINARY | CMS_DETACHED | CMS_PARTIAL;
    BIO *content = BIO_new_mem_buf(DOCUMENT, -1);
    CMS_ContentInfo *message = CMS_sign(NULL, NULL, NULL, NULL, flags);
    unsigned char *bytes = NULL;

    assert_non_null(content);
    assert_non_null(message);
    assert_non_null(CMS_add1_signer(message, signer->certificate, signer->key, digest, flags));
    if (other != NULL)
        assert_non_null(CMS_add1_signer(message, other->certificate, other->key, digest, flags));
    assert_int_equal(CMS_final(message, content, NULL, flags), 1);
    int length = i2d_CMS_ContentInfo(message, &bytes);
    assert_true(length > 0);
    AUTO_FREE char *plain = malloc(BASE64_TEXT_BYTES((size_t)length));
    assert_non_null(plain);
    base64_encode(plain, bytes, (size_t)length);
    char *lined = text_format_new("%.64s\r\n%s \n", plain, plain + 64);
    OPENSSL_free(bytes);
    CMS_ContentInfo_free(message);
    (void)BIO_free(content);
    return lined;
}

static void put(const char *folder, const char *name, const char *text)
{
    AUTO_FREE char *path = text_format_new("%s/%s", folder, name);

    assert_int_equal(file_replace(path, text, strlen(text), 0600), 0);
}

static void put_certificates(const char *folder, const char *name, const struct signer *const *all)
{
    BIO *memory = BIO_new(BIO_s_mem());
    char *bytes = NULL;

    for (size_t i = 0; all[i] != NULL; i++)
        assert_int_equal(PEM_write_bio_X509(memory, all[i]->certificate), 1);
    long length = BIO_get_mem_data(memory, &bytes);
    AUTO_FREE char *text = text_new(bytes, (size_t)length);
    put(folder, name, text);
    (void)BIO_free(memory);
}

struct world {
    char folder[64];
    struct signer pinned, old, stranger;
    struct instance_certificates *certificates;
};

static int set_up(void **state)
{
    static struct world world;
    char problem[256];

    world = (struct world){.folder = "/tmp/yagura-identity-XXXXXX",
                           .pinned = new_signer(),
                           .old = new_signer(),
                           .stranger = new_signer()};
    assert_non_null(mkdtemp(world.folder));
    put_certificates(world.folder, "eu-west-1.pem",
                     (const struct signer *const[]){&world.old, &world.pinned, NULL});
    put_certificates(world.folder, "us-east-1.pem",
                     (const struct signer *const[]){&world.stranger, NULL});
    put(world.folder, "README", "no certificate");
    assert_int_equal(instance_certificates_load(world.folder, &world.certificates, problem), 0);
    assert_int_equal(instance_certificates_regions(world.certificates), 2);
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    (void)instance_certificates_free(world->certificates);
    free_signer(&world->pinned);
    free_signer(&world->old);
    free_signer(&world->stranger);
    return file_remove_tree(AT_FDCWD, world->folder);
}

static void expect(const struct world *world, const char *document, const char *signature,
                   const char *reason)
{
    struct instance_identity identity = {.account = "before"};
    const char *said = "not asked";
    int r = instance_identity_verify(world->certificates, document, signature, &identity, &said);

    if ((r == 0) != (reason == NULL))
        fail_msg("%s: %s", document, said != NULL ? said : "taken");
    if (reason != NULL) {
        assert_string_equal(said, reason);
        assert_string_equal(identity.account, "before");
        return;
    }
    assert_null(said);
    assert_string_equal(identity.account, "123456789012");
    assert_string_equal(identity.region, "eu-west-1");
    assert_string_equal(identity.instance_id, "i-0abc");
}

static void what_a_pinned_certificate_signed_passes(void **state)
{
    const struct world *world = *state;
    AUTO_FREE char *good = sign(&world->pinned, EVP_sha256(), NULL);
    AUTO_FREE char *older = sign(&world->old, EVP_sha512(), NULL);
    AUTO_FREE char *strange = sign(&world->stranger, EVP_sha256(), NULL);
    AUTO_FREE char *weak = sign(&world->pinned, EVP_sha1(), NULL);
    AUTO_FREE char *both = sign(&world->pinned, EVP_sha256(), &world->old);

    expect(world, DOCUMENT, good, NULL);
    expect(world, DOCUMENT, older, NULL);
    expect(world, DOCUMENT, strange, "identity_signature"); /* its certificate goes along */
    expect(world, DOCUMENT, weak, "identity_signature");
    expect(world, DOCUMENT, both, "identity_signature");
    expect(world, DOCUMENT " ", good, "identity_signature");
    expect(world, "{\"accountId\":\"1\",\"region\":\"ap-south-1\",\"instanceId\":\"i\"}", good,
           "identity_region");
}

#define LONG_ACCOUNT                                                                \
    "{\"accountId\":\"12345678901234567890123456789012\",\"region\":\"eu-west-1\"," \
    "\"instanceId\":\"i\"}"

static void what_is_none_is_refused(void **state)
{
    const struct world *world = *state;
    static const char *const documents[] = {
        "",
        "[]",
        "{",
        "{\"accountId\":\"1\",\"region\":\"eu-west-1\"}",
        "{\"accountId\":1,\"region\":\"eu-west-1\",\"instanceId\":\"i\"}",
        "{\"accountId\":\"1\",\"region\":\"../eu-west-1\",\"instanceId\":\"i\"}",
        LONG_ACCOUNT,
    };
    AUTO_FREE char *good = sign(&world->pinned, EVP_sha256(), NULL);
    AUTO_FREE char *cut = text_new(good, 200);
    AUTO_FREE char *long_one = calloc(1, 9001);

    for (size_t i = 0; i < ARRAY_LENGTH(documents); i++)
        expect(world, documents[i], good, "identity_format");
    expect(world, DOCUMENT, cut, "identity_format");
    expect(world, DOCUMENT, "", "identity_format");
    expect(world, DOCUMENT, "?", "identity_format");
    memset(long_one, 'A', 9000);
    expect(world, DOCUMENT, long_one, "identity_format");
}

static void folders_that_are_none(void **state)
{
    (void)state;
    char folder[] = "/tmp/yagura-identity-XXXXXX", problem[256];
    struct instance_certificates *certificates = NULL;

    assert_non_null(mkdtemp(folder));
    assert_int_equal(instance_certificates_load(folder, &certificates, problem), -ENOENT);
    assert_string_equal(problem, folder);
    put(folder, "eu-west-1.pem", "-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n");
    assert_int_equal(instance_certificates_load(folder, &certificates, problem), -EBADMSG);
    assert_string_equal(problem, "eu-west-1.pem");
    assert_int_equal(file_remove_tree(AT_FDCWD, folder), 0);
    assert_int_equal(instance_certificates_load(folder, &certificates, problem), -ENOENT);
    assert_null(certificates);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_pinned_certificate_signed_passes),
        cmocka_unit_test(what_is_none_is_refused),
        cmocka_unit_test(folders_that_are_none),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
