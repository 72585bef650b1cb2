/* The thread between what waits and the scanner's workers: opens files, asks the cache, feeds the
 * scanner client, judges what comes back, and hands detections on. */
#ifndef AGENT_SCAN_DISPATCHER_H
#define AGENT_SCAN_DISPATCHER_H

#include "agent/scan/backlog.h"
#include "agent/scan/mount_classes.h"
#include "agent/scan/scan_settings.h"
#include "agent/scan/scan_task.h"
#include "agent/scan/verdict_cache.h"
#include "common/attributes.h"
#include "scanner/client/scanner_client.h"

#include <stdbool.h>
#include <stdint.h>

struct dispatcher;
struct responder;
struct store;

/* What it works with; they outlive it. */
struct dispatcher_parts {
    struct backlog *backlog;
    struct verdict_cache *cache;
    struct mount_classes *mounts;
    struct scan_lanes *lanes;
    struct store *store;
    struct responder *responder;
    struct scan_settings *settings; /* a reference is taken */
    /* In the dispatcher's thread: something may be due (after each wake and twice a second). */
    void (*turn)(void *user);
    /* Whether jobs are left that a stop must wait for. */
    bool (*is_busy)(void *user);
    void *user;
};

/* Returns once the thread runs and the scanner is being started. */
int dispatcher_start(const struct dispatcher_parts *parts,
                     struct dispatcher **ret_dispatcher) MUST_USE;
/* Ends the scanner, waits until all that was handed on is committed, joins the thread. What was
 * being scanned has no verdict then. All jobs must be cancelled before. NULL is legal. */
struct dispatcher *dispatcher_stop(struct dispatcher *dispatcher);

/* Thread-safe, all below. */
int dispatcher_reconfigure(struct dispatcher *dispatcher, struct scan_settings *settings) MUST_USE;
/* The signatures are loaded anew. */
int dispatcher_reload_signatures(struct dispatcher *dispatcher) MUST_USE;
/* A task for which somebody waits; on success it is the dispatcher's. -ESHUTDOWN. */
int dispatcher_ask(struct dispatcher *dispatcher, struct scan_task *task) MUST_USE;
/* There is new work: wakes it if it waits for some. */
void dispatcher_tell_work(struct dispatcher *dispatcher);
/* Wakes it for a turn. */
void dispatcher_wake(struct dispatcher *dispatcher);
/* As scan_pipeline_set_own_file. */
void dispatcher_set_own_file(struct dispatcher *dispatcher, scan_own_file *own_file, void *user);
/* Of the engine now; 0 while there is none. */
uint64_t dispatcher_generation(struct dispatcher *dispatcher);

struct dispatcher_counts {
    uint64_t scanned, cached, clean, infected, incomplete, errors, vanished, rescanned_changed;
    uint64_t leases_broken, in_flight;
};
void dispatcher_count(struct dispatcher *dispatcher, struct dispatcher_counts *ret_counts,
                      struct scanner_status *ret_scanner);

#endif
