/* The safety net: what events should have told is looked for, slowly, and counted. */
#ifndef AGENT_WATCH_CRAWL_H
#define AGENT_WATCH_CRAWL_H

#include "agent/watch/watch_internal.h"

/* One slice; plans the next one (watch->crawl). Run by a walker, not under the lock. */
void watch_crawl_slice(struct watch *watch, uint32_t epoch);

#endif
