/* Owns the SELECTs over events. Severities are a merge of one index range each, so that any set of
 * them keeps its order by number. */
#include "console/events/event_query.h"

#define SETTLED_MS 5000LL
#define COLUMNS                                                       \
    "SELECT events.number, events.number, events.id, events.time_ms," \
    " (events.number / 4194304) + 1577836800000, computers.id,"       \
    " COALESCE(computers.hostname, sensors.name),"                    \
    " events.module, events.kind, events.severity, events.subject, "
#define TABLES                                                               \
    " FROM events LEFT JOIN computers ON computers.number = events.computer" \
    " LEFT JOIN sensors ON sensors.number = events.computer WHERE "
#define OWNER ", sensors.id, COALESCE(computers.group_id, sensors.group_id), events.computer"

static void select_events(struct query *query)
{
    query_add(query, COLUMNS "events.detail, sensors.id" TABLES);
}

void event_query_after(struct query *query, const struct event_range *range)
{
    query_add(query, range->short_detail ? COLUMNS
                         "CASE WHEN length(events.detail) > 2048 THEN '{\"cut\":true}'"
                         " ELSE events.detail END" OWNER TABLES "events.number > "
                                         : COLUMNS "events.detail" OWNER TABLES "events.number > ");
    query_add_number(query, range->after);
    query_add(query, " AND events.number < ");
    query_add_number(query, range->end);
    query_add(query, " ORDER BY events.number LIMIT ");
    query_add_number(query, range->limit);
}

int64_t event_settled_number(const struct console_store *store)
{
    return console_store_is_shared(store)
               ? console_store_number_at(console_store_now_ms() - SETTLED_MS)
               : INT64_MAX;
}

static void add_subject(struct query *query, const struct event_filter *filter)
{
    switch (filter->subject) {
    case EVENTS_OF_COMPUTER:
        query_add(query, " AND computer = (SELECT computers.number FROM computers WHERE"
                         " computers.id = ");
        query_add_text(query, filter->value);
        query_add(query, ")");
        return;
    case EVENTS_OF_SENSOR:
        query_add(query, " AND computer = (SELECT sensors.number FROM sensors WHERE"
                         " sensors.id = ");
        query_add_text(query, filter->value);
        query_add(query, ")");
        return;
    case EVENTS_OF_MODULE:
        query_add(query, " AND module = ");
        query_add_text(query, filter->value);
        return;
    case EVENTS_OF_KIND:
        query_add(query, " AND kind = ");
        query_add_text(query, filter->value);
        return;
    case EVENTS_OF_ALL:
        return;
    }
}

/* severity -1: any. */
static void add_range(struct query *query, const struct event_filter *filter,
                      const struct viewer *viewer, int64_t limit, int severity)
{
    query_add(query, "SELECT number FROM events WHERE number >= ");
    query_add_number(query, filter->from);
    query_add(query, " AND number < ");
    query_add_number(query, filter->until);
    add_subject(query, filter);
    if (severity >= 0) {
        query_add(query, " AND severity = ");
        query_add_number(query, severity);
    }
    viewer_limit_computers(viewer, "computer", &query->text);
    query_add(query, " ORDER BY number DESC LIMIT ");
    query_add_number(query, limit);
}

void event_query_page(struct query *query, const struct event_filter *filter,
                      const struct viewer *viewer, int64_t limit)
{
    select_events(query);
    query_add(query, "events.number IN (");
    if (filter->subject == EVENTS_OF_ALL && !filter->by_severity) {
        add_range(query, filter, viewer, limit, -1); /* the primary key serves */
    } else {
        bool first = true;
        for (int i = 0; i < EVENT_SEVERITIES; i++) {
            if (filter->by_severity && !filter->severities[i])
                continue;
            query_add(query, first ? "SELECT number FROM (" : " UNION ALL SELECT number FROM (");
            add_range(query, filter, viewer, limit, i);
            query_add(query, ") AS part");
            first = false;
        }
    }
    query_add(query, ") ORDER BY events.number DESC LIMIT ");
    query_add_number(query, limit);
}

void event_query_one(struct query *query, int64_t number, const struct viewer *viewer)
{
    select_events(query);
    query_add(query, "events.number = ");
    query_add_number(query, number);
    viewer_limit_computers(viewer, "events.computer", &query->text);
}
