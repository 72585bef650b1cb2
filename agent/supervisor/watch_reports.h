/* The watch's sink: files go to the scan pipeline and to integrity monitoring, what the watch could
 * not see becomes an event.
 */
#ifndef AGENT_SUPERVISOR_WATCH_REPORTS_H
#define AGENT_SUPERVISOR_WATCH_REPORTS_H

#include "agent/watch/watch.h"

struct health;
struct integrity;
struct scan_pipeline;
struct store;

struct watch_reports {
    struct scan_pipeline *pipeline;
    struct integrity *integrity;
    struct health *health;
    struct store *store;
};

/* A watch_sink; user is a struct watch_reports. */
void watch_reports_take(void *user, const struct watch_event *event);

#endif
