/* Owns what the topics of the stream are made of: events, computers, commands, alerts. Events,
 * commands and alerts are found by numbers that rise; a computer's status changes by time alone, so
 * the last look is kept and compared. */
#include "console/api/api_stream_sources.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "console/events/event_query.h"

#include <errno.h>

#define COMPUTERS_PERIOD_NS (2 * NS_PER_SECOND)
#define COMPUTERS_A_LOOK    100 /* more changes at once: the list is to be read again */

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

/* --- computers */

struct seen_computer {
    int64_t number;
    uint64_t digest; /* of what a list shows, but the time it was seen last */
    char id[UUID_TEXT_BYTES], group[UUID_TEXT_BYTES];
};

static uint64_t mix_text(uint64_t digest, const char *text)
{
    for (; *text; text++)
        digest = (digest ^ (unsigned char)*text) * 0x100000001b3ULL; /* FNV-1a */
    return (digest ^ 0xff) * 0x100000001b3ULL;
}

static int read_computer_row(struct sql_statement *row, struct seen_computer *computer)
{
    enum { FIRST_SHOWN = 2, SHOWN_END = 9 };
    *computer =
        (struct seen_computer){.number = sql_number(row, 0), .digest = 0xcbf29ce484222325ULL};
    (void)text_copy(computer->id, sizeof(computer->id), sql_text(row, 1));
    (void)text_copy(computer->group, sizeof(computer->group), sql_text(row, 2));
    for (int i = FIRST_SHOWN; i < SHOWN_END; i++)
        computer->digest = mix_text(computer->digest, sql_text(row, i));
    return 0;
}

static int read_all_computers(struct sql *sql, const struct api_service *service,
                              struct buffer *ret_computers)
{
    AUTO_QUERY struct query query;
    AUTO_STATEMENT struct sql_statement *row = NULL;
    query_init(&query);
    query_add(&query, "SELECT number, id, COALESCE(group_id, ''), ");
    api_add_status(&query, api_online_after(service));
    query_add(&query, ", CASE WHEN policy_digest = applied_digest THEN '1' ELSE '0' END,"
                      " display_name, hostname, tags, COALESCE(policy_id, '') || applied_problem"
                      " FROM computers WHERE org_id = ");
    query_add_number(&query, API_ORG);
    query_add(&query, " ORDER BY number");
    int r = query_prepare(&query, sql, &row);
    while (r == 0 && (r = sql_step(row)) == 1) {
        struct seen_computer computer;
        r = read_computer_row(row, &computer);
        if (r == 0)
            r = buffer_append(ret_computers, &computer, sizeof(computer));
    }
    return r;
}

static void put_gone(struct stream_batch *batch, unsigned topic,
                     const struct seen_computer *computer, bool moved)
{
    struct stream_message *message = stream_batch_begin(batch, topic, "computer");
    if (!message)
        return;
    struct json_writer json;
    json_writer_init(&json, &batch->text);
    memcpy(message->computer, computer->id, sizeof(message->computer));
    memcpy(message->group, computer->group, sizeof(message->group));
    message->for_limited = moved;
    json_write_object_begin(&json);
    json_write_field_string(&json, "id", computer->id);
    json_write_field_bool(&json, "deleted", true);
    json_write_object_end(&json);
    stream_batch_end(batch, message);
}

static int put_computer(struct sql *sql, const struct api_service *service,
                        struct stream_batch *batch, unsigned topic,
                        const struct seen_computer *computer)
{
    struct stream_message *message = stream_batch_begin(batch, topic, "computer");
    if (!message)
        return 0;
    memcpy(message->computer, computer->id, sizeof(message->computer));
    memcpy(message->group, computer->group, sizeof(message->group));
    int r = api_computer_write(sql, service, computer->number, &batch->text);
    if (r == -ENOENT)
        return 0; /* deleted since: the next look tells */
    stream_batch_end(batch, message);
    return r;
}

struct comparison {
    struct sql *sql;
    const struct api_service *service;
    struct stream_batch *batch;
    unsigned topic, changes;
};

/* old NULL: it is new; new NULL: it is gone. */
static int put_change(struct comparison *comparison, const struct seen_computer *old,
                      const struct seen_computer *new)
{
    if (comparison->changes++ >= COMPUTERS_A_LOOK) {
        stream_batch_give_up(comparison->batch, comparison->topic);
        return 0;
    }
    if (!new || (old && !text_equal(old->group, new->group)))
        put_gone(comparison->batch, comparison->topic, old, new != NULL);
    return new ? put_computer(comparison->sql, comparison->service, comparison->batch,
                              comparison->topic, new)
               : 0;
}

static int compare(struct comparison *comparison, const struct buffer *before,
                   const struct buffer *after)
{
    const struct seen_computer *old = (const void *)before->data;
    const struct seen_computer *new = (const void *)after->data;
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

static int read_computers(struct sql *sql, void *user, int64_t after, unsigned limit UNUSED,
                          unsigned topic, struct stream_batch *batch, int64_t *ret_last)
{
    struct api_stream_sources *sources = user;
    struct buffer now = BUFFER_WITH_MAXIMUM(1000000 * sizeof(struct seen_computer));
    struct comparison comparison = {sql, sources->service, batch, topic, 0};
    int r = read_all_computers(sql, sources->service, &now);
    if (r == 0 && after != 0)
        r = compare(&comparison, &sources->computers, &now);
    if (r < 0) {
        buffer_done(&now);
        return r;
    }
    buffer_done(&sources->computers);
    sources->computers = now;
    *ret_last = 1;
    return 0;
}

const struct stream_source API_STREAM_SOURCES[] = {
    {"events", read_events, 0},
    {"computers", read_computers, COMPUTERS_PERIOD_NS},
    {"commands", read_commands, 0},
    {"alerts", read_alerts, 0},
};
const size_t API_STREAM_SOURCE_COUNT = ARRAY_LENGTH(API_STREAM_SOURCES);

void api_stream_sources_done(struct api_stream_sources *sources)
{
    buffer_done(&sources->computers);
}
