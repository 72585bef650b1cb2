/* How busy the host is with the work of others, and whether it gets the CPU time that it asks for.
 */
#ifndef AGENT_SCAN_HOST_LOAD_H
#define AGENT_SCAN_HOST_LOAD_H

#include <stdbool.h>
#include <stdint.h>

struct scan_pipeline_status;

/* The load of the last minute, as path (/proc/loadavg) says it, in per cent of a core, a core, less
 * what the scanner's own processes add to it; 0 when it cannot be known. */
uint64_t host_load(const char *path, const struct scan_pipeline_status *own);

/* What /proc/stat said before. Zero at first. */
struct host_steal {
    uint64_t all, stolen;
};

/* Per cent of the CPU time since the last call that the hypervisor gave to others: on an instance
 * with CPU credits (AWS T3, T4g) it does so when they are used up. 0 at the first call, and when it
 * cannot be known. stat: the text of /proc/stat. Source: proc_stat(5). */
uint64_t host_steal(struct host_steal *before, const char *stat);

/* Whether background work is to wait: the load is above most_load (0: never), or HOST_STEAL_MOST
 * per cent of the time were stolen since the last call. load_path as above; its neighbour stat is
 * read too. */
#define HOST_STEAL_MOST 10
bool host_is_busy(struct host_steal *before, const char *load_path, uint64_t most_load,
                  const struct scan_pipeline_status *own);

#endif
