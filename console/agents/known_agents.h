/* What the writer has read of the agents that report, so that one which says nothing new but events
 * needs no row: it is in memory what heartbeat_batch would read. Belongs to the writer's
 * connection, and counts for nothing once anything else may have changed a row: other work, another
 * process, an undone transaction, or KNOWN_AGENTS_MS, after which a command may be due again. Not
 * for a database that other nodes write to. */
#ifndef CONSOLE_AGENTS_KNOWN_AGENTS_H
#define CONSOLE_AGENTS_KNOWN_AGENTS_H

#include "common/crypto/random.h"
#include "console/agents/heartbeat_internal.h"
#include "console/store/sql.h"

#define KNOWN_AGENTS_MS   10000LL
#define KNOWN_AGENTS_MOST 16384

struct known_agents;

struct known_agent {
    int64_t computer, certificate_expires_ms;
    uint64_t acknowledged, dropped, transaction;
    char group[UUID_TEXT_BYTES], policy_digest[65], certificate[65];
    char said[]; /* what it must say again, see known_agent_says */
};

/* At the beginning of a transaction's heartbeats; ret_known: NULL when nothing may be remembered.
 */
int known_agents_recall(struct sql *sql, struct known_agents **ret_known) MUST_USE;
/* The agent that says the same as before; NULL: read its row. A second time in one transaction it
 * is NULL, too. */
struct known_agent *known_agents_find(struct known_agents *known,
                                      const struct heartbeat *heartbeat);
/* One whose row fits what the heartbeat says. Without memory it is not remembered: NULL. */
struct known_agent *known_agents_put(struct known_agents *known, const struct heartbeat *heartbeat,
                                     const struct known_agent *agent);

#endif
