/* Owns the counts of events over time, from the hourly roll-up: no event is read for them. */
#include "common/text/text.h"
#include "console/api/api_internal.h"

#include <errno.h>

#define HOUR_MS       3600000LL
#define HOURS_DEFAULT 24
#define HOURS_MAXIMUM 744 /* 31 days */
#define BODY_MAXIMUM  (HOURS_MAXIMUM * 5 * 96)

struct counting {
    int64_t first_hour;
    struct buffer body;
};

static int write_counts(struct sql *sql, const struct counting *counting, struct json_writer *json)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql,
                    "SELECT hour, severity, sum(count) FROM event_counts WHERE org_id = $1"
                    " AND hour >= $2 GROUP BY hour, severity ORDER BY hour, severity",
                    &row, "nn", API_ORG, counting->first_hour);
    for (; r == 1; r = sql_step(row)) {
        const char *severity = wire_severity_name((unsigned)sql_number(row, 1));
        json_write_object_begin(json);
        api_write_time(json, "hour", sql_number(row, 0) * HOUR_MS);
        json_write_field_string(json, "severity", severity ? severity : "info");
        json_write_field_number(json, "count", sql_number(row, 2));
        json_write_object_end(json);
    }
    return r;
}

static int read_counts(struct sql *sql, void *user)
{
    struct counting *counting = user;
    struct json_writer json;
    json_writer_init(&json, &counting->body);
    json_write_object_begin(&json);
    json_write_key(&json, "counts");
    json_write_array_begin(&json);
    int r = write_counts(sql, counting, &json);
    json_write_array_end(&json);
    json_write_object_end(&json);
    return r;
}

/* False when it has answered. */
static bool read_hours(struct http_request *request, uint64_t *ret_hours)
{
    char text[16] = "";
    int r = http_request_query(request, "hours", text, sizeof(text));
    *ret_hours = HOURS_DEFAULT;
    if (r == 0)
        return true;
    if (r == 1 && text_parse_u64(text, ret_hours) == 0 && *ret_hours >= 1 &&
        *ret_hours <= HOURS_MAXIMUM)
        return true;
    http_respond_problem(request, 400, "bad_filter", "hours must be 1 to %d", HOURS_MAXIMUM);
    return false;
}

void api_event_counts(struct http_request *request, void *user)
{
    struct api_service *service = user;
    uint64_t hours;
    if (!read_hours(request, &hours))
        return;
    if (!api_sees_all(request, "read counts, which are of all groups: read /api/v1/events"))
        return;
    struct counting counting = {.first_hour = console_store_now_ms() / HOUR_MS - (int64_t)hours + 1,
                                .body = BUFFER_WITH_MAXIMUM(BODY_MAXIMUM)};
    int r = console_store_read(service->store, read_counts, &counting);
    if (r < 0)
        api_respond_error(request, r);
    else
        http_respond_buffer(request, 200, "application/json", &counting.body);
    buffer_done(&counting.body);
}
