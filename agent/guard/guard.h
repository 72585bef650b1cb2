/* The guard at work: the kernel asks whether a file may be opened, and gets its answer. One thread.
 *
 * The way from an event to its answer takes no lock, allocates nothing, logs nothing, and touches
 * no file but the kernel's own. Whatever goes wrong ends the process: the kernel then lets all
 * opens pass, and the agent starts another guard and says so. */
#ifndef AGENT_GUARD_GUARD_H
#define AGENT_GUARD_GUARD_H

#include "agent/guard/guard_scope.h"
#include "common/attributes.h"

#include <stdbool.h>
#include <stdint.h>

struct guard_options {
    bool deny_late, exec_only, deny_crowds;
    uint64_t deadline_ns;
    struct guard_scope scope;
};

struct guard;

/* The descriptors stay the caller's: fanotify's (non-blocking, FAN_CLASS_CONTENT) and the agent's
 * socket (non-blocking). evictable: the kernel may forget what it was told to let pass. */
int guard_new(int fanotify, int agent, const struct guard_options *options, bool evictable,
              struct guard **ret_guard) MUST_USE;
/* 0: the agent has gone; -errno. */
int guard_run(struct guard *guard) MUST_USE;

#endif
