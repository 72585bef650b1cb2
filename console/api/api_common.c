/* Owns what the handlers share: bodies, errors, times, names. */
#include "common/text/text.h"
#include "common/time/clock.h"
#include "console/api/api_internal.h"

#include <errno.h>

json_t *api_body(struct http_request *request, const char *const *names)
{
    const char *type = http_request_header(request, "Content-Type");
    if (!type || (strcasecmp(type, "application/json") != 0 &&
                  strncasecmp(type, "application/json;", 17) != 0)) {
        http_respond_problem(request, 415, "wrong_content_type", "send application/json");
        return NULL;
    }
    size_t length;
    const char *body = http_request_body(request, &length);
    struct wire_problem problem;
    json_t *root = NULL;
    if (wire_parse(body, length, &root, &problem) == 0) {
        struct wire_reader reader = wire_reader_of(root, &problem);
        wire_only(&reader, names);
        if (reader.error == 0)
            return root;
        json_decref(root);
    }
    http_respond_problem(request, 400, "bad_body", "%s", problem.text);
    return NULL;
}

bool api_form_open(struct http_request *request, const char *const *names,
                   struct api_form *ret_form)
{
    ret_form->body = api_body(request, names);
    ret_form->reader = wire_reader_of(ret_form->body, &ret_form->problem);
    return ret_form->body != NULL;
}

void api_form_done(struct api_form *form)
{
    json_decref(form->body);
    form->body = NULL;
}

bool api_refused(struct http_request *request, const struct wire_reader *reader)
{
    if (!reader->error)
        return false;
    http_respond_problem(request, 400, "bad_body", "%s", reader->problem->text);
    return true;
}

bool api_sees_all(struct http_request *request, const char *what)
{
    if (api_viewer(request)->group_count == 0)
        return true;
    http_respond_problem(request, 403, "limited_to_groups", "who is limited to groups may not %s",
                         what);
    return false;
}

void api_respond_error(struct http_request *request, int error)
{
    switch (error) {
    case -ENOENT:
        http_respond_problem(request, 404, "not_found",
                             "there is none such, or you may not see it");
        return;
    case -EEXIST:
        http_respond_problem(request, 409, "exists", "this name is taken");
        return;
    case -EBUSY:
        http_respond_problem(request, 409, "in_use", "it is still used; change what uses it first");
        return;
    case -ESTALE:
        http_respond_problem(request, 412, "changed_meanwhile",
                             "somebody changed it since you read it; read it again");
        return;
    case -EKEYREJECTED:
        http_respond_problem(request, 503, "secret_unreadable",
                             "it was sealed with another secrets.key: restore that file");
        return;
    default:
        http_response_header(request, "Retry-After", "10");
        http_respond_problem(request, 503, error == -ENOSPC ? "disk_full" : "store_failed",
                             "the console cannot do this now: %s", strerrordesc_np(-error));
    }
}

void api_respond_done(struct http_request *request, int result)
{
    if (result < 0)
        api_respond_error(request, result);
    else
        http_respond(request, 204, NULL, NULL, 0);
}

void api_respond_text(struct http_request *request, unsigned status, const char *key,
                      const char *text)
{
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(65536);
    (void)wire_text_encode(key, text, &body);
    http_respond_buffer(request, status, "application/json", &body);
}

void api_write_time(struct json_writer *json, const char *key, int64_t time_ms)
{
    char text[CLOCK_TEXT_BYTES];
    json_write_key(json, key);
    if (time_ms <= 0) {
        json_write_null(json);
        return;
    }
    clock_format(text, (uint64_t)time_ms * NS_PER_MS);
    json_write_string(json, text);
}

char *api_read_list(struct wire_reader *reader, const char *key, bool (*each)(const char *text),
                    const char *what)
{
    const json_t *list = wire_read_array(reader, key, 32, true);
    size_t i;
    const json_t *entry;
    json_array_foreach(list, i, entry)
    {
        if (!json_is_string(entry) || !each(json_string_value(entry))) {
            wire_fail(reader, "%s must be a list of %s", key, what);
            return NULL;
        }
    }
    if (reader->error || !list)
        return NULL;
    char *text = json_dumps(list, JSON_COMPACT);
    if (!text)
        reader->error = -ENOMEM;
    return text;
}

/* A digit for each 0, everything else as it is: strptime takes blanks, signs and short numbers. */
static bool has_shape(const char *text, const char *shape)
{
    for (; *shape; text++, shape++)
        if (*shape == '0' ? *text < '0' || *text > '9' : *text != *shape)
            return false;
    return true;
}

int api_parse_time(const char *text, int64_t *ret_ms)
{
    struct tm parts = {0};
    if (!has_shape(text, "0000-00-00T00:00:00"))
        return -EINVAL;
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &parts);
    if (!rest)
        return -EINVAL;
    int64_t ms = 0;
    if (*rest == '.') {
        int64_t scale = 100;
        for (rest++; *rest >= '0' && *rest <= '9'; rest++, scale /= 10)
            ms += (*rest - '0') * scale;
    }
    int64_t offset_minutes = 0;
    if (*rest == 'Z') {
        rest++;
    } else if (*rest == '+' || *rest == '-') {
        if (strlen(rest) != 6 || rest[3] != ':' || strspn(rest + 1, "0123456789") != 2 ||
            strspn(rest + 4, "0123456789") != 2)
            return -EINVAL;
        offset_minutes =
            ((rest[1] - '0') * 10 + rest[2] - '0') * 60 + (rest[4] - '0') * 10 + rest[5] - '0';
        if (*rest == '-')
            offset_minutes = -offset_minutes;
        rest += 6;
    } else {
        return -EINVAL;
    }
    if (*rest)
        return -EINVAL;
    *ret_ms = ((int64_t)timegm(&parts) - offset_minutes * 60) * 1000 + ms;
    return 0;
}

int64_t api_online_after(const struct api_service *service)
{
    /* Two missed heartbeats with their jitter, and the delay of writing behind. */
    return console_store_now_ms() - (int64_t)(service->heartbeat_seconds * 1000 * 5 / 2 + 6000);
}

bool api_is_name(const char *text)
{
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return false;
    return length > 0 && length <= 128 && text[0] != ' ' && text[length - 1] != ' ';
}

bool api_is_policy_name(const char *text)
{
    size_t length = strlen(text);
    return length > 0 && length <= 64 && text[0] != '.' && text[0] != '-' &&
           strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
               length;
}

static int find(struct sql *sql, const char *query_text, const char *text,
                char ret_id[static UUID_TEXT_BYTES])
{
    ret_id[0] = '\0';
    if (!text[0])
        return 0;
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql, query_text, &row, "ntt", API_ORG, text, text);
    if (r == 1)
        (void)text_copy(ret_id, UUID_TEXT_BYTES, sql_text(row, 0));
    return r < 0 ? r : r == 1 ? 0 : -ENOENT;
}

int api_find_group(struct sql *sql, const char *text, char ret_id[static UUID_TEXT_BYTES])
{
    return find(sql, "SELECT id FROM groups WHERE org_id = $1 AND (id = $2 OR name = $3)", text,
                ret_id);
}

int api_find_policy(struct sql *sql, const char *text, char ret_id[static UUID_TEXT_BYTES])
{
    return find(sql, "SELECT id FROM policies WHERE org_id = $1 AND (id = $2 OR name = $3)", text,
                ret_id);
}

bool api_read_expected(struct http_request *request, int64_t *ret_expected)
{
    const char *match = http_request_header(request, "If-Match");
    const char *none = http_request_header(request, "If-None-Match");
    char text[24];
    uint64_t revision;
    if (!match && none && text_equal(none, "*")) {
        *ret_expected = -1;
        return true;
    }
    size_t length = match ? strlen(match) : 0;
    if (length > 2 && length < sizeof(text) && match[0] == '"' && match[length - 1] == '"') {
        memcpy(text, match + 1, length - 2);
        text[length - 2] = '\0';
        if (text_parse_u64(text, &revision) == 0 && revision < INT64_MAX) {
            *ret_expected = (int64_t)revision;
            return true;
        }
    }
    http_respond_problem(request, 428, "precondition_required",
                         "send If-Match with the ETag you read, or If-None-Match: * for a new one");
    return false;
}
