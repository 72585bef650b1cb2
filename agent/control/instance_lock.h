/* One agent a state directory. The lock is the kernel's (an open file description lock on
 * DIRECTORY/agent.lock), so it dies with its holder and no stale one can stay. */
#ifndef AGENT_CONTROL_INSTANCE_LOCK_H
#define AGENT_CONTROL_INSTANCE_LOCK_H

#include "common/attributes.h"

#include <sys/types.h>

struct instance_lock;

/* -EBUSY when another process holds it; -errno. */
int instance_lock_take(const char *directory, struct instance_lock **ret_lock) MUST_USE;
/* Process id of the holder, for a message, or 0 when unknown. */
pid_t instance_lock_holder(const char *directory);
/* NULL is legal. */
struct instance_lock *instance_lock_release(struct instance_lock *lock);

#endif
