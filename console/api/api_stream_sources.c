/* Owns what the topics of the stream are made of: events, computers, commands, alerts, sensors.
 * Events, commands and alerts are found by numbers that rise; the status of a computer or sensor
 * changes by time alone, so the last look is kept and compared. */
#include "console/api/api_stream_sources.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "console/events/event_query.h"

#include <errno.h>

#define COMPUTERS_PERIOD_NS (2 * NS_PER_SECOND)
#define SENSORS_PERIOD_NS   (5 * NS_PER_SECOND) /* functions report much */
#define CHANGES_A_LOOK      100 /* more changes at once: the list is to be read again */

/* --- rows with numbers */

static int put_rows(struct sql *sql, struct query *query, unsigned limit, unsigned topic,
                    struct stream_batch *batch, int64_t *ret_last,
                    void (*put)(struct stream_batch *batch, struct stream_message *message,
                                struct sql_statement *row))
{
    static const char *const events[] = {"event", "computer", "command", "alert"};
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = query_prepare(query, sql, &row);
    for (unsigned count = 0; r == 0; count++) {
        r = sql_step(row);
        if (r <= 0)
            return r;
        struct stream_message *message =
            count < limit ? stream_batch_begin(batch, topic, events[topic]) : NULL;
        if (!message) {
            stream_batch_give_up(batch, topic);
            return 0;
        }
        message->number = sql_number(row, 0);
        put(batch, message, row);
        *ret_last = message->number;
        stream_batch_end(batch, message);
        r = 0;
    }
    return r;
}

static void put_event(struct stream_batch *batch, struct stream_message *message,
                      struct sql_statement *row)
{
    struct json_writer json;
    json_writer_init(&json, &batch->text);
    (void)text_copy(message->computer, sizeof(message->computer), sql_text(row, 5));
    (void)text_copy(message->group, sizeof(message->group), sql_text(row, 13));
    api_event_write(&json, row);
}

static int read_events(struct sql *sql, void *user UNUSED, int64_t after, unsigned limit,
                       unsigned topic, struct stream_batch *batch, int64_t *ret_last)
{
    AUTO_QUERY struct query query;
    query_init(&query);
    struct event_range range = {after, INT64_MAX, (int64_t)limit + 1, true};
    event_query_after(&query, &range);
    return put_rows(sql, &query, limit, topic, batch, ret_last, put_event);
}

static const struct list_column COMMAND_COLUMNS[] = {
    {"id", LIST_TEXT},        {"computer", LIST_TEXT},   {"hostname", LIST_TEXT},
    {"type", LIST_TEXT},      {"arguments", LIST_JSON},  {"state", LIST_TEXT},
    {"created", LIST_TIME},   {"created_by", LIST_TEXT}, {"expires", LIST_TIME},
    {"delivered", LIST_TIME}, {"finished", LIST_TIME},   {"output", LIST_TEXT},
};
static const struct list COMMAND = {.columns = COMMAND_COLUMNS,
                                    .column_count = ARRAY_LENGTH(COMMAND_COLUMNS)};

static void put_command(struct stream_batch *batch, struct stream_message *message,
                        struct sql_statement *row)
{
    struct json_writer json;
    json_writer_init(&json, &batch->text);
    (void)text_copy(message->computer, sizeof(message->computer), sql_text(row, 2));
    (void)text_copy(message->group, sizeof(message->group),
                    sql_text(row, (int)ARRAY_LENGTH(COMMAND_COLUMNS) + 1));
    list_write_row(&json, &COMMAND, row);
}

static int read_commands(struct sql *sql, void *user UNUSED, int64_t after, unsigned limit,
                         unsigned topic, struct stream_batch *batch, int64_t *ret_last)
{
    AUTO_QUERY struct query query;
    query_init(&query);
    query_add(&query,
              "SELECT commands.changed, commands.id, computers.id, computers.hostname,"
              " commands.type, commands.arguments, commands.state, commands.created_ms,"
              " commands.created_by, commands.expires_ms, commands.delivered_ms,"
              " commands.finished_ms, commands.output, computers.group_id FROM commands JOIN"
              " computers ON computers.number = commands.computer WHERE commands.changed > ");
    query_add_number(&query, after);
    query_add(&query, " ORDER BY commands.changed LIMIT ");
    query_add_number(&query, (int64_t)limit + 1);
    return put_rows(sql, &query, limit, topic, batch, ret_last, put_command);
}

static void put_alert(struct stream_batch *batch, struct stream_message *message,
                      struct sql_statement *row)
{
    struct json_writer json;
    json_writer_init(&json, &batch->text);
    (void)text_copy(message->computer, sizeof(message->computer),
                    sql_text(row, api_alert_group_column() + 1));
    (void)text_copy(message->group, sizeof(message->group),
                    sql_text(row, api_alert_group_column()));
    message->number = sql_number(row, api_alert_group_column() + 2);
    api_alert_write(&json, row);
}

static int read_alerts(struct sql *sql, void *user UNUSED, int64_t after, unsigned limit,
                       unsigned topic, struct stream_batch *batch, int64_t *ret_last)
{
    AUTO_QUERY struct query query;
    query_init(&query);
    api_alert_select(&query);
    query_add(&query, "alerts.changed > ");
    query_add_number(&query, after);
    query_add(&query, " ORDER BY alerts.changed LIMIT ");
    query_add_number(&query, (int64_t)limit + 1);
    return put_rows(sql, &query, limit, topic, batch, ret_last, put_alert);
}

/* --- computers and sensors */

struct seen {
    int64_t number;
    uint64_t digest; /* of what a list shows, but the time it was seen last */
    char id[UUID_TEXT_BYTES], group[UUID_TEXT_BYTES];
};

/* What is kept and compared. */
struct kept {
    const char *event;
    /* number, id, group's id or '', then what the digest is of, in order of number. */
    void (*select)(struct query *query, const struct api_service *service);
    int (*write)(struct sql *sql, const struct api_service *service, int64_t number,
                 struct buffer *output);
    bool is_computer;
};

static uint64_t mix_text(uint64_t digest, const char *text)
{
    for (; *text; text++)
        digest = (digest ^ (unsigned char)*text) * 0x100000001b3ULL; /* FNV-1a */
    return (digest ^ 0xff) * 0x100000001b3ULL;
}

static void read_seen(struct sql_statement *row, struct seen *seen)
{
    enum { FIRST_SHOWN = 2, SHOWN_END = 9 };
    *seen = (struct seen){.number = sql_number(row, 0), .digest = 0xcbf29ce484222325ULL};
    (void)text_copy(seen->id, sizeof(seen->id), sql_text(row, 1));
    (void)text_copy(seen->group, sizeof(seen->group), sql_text(row, 2));
    for (int i = FIRST_SHOWN; i < SHOWN_END; i++)
        seen->digest = mix_text(seen->digest, sql_text(row, i));
}

static int read_all(struct sql *sql, const struct kept *kept, const struct api_service *service,
                    struct buffer *ret_seen)
{
    AUTO_QUERY struct query query;
    AUTO_STATEMENT struct sql_statement *row = NULL;
    query_init(&query);
    kept->select(&query, service);
    int r = query_prepare(&query, sql, &row);
    while (r == 0 && (r = sql_step(row)) == 1) {
        struct seen seen;
        read_seen(row, &seen);
        r = buffer_append(ret_seen, &seen, sizeof(seen));
    }
    return r;
}

static void select_computers(struct query *query, const struct api_service *service)
{
    query_add(query, "SELECT number, id, COALESCE(group_id, ''), ");
    api_add_status(query, api_online_after(service));
    query_add(query, ", CASE WHEN policy_digest = applied_digest THEN '1' ELSE '0' END,"
                     " display_name, hostname, tags, COALESCE(policy_id, '') || applied_problem"
                     " FROM computers WHERE org_id = ");
    query_add_number(query, API_ORG);
    query_add(query, " ORDER BY number");
}

/* With the counters, of which a page of a sensor is made. */
static void select_sensors(struct query *query, const struct api_service *service)
{
    query_add(query, "SELECT number, id, COALESCE(group_id, ''), CASE WHEN last_seen_ms >= ");
    query_add_number(query, api_online_after(service));
    query_add(query, " THEN '1' ELSE '0' END,"
                     " CASE WHEN policy_digest = applied_digest THEN '1' ELSE '0' END, version,"
                     " address || runtime || host, COALESCE(policy_id, '') || applied_problem,"
                     " facts FROM sensors WHERE org_id = ");
    query_add_number(query, API_ORG);
    query_add(query, " ORDER BY number");
}

static const struct kept COMPUTERS = {"computer", select_computers, api_computer_write, true};
static const struct kept SENSORS = {"sensor", select_sensors, api_sensor_write, false};

struct comparison {
    struct sql *sql;
    const struct kept *kept;
    const struct api_service *service;
    struct stream_batch *batch;
    unsigned topic, changes;
};

static struct stream_message *begin_seen(const struct comparison *comparison,
                                         const struct seen *seen)
{
    struct stream_message *message =
        stream_batch_begin(comparison->batch, comparison->topic, comparison->kept->event);
    if (!message)
        return NULL;
    if (comparison->kept->is_computer)
        memcpy(message->computer, seen->id, sizeof(message->computer));
    memcpy(message->group, seen->group, sizeof(message->group));
    return message;
}

static void put_gone(const struct comparison *comparison, const struct seen *seen, bool moved)
{
    struct stream_message *message = begin_seen(comparison, seen);
    if (!message)
        return;
    struct json_writer json;
    json_writer_init(&json, &comparison->batch->text);
    message->for_limited = moved;
    json_write_object_begin(&json);
    json_write_field_string(&json, "id", seen->id);
    json_write_field_bool(&json, "deleted", true);
    json_write_object_end(&json);
    stream_batch_end(comparison->batch, message);
}

static int put_seen(const struct comparison *comparison, const struct seen *seen)
{
    struct stream_message *message = begin_seen(comparison, seen);
    if (!message)
        return 0;
    int r = comparison->kept->write(comparison->sql, comparison->service, seen->number,
                                    &comparison->batch->text);
    if (r == -ENOENT)
        return 0; /* deleted since: the next look tells */
    stream_batch_end(comparison->batch, message);
    return r;
}

/* old NULL: it is new; new NULL: it is gone. */
static int put_change(struct comparison *comparison, const struct seen *old, const struct seen *new)
{
    if (comparison->changes++ >= CHANGES_A_LOOK) {
        stream_batch_give_up(comparison->batch, comparison->topic);
        return 0;
    }
    if (!new || (old && !text_equal(old->group, new->group)))
        put_gone(comparison, old, new != NULL);
    return new ? put_seen(comparison, new) : 0;
}

static int compare(struct comparison *comparison, const struct buffer *before,
                   const struct buffer *after)
{
    const struct seen *old = (const void *)before->data;
    const struct seen *new = (const void *)after->data;
    size_t olds = before->length / sizeof(*old), news = after->length / sizeof(*new);
    int r = 0;
    for (size_t i = 0, j = 0; r == 0 && (i < olds || j < news);) {
        if (j == news || (i < olds && old[i].number < new[j].number)) {
            r = put_change(comparison, &old[i++], NULL);
        } else if (i == olds || new[j].number < old[i].number) {
            r = put_change(comparison, NULL, &new[j++]);
        } else {
            if (old[i].digest != new[j].digest)
                r = put_change(comparison, &old[i], &new[j]);
            i++;
            j++;
        }
    }
    return r;
}

/* after 0: the first look; before: as it was at the last one. */
static int read_kept(struct comparison *comparison, int64_t after, struct buffer *before,
                     int64_t *ret_last)
{
    struct buffer now = BUFFER_WITH_MAXIMUM(1000000 * sizeof(struct seen));
    int r = read_all(comparison->sql, comparison->kept, comparison->service, &now);
    if (r == 0 && after != 0)
        r = compare(comparison, before, &now);
    if (r < 0) {
        buffer_done(&now);
        return r;
    }
    buffer_done(before);
    *before = now;
    *ret_last = 1;
    return 0;
}

static int read_computers(struct sql *sql, void *user, int64_t after, unsigned limit UNUSED,
                          unsigned topic, struct stream_batch *batch, int64_t *ret_last)
{
    struct api_stream_sources *sources = user;
    struct comparison comparison = {sql, &COMPUTERS, sources->service, batch, topic, 0};
    return read_kept(&comparison, after, &sources->computers, ret_last);
}

static int read_sensors(struct sql *sql, void *user, int64_t after, unsigned limit UNUSED,
                        unsigned topic, struct stream_batch *batch, int64_t *ret_last)
{
    struct api_stream_sources *sources = user;
    struct comparison comparison = {sql, &SENSORS, sources->service, batch, topic, 0};
    return read_kept(&comparison, after, &sources->sensors, ret_last);
}

const struct stream_source API_STREAM_SOURCES[] = {
    {"events", read_events, 0},
    {"computers", read_computers, COMPUTERS_PERIOD_NS},
    {"commands", read_commands, 0},
    {"alerts", read_alerts, 0},
    {"sensors", read_sensors, SENSORS_PERIOD_NS},
};
const size_t API_STREAM_SOURCE_COUNT = ARRAY_LENGTH(API_STREAM_SOURCES);

void api_stream_sources_done(struct api_stream_sources *sources)
{
    buffer_done(&sources->computers);
    buffer_done(&sources->sensors);
}
