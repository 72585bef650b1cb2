/* Rules: when there is to be an alert. A condition is JSON:
 *   {"type": "event", "by": "computer"|"signature", ...what event_match takes}
 *   {"type": "offline", "seconds": n}        not heard of for so long
 *   {"type": "degraded"}                     the agent says that it cannot do all it should
 *   {"type": "signatures_old", "seconds": n} of an agent that is heard of
 * and each may have "groups". */
#ifndef CONSOLE_ALERTS_ALERT_RULES_H
#define CONSOLE_ALERTS_ALERT_RULES_H

#include "common/attributes.h"
#include "console/events/event_match.h"
#include "console/store/sql.h"

#define ALERT_RULES_MAXIMUM 100

enum alert_type { ALERT_EVENT, ALERT_OFFLINE, ALERT_DEGRADED, ALERT_SIGNATURES_OLD };

struct alert_condition {
    enum alert_type type;
    bool by_signature;
    int64_t ms;
    struct event_match match; /* groups count for every type */
};

/* -EBADMSG with the problem. */
int alert_condition_read(const json_t *object, struct alert_condition *ret_condition,
                         struct wire_problem *ret_problem) MUST_USE;
int alert_condition_parse(const char *json, struct alert_condition *ret_condition) MUST_USE;

struct alert_rule {
    char id[UUID_TEXT_BYTES], name[129];
    unsigned severity;
    struct alert_condition condition;
};
/* Those that are enabled; -E2BIG never: no more than the maximum are made. */
int alert_rules_load(struct sql *sql, struct alert_rule *rules, size_t *ret_count) MUST_USE;
/* The rules a console comes with, each once. */
int alert_rules_ship(struct sql *sql) MUST_USE;

#endif
