/* How busy the host is with the work of others. */
#ifndef AGENT_SCAN_HOST_LOAD_H
#define AGENT_SCAN_HOST_LOAD_H

#include <stdint.h>

struct scan_pipeline_status;

/* The load of the last minute, as path (/proc/loadavg) says it, in per cent of a core, a core, less
 * what the scanner's own processes add to it; 0 when it cannot be known. */
uint64_t host_load(const char *path, const struct scan_pipeline_status *own);

#endif
