/* Activation tokens: "yt1." + 32 random bytes in base64url. Only the SHA-256 is stored. */
#ifndef CONSOLE_AGENTS_TOKENS_H
#define CONSOLE_AGENTS_TOKENS_H

#include "common/attributes.h"
#include "common/crypto/hash.h"
#include "common/crypto/random.h"
#include "console/store/sql.h"

#include <stdbool.h>

#define SECRET_TEXT_BYTES 64

/* prefix + 32 random bytes in base64url, and the hash under which it is stored. Also for API keys
 * and sessions. */
int secret_new(const char *prefix, char ret_text[static SECRET_TEXT_BYTES],
               char ret_hash[static SHA256_HEX_BYTES]) MUST_USE;
int secret_hash(const char *text, char ret_hash[static SHA256_HEX_BYTES]) MUST_USE;

struct token_draft {
    const char *name, *group_id, *policy_id; /* ids NULL: none */
    const char *tags;                        /* JSON array of texts */
    const char *cidrs; /* JSON array of "10.0.0.0/8" texts; empty: from anywhere */
    int64_t expires_ms;
    int64_t uses; /* -1: without limit */
    const char *created_by;
};
/* ret_token is shown once, and never again. */
int token_create(struct sql *sql, const struct token_draft *draft,
                 char ret_id[static UUID_TEXT_BYTES],
                 char ret_token[static SECRET_TEXT_BYTES]) MUST_USE;
/* 1 when it was revoked, 0 when there is none such. */
int token_revoke(struct sql *sql, const char *id) MUST_USE;

struct token {
    char id[UUID_TEXT_BYTES], name[128];
    char group_id[UUID_TEXT_BYTES], policy_id[UUID_TEXT_BYTES]; /* "" = none */
    char tags[1024];
};
/* Whether the token may be used now from address. -EACCES with ret_reason otherwise: "unknown",
 * "revoked", "expired", "used_up", "address". */
int token_check(struct sql *sql, const char *token, const char *address, struct token *ret_token,
                const char **ret_reason) MUST_USE;
/* The same for the token that a computer was activated with, by its number: its expiry does not
 * count. For copies of that computer, which prove to hold its key. */
int token_check_vouched(struct sql *sql, int64_t computer, const char *address,
                        struct token *ret_token, const char **ret_reason) MUST_USE;
/* Takes one use; -EACCES when there is none left. */
int token_spend(struct sql *sql, const struct token *token) MUST_USE;

/* "10.0.0.0/8", "2001:db8::/32", "192.0.2.1". */
bool cidr_is_valid(const char *cidr);
bool cidr_contains(const char *cidr, const char *address);

#endif
