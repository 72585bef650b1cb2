/* What the loader gives up before it reads the first signature, and the workers' temporary
 * directories, which must be made while that is still possible. */
#ifndef SCANNER_LOADER_SANDBOX_H
#define SCANNER_LOADER_SANDBOX_H

#include "common/attributes.h"
#include "scanner/client/scanner_message.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct loader_sandbox {
    uint32_t reached; /* SCANNER_SANDBOX_ bits */
    char user[64];
    char problem[128]; /* which step failed */
    pid_t pid;
    int directory_fd; /* ours; the current directory, too */
    int slot_fds[4 * LIMIT_SCANNER_WORKERS];
};

/* Own namespaces, a private tmpfs for each slot, another user (only the capability to read
 * signature folders that are root's is kept), no new privileges, and of all paths only the
 * databases and the temporary directory. -errno with problem when a step that must work fails. */
int loader_sandbox_enter(const struct scanner_configuration *configuration,
                         struct loader_sandbox *ret_sandbox) MUST_USE;
/* Removes what a dead worker left in its directory. */
void loader_sandbox_clear_slot(const struct loader_sandbox *sandbox, size_t slot);
/* In a new worker: the kernel's out-of-memory choice falls on it rather than on the loader. */
void loader_sandbox_prefer_for_oom(void);

#endif
