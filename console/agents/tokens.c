/* Owns the tokens table and the check of a token. Must not know what activation does. */
#include "console/agents/tokens.h"

#include "common/crypto/base64.h"
#include "common/text/text.h"
#include "console/store/console_store.h"

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>

#define ORG          1LL
#define SECRET_BYTES 32

int secret_hash(const char *text, char ret_hash[static SHA256_HEX_BYTES])
{
    uint8_t digest[SHA256_BYTES];
    int r = hash_sha256(text, strlen(text), digest);
    if (r == 0)
        text_hex(ret_hash, digest, sizeof(digest));
    return r;
}

int secret_new(const char *prefix, char ret_text[static SECRET_TEXT_BYTES],
               char ret_hash[static SHA256_HEX_BYTES])
{
    uint8_t bytes[SECRET_BYTES];
    char encoded[BASE64_TEXT_BYTES(SECRET_BYTES)];
    int r = random_bytes(bytes, sizeof(bytes));
    if (r < 0)
        return r;
    base64_url_encode(encoded, bytes, sizeof(bytes));
    (void)text_format(ret_text, SECRET_TEXT_BYTES, "%s%s", prefix, encoded);
    return secret_hash(ret_text, ret_hash);
}

/* --- networks */

static bool parse_cidr(const char *cidr, int *ret_family, uint8_t address[static 16],
                       unsigned *ret_bits)
{
    char text[INET6_ADDRSTRLEN];
    const char *slash = strchr(cidr, '/');
    size_t length = slash ? (size_t)(slash - cidr) : strlen(cidr);
    uint64_t bits;
    if (length >= sizeof(text))
        return false;
    memcpy(text, cidr, length);
    text[length] = '\0';
    *ret_family = strchr(text, ':') ? AF_INET6 : AF_INET;
    unsigned most = *ret_family == AF_INET6 ? 128 : 32;
    if (inet_pton(*ret_family, text, address) != 1)
        return false;
    if (!slash)
        bits = most;
    else if (strlen(slash + 1) > 3 || text_parse_u64(slash + 1, &bits) < 0 || bits > most)
        return false;
    *ret_bits = (unsigned)bits;
    return true;
}

bool cidr_is_valid(const char *cidr)
{
    int family;
    uint8_t address[16];
    unsigned bits;
    return parse_cidr(cidr, &family, address, &bits);
}

bool cidr_contains(const char *cidr, const char *address)
{
    int family, own_family;
    uint8_t network[16], own[16];
    unsigned bits, own_bits;
    if (!parse_cidr(cidr, &family, network, &bits) || strchr(address, '/') ||
        !parse_cidr(address, &own_family, own, &own_bits) || family != own_family)
        return false;
    size_t whole = bits / 8;
    if (memcmp(network, own, whole) != 0)
        return false;
    unsigned rest = bits % 8;
    return rest == 0 || (network[whole] >> (8 - rest)) == (own[whole] >> (8 - rest));
}

static bool address_is_allowed(const char *cidrs, const char *address)
{
    json_t *list = json_loads(cidrs, 0, NULL);
    bool allowed = json_is_array(list) && json_array_size(list) == 0;
    size_t i;
    const json_t *entry;
    json_array_foreach(list, i, entry)
    {
        if (json_is_string(entry) && cidr_contains(json_string_value(entry), address))
            allowed = true;
    }
    json_decref(list);
    return allowed;
}

/* --- tokens */

int token_create(struct sql *sql, const struct token_draft *draft,
                 char ret_id[static UUID_TEXT_BYTES], char ret_token[static SECRET_TEXT_BYTES])
{
    char hash[SHA256_HEX_BYTES];
    int r = uuid_new(ret_id);
    if (r == 0)
        r = secret_new("yt1.", ret_token, hash);
    if (r < 0)
        return r;
    return sql_run(sql,
                   "INSERT INTO tokens (id, org_id, hash, name, group_id, policy_id, tags, cidrs,"
                   " expires_ms, uses_left, uses, created_ms, created_by, revoked_ms)"
                   " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, $11, $12, 0)",
                   NULL, "tnttttttnnnt", ret_id, ORG, hash, draft->name, draft->group_id,
                   draft->policy_id, draft->tags, draft->cidrs, draft->expires_ms, draft->uses,
                   console_store_now_ms(), draft->created_by);
}

int token_revoke(struct sql *sql, const char *id)
{
    AUTO_STATEMENT struct sql_statement *statement = NULL;
    int r = sql_run(sql,
                    "UPDATE tokens SET revoked_ms = $1 WHERE id = $2 AND org_id = $3"
                    " AND revoked_ms = 0",
                    &statement, "ntn", console_store_now_ms(), id, ORG);
    return r < 0 ? r : sql_changes(statement) > 0;
}

#define TOKEN_COLUMNS                                                                      \
    "SELECT id, name, group_id, policy_id, tags, cidrs, expires_ms, uses_left, revoked_ms" \
    " FROM tokens WHERE "

/* row: of TOKEN_COLUMNS; found: there is one. */
static int judge(struct sql_statement *row, bool found, bool expires, const char *address,
                 struct token *ret_token, const char **ret_reason)
{
    *ret_reason = NULL;
    if (!found)
        *ret_reason = "unknown";
    else if (sql_number(row, 8) != 0)
        *ret_reason = "revoked";
    else if (expires && sql_number(row, 6) <= console_store_now_ms())
        *ret_reason = "expired";
    else if (sql_number(row, 7) == 0)
        *ret_reason = "used_up";
    else if (!address_is_allowed(sql_text(row, 5), address))
        *ret_reason = "address";
    if (*ret_reason)
        return -EACCES;
    (void)text_copy(ret_token->id, sizeof(ret_token->id), sql_text(row, 0));
    (void)text_copy(ret_token->name, sizeof(ret_token->name), sql_text(row, 1));
    (void)text_copy(ret_token->group_id, sizeof(ret_token->group_id), sql_text(row, 2));
    (void)text_copy(ret_token->policy_id, sizeof(ret_token->policy_id), sql_text(row, 3));
    (void)text_copy(ret_token->tags, sizeof(ret_token->tags), sql_text(row, 4));
    return 0;
}

int token_check(struct sql *sql, const char *token, const char *address, struct token *ret_token,
                const char **ret_reason)
{
    char hash[SHA256_HEX_BYTES];
    AUTO_STATEMENT struct sql_statement *row = NULL;
    *ret_token = (struct token){0};
    int r = secret_hash(token, hash);
    if (r == 0)
        r = sql_run(sql, TOKEN_COLUMNS "hash = $1", &row, "t", hash);
    return r < 0 ? r : judge(row, r == 1, true, address, ret_token, ret_reason);
}

int token_check_vouched(struct sql *sql, int64_t computer, const char *address,
                        struct token *ret_token, const char **ret_reason)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    *ret_token = (struct token){0};
    int r = sql_run(sql, TOKEN_COLUMNS "id = (SELECT token_id FROM computers WHERE number = $1)",
                    &row, "n", computer);
    return r < 0 ? r : judge(row, r == 1, false, address, ret_token, ret_reason);
}

int token_spend(struct sql *sql, const struct token *token)
{
    AUTO_STATEMENT struct sql_statement *statement = NULL;
    int r = sql_run(sql,
                    "UPDATE tokens SET uses = uses + 1, uses_left ="
                    " CASE WHEN uses_left > 0 THEN uses_left - 1 ELSE uses_left END"
                    " WHERE id = $1 AND uses_left <> 0",
                    &statement, "t", token->id);
    if (r < 0)
        return r;
    return sql_changes(statement) == 1 ? 0 : -EACCES;
}
