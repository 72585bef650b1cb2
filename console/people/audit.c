/* Owns the chain: hash = SHA-256(previous hash, fields, each with its length). meta.audit_head
 * holds the last hash, so that entries cut from the end are missed too. */
#include "console/people/audit.h"

#include "common/crypto/hash.h"
#include "common/text/text.h"
#include "console/store/console_store.h"

#include <errno.h>

#define ORG 1LL

static int add(struct sha256 *hash, const char *text)
{
    uint64_t length = htobe64(strlen(text));
    int r = sha256_update(hash, &length, sizeof(length));
    return r < 0 ? r : sha256_update(hash, text, strlen(text));
}

static int link_hash(const char *previous, int64_t number, int64_t time_ms,
                     const struct audit_entry *entry, char ret_hex[static SHA256_HEX_BYTES])
{
    struct sha256 *hash = NULL;
    char numbers[64];
    uint8_t digest[SHA256_BYTES];
    (void)text_format(numbers, sizeof(numbers), "%lld %lld", (long long)number, (long long)time_ms);
    const char *const fields[] = {previous,      numbers,        entry->actor, entry->address,
                                  entry->action, entry->subject, entry->detail};
    int r = sha256_new(&hash);
    for (size_t i = 0; r == 0 && i < ARRAY_LENGTH(fields); i++)
        r = add(hash, fields[i]);
    if (r == 0)
        r = sha256_finish(hash, digest);
    (void)sha256_free(hash);
    if (r == 0)
        text_hex(ret_hex, digest, sizeof(digest));
    return r;
}

/* The end of the chain: "NUMBER HASH". lock: nobody else appends until the transaction ends. */
static int read_head(struct sql *sql, bool lock, int64_t *ret_number,
                     char ret_hex[static SHA256_HEX_BYTES])
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    *ret_number = 0;
    ret_hex[0] = '\0';
    int r = lock ? sql_run(sql,
                           "INSERT INTO meta (name, value) VALUES ('audit_head', '0 ')"
                           " ON CONFLICT (name) DO UPDATE SET value = meta.value",
                           NULL, "")
                 : 0;
    if (r == 0)
        r = sql_run(sql, "SELECT value FROM meta WHERE name = 'audit_head'", &row, "");
    if (r != 1)
        return r < 0 ? r : 0;
    char value[SHA256_HEX_BYTES + 24];
    uint64_t number = 0;
    (void)text_copy(value, sizeof(value), sql_text(row, 0));
    char *blank = strchr(value, ' ');
    if (!blank)
        return -EBADMSG;
    *blank = '\0';
    if (text_parse_u64(value, &number) < 0 || number > INT64_MAX)
        return -EBADMSG;
    *ret_number = (int64_t)number;
    (void)text_copy(ret_hex, SHA256_HEX_BYTES, blank + 1);
    return 0;
}

int audit_append(struct sql *sql, const struct audit_entry *entry)
{
    char previous[SHA256_HEX_BYTES], hash[SHA256_HEX_BYTES], head[SHA256_HEX_BYTES + 24];
    int64_t number = console_store_new_number();
    int64_t now = console_store_now_ms();
    int64_t last = 0;
    int r = read_head(sql, true, &last, previous);
    number = MAX(number, last + 1); /* another node's clock may be ahead */
    if (r == 0)
        r = link_hash(previous, number, now, entry, hash);
    if (r == 0)
        r = sql_run(sql,
                    "INSERT INTO audit (number, org_id, time_ms, actor, address, action, subject,"
                    " detail, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                    NULL, "nnntttttt", number, ORG, now, entry->actor, entry->address,
                    entry->action, entry->subject, entry->detail, hash);
    (void)text_format(head, sizeof(head), "%lld %s", (long long)number, hash);
    return r < 0 ? r
                 : sql_run(sql, "UPDATE meta SET value = $1 WHERE name = 'audit_head'", NULL, "t",
                           head);
}

int audit_verify(struct sql *sql, int64_t *ret_count, int64_t *ret_wrong)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    char previous[SHA256_HEX_BYTES] = "", hash[SHA256_HEX_BYTES], head[SHA256_HEX_BYTES];
    *ret_count = *ret_wrong = 0;
    int r = sql_run(sql,
                    "SELECT number, time_ms, actor, address, action, subject, detail, hash"
                    " FROM audit ORDER BY number",
                    &row, "");
    for (; r == 1; r = sql_step(row)) {
        struct audit_entry entry = {sql_text(row, 2), sql_text(row, 3), sql_text(row, 4),
                                    sql_text(row, 5), sql_text(row, 6)};
        int linked = link_hash(previous, sql_number(row, 0), sql_number(row, 1), &entry, hash);
        if (linked < 0)
            return linked;
        if (!text_equal(hash, sql_text(row, 7))) {
            *ret_wrong = sql_number(row, 0);
            return -EBADMSG;
        }
        (void)text_copy(previous, sizeof(previous), hash);
        ++*ret_count;
    }
    if (r < 0)
        return r;
    int64_t last = 0;
    r = read_head(sql, false, &last, head);
    return r < 0 ? r : text_equal(head, previous) ? 0 : -EBADMSG;
}
