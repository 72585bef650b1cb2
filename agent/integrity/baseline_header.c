/* Owns: the signed header. Must not own: rows, keys (common/crypto/seals). */
#include "agent/integrity/baseline_private.h"

#include "common/crypto/signatures.h"
#include "common/text/text.h"

#include <errno.h>
#include <string.h>

enum { HEADER_BYTES = 512 };

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
    return r < 0 ? r : signature_check(sealer_key(baseline->sealer), text, strlen(text), signature);
}

int baseline_header_write(struct baseline *baseline)
{
    const struct baseline_header *header = &baseline->header;
    char text[HEADER_BYTES], signature[SIGNATURE_TEXT_BYTES];
    sqlite3_stmt *statement;

    int r = header_text(header, text);
    if (r < 0)
        return r;
    r = signature_make(sealer_key(baseline->sealer), text, strlen(text), signature);
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
