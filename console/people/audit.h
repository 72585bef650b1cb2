/* The audit log: who did what, from where, chained by SHA-256 so that a changed or missing entry is
 * found. Entries are appended in the transaction of what they tell of. */
#ifndef CONSOLE_PEOPLE_AUDIT_H
#define CONSOLE_PEOPLE_AUDIT_H

#include "common/attributes.h"
#include "console/store/sql.h"

struct audit_entry {
    const char *actor;   /* "user:NAME", "key:NAME", "agent:ID", "console" */
    const char *address; /* IP address, or "" */
    const char *action;  /* stable: "token_created", ... */
    const char *subject; /* what it was done to */
    const char *detail;  /* JSON object, or "" */
};

int audit_append(struct sql *sql, const struct audit_entry *entry) MUST_USE;
/* Walks the chain. ret_count: entries seen. -EBADMSG with the number of the first wrong entry in
 * ret_wrong (0: the end is missing). */
int audit_verify(struct sql *sql, int64_t *ret_count, int64_t *ret_wrong) MUST_USE;

#endif
