/* Owns the list of events. It offers only what event_query can serve from an index. */
#include "common/text/text.h"
#include "console/api/api_internal.h"
#include "console/events/event_query.h"

#include <errno.h>

static const struct list_column EVENT_COLUMNS[] = {
    {"number", LIST_NUMBER}, {"id", LIST_TEXT},       {"time", LIST_TIME},
    {"received", LIST_TIME}, {"computer", LIST_TEXT}, {"hostname", LIST_TEXT},
    {"module", LIST_TEXT},   {"kind", LIST_TEXT},     {"severity", LIST_SEVERITY},
    {"subject", LIST_TEXT},  {"detail", LIST_JSON},   {"sensor", LIST_TEXT},
};

static int parse_severities(const struct list_page *page, struct event_filter *filter)
{
    char text[128];
    int r = list_filter(page, "severity", text, sizeof(text));
    filter->by_severity = r == 1;
    for (char *at = text, *end; r == 1 && at; at = end) {
        unsigned severity = 0;
        end = strchr(at, ',');
        if (end)
            *end++ = '\0';
        if (wire_severity_parse(at, &severity) < 0) {
            http_respond_problem(page->request, 400, "bad_filter",
                                 "severity is a list of info, low, medium, high, critical");
            return -EINVAL;
        }
        filter->severities[severity] = true;
    }
    return r < 0 ? r : 0;
}

enum { OF_COMPUTER, OF_SENSOR, OF_MODULE, OF_KIND, TEXTS };

/* What the filter points to. */
struct filter_texts {
    char of[TEXTS][65];
};

static int parse_texts(const struct list_page *page, struct event_filter *filter,
                       struct filter_texts *texts)
{
    static const char *const names[TEXTS] = {"computer", "sensor", "module", "kind"};
    const char *given[TEXTS] = {NULL};
    for (size_t i = 0; i < TEXTS; i++) {
        int r = list_filter(page, names[i], texts->of[i], sizeof(texts->of[i]));
        if (r < 0)
            return r;
        given[i] = r ? texts->of[i] : NULL;
    }
    if (given[OF_COMPUTER] && given[OF_SENSOR]) {
        http_respond_problem(page->request, 400, "bad_filter", "give computer or sensor, not both");
        return -EINVAL;
    }
    filter->subject = given[OF_COMPUTER] ? EVENTS_OF_COMPUTER
                      : given[OF_SENSOR] ? EVENTS_OF_SENSOR
                                         : EVENTS_OF_ALL;
    filter->id = given[OF_COMPUTER] ? given[OF_COMPUTER] : given[OF_SENSOR];
    filter->module = given[OF_MODULE];
    filter->kind = given[OF_KIND];
    return 0;
}

static int parse_times(const struct list_page *page, struct event_filter *filter)
{
    int64_t since = 0, until = 0;
    filter->from = 0;
    filter->until = page->has_cursor ? page->cursor_number : INT64_MAX;
    int r = list_filter_time(page, "since", &since);
    if (r == 1)
        filter->from = console_store_number_at(since);
    if (r >= 0)
        r = list_filter_time(page, "until", &until);
    if (r == 1)
        filter->until = MIN(filter->until, console_store_number_at(until));
    return r < 0 ? r : 0;
}

static int build_events(const struct list_page *page, struct query *query)
{
    struct event_filter filter = {.lateral = page->shared};
    struct filter_texts texts;
    int r = parse_severities(page, &filter);
    if (r == 0)
        r = parse_texts(page, &filter, &texts);
    if (r == 0)
        r = parse_times(page, &filter);
    if (r == 0)
        event_query_page(query, &filter, page->viewer, page->limit);
    return r;
}

static const char *const EVENT_FILTERS[] = {"computer", "sensor", "module", "kind",
                                            "severity", "since",  "until",  NULL};
static const struct list EVENTS = {.name = "events",
                                   .columns = EVENT_COLUMNS,
                                   .column_count = ARRAY_LENGTH(EVENT_COLUMNS),
                                   .filters = EVENT_FILTERS,
                                   .build = build_events};

void api_event_write(struct json_writer *json, struct sql_statement *row)
{
    list_write_row(json, &EVENTS, row);
}

void api_events(struct http_request *request, void *user)
{
    api_list(request, user, &EVENTS);
}

struct event_read {
    struct http_request *request;
    uint64_t number;
    struct buffer body;
};

static int read_event(struct sql *sql, void *user)
{
    struct event_read *read = user;
    AUTO_QUERY struct query query;
    AUTO_STATEMENT struct sql_statement *row = NULL;
    query_init(&query);
    event_query_one(&query, (int64_t)read->number, api_viewer(read->request));
    int r = query_prepare(&query, sql, &row);
    if (r == 0)
        r = sql_step(row);
    if (r != 1)
        return r < 0 ? r : -ENOENT;
    struct json_writer json;
    json_writer_init(&json, &read->body);
    list_write_row(&json, &EVENTS, row);
    return 0;
}

void api_event(struct http_request *request, void *user)
{
    struct api_service *service = user;
    struct event_read read = {.request = request, .body = BUFFER_WITH_MAXIMUM(262144)};
    int r = text_parse_u64(http_request_segment(request, 0), &read.number) < 0 ||
                    read.number > INT64_MAX
                ? -ENOENT
                : console_store_read(service->store, read_event, &read);
    if (r < 0)
        api_respond_error(request, r);
    else
        http_respond_buffer(request, 200, "application/json", &read.body);
    buffer_done(&read.body);
}
