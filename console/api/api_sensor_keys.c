/* Owns the keys of sensors that are not hosts over the API. */
#include "common/text/text.h"
#include "console/api/api_internal.h"
#include "console/sensors/sensor_store.h"

#include <errno.h>

#define MOST_DAYS    3650
#define DEFAULT_DAYS 365

static const struct list_column KEY_COLUMNS[] = {
    {"id", LIST_TEXT},      {"name", LIST_TEXT},      {"kind", LIST_TEXT},
    {"group", LIST_TEXT},   {"policy", LIST_TEXT},    {"sensors", LIST_NUMBER},
    {"expires", LIST_TIME}, {"created", LIST_TIME},   {"created_by", LIST_TEXT},
    {"revoked", LIST_TIME}, {"last_used", LIST_TIME},
};

static int build_keys(const struct list_page *page, struct query *query)
{
    char kind[32];
    int r = list_filter(page, "kind", kind, sizeof(kind));
    if (r < 0)
        return r;
    query_add(query, "SELECT sensor_keys.id, sensor_keys.id, sensor_keys.name, sensor_keys.kind,"
                     " groups.name, policies.name, (SELECT count(*) FROM sensors WHERE"
                     " sensors.key_id = sensor_keys.id), sensor_keys.expires_ms,"
                     " sensor_keys.created_ms, sensor_keys.created_by, sensor_keys.revoked_ms,"
                     " (SELECT max(sensors.last_seen_ms) FROM sensors WHERE"
                     " sensors.key_id = sensor_keys.id) FROM sensor_keys"
                     " LEFT JOIN groups ON groups.id = sensor_keys.group_id"
                     " LEFT JOIN policies ON policies.id = sensor_keys.policy_id"
                     " WHERE sensor_keys.org_id = ");
    query_add_number(query, API_ORG);
    if (r == 1) {
        query_add(query, " AND sensor_keys.kind = ");
        query_add_text(query, kind);
    }
    viewer_limit_groups(page->viewer, "sensor_keys.group_id", &query->text);
    list_end_by_text_descending(page, query, "sensor_keys.id");
    return 0;
}

static const char *const KEY_FILTERS[] = {"kind", NULL};
static const struct list KEYS = {.name = "sensor_keys",
                                 .columns = KEY_COLUMNS,
                                 .column_count = ARRAY_LENGTH(KEY_COLUMNS),
                                 .cursor_is_text = true,
                                 .filters = KEY_FILTERS,
                                 .build = build_keys};

void api_sensor_keys(struct http_request *request, void *user)
{
    api_list(request, user, &KEYS);
}

struct key_work {
    struct api_secret secret;
    struct sensor_key_draft draft;
};

static int create_key(struct sql *sql, void *user)
{
    struct key_work *work = user;
    struct api_secret *secret = &work->secret;
    int r = api_secret_place(sql, secret, &work->draft.group_id, &work->draft.policy_id);
    if (r == 0)
        r = sensor_key_create(sql, &work->draft, secret->id, secret->text);
    return r < 0 ? r : api_audit(sql, secret->request, "sensor_key_created", secret->name, "");
}

void api_sensor_key_create(struct http_request *request, void *user)
{
    static const char *const names[] = {"name", "kind", "group", "policy", "days", NULL};
    struct api_service *service = user;
    AUTO_FORM struct api_form form = {.body = NULL};
    if (!api_form_open(request, names, &form))
        return;
    struct key_work work = {.secret = {.request = request}};
    api_secret_read(&form, DEFAULT_DAYS, MOST_DAYS, &work.secret);
    work.draft =
        (struct sensor_key_draft){.name = work.secret.name,
                                  .kind = wire_read_text(&form.reader, "kind", 1, 32, NULL),
                                  .created_by = api_viewer(request)->actor,
                                  .expires_ms = work.secret.expires_ms};
    if (!form.reader.error && !wire_is_sensor_kind(work.draft.kind))
        wire_fail(&form.reader, "kind must be storage or application");
    if (api_refused(request, &form.reader))
        return;
    int r = console_store_write(service->store, create_key, &work);
    if (r == -EDQUOT)
        http_respond_problem(request, 409, "too_many_keys", "revoke some sensor keys first");
    else
        api_secret_answer(&work.secret, "key", r);
}

static int revoke_key(struct sql *sql, void *user)
{
    return api_secret_revoke(sql, user, "sensor_keys", sensor_key_revoke, "sensor_key_revoked");
}

void api_sensor_key_revoke(struct http_request *request, void *user)
{
    struct api_service *service = user;
    api_respond_done(request, console_store_write(service->store, revoke_key, request));
}
