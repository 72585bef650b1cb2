/* How many directories may be watched. The kernel counts inotify watches by user, over all of the
 * user's processes, so we leave others their part: 0.8 of the limit, less what others of our user
 * hold. Source: inotify(7), /proc/PID/fdinfo in proc(5). */
#ifndef AGENT_WATCH_BUDGET_H
#define AGENT_WATCH_BUDGET_H

#include "common/attributes.h"

#include <stdint.h>

/* The limit that holds for us, the smaller of fs.inotify.max_user_watches and, in a user namespace,
 * user.max_inotify_watches. UINT64_MAX when neither can be read. */
uint64_t budget_kernel_limit(void);

/* Watches of the other processes of our user, from their fdinfo. Takes milliseconds to tenths of
 * seconds: for walkers only. */
uint64_t budget_used_by_others(void);

/* The rule itself. policy: 0 = none. */
uint64_t budget_of(uint64_t kernel_limit, uint64_t used_by_others, uint64_t policy);

#endif
