/* Owns the SELECTs over events. A page is a merge of index ranges that are each in order of number:
 * one a severity of a computer, or one a facet. */
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

static void add_numbers(struct query *query, const struct event_filter *filter)
{
    query_add(query, "number >= ");
    query_add_number(query, filter->from);
    query_add(query, " AND number < ");
    query_add_number(query, filter->until);
}

/* prefix: of the table, with its dot. */
static void add_equal(struct query *query, const char *prefix, const char *column,
                      const char *value)
{
    if (!value)
        return;
    query_add(query, " AND ");
    query_add(query, prefix);
    query_add(query, column);
    query_add(query, " = ");
    query_add_text(query, value);
}

static void add_end(struct query *query, int64_t limit)
{
    query_add(query, " ORDER BY number DESC LIMIT ");
    query_add_number(query, limit);
}

/* column: " AND ... IN (". */
static void add_severity_list(struct query *query, const char *column,
                              const struct event_filter *filter)
{
    bool first = true;
    if (!filter->by_severity)
        return;
    query_add(query, column);
    for (int i = 0; i < EVENT_SEVERITIES; i++) {
        if (!filter->severities[i])
            continue;
        query_add(query, first ? "" : ", ");
        query_add_number(query, i);
        first = false;
    }
    query_add(query, ")");
}

static void add_owner(struct query *query, const struct event_filter *filter)
{
    query_add(query, filter->subject == EVENTS_OF_COMPUTER
                         ? " AND computer = (SELECT computers.number FROM computers WHERE"
                           " computers.id = "
                         : " AND computer = (SELECT sensors.number FROM sensors WHERE"
                           " sensors.id = ");
    query_add_text(query, filter->id);
    query_add(query, ")");
}

/* Of everybody: the primary key serves. */
static void add_all(struct query *query, const struct event_filter *filter, int64_t limit)
{
    query_add(query, "SELECT number FROM events WHERE ");
    add_numbers(query, filter);
    add_end(query, limit);
}

/* PostgreSQL: of one computer or sensor in a severity. */
static void add_range(struct query *query, const struct event_filter *filter, int64_t limit,
                      int severity)
{
    query_add(query, "SELECT number FROM events WHERE ");
    add_numbers(query, filter);
    add_owner(query, filter);
    query_add(query, " AND severity = ");
    query_add_number(query, severity);
    add_equal(query, "", "module", filter->module);
    add_equal(query, "", "kind", filter->kind);
    add_end(query, limit);
}

/* SQLite: the same, of those that are in the index. */
static void add_indexed(struct query *query, const struct event_filter *filter, int64_t limit,
                        int severity)
{
    bool joined = filter->module || filter->kind;
    query_add(query, joined ? "SELECT i.number AS number FROM index_events AS i CROSS JOIN"
                              " (SELECT number AS place, module, kind FROM events) AS e"
                              " WHERE e.place = i.number AND "
                            : "SELECT number FROM index_events WHERE ");
    add_numbers(query, filter);
    add_owner(query, filter);
    query_add(query, " AND severity = ");
    query_add_number(query, severity);
    add_equal(query, "e.", "module", filter->module);
    add_equal(query, "e.", "kind", filter->kind);
    add_end(query, limit);
}

/* SQLite: and of those that are not yet; they are few, with one lower bound: of two it would seek
 * by the first. */
static void add_waiting(struct query *query, const struct event_filter *filter, int64_t limit)
{
    query_add(query, " UNION ALL SELECT number FROM (SELECT number FROM events WHERE number >="
                     " max((SELECT filled.number + 1 FROM index_filled AS filled), ");
    query_add_number(query, filter->from);
    query_add(query, ") AND number < ");
    query_add_number(query, filter->until);
    add_owner(query, filter);
    add_severity_list(query, " AND severity IN (", filter);
    add_equal(query, "", "module", filter->module);
    add_equal(query, "", "kind", filter->kind);
    add_end(query, limit);
    query_add(query, ") AS part");
}

/* Of one computer or sensor: a merge of an index range for each severity. */
static void add_severities(struct query *query, const struct event_filter *filter, int64_t limit)
{
    bool first = true;
    for (int i = 0; i < EVENT_SEVERITIES; i++) {
        if (filter->by_severity && !filter->severities[i])
            continue;
        query_add(query, first ? "SELECT number FROM (" : " UNION ALL SELECT number FROM (");
        if (filter->lateral)
            add_range(query, filter, limit, i);
        else
            add_indexed(query, filter, limit, i);
        query_add(query, ") AS part");
        first = false;
    }
    if (!filter->lateral)
        add_waiting(query, filter, limit);
}

static void add_facet_conditions(struct query *query, const struct event_filter *filter,
                                 const struct viewer *viewer)
{
    query_add(query, " WHERE 1 = 1");
    add_equal(query, "facets.", "module", filter->module);
    add_equal(query, "facets.", "kind", filter->kind);
    add_severity_list(query, " AND facets.severity IN (", filter);
    viewer_limit_groups(viewer, "facets.group_id", &query->text);
}

struct page {
    const struct event_filter *filter;
    const struct viewer *viewer;
    int64_t limit;
};

/* A facet may still be of the group that its computer has left: what the viewer may not see must
 * not fill the page, or hide what stands behind it. */
static void add_settled(struct query *query, const struct viewer *viewer)
{
    if (viewer->group_count == 0)
        return;
    query_add(query, " AND e.computer NOT IN (SELECT computer FROM event_moves WHERE 1 = 1");
    viewer_limit_computers(viewer, "NOT event_moves.computer", &query->text);
    query_add(query, ")");
}

/* PostgreSQL: the newest of a facet. The order is the index's, and the facet no equality, or the
 * planner may walk back through all events instead and look for it. */
static void add_newest(struct query *query, const struct page *page, const char *facet,
                       int64_t limit)
{
    query_add(query, "SELECT e.number FROM events AS e WHERE (e.facet, e.number) < (");
    query_add(query, facet);
    query_add(query, ", ");
    query_add_number(query, page->filter->until);
    query_add(query, ") AND e.facet >= ");
    query_add(query, facet);
    add_settled(query, page->viewer);
    query_add(query, " ORDER BY e.facet DESC, e.number DESC LIMIT ");
    query_add_number(query, limit);
}

/* SQLite: the same, not beyond the number that follows; LIMIT is the caller's. */
static void add_newest_from(struct query *query, const struct page *page, const char *facet)
{
    query_add(query, "SELECT e.number FROM events AS e WHERE e.facet = ");
    query_add(query, facet);
    query_add(query, " AND e.number < ");
    query_add_number(query, page->filter->until);
    add_settled(query, page->viewer);
    query_add(query, " AND e.number >= ");
}

static void add_top(struct query *query, const struct page *page)
{
    if (page->filter->lateral) {
        add_newest(query, page, "facets.id", 1);
        return;
    }
    add_newest_from(query, page, "facets.id");
    query_add_number(query, page->filter->from);
    query_add(query, " ORDER BY e.number DESC LIMIT 1");
}

/* SQLite has no LATERAL, and keeps the order of a CROSS JOIN. */
static void add_chosen(struct query *query, const struct page *page)
{
    if (page->filter->lateral) {
        query_add(query, " SELECT e.number FROM chosen CROSS JOIN LATERAL (");
        add_newest(query, page, "chosen.facet", page->limit);
        query_add(query, ") AS e WHERE e.number >= (SELECT number FROM lowest)");
    } else {
        query_add(query, " SELECT e.number FROM chosen CROSS JOIN events AS e WHERE"
                         " e.facet = chosen.facet AND e.number < ");
        query_add_number(query, page->filter->until);
        add_settled(query, page->viewer);
        query_add(query, " AND e.number >= COALESCE((");
        add_newest_from(query, page, "chosen.facet");
        query_add(query, "(SELECT number FROM lowest) ORDER BY e.number DESC LIMIT 1 OFFSET ");
        query_add_number(query, page->limit - 1);
        query_add(query, "), (SELECT number FROM lowest))");
    }
    query_add(query, " ORDER BY e.number DESC LIMIT ");
    query_add_number(query, page->limit);
}

/* Of many facets: only those whose newest event is among the newest of all can have one on the page
 * (chosen); where there are more of them than the page is long, none of its events is older than
 * the last one's newest (lowest). */
static void add_facets(struct query *query, const struct page *page)
{
    query_add(query, "WITH tops AS (SELECT facets.id AS facet, COALESCE((");
    add_top(query, page);
    query_add(query, "), -1) AS top FROM event_facets AS facets");
    add_facet_conditions(query, page->filter, page->viewer);
    query_add(query, "), chosen AS (SELECT facet, top FROM tops ORDER BY top DESC LIMIT ");
    query_add_number(query, page->limit);
    query_add(query, "), lowest AS (SELECT CASE WHEN count(*) = ");
    query_add_number(query, page->limit);
    query_add(query, " AND min(top) > ");
    query_add_number(query, page->filter->from);
    query_add(query, " THEN min(top) ELSE ");
    query_add_number(query, page->filter->from);
    query_add(query, " END AS number FROM chosen)");
    add_chosen(query, page);
}

void event_query_page(struct query *query, const struct event_filter *filter,
                      const struct viewer *viewer, int64_t limit)
{
    select_events(query);
    query_add(query, "events.number IN (");
    if (filter->subject != EVENTS_OF_ALL)
        add_severities(query, filter, limit);
    else if (!filter->module && !filter->kind && !filter->by_severity && viewer->group_count == 0)
        add_all(query, filter, limit);
    else
        add_facets(query, &(struct page){filter, viewer, limit});
    query_add(query, ")");
    viewer_limit_computers(viewer, "events.computer", &query->text);
    query_add(query, " ORDER BY events.number DESC LIMIT ");
    query_add_number(query, limit);
}

void event_query_one(struct query *query, int64_t number, const struct viewer *viewer)
{
    select_events(query);
    query_add(query, "events.number = ");
    query_add_number(query, number);
    viewer_limit_computers(viewer, "events.computer", &query->text);
}
