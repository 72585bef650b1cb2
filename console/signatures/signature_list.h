/* Lists of signatures that people write: custom signatures in ClamAV's text formats, and hashes
 * that are allowed or denied. A list is for all computers or for one group. Every function that
 * takes a connection: in a transaction of the writer; it makes the sets that change. */
#ifndef CONSOLE_SIGNATURES_SIGNATURE_LIST_H
#define CONSOLE_SIGNATURES_SIGNATURE_LIST_H

#include "common/attributes.h"
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

#endif
