/* The thread that makes alerts: compares each new event with the rules once, from a cursor that
 * moves in the transaction of what it found, and looks at the computers' state by time. Never in
 * the way of what takes events in. On many nodes, one does it. */
#ifndef CONSOLE_ALERTS_ALERT_ENGINE_H
#define CONSOLE_ALERTS_ALERT_ENGINE_H

#include "common/attributes.h"
#include "console/store/console_store.h"

struct alert_engine;

struct alert_engine_options {
    struct console_store *store;
    uint64_t heartbeat_seconds; /* a computer is heard of when it called in the last three */
};

int alert_engine_start(const struct alert_engine_options *options,
                       struct alert_engine **ret_engine) MUST_USE;
/* NULL is legal. */
struct alert_engine *alert_engine_stop(struct alert_engine *engine);

struct alert_engine_status {
    uint64_t events, raised, failures;
};
void alert_engine_status(struct alert_engine *engine, struct alert_engine_status *ret_status);

#endif
