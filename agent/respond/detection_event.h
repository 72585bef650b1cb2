/* Events about files: one shape of detail for all of them. */
#ifndef AGENT_RESPOND_DETECTION_EVENT_H
#define AGENT_RESPOND_DETECTION_EVENT_H

#include "agent/respond/quarantine_facts.h"
#include "agent/store/store.h"

/* Beside the facts; NULL and 0 are left out. */
struct detection_note {
    const char *action; /* "quarantine", "delete", "pass", "held" */
    const char *reason; /* why held, why it failed */
    const char *to;     /* raw path: where it went */
    int error;          /* a negative errno */
    uint64_t count;
    bool excluded;
};

/* Queues the event; work, committed and user as in store_append. */
int detection_event_append(struct store *store, const char *module, const char *kind,
                           enum event_severity severity, const struct quarantine_facts *facts,
                           const struct detection_note *note, store_work *work,
                           store_committed *committed, void *user) MUST_USE;
/* Waits for the commit. */
int detection_event_append_wait(struct store *store, const char *module, const char *kind,
                                enum event_severity severity, const struct quarantine_facts *facts,
                                const struct detection_note *note, store_work *work,
                                void *user) MUST_USE;

const char *detection_cause_name(uint32_t cause); /* "realtime", "demand", ... */

#endif
