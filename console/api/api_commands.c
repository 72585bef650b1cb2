/* Owns commands to computers: the fixed list of what can be asked for, and their state. They are
 * signed when they are handed out, by console/agents. */
#include "common/text/text.h"
#include "console/api/api_internal.h"

#include <errno.h>

#define LIFE_DEFAULT_SECONDS 86400
#define LIFE_MAXIMUM_SECONDS (30 * 86400)
#define WAITING_MAXIMUM      100

static const struct list_column COMMAND_COLUMNS[] = {
    {"id", LIST_TEXT},      {"type", LIST_TEXT},      {"arguments", LIST_JSON},
    {"state", LIST_TEXT},   {"created", LIST_TIME},   {"created_by", LIST_TEXT},
    {"expires", LIST_TIME}, {"delivered", LIST_TIME}, {"finished", LIST_TIME},
    {"output", LIST_TEXT},
};

static int build_commands(const struct list_page *page, struct query *query)
{
    query_add(query, "SELECT id, id, type, arguments, CASE WHEN state IN ('queued', 'delivered')"
                     " AND expires_ms <= ");
    query_add_number(query, console_store_now_ms());
    query_add(query, " THEN 'expired' ELSE state END, created_ms, created_by, expires_ms,"
                     " delivered_ms, finished_ms, output FROM commands WHERE computer ="
                     " (SELECT number FROM computers WHERE id = ");
    query_add_text(query, http_request_segment(page->request, 0));
    query_add(query, ")");
    viewer_limit_computers(page->viewer, "computer", &query->text);
    list_end_by_text_descending(page, query, "id");
    return 0;
}

static const struct list COMMANDS = {.name = "commands",
                                     .columns = COMMAND_COLUMNS,
                                     .column_count = ARRAY_LENGTH(COMMAND_COLUMNS),
                                     .cursor_is_text = true,
                                     .build = build_commands};

void api_commands(struct http_request *request, void *user)
{
    api_list(request, user, &COMMANDS);
}

/* What each type takes. An agent has the same list, and does nothing else. */
static const struct {
    const char *type, *argument; /* the text it takes; NULL: none */
    bool needed;
    const char *flag; /* true or false, beside it; NULL: none */
} TYPES[] = {{"scan", "path", true, NULL},
             {"scan_quick", NULL, false, NULL},
             {"scan_full", NULL, false, NULL},
             {"cancel", NULL, false, NULL},
             {"update_signatures", NULL, false, NULL},
             {"quarantine_list", NULL, false, NULL},
             {"quarantine_restore", "id", true, "exclude"},
             {"quarantine_delete", "id", true, NULL},
             {"rebuild_baseline", NULL, false, NULL},
             {"maintenance", "minutes", true, NULL},
             {"learn_programs", NULL, false, NULL},
             {"diagnostics", NULL, false, NULL},
             {"release_protection", NULL, false, NULL},
             {"heartbeat", NULL, false, NULL},
             {"deactivate", NULL, false, NULL},
             {"upgrade", "version", false, NULL}};

struct command_create {
    struct http_request *request;
    const char *type;
    char *arguments;
    int64_t expires_ms;
    char id[UUID_TEXT_BYTES];
};

/* The arguments as JSON text, or a failure. */
static char *check_arguments(struct wire_reader *reader, const char *type)
{
    const json_t *arguments = wire_read_object(reader, "arguments", true);
    for (size_t i = 0; !reader->error && i < ARRAY_LENGTH(TYPES); i++) {
        if (!text_equal(TYPES[i].type, type))
            continue;
        const char *const names[] = {TYPES[i].argument, TYPES[i].flag, NULL};
        const char *value = "";
        if (arguments) {
            struct wire_reader inner = wire_reader_of(arguments, reader->problem);
            wire_only(&inner, names);
            if (TYPES[i].argument)
                value = wire_read_text(&inner, TYPES[i].argument, 1, 4096, "");
            if (TYPES[i].flag)
                (void)wire_read_bool(&inner, TYPES[i].flag, false);
            reader->error = inner.error;
        }
        if (TYPES[i].needed && !value[0])
            wire_fail(reader, "%s needs arguments.%s", type, TYPES[i].argument);
        if (text_equal(type, "scan") && value[0] != '/')
            wire_fail(reader, "arguments.path must be absolute");
        return reader->error ? NULL
               : arguments   ? json_dumps(arguments, JSON_COMPACT)
                             : strdup("{}");
    }
    wire_fail(reader, "this type of command does not exist");
    return NULL;
}

static int create_command(struct sql *sql, void *user)
{
    struct command_create *create = user;
    AUTO_QUERY struct query query;
    AUTO_STATEMENT struct sql_statement *row = NULL;
    query_init(&query);
    query_add(&query, "SELECT number, hostname, (SELECT count(*) FROM commands WHERE"
                      " commands.computer = computers.number AND state IN ('queued', 'delivered',"
                      " 'running'))"
                      " FROM computers WHERE state = 'active' AND id = ");
    query_add_text(&query, http_request_segment(create->request, 0));
    viewer_limit_groups(api_viewer(create->request), "group_id", &query.text);
    int r = query_prepare(&query, sql, &row);
    if (r == 0)
        r = sql_step(row);
    if (r != 1)
        return r < 0 ? r : -ENOENT;
    if (sql_number(row, 2) >= WAITING_MAXIMUM)
        return -EXFULL;
    r = uuid_new(create->id);
    if (r == 0)
        r = sql_run(
            sql,
            "INSERT INTO commands (id, org_id, computer, type, arguments, state,"
            " created_ms, created_by, expires_ms, delivered_ms, finished_ms, output, changed)"
            " VALUES ($1, $2, $3, $4, $5, 'queued', $6, $7, $8, 0, 0, '', $9)",
            NULL, "tnnttntnn", create->id, API_ORG, sql_number(row, 0), create->type,
            create->arguments, console_store_now_ms(), api_viewer(create->request)->actor,
            create->expires_ms, console_store_new_number());
    AUTO_BUFFER struct buffer detail = BUFFER_WITH_MAXIMUM(16384);
    struct json_writer json;
    json_writer_init(&json, &detail);
    json_write_object_begin(&json);
    json_write_field_string(&json, "type", create->type);
    json_write_key(&json, "arguments");
    json_write_raw(&json, create->arguments);
    json_write_object_end(&json);
    return r < 0 ? r
                 : api_audit(sql, create->request, "command_created", sql_text(row, 1),
                             buffer_text(&detail));
}

void api_command_create(struct http_request *request, void *user)
{
    static const char *const names[] = {"type", "arguments", "expires_seconds", NULL};
    struct api_service *service = user;
    AUTO_FORM struct api_form form = {.body = NULL};
    if (!api_form_open(request, names, &form))
        return;
    struct command_create create = {.request = request};
    create.type = wire_read_text(&form.reader, "type", 1, 64, NULL);
    uint64_t life = json_object_get(form.body, "expires_seconds")
                        ? wire_read_number(&form.reader, "expires_seconds", false)
                        : LIFE_DEFAULT_SECONDS;
    if (!form.reader.error && (life == 0 || life > LIFE_MAXIMUM_SECONDS))
        wire_fail(&form.reader, "expires_seconds must be 1 to %d", LIFE_MAXIMUM_SECONDS);
    AUTO_FREE char *arguments =
        form.reader.error ? NULL : check_arguments(&form.reader, create.type);
    create.arguments = arguments;
    create.expires_ms = console_store_now_ms() + (int64_t)life * 1000;
    if (!api_refused(request, &form.reader)) {
        int r = arguments ? console_store_write(service->store, create_command, &create) : -ENOMEM;
        if (r == -EXFULL)
            http_respond_problem(request, 409, "too_many_commands",
                                 "%d commands wait for this computer already", WAITING_MAXIMUM);
        else if (r < 0)
            api_respond_error(request, r);
        else
            api_respond_text(request, 201, "id", create.id);
    }
}
