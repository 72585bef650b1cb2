/* Owns the users, sessions and api_keys tables. Must not hash passwords: that takes long, and the
 * writer waits for no one. */
#include "console/people/user_store.h"

#include "common/text/text.h"
#include "console/store/console_store.h"

#include <errno.h>
#include <openssl/crypto.h>

#define ORG 1LL

int user_create(struct sql *sql, const struct user_draft *draft,
                char ret_id[static UUID_TEXT_BYTES])
{
    int r = uuid_new(ret_id);
    if (r < 0)
        return r;
    return sql_run(sql,
                   "INSERT INTO users (id, org_id, name, role, groups, password, must_change,"
                   " disabled, created_ms, totp, totp_offered, totp_used)"
                   " VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, '', '', 0)",
                   NULL, "tnttttnn", ret_id, ORG, draft->name, draft->role, draft->groups,
                   draft->password_hash, (int64_t)draft->must_change, console_store_now_ms());
}

static int store_totp(struct sql *sql, const char *id, const char *sealed, int64_t step)
{
    return sql_run(sql,
                   "UPDATE users SET totp = $1, totp_offered = '', totp_used = $2 WHERE id = $3",
                   NULL, "tnt", sealed, step, id);
}

static int clear_totp(struct sql *sql, const char *id)
{
    return store_totp(sql, id, "", 0);
}

int user_set_password(struct sql *sql, const char *id, const char *password_hash_text,
                      bool must_change)
{
    AUTO_STATEMENT struct sql_statement *statement = NULL;
    int r = sql_run(sql, "UPDATE users SET password = $1, must_change = $2 WHERE id = $3",
                    &statement, "tnt", password_hash_text, (int64_t)must_change, id);
    if (r < 0)
        return r;
    if (sql_changes(statement) == 0)
        return -ENOENT;
    if (must_change) /* a new start by somebody else: the phone may be gone too */
        r = clear_totp(sql, id);
    return r < 0 ? r : sql_run(sql, "DELETE FROM sessions WHERE user_id = $1", NULL, "t", id);
}

#define TOTP_PURPOSE_BYTES 64

static void purpose_of(char purpose[static TOTP_PURPOSE_BYTES], const char *id)
{
    (void)text_format(purpose, TOTP_PURPOSE_BYTES, "totp:%s", id);
}

static int open_totp(const struct secret_box *box, const char *id, const char *sealed,
                     char ret_secret[static TOTP_TEXT_BYTES])
{
    char purpose[TOTP_PURPOSE_BYTES], *text = NULL;
    purpose_of(purpose, id);
    int r = secret_open(box, purpose, sealed, &text);
    if (r < 0)
        return r;
    r = text_copy(ret_secret, TOTP_TEXT_BYTES, text) < 0 ? -EKEYREJECTED : 0;
    OPENSSL_cleanse(text, strlen(text));
    free(text);
    return r;
}

int user_find(struct sql *sql, const struct secret_box *box, const char *name,
              struct user_record *ret_user)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    *ret_user = (struct user_record){.totp_used = 0};
    int r = sql_run(sql,
                    "SELECT id, password, totp, totp_offered, totp_used FROM users"
                    " WHERE org_id = $1 AND name = $2 AND disabled = 0",
                    &row, "nt", ORG, name);
    if (r != 1)
        return r;
    (void)text_copy(ret_user->id, sizeof(ret_user->id), sql_text(row, 0));
    (void)text_copy(ret_user->password_hash, sizeof(ret_user->password_hash), sql_text(row, 1));
    ret_user->totp_used = sql_number(row, 4);
    r = open_totp(box, ret_user->id, sql_text(row, 2), ret_user->totp);
    if (r == 0)
        r = open_totp(box, ret_user->id, sql_text(row, 3), ret_user->totp_offered);
    return r < 0 ? r : 1;
}

int user_use_totp(struct sql *sql, const char *id, int64_t step)
{
    AUTO_STATEMENT struct sql_statement *statement = NULL;
    int r = sql_run(sql, "UPDATE users SET totp_used = $1 WHERE id = $2 AND totp_used < $1",
                    &statement, "nt", step, id);
    return r < 0 ? r : sql_changes(statement) == 1 ? 0 : -EACCES;
}

static char *seal_totp(const struct secret_box *box, const char *id, const char *secret)
{
    char purpose[TOTP_PURPOSE_BYTES];
    purpose_of(purpose, id);
    return secret_seal(box, purpose, secret);
}

int user_offer_totp(struct sql *sql, const struct secret_box *box, const char *id,
                    const char *secret)
{
    AUTO_FREE char *sealed = seal_totp(box, id, secret);
    return sealed ? sql_run(sql, "UPDATE users SET totp_offered = $1 WHERE id = $2", NULL, "tt",
                            sealed, id)
                  : -ENOMEM;
}

int user_set_totp(struct sql *sql, const struct secret_box *box, const char *id, const char *secret,
                  int64_t step)
{
    AUTO_FREE char *sealed = seal_totp(box, id, secret);
    return sealed ? store_totp(sql, id, sealed, step) : -ENOMEM;
}

struct plain_totp {
    char id[UUID_TEXT_BYTES], used[TOTP_TEXT_BYTES];
};

/* One user whose second factor is not sealed yet: 1, 0. */
static int find_plain(struct sql *sql, struct plain_totp *ret_plain)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql,
                    "SELECT id, totp FROM users WHERE (totp <> ''"
                    " AND totp NOT LIKE 's1.%') OR (totp_offered <> ''"
                    " AND totp_offered NOT LIKE 's1.%') LIMIT 1",
                    &row, "");
    if (r != 1)
        return r;
    (void)text_copy(ret_plain->id, sizeof(ret_plain->id), sql_text(row, 0));
    (void)text_copy(ret_plain->used, sizeof(ret_plain->used), sql_text(row, 1));
    return 1;
}

int user_seal_totp(struct sql *sql, const struct secret_box *box)
{
    struct plain_totp plain;
    int r;
    while ((r = find_plain(sql, &plain)) == 1) {
        /* An offer waits for minutes at most: it is made again. */
        AUTO_FREE char *sealed = seal_totp(box, plain.id, plain.used);
        r = sealed ? sql_run(sql, "UPDATE users SET totp = $1, totp_offered = '' WHERE id = $2",
                             NULL, "tt", sealed, plain.id)
                   : -ENOMEM;
        if (r < 0)
            break;
    }
    OPENSSL_cleanse(&plain, sizeof(plain));
    return r;
}

int user_count(struct sql *sql, int64_t *ret_count)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql, "SELECT count(*) FROM users", &row, "");
    if (r == 1)
        *ret_count = sql_number(row, 0);
    return r < 0 ? r : 0;
}

/* --- sessions */

int session_start(struct sql *sql, const char *user_id, const char *address,
                  char ret_session[static SECRET_TEXT_BYTES],
                  char ret_csrf[static SECRET_TEXT_BYTES])
{
    char hash[SHA256_HEX_BYTES], csrf_hash[SHA256_HEX_BYTES];
    int64_t now = console_store_now_ms();
    int r = secret_new("", ret_session, hash);
    if (r == 0)
        r = secret_new("", ret_csrf, csrf_hash);
    if (r < 0)
        return r;
    return sql_run(sql,
                   "INSERT INTO sessions (hash, user_id, csrf, created_ms, expires_ms, address)"
                   " VALUES ($1, $2, $3, $4, $5, $6)",
                   NULL, "tttnnt", hash, user_id, csrf_hash, now, now + SESSION_LIFE_MS, address);
}

int session_end(struct sql *sql, const char *session)
{
    char hash[SHA256_HEX_BYTES];
    int r = secret_hash(session, hash);
    return r < 0 ? r : sql_run(sql, "DELETE FROM sessions WHERE hash = $1", NULL, "t", hash);
}

int session_remove_expired(struct sql *sql)
{
    return sql_run(sql, "DELETE FROM sessions WHERE expires_ms <= $1", NULL, "n",
                   console_store_now_ms());
}

static int fill_viewer(struct viewer *viewer, const char *kind, const char *name, const char *role,
                       const char *groups)
{
    (void)text_format(viewer->actor, sizeof(viewer->actor), "%s:%s", kind, name);
    (void)text_copy(viewer->role, sizeof(viewer->role), role);
    viewer->permissions = role_permissions(role);
    int r = viewer_set_groups(viewer, groups);
    if (viewer->group_count > 0) /* a fence that its inmates may move is none */
        viewer->permissions &= ~(uint32_t)PERMISSIONS_OF_ALL;
    return r;
}

int session_check(struct sql *sql, const char *session, const char *csrf, bool change,
                  struct viewer *ret_viewer)
{
    char hash[SHA256_HEX_BYTES], csrf_hash[SHA256_HEX_BYTES] = "";
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = secret_hash(session, hash);
    if (r == 0 && csrf)
        r = secret_hash(csrf, csrf_hash);
    if (r == 0)
        r = sql_run(sql,
                    "SELECT sessions.csrf, users.id, users.name, users.role, users.groups,"
                    " users.must_change FROM sessions JOIN users ON users.id = sessions.user_id"
                    " WHERE sessions.hash = $1 AND sessions.expires_ms > $2"
                    " AND users.disabled = 0",
                    &row, "tn", hash, console_store_now_ms());
    if (r != 1)
        return r;
    if (change && CRYPTO_memcmp(sql_text(row, 0), csrf_hash, SHA256_HEX_BYTES) != 0)
        return 0;
    *ret_viewer = (struct viewer){.must_change_password = sql_number(row, 5) != 0};
    (void)text_copy(ret_viewer->user_id, sizeof(ret_viewer->user_id), sql_text(row, 1));
    r = fill_viewer(ret_viewer, "user", sql_text(row, 2), sql_text(row, 3), sql_text(row, 4));
    return r < 0 ? r : 1;
}

/* --- API keys */

int key_create(struct sql *sql, const struct key_draft *draft, char ret_id[static UUID_TEXT_BYTES],
               char ret_key[static SECRET_TEXT_BYTES])
{
    char hash[SHA256_HEX_BYTES];
    int r = uuid_new(ret_id);
    if (r == 0)
        r = secret_new("yk1.", ret_key, hash);
    if (r < 0)
        return r;
    return sql_run(sql,
                   "INSERT INTO api_keys (id, org_id, name, hash, role, groups, expires_ms,"
                   " created_ms, created_by, revoked_ms)"
                   " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0)",
                   NULL, "tnttttnnt", ret_id, ORG, draft->name, hash, draft->role, draft->groups,
                   draft->expires_ms, console_store_now_ms(), draft->created_by);
}

int key_revoke(struct sql *sql, const char *id)
{
    AUTO_STATEMENT struct sql_statement *statement = NULL;
    int r = sql_run(sql,
                    "UPDATE api_keys SET revoked_ms = $1 WHERE id = $2 AND org_id = $3"
                    " AND revoked_ms = 0",
                    &statement, "ntn", console_store_now_ms(), id, ORG);
    return r < 0 ? r : sql_changes(statement) > 0;
}

int key_check(struct sql *sql, const char *key, struct viewer *ret_viewer)
{
    char hash[SHA256_HEX_BYTES];
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = secret_hash(key, hash);
    if (r == 0)
        r = sql_run(sql,
                    "SELECT name, role, groups FROM api_keys WHERE hash = $1 AND revoked_ms = 0"
                    " AND expires_ms > $2",
                    &row, "tn", hash, console_store_now_ms());
    if (r != 1)
        return r;
    *ret_viewer = (struct viewer){0};
    r = fill_viewer(ret_viewer, "key", sql_text(row, 0), sql_text(row, 1), sql_text(row, 2));
    return r < 0 ? r : 1;
}
