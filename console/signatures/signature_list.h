/* Lists of signatures that people write: custom signatures in ClamAV's text formats, and hashes
 * that are allowed or denied. A list is for all computers or for one group. Every function that
 * takes a connection: in a transaction of the writer; it makes the sets that change. */
#ifndef CONSOLE_SIGNATURES_SIGNATURE_LIST_H
#define CONSOLE_SIGNATURES_SIGNATURE_LIST_H

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
/* What there is of a list. */
struct signature_list_row {
    int64_t revision;               /* -1: there is none */
    char group_id[UUID_TEXT_BYTES]; /* "": for all computers */
};
/* First of all in a transaction that changes the list, and once: until it ends, nobody else changes
 * one. */
int signature_list_find(struct sql *sql, const char *name,
                        struct signature_list_row *ret_row) MUST_USE;

/* Makes or changes the list that was found. -EXFULL: the lists for all, or those of this group, are
 * more than their share, which is half of a computer's room. */
int signature_list_put(struct sql *sql, const struct signature_list *list,
                       const struct signature_list_row *row, int64_t *ret_revision) MUST_USE;
/* -ENOENT. */
int signature_list_delete(struct sql *sql, const char *name,
                          const struct signature_list_row *row) MUST_USE;
struct hash_entry;
/* Adds a hash to a list of type allow or deny, which is made when there is none. 1 added, 0 it was
 * there already. -EEXIST: the list is of another kind, or another group's. */
int signature_list_add(struct sql *sql, const struct signature_list *list,
                       const struct signature_list_row *row,
                       const struct hash_entry *entry) MUST_USE;

#endif
