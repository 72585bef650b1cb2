/* The extension's side of the preload object: the area that it reads, and the findings that it
 * sends from the function's processes, which may be anybody's words by then.
 *
 * Owns: the area, the socket, a thread. Hands off: the area's descriptor to the inspecting process,
 * which writes it; findings to the outbox. */
#ifndef APPLICATION_RELAY_RUNTIME_WATCH_H
#define APPLICATION_RELAY_RUNTIME_WATCH_H

#include "application/relay/incident.h"
#include "application/runtime_area.h"

struct runtime_watch;
struct outbox;
struct invocations;

/* slots: requests at once. The area exists, nobody listens yet. -errno. */
int runtime_watch_new(unsigned slots, struct runtime_watch **ret_watch) MUST_USE;
/* Of a watch that does not listen. */
struct runtime_watch *runtime_watch_free(struct runtime_watch *watch);
/* For the inspecting process, to write; stays the watch's. -1 of NULL. */
int runtime_watch_area(const struct runtime_watch *watch);

struct runtime_watch_options {
    uint16_t port; /* the relay's, which the name is made of */
    struct incident_function function;
    struct outbox *outbox;           /* both outlive the watch, */
    struct invocations *invocations; /* which lasts as long as the process */
};
/* Listens, on a thread of its own. -EADDRINUSE and the like. */
int runtime_watch_listen(struct runtime_watch *watch,
                         const struct runtime_watch_options *options) MUST_USE;

/* A finding as it came: false when it is none. Texts end afterwards. */
bool runtime_finding_take(struct runtime_finding *finding, size_t length);

#endif
