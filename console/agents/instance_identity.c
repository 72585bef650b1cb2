/* Owns the pinned certificates and the check of one document. Must not decide what a good document
 * is worth: activation does. */
#include "console/agents/instance_identity.h"

#include "common/buffers/buffer.h"
#include "common/crypto/base64.h"
#include "common/files/file.h"
#include "common/text/text.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#define FILE_SUFFIX       ".pem"
#define SIGNATURE_MAXIMUM 6144 /* bytes of the PKCS #7 message */
#define FILE_MAXIMUM      262144

struct instance_certificates {
    size_t count;
    struct {
        char name[64];
        STACK_OF(X509) * certificates;
    } regions[INSTANCE_REGIONS_MAXIMUM];
};

static void cleanup_bio(BIO **bio)
{
    (void)BIO_free(*bio);
}
#define AUTO_BIO CLEANUP(cleanup_bio)

static void cleanup_message(CMS_ContentInfo **message)
{
    CMS_ContentInfo_free(*message);
}
#define AUTO_MESSAGE CLEANUP(cleanup_message)

struct instance_certificates *instance_certificates_free(struct instance_certificates *pinned)
{
    for (size_t i = 0; pinned && i < pinned->count; i++)
        sk_X509_pop_free(pinned->regions[i].certificates, X509_free);
    free(pinned);
    return NULL;
}

size_t instance_certificates_regions(const struct instance_certificates *pinned)
{
    return pinned->count;
}

/* All certificates of one PEM text. */
static int read_certificates(const struct buffer *text, STACK_OF(X509) * certificates)
{
    AUTO_BIO BIO *bio = BIO_new_mem_buf(text->data, (int)text->length);
    if (!bio)
        return -ENOMEM;
    X509 *certificate;
    while ((certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        if (sk_X509_push(certificates, certificate) <= 0) {
            X509_free(certificate);
            return -ENOMEM;
        }
    }
    ERR_clear_error();
    return sk_X509_num(certificates) > 0 ? 0 : -EBADMSG;
}

static int load_region(struct instance_certificates *pinned, const char *folder, const char *name)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(FILE_MAXIMUM);
    char path[4096];
    if (pinned->count == INSTANCE_REGIONS_MAXIMUM)
        return -E2BIG;
    int r = text_format(path, sizeof(path), "%s/%s", folder, name);
    if (r >= 0)
        r = text_format(pinned->regions[pinned->count].name,
                        sizeof(pinned->regions[pinned->count].name), "%.*s",
                        (int)(strlen(name) - strlen(FILE_SUFFIX)), name);
    if (r >= 0)
        r = file_read_all(path, &text);
    if (r < 0)
        return r;
    STACK_OF(X509) *certificates = sk_X509_new_null();
    if (!certificates)
        return -ENOMEM;
    pinned->regions[pinned->count++].certificates = certificates;
    return read_certificates(&text, certificates);
}

int instance_certificates_load(const char *folder, struct instance_certificates **ret_certificates,
                               char ret_problem[static 256])
{
    (void)text_copy(ret_problem, 256, folder);
    struct instance_certificates *pinned = calloc(1, sizeof(*pinned));
    if (!pinned)
        return -ENOMEM;
    int fd = -1;
    DIR *stream = NULL;
    int r = file_open_directory(folder, true, &fd);
    if (r == 0 && (stream = fdopendir(fd)) == NULL) {
        r = -errno;
        (void)close(fd);
    }
    const struct dirent *entry;
    while (r == 0 && (entry = readdir(stream)) != NULL) {
        if (entry->d_name[0] == '.' || !text_ends_with(entry->d_name, FILE_SUFFIX))
            continue;
        (void)text_copy(ret_problem, 256, entry->d_name);
        r = load_region(pinned, folder, entry->d_name);
    }
    if (stream)
        (void)closedir(stream);
    if (r == 0 && pinned->count == 0)
        r = -ENOENT;
    if (r < 0) {
        (void)instance_certificates_free(pinned);
        return r;
    }
    *ret_certificates = pinned;
    return 0;
}

/* --- one document */

static STACK_OF(X509) * find_region(const struct instance_certificates *pinned, const char *region)
{
    for (size_t i = 0; i < pinned->count; i++)
        if (text_equal(pinned->regions[i].name, region))
            return pinned->regions[i].certificates;
    return NULL;
}

static int take_text(const json_t *object, const char *key, const char *allowed, char *field,
                     size_t size)
{
    const char *text = json_string_value(json_object_get(object, key));
    if (!text || !text[0] || text[strspn(text, allowed)] != '\0' ||
        text_copy(field, size, text) < 0)
        return -EBADMSG;
    return 0;
}

static int read_document(const char *document, struct instance_identity *ret_identity)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    json_t *root = json_loads(document, JSON_REJECT_DUPLICATES, NULL);
    int r = json_is_object(root) ? 0 : -EBADMSG;
    if (r == 0)
        r = take_text(root, "accountId", "0123456789", ret_identity->account,
                      sizeof(ret_identity->account));
    if (r == 0)
        r = take_text(root, "region", letters, ret_identity->region, sizeof(ret_identity->region));
    if (r == 0)
        r = take_text(root, "instanceId", letters, ret_identity->instance_id,
                      sizeof(ret_identity->instance_id));
    json_decref(root);
    return r;
}

static CMS_ContentInfo *read_message(const char *signature)
{
    char packed[8193];
    uint8_t bytes[SIGNATURE_MAXIMUM];
    size_t length = 0, packed_length = 0;
    for (const char *at = signature; *at; at++)
        if (!strchr(" \t\r\n", *at)) {
            if (packed_length == sizeof(packed) - 1)
                return NULL;
            packed[packed_length++] = *at;
        }
    if (base64_decode(packed, packed_length, bytes, sizeof(bytes), &length) < 0 || length == 0)
        return NULL;
    AUTO_BIO BIO *bio = BIO_new_mem_buf(bytes, (int)length);
    return bio ? d2i_CMS_bio(bio, NULL) : NULL;
}

/* One signer, with SHA-256 or better. */
static bool is_signed_well(CMS_ContentInfo *message)
{
    STACK_OF(CMS_SignerInfo) *signers = CMS_get0_SignerInfos(message);
    if (!signers || sk_CMS_SignerInfo_num(signers) != 1)
        return false;
    X509_ALGOR *digest = NULL;
    CMS_SignerInfo_get0_algs(sk_CMS_SignerInfo_value(signers, 0), NULL, NULL, &digest, NULL);
    const ASN1_OBJECT *object = NULL;
    X509_ALGOR_get0(&object, NULL, NULL, digest);
    int id = OBJ_obj2nid(object);
    return id == NID_sha256 || id == NID_sha384 || id == NID_sha512;
}

/* The given document is what must have been signed, also when the message carries a copy of it. */
static bool check_signature(CMS_ContentInfo *message, STACK_OF(X509) * certificates,
                            const char *document)
{
    AUTO_BIO BIO *content = BIO_new_mem_buf(document, (int)strlen(document));
    AUTO_BIO BIO *sink = BIO_new(BIO_s_null());
    bool good = content && sink && is_signed_well(message) &&
                CMS_verify(message, certificates, NULL, content, sink,
                           CMS_NOINTERN | CMS_NO_SIGNER_CERT_VERIFY | CMS_BINARY) == 1;
    ERR_clear_error();
    return good;
}

int instance_identity_verify(const struct instance_certificates *pinned, const char *document,
                             const char *signature, struct instance_identity *ret_identity,
                             const char **ret_reason)
{
    struct instance_identity identity = {.account = ""};
    *ret_reason = "identity_format";
    if (read_document(document, &identity) < 0)
        return -EACCES;
    STACK_OF(X509) *certificates = find_region(pinned, identity.region);
    if (!certificates) {
        *ret_reason = "identity_region";
        return -EACCES;
    }
    AUTO_MESSAGE CMS_ContentInfo *message = read_message(signature);
    if (!message) {
        ERR_clear_error();
        return -EACCES;
    }
    *ret_reason = "identity_signature";
    if (!check_signature(message, certificates, document))
        return -EACCES;
    *ret_reason = NULL;
    *ret_identity = identity;
    return 0;
}
