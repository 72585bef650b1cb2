/* Tells when the signature files may have changed. All functions: the event loop's thread. */
#ifndef SCANNER_CLIENT_DATABASE_WATCH_H
#define SCANNER_CLIENT_DATABASE_WATCH_H

#include "common/attributes.h"

#include <stddef.h>

struct event_loop;
struct database_watch;

/* Calls changed(owner) when something happened in or to one of the paths (folders, files, also ones
 * that do not exist yet) and then nothing for DATABASE_WATCH_QUIET_NS, and every
 * DATABASE_WATCH_PERIOD_NS in any case. paths must outlive the watch. -errno. */
#define DATABASE_WATCH_QUIET_NS  (1000 * 1000000ULL)
#define DATABASE_WATCH_LATEST_NS (15000 * 1000000ULL)
#define DATABASE_WATCH_PERIOD_NS (60000 * 1000000ULL)
int database_watch_start(struct event_loop *loop, const char *const *paths, size_t count,
                         void (*changed)(void *owner), void *owner,
                         struct database_watch **ret_watch) MUST_USE;
struct database_watch *database_watch_free(struct database_watch *watch);

#endif
