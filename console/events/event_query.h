/* Pages of events, newest first. Every combination this can express is served by an index; what it
 * cannot express would need a scan. */
#ifndef CONSOLE_EVENTS_EVENT_QUERY_H
#define CONSOLE_EVENTS_EVENT_QUERY_H

#include "common/attributes.h"
#include "console/people/viewer.h"
#include "console/store/console_store.h"
#include "console/store/query.h"

#include <stdbool.h>
#include <stdint.h>

#define EVENT_SEVERITIES 5

/* Whose events. */
enum event_subject { EVENTS_OF_ALL, EVENTS_OF_COMPUTER, EVENTS_OF_SENSOR };

/* With both a subject and a module or kind, the events of that one computer or sensor are looked
 * through: at most as many as it has. */
struct event_filter {
    enum event_subject subject;
    const char *id;                    /* of the computer or sensor */
    const char *module, *kind;         /* NULL: of any */
    bool severities[EVENT_SEVERITIES]; /* with by_severity: only these */
    bool by_severity;
    int64_t from, until; /* numbers; until is exclusive */
    bool lateral;        /* the database is PostgreSQL */
};

/* Columns: number (the cursor), then number, id, time_ms, received ms, computer's id, hostname,
 * module, kind, severity, subject, detail, sensor's id. Of a sensor that is not a host, hostname is
 * its name, and the computer's id is null. */
void event_query_page(struct query *query, const struct event_filter *filter,
                      const struct viewer *viewer, int64_t limit);
/* Those after a number and below end, oldest first, and the group and number of the computer or
 * sensor behind the same columns. short_detail: one of more than 2 KiB is left out. */
struct event_range {
    int64_t after, end, limit;
    bool short_detail;
};
void event_query_after(struct query *query, const struct event_range *range);
/* Below this number no event can come any more: transactions of other nodes may be under way, and
 * their clocks a little behind. */
int64_t event_settled_number(const struct console_store *store);
/* The same columns of one event. */
void event_query_one(struct query *query, int64_t number, const struct viewer *viewer);

#endif
