/* Owns making, storing, pinning and naming keys. Must not know what a key is used for. Hands key
 * files to common/files. */
#include "common/crypto/keys.h"

#include "common/buffers/buffer.h"
#include "common/crypto/base64.h"
#include "common/crypto/hash.h"
#include "common/crypto/pem.h"
#include "common/files/file.h"
#include "common/text/text.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#define KEY_FILE_MAXIMUM  16384
#define ED25519_KEY_BYTES 32

int key_new_p256(EVP_PKEY **ret_key)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    if (!key)
        return -EIO;
    *ret_key = key;
    return 0;
}

int key_new_ed25519(EVP_PKEY **ret_key)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    if (!key)
        return -EIO;
    *ret_key = key;
    return 0;
}

int key_to_pem(EVP_PKEY *key, char **ret_pem)
{
    AUTO_BIO BIO *memory = BIO_new(BIO_s_mem());
    if (!memory)
        return -ENOMEM;
    return pem_take_text(memory,
                         PEM_write_bio_PKCS8PrivateKey(memory, key, NULL, NULL, 0, NULL, NULL),
                         ret_pem);
}

static int no_passphrase(char *buffer UNUSED, int size UNUSED, int writing UNUSED,
                         void *user UNUSED)
{
    return -1;
}

int key_from_pem(const char *pem, size_t length, EVP_PKEY **ret_key)
{
    if (length > KEY_FILE_MAXIMUM)
        return -EBADMSG;
    AUTO_BIO BIO *memory = BIO_new_mem_buf(pem, (int)length);
    if (!memory)
        return -ENOMEM;
    EVP_PKEY *key = PEM_read_bio_PrivateKey(memory, NULL, no_passphrase, NULL);
    if (!key)
        return -EBADMSG;
    *ret_key = key;
    return 0;
}

int key_save(EVP_PKEY *key, const char *path)
{
    char *pem = NULL;
    int r = key_to_pem(key, &pem);
    if (r < 0)
        return r;
    size_t length = strlen(pem);
    r = file_replace(path, pem, length, 0600);
    OPENSSL_cleanse(pem, length);
    free(pem);
    return r;
}

int key_load(const char *path, EVP_PKEY **ret_key)
{
    struct buffer pem = BUFFER_WITH_MAXIMUM(KEY_FILE_MAXIMUM);
    int r = file_read_all(path, &pem);
    if (r == 0)
        r = key_from_pem(buffer_text(&pem), pem.length, ret_key);
    if (pem.data)
        OPENSSL_cleanse(pem.data, pem.capacity);
    buffer_done(&pem);
    return r;
}

bool key_is_p256(EVP_PKEY *key)
{
    char group[64];
    size_t length = 0;
    return EVP_PKEY_is_a(key, "EC") &&
           EVP_PKEY_get_group_name(key, group, sizeof(group), &length) == 1 &&
           (text_equal(group, "prime256v1") || text_equal(group, "P-256"));
}

int key_pin(EVP_PKEY *key, char ret_pin[static KEY_PIN_BYTES])
{
    unsigned char *der = NULL;
    int length = i2d_PUBKEY(key, &der);
    if (length <= 0)
        return -EIO;
    uint8_t digest[SHA256_BYTES];
    int r = hash_sha256(der, (size_t)length, digest);
    OPENSSL_free(der);
    if (r < 0)
        return r;
    char text[BASE64_TEXT_BYTES(SHA256_BYTES)];
    base64_encode(text, digest, sizeof(digest));
    (void)text_format(ret_pin, KEY_PIN_BYTES, "sha256//%s", text);
    return 0;
}

static int raw_public(EVP_PKEY *key, uint8_t bytes[static ED25519_KEY_BYTES])
{
    size_t length = ED25519_KEY_BYTES;
    if (EVP_PKEY_get_id(key) != EVP_PKEY_ED25519 ||
        EVP_PKEY_get_raw_public_key(key, bytes, &length) != 1 || length != ED25519_KEY_BYTES)
        return -EBADMSG;
    return 0;
}

int key_public_text(EVP_PKEY *key, char ret_text[static KEY_PUBLIC_TEXT_BYTES])
{
    uint8_t bytes[ED25519_KEY_BYTES];
    int r = raw_public(key, bytes);
    if (r == 0)
        base64_encode(ret_text, bytes, sizeof(bytes));
    return r;
}

int key_from_public_text(const char *text, EVP_PKEY **ret_key)
{
    uint8_t bytes[ED25519_KEY_BYTES];
    size_t length = 0;
    if (base64_decode(text, strlen(text), bytes, sizeof(bytes), &length) < 0 ||
        length != sizeof(bytes))
        return -EBADMSG;
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, bytes, length);
    if (!key)
        return -EIO;
    *ret_key = key;
    return 0;
}

int key_id(EVP_PKEY *key, char ret_id[static KEY_ID_BYTES])
{
    uint8_t bytes[ED25519_KEY_BYTES];
    int r = raw_public(key, bytes);
    if (r < 0)
        return r;
    uint8_t digest[SHA256_BYTES];
    r = hash_sha256(bytes, sizeof(bytes), digest);
    if (r == 0)
        text_hex(ret_id, digest, (KEY_ID_BYTES - 1) / 2);
    return r;
}
