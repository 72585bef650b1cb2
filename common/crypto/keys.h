/* Private keys of the suite: EC P-256 for TLS, Ed25519 for signing policies and commands.
 * Thread-safe. Errors: -EBADMSG what was read is not such a key, -ENOMEM, -EIO OpenSSL failed,
 * -errno of the file. */
#ifndef COMMON_CRYPTO_KEYS_H
#define COMMON_CRYPTO_KEYS_H

#include "common/attributes.h"

#include <openssl/evp.h>
#include <stdbool.h>
#include <stdint.h>

int key_new_p256(EVP_PKEY **ret_key) MUST_USE;
int key_new_ed25519(EVP_PKEY **ret_key) MUST_USE;
static inline void cleanup_key(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}
#define AUTO_KEY CLEANUP(cleanup_key)

/* PKCS#8 PEM; the text is freed by the caller, who wipes it with OPENSSL_cleanse if it may. */
int key_to_pem(EVP_PKEY *key, char **ret_pem) MUST_USE;
int key_from_pem(const char *pem, size_t length, EVP_PKEY **ret_key) MUST_USE;
/* mode 0600, durable. */
int key_save(EVP_PKEY *key, const char *path) MUST_USE;
int key_load(const char *path, EVP_PKEY **ret_key) MUST_USE;
bool key_is_p256(EVP_PKEY *key);

/* The pin of a public key, as curl and RFC 7469 write it: "sha256//" + base64 of SHA-256 over the
 * SubjectPublicKeyInfo. */
#define KEY_PIN_BYTES 56
int key_pin(EVP_PKEY *key, char ret_pin[static KEY_PIN_BYTES]) MUST_USE;

/* The 32 raw bytes of an Ed25519 public key, in base64. */
#define KEY_PUBLIC_TEXT_BYTES 48
int key_public_text(EVP_PKEY *key, char ret_text[static KEY_PUBLIC_TEXT_BYTES]) MUST_USE;
int key_from_public_text(const char *text, EVP_PKEY **ret_key) MUST_USE;
/* Names an Ed25519 key in a few bytes: the first 16 hex digits of SHA-256 of its raw bytes. */
#define KEY_ID_BYTES 17
int key_id(EVP_PKEY *key, char ret_id[static KEY_ID_BYTES]) MUST_USE;

#endif
