/* Which set of signatures counts for which group, in memory: every heartbeat asks. Thread-safe. */
#ifndef CONSOLE_SIGNATURES_SIGNATURE_SETS_H
#define CONSOLE_SIGNATURES_SIGNATURE_SETS_H

#include "common/attributes.h"

struct console_store;
struct signature_sets;

int signature_sets_new(struct signature_sets **ret_sets) MUST_USE;
struct signature_sets *signature_sets_free(struct signature_sets *sets);
/* After a change here, and now and then for those of other nodes. */
int signature_sets_refresh(struct signature_sets *sets, struct console_store *store) MUST_USE;
/* The digest of the set that counts for a group ("" = none); "" when there is none. */
void signature_sets_digest(struct signature_sets *sets, const char *group_id,
                           char ret_digest[static 65]);

#endif
