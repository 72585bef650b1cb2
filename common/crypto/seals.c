/* Owns: the keys. The HMAC's key is the SHA-256 of the Ed25519 signature over the purpose: Ed25519
 * is deterministic (RFC 8032), so it is always the same, and known only to who has the private key.
 */
#include "common/crypto/seals.h"

#include "common/crypto/signatures.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <string.h>

struct sealer {
    EVP_PKEY *key;
    EVP_MAC_CTX *mac; /* keyed */
    char key_id[KEY_ID_BYTES];
};

static int make_mac(struct sealer *sealer, const uint8_t key[static SHA256_BYTES])
{
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    char digest[] = "SHA256";
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };

    sealer->mac = hmac != NULL ? EVP_MAC_CTX_new(hmac) : NULL;
    EVP_MAC_free(hmac);
    if (sealer->mac == NULL)
        return -ENOMEM;
    return EVP_MAC_init(sealer->mac, key, SHA256_BYTES, parameters) == 1 ? 0 : -EIO;
}

static int load_or_make(const char *path, EVP_PKEY **ret_key)
{
    int r = key_load(path, ret_key);

    if (r != -ENOENT)
        return r;
    r = key_new_ed25519(ret_key);
    return r == 0 ? key_save(*ret_key, path) : r;
}

int sealer_open(const char *key_path, const char *purpose, struct sealer **ret_sealer)
{
    char signature[SIGNATURE_TEXT_BYTES];
    uint8_t key[SHA256_BYTES];
    struct sealer *sealer = calloc(1, sizeof *sealer);

    if (sealer == NULL)
        return -ENOMEM;
    int r = load_or_make(key_path, &sealer->key);
    if (r == 0)
        r = key_id(sealer->key, sealer->key_id);
    if (r == 0)
        r = signature_make(sealer->key, purpose, strlen(purpose), signature);
    if (r == 0)
        r = hash_sha256(signature, strlen(signature), key);
    if (r == 0)
        r = make_mac(sealer, key);
    explicit_bzero(signature, sizeof signature);
    explicit_bzero(key, sizeof key);
    if (r < 0) {
        (void)sealer_close(sealer);
        return r;
    }
    *ret_sealer = sealer;
    return 0;
}

struct sealer *sealer_close(struct sealer *sealer)
{
    if (sealer == NULL)
        return NULL;
    EVP_MAC_CTX_free(sealer->mac);
    EVP_PKEY_free(sealer->key);
    free(sealer);
    return NULL;
}

EVP_PKEY *sealer_key(const struct sealer *sealer)
{
    return sealer->key;
}

const char *sealer_key_id(const struct sealer *sealer)
{
    return sealer->key_id;
}

/* ---- seals ---- */

int seal_begin(struct sealer *sealer)
{
    return EVP_MAC_init(sealer->mac, NULL, 0, NULL) == 1 ? 0 : -EIO;
}

int seal_add(struct sealer *sealer, const void *bytes, size_t length)
{
    uint64_t prefix = bytes != NULL ? length : UINT64_MAX;

    if (EVP_MAC_update(sealer->mac, (const uint8_t *)&prefix, sizeof prefix) != 1 ||
        (bytes != NULL && length > 0 && EVP_MAC_update(sealer->mac, bytes, length) != 1))
        return -EIO;
    return 0;
}

int seal_end(struct sealer *sealer, uint8_t ret_seal[static SEAL_BYTES])
{
    size_t length = 0;

    return EVP_MAC_final(sealer->mac, ret_seal, &length, SEAL_BYTES) == 1 && length == SEAL_BYTES
               ? 0
               : -EIO;
}

void seal_sum_add(struct seal_sum *sum, const uint8_t seal[static SEAL_BYTES])
{
    uint64_t limbs[4];
    unsigned carry = 0;

    memcpy(limbs, seal, sizeof limbs);
    for (size_t i = 0; i < ARRAY_LENGTH(limbs); i++) {
        uint64_t before = sum->limbs[i];
        sum->limbs[i] += limbs[i] + carry;
        carry = sum->limbs[i] < before || (carry != 0 && sum->limbs[i] == before);
    }
}

void seal_sum_subtract(struct seal_sum *sum, const uint8_t seal[static SEAL_BYTES])
{
    uint64_t limbs[4];
    unsigned borrow = 0;

    memcpy(limbs, seal, sizeof limbs);
    for (size_t i = 0; i < ARRAY_LENGTH(limbs); i++) {
        uint64_t before = sum->limbs[i];
        sum->limbs[i] -= limbs[i] + borrow;
        borrow = before < limbs[i] || (borrow != 0 && before == limbs[i]);
    }
}
