/* What agents get: of all lists and the mirror's files one set is made for each group that has
 * lists of its own, and one for the others. */
#ifndef CONSOLE_SIGNATURES_SIGNATURE_SET_H
#define CONSOLE_SIGNATURES_SIGNATURE_SET_H

#include "common/attributes.h"
#include "console/store/sql.h"

/* First of all in a transaction that changes lists or files: it waits for who does so on another
 * node, and then sees what they did. Again in the same transaction: nothing. */
int signature_set_hold(struct sql *sql) MUST_USE;
/* Whether the lists for all (""), or those of a group, are within their share: so nobody who may
 * write the lists of one group takes the room of others. -EXFULL. */
int signature_set_check_share(struct sql *sql, const char *scope) MUST_USE;
/* Makes the sets anew that lists of this group are in; "": all of them, after lists for all, or
 * files, changed. */
int signature_set_make(struct sql *sql, const char *scope) MUST_USE;
/* 1 and the content of the set that counts for a group ("" = none), freed by the caller; 0 there is
 * none. */
int signature_set_read(struct sql *sql, const char *group_id, char ret_digest[static 65],
                       char **ret_content) MUST_USE;

#endif
