/* Decides about one invocation: asks the inspecting process within the budget, records what is to
 * be told, and says whether the handler may run.
 *
 * Owns: nothing but its settings. Hands off: incidents to the outbox. Any thread. */
#ifndef APPLICATION_RELAY_EVENT_GUARD_H
#define APPLICATION_RELAY_EVENT_GUARD_H

#include "application/relay/incident.h"
#include "application/relay/ruling.h"

struct inspector_link;
struct outbox;

struct event_guard {
    struct inspector_link *inspector; /* NULL: it does not start */
    struct outbox *outbox;
    struct incident_function function;
    bool off;           /* inspect nothing, everything passes */
    uint64_t budget_ns; /* most time an event is held */
    bool report_only;   /* block nothing, whatever the policy says */
    bool fail_closed;   /* refuse HTTP requests that could not be inspected, or not wholly */
};

struct guarded_event {
    struct incident_invocation invocation;
    uint64_t deadline_ms; /* of the invocation, since 1970; 0 = not known */
    const char *bytes;
    size_t length;
};

/* True: the invocation is to be answered with ret_ruling->answer, and the handler not run. */
bool event_guard_blocks(struct event_guard *guard, const struct guarded_event *event,
                        struct ruling *ret_ruling);
/* The same for what a handler answered (event->bytes): true when it is to be replaced. */
bool event_guard_blocks_answer(struct event_guard *guard, const struct guarded_event *event,
                               struct ruling *ret_ruling);

#endif
