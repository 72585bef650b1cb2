/* Owns destinations of events over the API. Only administrators come here: a destination makes the
 * console call somebody. Secrets go in and never come out. */
#include "common/text/text.h"
#include "console/api/api_internal.h"
#include "console/events/event_match.h"
#include "console/forward/forwarder.h"

#include <errno.h>

static const struct list_column DESTINATION_COLUMNS[] = {
    {"id", LIST_TEXT},         {"name", LIST_TEXT},
    {"type", LIST_TEXT},       {"settings", LIST_JSON},
    {"has_secret", LIST_BOOL}, {"filter", LIST_JSON},
    {"enabled", LIST_BOOL},    {"state", LIST_TEXT},
    {"problem", LIST_TEXT},    {"problem_since", LIST_TIME},
    {"sent_until", LIST_TIME}, {"last_sent", LIST_TIME},
    {"sent", LIST_NUMBER},     {"dead", LIST_NUMBER},
    {"created", LIST_TIME},    {"created_by", LIST_TEXT},
};

static void add_select(struct query *query)
{
    query_add(query, "SELECT id, id, name, type, settings, CASE WHEN secret = '' THEN 0 ELSE 1 END,"
                     " filter, enabled, CASE WHEN enabled = 0 THEN 'disabled' WHEN problem = ''"
                     " THEN 'working' ELSE 'failing' END, problem, problem_ms,"
                     " (cursor / 4194304) + 1577836800000, last_sent_ms, sent, dead, created_ms,"
                     " created_by FROM destinations WHERE org_id = ");
    query_add_number(query, API_ORG);
}

static int build_destinations(const struct list_page *page, struct query *query)
{
    add_select(query);
    list_end_by_text_descending(page, query, "id");
    return 0;
}

static const struct list DESTINATIONS = {.name = "destinations",
                                         .columns = DESTINATION_COLUMNS,
                                         .column_count = ARRAY_LENGTH(DESTINATION_COLUMNS),
                                         .cursor_is_text = true,
                                         .build = build_destinations};

void api_destinations(struct http_request *request, void *user)
{
    api_list(request, user, &DESTINATIONS);
}

static const struct list_column DEAD_COLUMNS[] = {
    {"number", LIST_NUMBER}, {"event", LIST_NUMBER}, {"reason", LIST_TEXT}, {"time", LIST_TIME}};

static int build_dead_letters(const struct list_page *page, struct query *query)
{
    query_add(query, "SELECT number, number, event, reason, time_ms FROM dead_letters"
                     " WHERE destination = ");
    query_add_text(query, http_request_segment(page->request, 0));
    list_end_by_number_descending(page, query, "number");
    return 0;
}

static const struct list DEAD_LETTERS = {.name = "dead_letters",
                                         .columns = DEAD_COLUMNS,
                                         .column_count = ARRAY_LENGTH(DEAD_COLUMNS),
                                         .build = build_dead_letters};

void api_dead_letters(struct http_request *request, void *user)
{
    api_list(request, user, &DEAD_LETTERS);
}

/* --- make, change */

struct destination_work {
    struct http_request *request;
    const struct secret_box *secrets;
    const char *name, *type;                  /* NULL: as it is */
    const json_t *settings, *secret, *filter; /* NULL: as they are */
    int enabled;                              /* -1: as it is */
    char id[UUID_TEXT_BYTES];
    struct wire_problem problem;
};

/* As it was, then with what is new. */
struct destination_row {
    char name[129], type[16];
    char *settings, *sealed, *filter;
    int64_t enabled;
};

static void row_done(struct destination_row *row)
{
    free(row->settings);
    free(row->sealed);
    free(row->filter);
}
#define AUTO_ROW CLEANUP(row_done)

static int read_row(struct sql *sql, const char *id, struct destination_row *ret_row)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql,
                    "SELECT name, type, settings, secret, filter, enabled FROM destinations"
                    " WHERE id = $1 AND org_id = $2",
                    &row, "tn", id, API_ORG);
    if (r != 1)
        return r < 0 ? r : -ENOENT;
    (void)text_copy(ret_row->name, sizeof(ret_row->name), sql_text(row, 0));
    (void)text_copy(ret_row->type, sizeof(ret_row->type), sql_text(row, 1));
    ret_row->settings = strdup(sql_text(row, 2));
    ret_row->sealed = strdup(sql_text(row, 3));
    ret_row->filter = strdup(sql_text(row, 4));
    ret_row->enabled = sql_number(row, 5);
    return ret_row->settings && ret_row->sealed && ret_row->filter ? 0 : -ENOMEM;
}

static int replace(char **text, char *new)
{
    free(*text);
    *text = new;
    return new ? 0 : -ENOMEM;
}

static int replace_json(char **text, const json_t *json)
{
    return json ? replace(text, json_dumps(json, JSON_COMPACT)) : 0;
}

static int replace_secret(const struct destination_work *work, char **sealed)
{
    char purpose[64];
    if (!work->secret)
        return 0;
    char *plain =
        json_object_size(work->secret) ? json_dumps(work->secret, JSON_COMPACT) : strdup("");
    if (!plain)
        return -ENOMEM;
    (void)text_format(purpose, sizeof(purpose), "destination:%s", work->id);
    int r = replace(sealed, secret_seal(work->secrets, purpose, plain));
    explicit_bzero(plain, strlen(plain));
    free(plain);
    return r;
}

static int merge(const struct destination_work *work, struct destination_row *row)
{
    if (work->name)
        (void)text_copy(row->name, sizeof(row->name), work->name);
    if (work->type)
        (void)text_copy(row->type, sizeof(row->type), work->type);
    if (work->enabled >= 0)
        row->enabled = work->enabled;
    int r = replace_json(&row->settings, work->settings);
    if (r == 0)
        r = replace_json(&row->filter, work->filter);
    return r < 0 ? r : replace_secret(work, &row->sealed);
}

/* Settings and secret must fit each other, whichever of them is new. */
static int check_row(struct destination_work *work, const struct destination_row *row)
{
    struct destination destination;
    char purpose[64], *plain = NULL;
    enum destination_type type;
    (void)text_format(purpose, sizeof(purpose), "destination:%s", work->id);
    if (destination_type_parse(row->type, &type) < 0) {
        (void)text_copy(work->problem.text, sizeof(work->problem.text),
                        "type must be syslog, webhook or sns");
        return -EBADMSG;
    }
    int r = secret_open(work->secrets, purpose, row->sealed, &plain);
    if (r < 0)
        return r;
    json_t *settings = json_loads(row->settings, 0, NULL);
    json_t *secret = json_loads(plain[0] ? plain : "{}", 0, NULL);
    explicit_bzero(plain, strlen(plain));
    free(plain);
    r = destination_read(type, settings, secret, &destination, &work->problem);
    destination_done(&destination);
    json_decref(settings);
    json_decref(secret);
    return r;
}

static int insert_row(struct sql *sql, const struct destination_work *work,
                      const struct destination_row *row)
{
    AUTO_STATEMENT struct sql_statement *count = NULL;
    int64_t now = console_store_now_ms();
    int r = sql_run(sql, "SELECT count(*) FROM destinations", &count, "");
    if (r < 0)
        return r;
    if (sql_number(count, 0) >= DESTINATIONS_MAXIMUM)
        return -EXFULL;
    return sql_run(sql,
                   "INSERT INTO destinations (id, org_id, name, type, settings, secret, filter,"
                   " enabled, cursor, sent, dead, last_sent_ms, problem, problem_ms, revision,"
                   " created_ms, created_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, 0, 0,"
                   " '', 0, 1, $10, $11)",
                   NULL, "tntttttnnnt", work->id, API_ORG, row->name, row->type, row->settings,
                   row->sealed, row->filter, row->enabled, console_store_number_at(now), now,
                   api_viewer(work->request)->actor);
}

static int create_destination(struct sql *sql, void *user)
{
    struct destination_work *work = user;
    AUTO_ROW struct destination_row row = {.enabled = 1};
    int r = uuid_new(work->id);
    row.sealed = strdup("");
    row.filter = strdup("{}");
    if (r == 0)
        r = row.sealed && row.filter ? merge(work, &row) : -ENOMEM;
    if (r == 0)
        r = check_row(work, &row);
    if (r == 0)
        r = insert_row(sql, work, &row);
    return r < 0 ? r : api_audit(sql, work->request, "destination_created", row.name, "");
}

static int change_destination(struct sql *sql, void *user)
{
    struct destination_work *work = user;
    AUTO_ROW struct destination_row row = {.enabled = 1};
    (void)text_copy(work->id, sizeof(work->id), http_request_segment(work->request, 0));
    int r = read_row(sql, work->id, &row);
    if (r == 0)
        r = merge(work, &row);
    if (r == 0)
        r = check_row(work, &row);
    if (r == 0)
        r = sql_run(sql,
                    "UPDATE destinations SET name = $1, settings = $2, secret = $3, filter = $4,"
                    " enabled = $5, problem = '', problem_ms = 0, revision = revision + 1"
                    " WHERE id = $6",
                    NULL, "ttttnt", row.name, row.settings, row.sealed, row.filter, row.enabled,
                    work->id);
    return r < 0 ? r : api_audit(sql, work->request, "destination_changed", row.name, "");
}

static bool read_destination(struct http_request *request, json_t *body, bool create,
                             struct destination_work *work)
{
    struct wire_problem problem;
    struct wire_reader reader = wire_reader_of(body, &problem);
    struct event_match match;
    if (create || json_object_get(body, "name"))
        work->name = wire_read_text(&reader, "name", 1, 128, NULL);
    if (create)
        work->type = wire_read_text(&reader, "type", 1, 15, NULL);
    work->settings = wire_read_object(&reader, "settings", !create);
    work->secret = wire_read_object(&reader, "secret", true);
    work->filter = wire_read_object(&reader, "filter", true);
    work->enabled =
        json_object_get(body, "enabled") ? wire_read_bool(&reader, "enabled", true) : -1;
    if (!reader.error && work->name && !api_is_name(work->name))
        wire_fail(&reader, "name must be printable, without blanks around it");
    if (!reader.error && work->filter) {
        struct wire_reader inner = wire_reader_of(work->filter, &problem);
        wire_only(&inner, EVENT_MATCH_NAMES);
        event_match_read(&inner, &match);
        reader.error = inner.error;
    }
    return !api_refused(request, &reader);
}

static void put_destination(struct http_request *request, struct api_service *service, bool create)
{
    static const char *const names[] = {"name",   "type",    "settings", "secret",
                                        "filter", "enabled", NULL};
    static const char *const changeable[] = {"name",   "settings", "secret",
                                             "filter", "enabled",  NULL};
    json_t *body = api_body(request, create ? names : changeable);
    if (!body)
        return;
    struct destination_work work = {.request = request, .secrets = service->secrets};
    if (read_destination(request, body, create, &work)) {
        int r = console_store_write(service->store,
                                    create ? create_destination : change_destination, &work);
        forwarder_wake(service->forwarder);
        if (r == -EBADMSG)
            http_respond_problem(request, 400, "bad_destination", "%s", work.problem.text);
        else if (r == -EXFULL)
            http_respond_problem(request, 409, "too_many_destinations", "%d at most",
                                 DESTINATIONS_MAXIMUM);
        else if (r < 0)
            api_respond_error(request, r);
        else if (create)
            api_respond_text(request, 201, "id", work.id);
        else
            http_respond(request, 204, NULL, NULL, 0);
    }
    json_decref(body);
}

void api_destination_create(struct http_request *request, void *user)
{
    put_destination(request, user, true);
}

void api_destination_change(struct http_request *request, void *user)
{
    put_destination(request, user, false);
}

static int delete_destination(struct sql *sql, void *user)
{
    struct http_request *request = user;
    const char *id = http_request_segment(request, 0);
    AUTO_ROW struct destination_row row = {.enabled = 1};
    int r = read_row(sql, id, &row);
    if (r == 0)
        r = sql_run(sql, "DELETE FROM dead_letters WHERE destination = $1", NULL, "t", id);
    if (r == 0)
        r = sql_run(sql, "DELETE FROM destinations WHERE id = $1", NULL, "t", id);
    return r < 0 ? r : api_audit(sql, request, "destination_deleted", row.name, "");
}

void api_destination_delete(struct http_request *request, void *user)
{
    struct api_service *service = user;
    int r = console_store_write(service->store, delete_destination, request);
    forwarder_wake(service->forwarder);
    api_respond_done(request, r);
}

/* --- try it */

struct trial {
    struct http_request *request;
    const struct secret_box *secrets;
    struct destination destination;
};

static int load_trial(struct sql *sql, void *user)
{
    struct trial *trial = user;
    AUTO_ROW struct destination_row row = {.enabled = 1};
    const char *id = http_request_segment(trial->request, 0);
    int r = read_row(sql, id, &row);
    return r < 0 ? r
                 : forwarder_destination(trial->secrets, id, row.type, row.settings, row.sealed,
                                         &trial->destination);
}

void api_destination_test(struct http_request *request, void *user)
{
    struct api_service *service = user;
    struct trial trial = {.request = request, .secrets = service->secrets};
    int r = console_store_read(service->store, load_trial, &trial);
    if (r < 0) {
        api_respond_error(request, r);
    } else {
        struct sink_outcome outcome;
        forwarder_try(&trial.destination, &outcome);
        if (outcome.error < 0)
            http_respond_problem(request, 502, "not_delivered", "%s",
                                 outcome.problem[0] ? outcome.problem
                                                    : strerrordesc_np(-outcome.error));
        else
            api_respond_text(request, 200, "status", "delivered");
    }
    destination_done(&trial.destination);
}

/* --- metrics */

int api_destination_metrics(struct sql *sql, void *user)
{
    struct buffer *body = user;
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql,
                    "SELECT id, sent, dead, CASE WHEN problem = '' THEN 0 ELSE 1 END FROM"
                    " destinations WHERE enabled = 1 ORDER BY id",
                    &row, "");
    (void)buffer_append_text(
        body, "# HELP yagura_console_forward_sent_total Events sent on.\n"
              "# TYPE yagura_console_forward_sent_total counter\n"
              "# HELP yagura_console_forward_dead_total Events that were given up.\n"
              "# TYPE yagura_console_forward_dead_total counter\n"
              "# HELP yagura_console_forward_failing Whether the last sending failed.\n"
              "# TYPE yagura_console_forward_failing gauge\n");
    for (; r == 1; r = sql_step(row))
        (void)buffer_append_format(body,
                                   "yagura_console_forward_sent_total{destination=\"%s\"} %lld\n"
                                   "yagura_console_forward_dead_total{destination=\"%s\"} %lld\n"
                                   "yagura_console_forward_failing{destination=\"%s\"} %lld\n",
                                   sql_text(row, 0), (long long)sql_number(row, 1),
                                   sql_text(row, 0), (long long)sql_number(row, 2),
                                   sql_text(row, 0), (long long)sql_number(row, 3));
    return r;
}
