/* How much of the host each of our processes may take: one control group (version 2) a kind of
 * process, below the group that the service manager delegated to us. Source:
 * Documentation/admin-guide/ cgroup-v2.rst, systemd's CGROUP_DELEGATION.
 *
 * Where there is no such group, or a controller is missing, niceness is all there is, and the
 * status says so. */
#ifndef AGENT_RESOURCES_RESOURCES_H
#define AGENT_RESOURCES_RESOURCES_H

#include "common/attributes.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct resources;

enum resource_group {
    RESOURCE_AGENT,     /* this process, and yagura-guard */
    RESOURCE_SCANNER,   /* yagura-scanner: the loader and its workers */
    RESOURCE_MESSENGER, /* yagura-messenger */
    RESOURCE_HELPERS,   /* all others */
    RESOURCE_GROUPS,
};

struct resources_options {
    const char *directory;   /* a group we may divide; "": our own, when it was delegated */
    uint64_t scanner_weight; /* of the CPU beside others of ours, 1 to 10,000; ours is 100 */
    uint64_t scanner_quota;  /* per cent of all cores; 0: no limit */
    uint64_t scanner_memory; /* per cent of the host's memory; 0: no limit */
};

/* Divides the group and moves this process, all threads of it, into its part. Before any child is
 * started: from then on each is moved when it starts. Fails only with -ENOMEM. */
int resources_start(const struct resources_options *options,
                    struct resources **ret_resources) MUST_USE;
/* When no child is left to be started. NULL is legal. */
struct resources *resources_stop(struct resources *resources);
/* Thread-safe, as what follows. */
void resources_reconfigure(struct resources *resources, const struct resources_options *options);

struct resource_use {
    const char *name; /* of the group; static */
    uint64_t weight;  /* 0: not in force, as below */
    uint64_t quota;   /* microseconds of CPU each 100 ms */
    uint64_t memory_high, memory_max;
    uint64_t memory_now;
    uint64_t cpu_us;        /* used since the start */
    uint64_t throttled;     /* times that the quota was met */
    uint64_t memory_met;    /* times that memory_high was met */
    uint64_t memory_killed; /* processes that memory_max ended */
};

struct resources_status {
    char directory[512]; /* raw bytes */
    char problem[256];   /* what is not in force, and why; "" when all is */
    struct resource_use groups[RESOURCE_GROUPS];
};
void resources_status(struct resources *resources, struct resources_status *ret_status);

#endif
