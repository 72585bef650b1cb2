/* Alerts: open, acknowledged, resolved. One that is not resolved stands for a rule and what it is
 * about; what happens again is counted there. */
#ifndef CONSOLE_ALERTS_ALERT_STORE_H
#define CONSOLE_ALERTS_ALERT_STORE_H

#include "common/attributes.h"
#include "console/alerts/alert_rules.h"
#include "console/people/viewer.h"

struct alert_finding {
    const struct alert_rule *rule;
    int64_t computer;    /* 0: none */
    const char *key;     /* what it is about: the computer's id, or the signature */
    const char *subject; /* shown */
    const char *detail;  /* JSON object */
    int64_t count;
};
/* Opens one, or counts it in the one that is open. 1 when it was opened. */
int alert_raise(struct sql *sql, const struct alert_finding *finding) MUST_USE;

enum alert_state { ALERT_OPEN, ALERT_ACKNOWLEDGED, ALERT_RESOLVED };
struct alert_change {
    int64_t number;
    enum alert_state state; /* the new one: acknowledged or resolved */
    const char *by, *note;
};
/* -ENOENT when there is none that the viewer (NULL: the console itself) may see; -EALREADY when it
 * is in this state, or resolved. */
int alert_change(struct sql *sql, const struct alert_change *change,
                 const struct viewer *viewer) MUST_USE;

struct alert_counts {
    int64_t open, acknowledged;
};
int alert_count(struct sql *sql, const struct viewer *viewer,
                struct alert_counts *ret_counts) MUST_USE;

#endif
