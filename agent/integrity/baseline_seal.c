/* Owns: the key, the seals of directories, the signed header. Must not own: rows.
 *
 * The HMAC's key is the SHA-256 of the Ed25519 signature over a fixed text: Ed25519 is
 * deterministic (RFC 8032), so it is always the same, and known only to who has the private key. */
#include "agent/integrity/baseline_private.h"

#include "common/crypto/signatures.h"
#include "common/text/text.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <string.h>

enum { HEADER_BYTES = 512 };

/* ---- the key ---- */

static int make_mac(struct baseline *baseline, const uint8_t key[static SHA256_BYTES])
{
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    char digest[] = "SHA256";
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };

    baseline->mac = hmac != NULL ? EVP_MAC_CTX_new(hmac) : NULL;
    EVP_MAC_free(hmac);
    if (baseline->mac == NULL)
        return -ENOMEM;
    return EVP_MAC_init(baseline->mac, key, SHA256_BYTES, parameters) == 1 ? 0 : -EIO;
}

int baseline_seal_open(struct baseline *baseline, const char *key_path)
{
    static const char purpose[] = "yagura integrity baseline: key of the seals, 1";
    char signature[SIGNATURE_TEXT_BYTES];
    uint8_t key[SHA256_BYTES];
    int r = key_load(key_path, &baseline->key);

    if (r == -ENOENT) {
        r = key_new_ed25519(&baseline->key);
        if (r == 0)
            r = key_save(baseline->key, key_path);
    }
    if (r == 0)
        r = key_id(baseline->key, baseline->key_id);
    if (r == 0)
        r = signature_make(baseline->key, purpose, sizeof purpose - 1, signature);
    if (r == 0)
        r = hash_sha256(signature, strlen(signature), key);
    if (r == 0)
        r = make_mac(baseline, key);
    explicit_bzero(signature, sizeof signature);
    explicit_bzero(key, sizeof key);
    return r;
}

void baseline_seal_close(struct baseline *baseline)
{
    EVP_MAC_CTX_free(baseline->mac);
    EVP_PKEY_free(baseline->key);
}

/* ---- seals ---- */

int baseline_seal_begin(struct baseline *baseline, const void *directory, size_t length)
{
    if (EVP_MAC_init(baseline->mac, NULL, 0, NULL) != 1)
        return -EIO;
    return baseline_seal_add(baseline, directory, length);
}

/* Each piece with its length: pieces cannot be shifted into each other. NULL is not "". */
int baseline_seal_add(struct baseline *baseline, const void *bytes, size_t length)
{
    uint64_t prefix = bytes != NULL ? length : UINT64_MAX;

    if (EVP_MAC_update(baseline->mac, (const uint8_t *)&prefix, sizeof prefix) != 1 ||
        (bytes != NULL && length > 0 && EVP_MAC_update(baseline->mac, bytes, length) != 1))
        return -EIO;
    return 0;
}

int baseline_seal_end(struct baseline *baseline, uint8_t ret_seal[static SEAL_BYTES])
{
    size_t length = 0;

    return EVP_MAC_final(baseline->mac, ret_seal, &length, SEAL_BYTES) == 1 && length == SEAL_BYTES
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

/* ---- the header ---- */

/* What is signed. */
static int header_text(const struct baseline_header *header, char text[static HEADER_BYTES])
{
    char sum[2 * sizeof header->sum.limbs + 1], rules[SHA256_HEX_BYTES];
    uint8_t bytes[sizeof header->sum.limbs], digest[SHA256_BYTES];
    const char *rules_text = header->rules != NULL ? header->rules : "";

    memcpy(bytes, header->sum.limbs, sizeof bytes);
    text_hex(sum, bytes, sizeof bytes);
    int r = hash_sha256(rules_text, strlen(rules_text), digest);
    if (r < 0)
        return r;
    text_hex(rules, digest, sizeof digest);
    return text_format(text, HEADER_BYTES,
                       "yagura baseline 1\ndirectories %llu\nentries %llu\nchanged %llu\n"
                       "sum %s\napproved %llu\ntampered %d\nrules %s\n",
                       (unsigned long long)header->directories, (unsigned long long)header->entries,
                       (unsigned long long)header->changed, sum,
                       (unsigned long long)header->approved_ns, header->tampered, rules);
}

static int take_header(struct baseline *baseline, sqlite3_stmt *row,
                       char signature[static SIGNATURE_TEXT_BYTES])
{
    struct baseline_header *header = &baseline->header;
    const char *rules = (const char *)sqlite3_column_text(row, 4);
    const char *signed_text = (const char *)sqlite3_column_text(row, 7);

    header->directories = (uint64_t)sqlite3_column_int64(row, 0);
    header->entries = (uint64_t)sqlite3_column_int64(row, 1);
    header->changed = (uint64_t)sqlite3_column_int64(row, 2);
    if (sqlite3_column_bytes(row, 3) != (int)sizeof header->sum.limbs)
        return -EBADMSG;
    memcpy(header->sum.limbs, sqlite3_column_blob(row, 3), sizeof header->sum.limbs);
    free(header->rules);
    header->rules = strdup(rules != NULL ? rules : "");
    header->approved_ns = (uint64_t)sqlite3_column_int64(row, 5);
    header->tampered = sqlite3_column_int(row, 6) != 0;
    if (header->rules == NULL)
        return -ENOMEM;
    return text_copy(signature, SIGNATURE_TEXT_BYTES, signed_text != NULL ? signed_text : "") < 0
               ? -EBADMSG
               : 0;
}

int baseline_header_read(struct baseline *baseline)
{
    char text[HEADER_BYTES], signature[SIGNATURE_TEXT_BYTES];
    sqlite3_stmt *statement;
    int r = database_prepare(baseline->database,
                             "SELECT directories, entries, changed, sum, rules, approved_ns, "
                             "tampered, signature FROM header WHERE id = 1",
                             &statement);

    if (r < 0)
        return r;
    int step = sqlite3_step(statement);
    r = step == SQLITE_ROW    ? take_header(baseline, statement, signature)
        : step == SQLITE_DONE ? -ENOENT
                              : database_errno(step);
    (void)sqlite3_finalize(statement);
    if (r < 0)
        return r;
    r = header_text(&baseline->header, text);
    return r < 0 ? r : signature_check(baseline->key, text, strlen(text), signature);
}

int baseline_header_write(struct baseline *baseline)
{
    const struct baseline_header *header = &baseline->header;
    char text[HEADER_BYTES], signature[SIGNATURE_TEXT_BYTES];
    sqlite3_stmt *statement;

    int r = header_text(header, text);
    if (r < 0)
        return r;
    r = signature_make(baseline->key, text, strlen(text), signature);
    if (r < 0)
        return r;
    r = database_prepare(
        baseline->database,
        "INSERT OR REPLACE INTO header(id, directories, entries, changed, sum, "
        "rules, approved_ns, tampered, signature) VALUES(1, ?, ?, ?, ?, ?, ?, ?, ?)",
        &statement);
    if (r < 0)
        return r;
    (void)sqlite3_bind_int64(statement, 1, (int64_t)header->directories);
    (void)sqlite3_bind_int64(statement, 2, (int64_t)header->entries);
    (void)sqlite3_bind_int64(statement, 3, (int64_t)header->changed);
    baseline_bind(statement, 4, header->sum.limbs, sizeof header->sum.limbs);
    (void)sqlite3_bind_text(statement, 5, header->rules != NULL ? header->rules : "", -1,
                            SQLITE_STATIC);
    (void)sqlite3_bind_int64(statement, 6, (int64_t)header->approved_ns);
    (void)sqlite3_bind_int(statement, 7, header->tampered);
    (void)sqlite3_bind_text(statement, 8, signature, -1, SQLITE_STATIC);
    r = baseline_run(statement);
    (void)sqlite3_finalize(statement);
    return r;
}
