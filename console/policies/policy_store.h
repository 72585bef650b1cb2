/* Policies: libconfig texts with one parent each, their revisions, and which computer gets which.
 * A computer's own policy wins over its group's, which wins over the one named "base". What an
 * agent gets is the chain's texts, named by their digest; its revision rises with every change. */
#ifndef CONSOLE_POLICIES_POLICY_STORE_H
#define CONSOLE_POLICIES_POLICY_STORE_H

#include "common/attributes.h"
#include "common/crypto/random.h"
#include "common/limits.h"
#include "common/wire/wire.h"
#include "console/store/sql.h"

/* The texts of a chain, the oldest ancestor first; freed by policy_chain_done. */
struct policy_chain {
    struct wire_policy_text texts[LIMIT_POLICY_PARENTS + 1];
    size_t count;
};
void policy_chain_done(struct policy_chain *chain);
#define AUTO_POLICY_CHAIN CLEANUP(policy_chain_done)

/* By the policy's name. substitute_name/_text: as if that policy had this text and parent (NULL:
 * none). -ENOENT (ret_missing, 128 bytes, names it), -ELOOP a parent of itself or too long. */
struct policy_substitute {
    const char *name, *text, *parent;
};
int policy_chain_read(struct sql *sql, const char *name, const struct policy_substitute *substitute,
                      struct policy_chain *ret_chain, char ret_missing[static 128]) MUST_USE;

/* Makes or changes one. expected_revision: -1 = must not exist yet, otherwise what it has now;
 * -ESTALE when it is not so. Everything was checked by policy_check. */
int policy_store_put(struct sql *sql, const struct policy_substitute *policy, const char *author,
                     int64_t expected_revision, int64_t *ret_revision) MUST_USE;
/* -EBUSY while a computer, sensor, group, token, key or other policy uses it; -ENOENT. */
int policy_store_delete(struct sql *sql, const char *name) MUST_USE;

/* Sets the target of one computer. */
int policy_store_assign(struct sql *sql, int64_t computer) MUST_USE;
int policy_store_assign_sensor(struct sql *sql, int64_t sensor) MUST_USE;
/* The same for all of both, after a policy or a group changed. */
int policy_store_assign_all(struct sql *sql) MUST_USE;

#endif
