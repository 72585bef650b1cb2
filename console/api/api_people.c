/* Owns users, API keys and the audit log over the API. */
#include "common/text/text.h"
#include "console/api/api_internal.h"
#include "console/people/password.h"
#include "console/people/user_store.h"

#include <errno.h>

#define MOST_KEY_DAYS    730
#define DEFAULT_KEY_DAYS 90

/* --- users */

static const struct list_column USER_COLUMNS[] = {
    {"id", LIST_TEXT},
    {"name", LIST_TEXT},
    {"role", LIST_TEXT},
    {"groups", LIST_JSON},
    {"must_change_password", LIST_BOOL},
    {"disabled", LIST_BOOL},
    {"created", LIST_TIME},
};

static int build_users(const struct list_page *page, struct query *query)
{
    query_add(query, "SELECT name, id, name, role, groups, must_change, disabled, created_ms"
                     " FROM users WHERE org_id = ");
    query_add_number(query, API_ORG);
    list_end_by_text(page, query, "name");
    return 0;
}

static const struct list USERS = {.name = "users",
                                  .columns = USER_COLUMNS,
                                  .column_count = ARRAY_LENGTH(USER_COLUMNS),
                                  .cursor_is_text = true,
                                  .build = build_users};

void api_users(struct http_request *request, void *user)
{
    api_list(request, user, &USERS);
}

struct user_work {
    struct http_request *request;
    struct user_draft draft; /* NULL members: as they are */
    int disabled;            /* -1: as it is */
    char id[UUID_TEXT_BYTES];
};

/* Whether someone who can let others in again would be left. */
static int keeps_an_administrator(struct sql *sql)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql,
                    "SELECT 1 FROM users WHERE org_id = $1 AND role = 'administrator'"
                    " AND disabled = 0 AND groups = '[]'",
                    &row, "n", API_ORG);
    return r < 0 ? r : r == 1 ? 0 : -EBUSY;
}

static int create_user(struct sql *sql, void *user)
{
    struct user_work *work = user;
    int r = user_create(sql, &work->draft, work->id);
    return r < 0 ? r : api_audit(sql, work->request, "user_created", work->draft.name, "");
}

static int find_user(struct sql *sql, const char *id, char ret_name[static 129])
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql, "SELECT name FROM users WHERE id = $1 AND org_id = $2", &row, "tn", id,
                    API_ORG);
    if (r == 1)
        (void)text_copy(ret_name, 129, sql_text(row, 0));
    return r < 0 ? r : r == 1 ? 0 : -ENOENT;
}

static int change_user(struct sql *sql, void *user)
{
    const struct user_work *work = user;
    const char *id = http_request_segment(work->request, 0);
    char name[129];
    int r = find_user(sql, id, name);
    if (r == 0 && work->draft.role)
        r = sql_run(sql, "UPDATE users SET role = $1 WHERE id = $2", NULL, "tt", work->draft.role,
                    id);
    if (r == 0 && work->draft.groups)
        r = sql_run(sql, "UPDATE users SET groups = $1 WHERE id = $2", NULL, "tt",
                    work->draft.groups, id);
    if (r == 0 && work->disabled >= 0)
        r = sql_run(sql, "UPDATE users SET disabled = $1 WHERE id = $2", NULL, "nt",
                    (int64_t)work->disabled, id);
    if (r == 0 && work->draft.password_hash)
        r = user_set_password(sql, id, work->draft.password_hash, true);
    if (r == 0)
        r = keeps_an_administrator(sql);
    return r < 0 ? r : api_audit(sql, work->request, "user_changed", name, "");
}

static int delete_user(struct sql *sql, void *user)
{
    struct http_request *request = user;
    const char *id = http_request_segment(request, 0);
    char name[129];
    int r = find_user(sql, id, name);
    if (r == 0)
        r = sql_run(sql, "DELETE FROM sessions WHERE user_id = $1", NULL, "t", id);
    if (r == 0)
        r = sql_run(sql, "DELETE FROM users WHERE id = $1", NULL, "t", id);
    if (r == 0)
        r = keeps_an_administrator(sql);
    return r < 0 ? r : api_audit(sql, request, "user_deleted", name, "");
}

static void check_role(struct wire_reader *reader, const char *role)
{
    if (!reader->error && role && !role_permissions(role))
        wire_fail(reader, "role must be administrator, operator, auditor or reader");
}

/* create: everything but groups is needed. */
static bool read_user(struct http_request *request, json_t *body, bool create,
                      struct user_work *work, char **ret_groups,
                      char hash[static PASSWORD_HASH_BYTES])
{
    struct wire_problem problem;
    struct wire_reader reader = wire_reader_of(body, &problem);
    const char *password = NULL;
    if (create)
        work->draft.name = wire_read_text(&reader, "name", 1, 128, NULL);
    if (create || json_object_get(body, "role"))
        work->draft.role = wire_read_text(&reader, "role", 1, 32, NULL);
    if (create || json_object_get(body, "password"))
        password = wire_read_text(&reader, "password", PASSWORD_MINIMUM, PASSWORD_MAXIMUM, NULL);
    work->disabled =
        json_object_get(body, "disabled") ? wire_read_bool(&reader, "disabled", false) : -1;
    *ret_groups = api_read_list(&reader, "groups", wire_is_uuid, "ids of groups");
    work->draft.groups = *ret_groups ? *ret_groups : create ? "[]" : NULL;
    work->draft.must_change = true;
    check_role(&reader, work->draft.role);
    if (!reader.error && create && !api_is_name(work->draft.name))
        wire_fail(&reader, "name must be printable, without blanks around it");
    if (api_refused(request, &reader))
        return false;
    if (password) {
        int r = password_hash(password, hash);
        if (r < 0) {
            api_respond_error(request, r);
            return false;
        }
        work->draft.password_hash = hash;
    }
    return true;
}

void api_user_create(struct http_request *request, void *user)
{
    static const char *const names[] = {"name", "role", "password", "groups", NULL};
    struct api_service *service = user;
    json_t *body = api_body(request, names);
    if (!body)
        return;
    struct user_work work = {.request = request};
    AUTO_FREE char *groups = NULL;
    char hash[PASSWORD_HASH_BYTES];
    if (read_user(request, body, true, &work, &groups, hash)) {
        int r = console_store_write(service->store, create_user, &work);
        if (r < 0)
            api_respond_error(request, r);
        else
            api_respond_text(request, 201, "id", work.id);
    }
    json_decref(body);
}

void api_user_change(struct http_request *request, void *user)
{
    static const char *const names[] = {"role", "password", "groups", "disabled", NULL};
    struct api_service *service = user;
    json_t *body = api_body(request, names);
    if (!body)
        return;
    struct user_work work = {.request = request};
    AUTO_FREE char *groups = NULL;
    char hash[PASSWORD_HASH_BYTES];
    if (read_user(request, body, false, &work, &groups, hash)) {
        api_respond_done(request, console_store_write(service->store, change_user, &work));
        api_rights_changed(service);
    }
    json_decref(body);
}

void api_user_delete(struct http_request *request, void *user)
{
    struct api_service *service = user;
    api_respond_done(request, console_store_write(service->store, delete_user, request));
    api_rights_changed(service);
}

/* --- API keys */

static const struct list_column KEY_COLUMNS[] = {
    {"id", LIST_TEXT},         {"name", LIST_TEXT},    {"role", LIST_TEXT},
    {"groups", LIST_JSON},     {"expires", LIST_TIME}, {"created", LIST_TIME},
    {"created_by", LIST_TEXT}, {"revoked", LIST_TIME},
};

static int build_keys(const struct list_page *page, struct query *query)
{
    query_add(query, "SELECT id, id, name, role, groups, expires_ms, created_ms, created_by,"
                     " revoked_ms FROM api_keys WHERE org_id = ");
    query_add_number(query, API_ORG);
    list_end_by_text_descending(page, query, "id");
    return 0;
}

static const struct list KEYS = {.name = "keys",
                                 .columns = KEY_COLUMNS,
                                 .column_count = ARRAY_LENGTH(KEY_COLUMNS),
                                 .cursor_is_text = true,
                                 .build = build_keys};

void api_keys(struct http_request *request, void *user)
{
    api_list(request, user, &KEYS);
}

struct key_work {
    struct api_secret secret;
    struct key_draft draft;
};

static int create_key(struct sql *sql, void *user)
{
    struct key_work *work = user;
    int r = key_create(sql, &work->draft, work->secret.id, work->secret.text);
    return r < 0 ? r : api_audit(sql, work->secret.request, "key_created", work->draft.name, "");
}

void api_key_create(struct http_request *request, void *user)
{
    static const char *const names[] = {"name", "role", "groups", "days", NULL};
    struct api_service *service = user;
    AUTO_FORM struct api_form form = {.body = NULL};
    if (!api_form_open(request, names, &form))
        return;
    struct key_work work = {.secret = {.request = request}};
    api_secret_read(&form, DEFAULT_KEY_DAYS, MOST_KEY_DAYS, &work.secret);
    AUTO_FREE char *groups = api_read_list(&form.reader, "groups", wire_is_uuid, "ids of groups");
    work.draft = (struct key_draft){.name = work.secret.name,
                                    .role = wire_read_text(&form.reader, "role", 1, 32, NULL),
                                    .groups = groups ? groups : "[]",
                                    .created_by = api_viewer(request)->actor,
                                    .expires_ms = work.secret.expires_ms};
    check_role(&form.reader, work.draft.role);
    if (!api_refused(request, &form.reader))
        api_secret_answer(&work.secret, "key",
                          console_store_write(service->store, create_key, &work));
}

static int revoke_key(struct sql *sql, void *user)
{
    struct http_request *request = user;
    const char *id = http_request_segment(request, 0);
    int r = key_revoke(sql, id);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    return api_audit(sql, request, "key_revoked", id, "");
}

void api_key_revoke(struct http_request *request, void *user)
{
    struct api_service *service = user;
    api_respond_done(request, console_store_write(service->store, revoke_key, request));
    api_rights_changed(service);
}

/* --- audit log */

static const struct list_column AUDIT_COLUMNS[] = {
    {"number", LIST_NUMBER}, {"time", LIST_TIME},    {"actor", LIST_TEXT},  {"address", LIST_TEXT},
    {"action", LIST_TEXT},   {"subject", LIST_TEXT}, {"detail", LIST_JSON}, {"hash", LIST_TEXT},
};

static int build_audit(const struct list_page *page, struct query *query)
{
    query_add(query, "SELECT number, number, time_ms, actor, address, action, subject, detail,"
                     " hash FROM audit WHERE org_id = ");
    query_add_number(query, API_ORG);
    list_end_by_number_descending(page, query, "number");
    return 0;
}

static const struct list AUDIT = {.name = "entries",
                                  .columns = AUDIT_COLUMNS,
                                  .column_count = ARRAY_LENGTH(AUDIT_COLUMNS),
                                  .build = build_audit};

void api_audit_log(struct http_request *request, void *user)
{
    api_list(request, user, &AUDIT);
}
