/* Scans that policy asks for again and again: begin in a daily window, at another moment on every
 * host, pause while the host is busy or the window is closed, and go on where they were after a
 * restart: what the engine of today found clean is known by the verdict cache.
 *
 * One thread of its own; all functions are thread-safe. */
#ifndef AGENT_SCAN_SCAN_SCHEDULE_H
#define AGENT_SCAN_SCAN_SCHEDULE_H

#include "agent/scan/scan_pipeline.h"
#include "common/attributes.h"
#include "common/time/schedule.h"

struct scan_schedule;
struct store;

struct scan_schedule_options {
    struct schedule schedule;
    const char *const *paths;   /* absolute; NULL-terminated */
    uint64_t changed_within_ns; /* only files changed within this time; 0: all */
    uint64_t most_load;         /* per cent of a core and core; busier: it pauses; 0: never */
    const char *state_path;     /* when the last one began, and whether it is done */
    const char *load_path;      /* as /proc/loadavg */
};

/* Strings are copied. The pipeline and the store outlive it. */
int scan_schedule_start(const struct scan_schedule_options *options, struct scan_pipeline *pipeline,
                        struct store *store, struct scan_schedule **ret_schedule) MUST_USE;
/* A scan that runs goes on by the options that it began with, but for load and window. */
int scan_schedule_reconfigure(struct scan_schedule *schedule,
                              const struct scan_schedule_options *options) MUST_USE;
/* Before the pipeline is stopped. A scan that runs is resumed at the next start. */
struct scan_schedule *scan_schedule_stop(struct scan_schedule *schedule);
/* The scan that runs ends; the next one comes at its time. */
void scan_schedule_cancel(struct scan_schedule *schedule);

enum scan_schedule_state {
    SCHEDULE_OFF,
    SCHEDULE_WAITING,
    SCHEDULE_RUNNING,
    SCHEDULE_BUSY,   /* paused: the host is busy */
    SCHEDULE_CLOSED, /* paused: the window is closed */
};
const char *scan_schedule_state_name(enum scan_schedule_state state);

struct scan_schedule_status {
    enum scan_schedule_state state;
    uint64_t last_ns, next_ns; /* realtime: when the last one began; 0: never */
    struct scan_job_totals totals;
};
void scan_schedule_status(struct scan_schedule *schedule, struct scan_schedule_status *ret_status);

#endif
