/* Owns RLIMIT_NOFILE. Must not know what connections are for. */
#include "console/program/descriptor_limit.h"

#include "common/attributes.h"
#include "common/log/log.h"

#include <errno.h>
#include <sys/resource.h>

#define OWN 256 /* the store, listeners, threads' loops, files that are sent */

void descriptor_limit_prepare(uint64_t connections)
{
    rlim_t needed = connections + OWN;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= needed)
        return;
    limit.rlim_cur = MIN(needed, limit.rlim_max);
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        log_warning("descriptor_limit_stays", "error", log_error_text(-errno), NULL);
    if (limit.rlim_max < needed)
        log_warning("descriptors_few", "allowed", log_number((int64_t)limit.rlim_max), "needed",
                    log_number((int64_t)needed), "effect",
                    "when they are used up nobody else can connect", "cure",
                    "raise LimitNOFILE= of the service to what is needed, or lower "
                    "agents.connections or agents.waiting",
                    NULL);
}
