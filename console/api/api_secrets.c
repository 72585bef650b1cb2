/* Owns what tokens and keys have in common over the API: a name, days, a group and a policy; the
 * secret in one answer and never again. Must not know their tables' columns but id, name, group. */
#include "common/text/text.h"
#include "console/api/api_internal.h"

#include <errno.h>

#define DAY_MS 86400000LL

void api_secret_read(struct api_form *form, unsigned days, unsigned most_days,
                     struct api_secret *secret)
{
    struct wire_reader *reader = &form->reader;
    uint64_t given =
        json_object_get(form->body, "days") ? wire_read_number(reader, "days", false) : days;
    secret->name = wire_read_text(reader, "name", 1, 128, NULL);
    secret->group = wire_read_text(reader, "group", 0, 128, "");
    secret->policy = wire_read_text(reader, "policy", 0, 128, "");
    if (!reader->error && !api_is_name(secret->name))
        wire_fail(reader, "name must be printable, without blanks around it");
    if (!reader->error && (given == 0 || given > most_days))
        wire_fail(reader, "days must be 1 to %u", most_days);
    secret->expires_ms = reader->error ? 0 : console_store_now_ms() + (int64_t)given * DAY_MS;
}

int api_secret_place(struct sql *sql, struct api_secret *secret, const char **ret_group,
                     const char **ret_policy)
{
    int r = api_find_group(sql, secret->group, secret->group_id);
    if (r == 0)
        r = api_find_policy(sql, secret->policy, secret->policy_id);
    if (r == 0 && !viewer_may_place(api_viewer(secret->request), secret->group_id))
        r = -ENOENT;
    *ret_group = secret->group_id[0] ? secret->group_id : NULL;
    *ret_policy = secret->policy_id[0] ? secret->policy_id : NULL;
    return r;
}

void api_secret_answer(const struct api_secret *secret, const char *key, int result)
{
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(16384);
    struct json_writer json;
    if (result < 0) {
        api_respond_error(secret->request, result);
        return;
    }
    json_writer_init(&json, &body);
    json_write_object_begin(&json);
    json_write_field_string(&json, "id", secret->id);
    json_write_field_string(&json, key, secret->text);
    api_write_time(&json, "expires", secret->expires_ms);
    json_write_object_end(&json);
    http_respond_buffer(secret->request, 201, "application/json", &body);
}

int api_secret_revoke(struct sql *sql, const struct http_request *request, const char *table,
                      int (*revoke)(struct sql *sql, const char *id), const char *action)
{
    const char *id = http_request_segment(request, 0);
    AUTO_QUERY struct query query;
    AUTO_STATEMENT struct sql_statement *row = NULL;
    query_init(&query);
    query_add(&query, "SELECT name FROM ");
    query_add(&query, table);
    query_add(&query, " WHERE id = ");
    query_add_text(&query, id);
    viewer_limit_groups(api_viewer(request), "group_id", &query.text);
    int r = query_prepare(&query, sql, &row);
    if (r == 0)
        r = sql_step(row);
    if (r == 1)
        r = revoke(sql, id);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    return api_audit(sql, request, action, sql_text(row, 0), "");
}
