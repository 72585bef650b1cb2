/* Lists of signatures that people write: custom signatures in ClamAV's text formats, and hashes
 * that are allowed or denied. A list is for all computers or for one group. Of all lists and the
 * mirror's files one set is made for each group that has lists of its own, and one for the others;
 * it is what agents get. Every function: in a transaction of the writer, unless it only reads. */
#ifndef CONSOLE_SIGNATURES_SIGNATURE_STORE_H
#define CONSOLE_SIGNATURES_SIGNATURE_STORE_H

#include "common/attributes.h"
#include "common/crypto/random.h"
#include "console/store/sql.h"

#include <stdbool.h>
#include <stdint.h>

#define SIGNATURE_ALLOW "allow"
#define SIGNATURE_DENY  "deny"

/* "allow", "deny", or the end of a file's name of libclamav: hdb, hsb, ndb, ldb, fp, sfp, ign2,
 * yara. */
bool signature_is_type(const char *type);
bool signature_is_hash_type(const char *type);
/* [A-Za-z0-9][A-Za-z0-9._-]{0,63} */
bool signature_is_list_name(const char *name);

struct signature_list {
    const char *name, *type, *text, *author;
    const char *group_id; /* NULL: for all computers */
    int64_t entries;
};
/* Makes or changes one. expected_revision: -1 = must not exist yet, otherwise what it has now;
 * -ESTALE when it is not so. -EXFULL: the lists for all, or those of this group, are more than
 * their share, which is half of a computer's room. */
int signature_list_put(struct sql *sql, const struct signature_list *list,
                       int64_t expected_revision, int64_t *ret_revision) MUST_USE;
/* -ENOENT. */
int signature_list_delete(struct sql *sql, const char *name) MUST_USE;
/* Adds a hash to a list of type allow or deny, which is made when there is none. 1 added, 0 it was
 * there already. -EEXIST: the list is of another kind, or another group's. */
int signature_list_add(struct sql *sql, const struct signature_list *list, const char *hash,
                       const char *entry_name) MUST_USE;

/* A file of the mirror, as it is offered. */
struct mirror_entry {
    char name[128], sha256[65], source[16];
    uint64_t size, version, built_ms;
};
int mirror_entry_put(struct sql *sql, const struct mirror_entry *entry) MUST_USE;
int mirror_entry_delete(struct sql *sql, const char *name) MUST_USE;
/* 1, or 0. By name, or by content. */
int mirror_entry_read(struct sql *sql, const char *name, struct mirror_entry *ret_entry) MUST_USE;
int mirror_entry_find(struct sql *sql, const char *sha256, struct mirror_entry *ret_entry) MUST_USE;

/* Makes the sets anew, after lists or files changed. */
int signature_sets_make(struct sql *sql) MUST_USE;
/* 1 and the content of the set that counts for a group ("" = none), freed by the caller; 0 there is
 * none. */
int signature_set_read(struct sql *sql, const char *group_id, char ret_digest[static 65],
                       char **ret_content) MUST_USE;

#endif
