/* Users, their sessions, and API keys. */
#ifndef CONSOLE_PEOPLE_USER_STORE_H
#define CONSOLE_PEOPLE_USER_STORE_H

#include "common/attributes.h"
#include "console/agents/tokens.h"
#include "console/people/secret_box.h"
#include "console/people/totp.h"
#include "console/people/viewer.h"

struct user_draft {
    const char *name, *role, *groups; /* groups: JSON array of ids */
    const char *password_hash;        /* of password_hash() */
    bool must_change;
};
/* -EEXIST when the name is taken. */
int user_create(struct sql *sql, const struct user_draft *draft,
                char ret_id[static UUID_TEXT_BYTES]) MUST_USE;
/* Ends all sessions of the user, and takes the second factor away with must_change. -ENOENT. */
int user_set_password(struct sql *sql, const char *id, const char *password_hash,
                      bool must_change) MUST_USE;
struct user_record {
    char id[UUID_TEXT_BYTES], password_hash[160];
    char totp[TOTP_TEXT_BYTES], totp_offered[TOTP_TEXT_BYTES]; /* "": none */
    int64_t totp_used; /* the step of the last code: it works once */
};
/* 1, or 0 when there is no such user or it is disabled. -EKEYREJECTED when its second factor was
 * sealed with another key. */
int user_find(struct sql *sql, const struct secret_box *box, const char *name,
              struct user_record *ret_user) MUST_USE;
/* Remembers the step of a code; -EACCES when it was used meanwhile. */
int user_use_totp(struct sql *sql, const char *id, int64_t step) MUST_USE;
/* offered waits for its first code; used: "" takes the second factor away. */
int user_offer_totp(struct sql *sql, const struct secret_box *box, const char *id,
                    const char *secret) MUST_USE;
int user_set_totp(struct sql *sql, const struct secret_box *box, const char *id, const char *secret,
                  int64_t step) MUST_USE;
/* Seals what an older version stored as it is. */
int user_seal_totp(struct sql *sql, const struct secret_box *box) MUST_USE;
int user_count(struct sql *sql, int64_t *ret_count) MUST_USE;

#define SESSION_LIFE_MS (12LL * 3600 * 1000)

/* ret_session goes into the cookie, ret_csrf into a header of every change; neither is stored as it
 * is. */
int session_start(struct sql *sql, const char *user_id, const char *address,
                  char ret_session[static SECRET_TEXT_BYTES],
                  char ret_csrf[static SECRET_TEXT_BYTES]) MUST_USE;
int session_end(struct sql *sql, const char *session) MUST_USE;
/* 1 and the viewer; 0 when it is unknown or over. csrf NULL: not needed (a reading request);
 * otherwise 0 when it is wrong. */
int session_check(struct sql *sql, const char *session, const char *csrf, bool change,
                  struct viewer *ret_viewer) MUST_USE;
int session_remove_expired(struct sql *sql) MUST_USE;

struct key_draft {
    const char *name, *role, *groups, *created_by;
    int64_t expires_ms;
};
int key_create(struct sql *sql, const struct key_draft *draft, char ret_id[static UUID_TEXT_BYTES],
               char ret_key[static SECRET_TEXT_BYTES]) MUST_USE;
int key_revoke(struct sql *sql, const char *id) MUST_USE;                            /* 1, 0 */
int key_check(struct sql *sql, const char *key, struct viewer *ret_viewer) MUST_USE; /* 1, 0 */

#endif
