/* Conditions that come with time: offline, degraded, old signatures. Shared by console/alerts. */
#ifndef CONSOLE_ALERTS_ALERT_CHECKS_H
#define CONSOLE_ALERTS_ALERT_CHECKS_H

#include "common/attributes.h"
#include "common/buffers/buffer.h"
#include "console/alerts/alert_rules.h"
#include "console/store/console_store.h"

struct alert_checks {
    int64_t since_ms;       /* before it nobody could be heard: this node's start */
    int64_t heard_ms;       /* computers not heard of for longer are judged as offline only */
    struct buffer suspects; /* degraded at the last check: it counts from the second on */
};

/* Raises what is so now and resolves what is so no more. ret_raised is added to. Waits for the
 * writer. */
int alert_checks_run(struct alert_checks *checks, struct console_store *store,
                     const struct alert_rule *rules, size_t count, uint64_t *ret_raised) MUST_USE;
void alert_checks_done(struct alert_checks *checks);

#endif
