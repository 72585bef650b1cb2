/* What every yagura-inspector gives up before it reads what others wrote: root, the network, the
 * file system but for some directories, all other system calls. */
#ifndef AGENT_INSPECTOR_INSPECTOR_SANDBOX_H
#define AGENT_INSPECTOR_INSPECTOR_SANDBOX_H

#include "common/attributes.h"
#include "common/sandbox/privileges.h"

#include <stddef.h>
#include <sys/resource.h>

struct inspector_sandbox {
    const struct privileges_path *paths;
    size_t path_count;
    const char *group; /* instead of the user's own, when there is such a group; NULL: none */
    rlim_t most_memory, most_descriptors;
    const char *const *more_calls; /* beside those all of them need; may be NULL */
    size_t more_call_count;
};
int inspector_confine(const struct inspector_sandbox *sandbox) MUST_USE;

#endif
