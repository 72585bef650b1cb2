/* A watch on a private directory, and a record of all it told. Tests wait by sync markers only. */
#ifndef TESTS_SYSTEM_WATCH_WATCH_HARNESS_H
#define TESTS_SYSTEM_WATCH_WATCH_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/watch/watch.h"

struct recorder; /* thread-safe */

struct recorder *recorder_new(void);
struct recorder *recorder_free(struct recorder *recorder);
watch_sink recorder_sink;
/* Files told as written, arrived or found: how often this path. */
unsigned int recorder_told(struct recorder *recorder, const char *path);
unsigned int recorder_count(struct recorder *recorder, enum watch_event_kind kind,
                            const char *path);
/* Events of a kind, any path. */
uint64_t recorder_total(struct recorder *recorder, enum watch_event_kind kind);
/* Waits until it was told, at most a minute. For what starts by time and not by a call. */
bool recorder_await(struct recorder *recorder, enum watch_event_kind kind, const char *path);
bool recorder_await_within(struct recorder *recorder, enum watch_event_kind kind, const char *path,
                           uint64_t timeout_ns);
/* Copies the detail of the last event of the kind with a detail. */
void recorder_detail(struct recorder *recorder, enum watch_event_kind kind, char *text,
                     size_t size);
void recorder_clear(struct recorder *recorder);
/* The sink waits until recorder_release(): the kernel's queue fills up. */
void recorder_hold(struct recorder *recorder);
/* Returns when the sink is in fact held. */
void recorder_await_held(struct recorder *recorder);
void recorder_release(struct recorder *recorder);

struct harness {
    char path[64]; /* private directory; removed by harness_done */
    char root[80]; /* path/root: what is watched unless options.paths says otherwise */
    struct watch *watch;
    struct recorder *recorder;
    struct watch_options options;
    const char *paths[8];
};

/* A directory and default options (settle 2 s, no crawl, not report_found); not started. */
void harness_init(struct harness *harness);
void harness_start(struct harness *harness);
/* 0 or the result of the sync. */
int harness_sync(struct harness *harness);
int harness_sync_within(struct harness *harness, uint64_t timeout_ns);
void harness_stop(struct harness *harness);
void harness_done(struct harness *harness);
/* harness->root/name..., in a ring of buffers. */
const char *harness_path(struct harness *harness, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

void write_file(const char *path, const char *content);
void make_directory(const char *path);
/* Regular files below the root that were not told since they have their present size; up to ten are
 * printed. ret_files: how many files there are. */
unsigned int harness_missed(struct harness *harness, unsigned int *ret_files);

#endif
