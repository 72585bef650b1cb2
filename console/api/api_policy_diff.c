/* Owns the comparison of two revisions of a policy over the API. */
#include "common/limits.h"
#include "common/text/text.h"
#include "console/api/api_internal.h"
#include "console/policies/policy_diff.h"

#include <errno.h>

#define DIFF_MAXIMUM (16 * LIMIT_SETTINGS_BYTES)

struct diff {
    const char *name;
    int64_t from, to;
    char *from_text, *to_text;
};

static int read_text(struct sql *sql, const char *name, int64_t revision, char **ret_text)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql,
                    "SELECT policy_revisions.text FROM policy_revisions"
                    " JOIN policies ON policies.id = policy_revisions.policy_id"
                    " WHERE policies.org_id = $1 AND policies.name = $2"
                    " AND policy_revisions.revision = $3",
                    &row, "ntn", API_ORG, name, revision);
    if (r != 1)
        return r < 0 ? r : -ENOENT;
    *ret_text = strdup(sql_text(row, 0));
    return *ret_text ? 0 : -ENOMEM;
}

static int read_both(struct sql *sql, void *user)
{
    struct diff *diff = user;
    int r = read_text(sql, diff->name, diff->from, &diff->from_text);
    return r < 0 ? r : read_text(sql, diff->name, diff->to, &diff->to_text);
}

static bool read_revision(struct http_request *request, const char *name, int64_t *ret_revision)
{
    char text[24];
    uint64_t revision;
    if (http_request_query(request, name, text, sizeof(text)) == 1 &&
        text_parse_u64(text, &revision) == 0 && revision > 0 && revision <= INT64_MAX) {
        *ret_revision = (int64_t)revision;
        return true;
    }
    http_respond_problem(request, 400, "bad_query", "%s must be the number of a revision", name);
    return false;
}

static void respond_diff(struct http_request *request, const struct diff *diff)
{
    AUTO_BUFFER struct buffer lines = BUFFER_WITH_MAXIMUM(DIFF_MAXIMUM);
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(DIFF_MAXIMUM + 4096);
    struct json_writer json;
    int r = policy_diff_write(diff->from_text, diff->to_text, &lines);
    if (r < 0) {
        api_respond_error(request, r);
        return;
    }
    json_writer_init(&json, &body);
    json_write_object_begin(&json);
    json_write_field_string(&json, "name", diff->name);
    json_write_field_number(&json, "from", diff->from);
    json_write_field_number(&json, "to", diff->to);
    json_write_key(&json, "lines");
    json_write_raw(&json, buffer_text(&lines));
    json_write_object_end(&json);
    http_respond_buffer(request, 200, "application/json", &body);
}

void api_policy_diff(struct http_request *request, void *user)
{
    struct api_service *service = user;
    struct diff diff = {.name = http_request_segment(request, 0)};
    if (!read_revision(request, "from", &diff.from) || !read_revision(request, "to", &diff.to))
        return;
    int r = console_store_read(service->store, read_both, &diff);
    if (r < 0)
        api_respond_error(request, r);
    else
        respond_diff(request, &diff);
    free(diff.from_text);
    free(diff.to_text);
}
