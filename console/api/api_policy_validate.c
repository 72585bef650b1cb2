/* Owns the trial of a policy text: the same check as storing it, and nothing changes. */
#include "common/limits.h"
#include "common/text/text.h"
#include "console/api/api_internal.h"
#include "console/policies/policy_check.h"

#include <errno.h>

struct trial {
    const struct api_service *service;
    struct policy_substitute policy;
    struct settings_error error;
};

static int check(struct sql *sql, void *user)
{
    struct trial *trial = user;
    return policy_check(sql, &trial->policy, trial->service->scratch_directory, &trial->error);
}

/* "FILE:LINE: KEY: what is wrong" in its parts; what has no such form is all message. */
static void write_problem(struct json_writer *json, const char *text)
{
    char file[256] = "", line[16] = "", key[256] = "";
    size_t name = strcspn(text, ":");
    size_t digits = text[name] ? strspn(text + name + 1, "0123456789") : 0;
    const char *rest = text;
    if (digits > 0 && digits < sizeof(line) && name < sizeof(file) &&
        strncmp(text + name + 1 + digits, ": ", 2) == 0) {
        (void)text_format(file, sizeof(file), "%.*s", (int)name, text);
        (void)text_format(line, sizeof(line), "%.*s", (int)digits, text + name + 1);
        rest = text + name + 1 + digits + 2;
    }
    size_t length = strcspn(rest, ": ");
    if (line[0] && length > 0 && length < sizeof(key) && strncmp(rest + length, ": ", 2) == 0) {
        (void)text_format(key, sizeof(key), "%.*s", (int)length, rest);
        rest += length + 2;
    }
    uint64_t number = 0;
    json_write_object_begin(json);
    json_write_field_string(json, "file", file);
    if (text_parse_u64(line, &number) == 0)
        json_write_field_unsigned(json, "line", number);
    json_write_field_string(json, "key", key);
    json_write_field_string(json, "message", rest);
    json_write_object_end(json);
}

static void answer(struct http_request *request, const struct trial *trial, bool valid)
{
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(16384);
    struct json_writer json;
    json_writer_init(&json, &body);
    json_write_object_begin(&json);
    json_write_field_bool(&json, "valid", valid);
    json_write_key(&json, "problem");
    if (valid)
        json_write_null(&json);
    else
        write_problem(&json, trial->error.text);
    json_write_object_end(&json);
    http_respond_buffer(request, 200, "application/json", &body);
}

void api_policy_validate(struct http_request *request, void *user)
{
    static const char *const names[] = {"text", NULL};
    struct trial trial = {.service = user, .policy = {.name = http_request_segment(request, 0)}};
    char parent[128];
    if (!api_is_policy_name(trial.policy.name)) {
        http_respond_problem(request, 400, "bad_name",
                             "a policy's name is 1 to 64 of letters, digits, '.', '_' and '-'");
        return;
    }
    AUTO_FORM struct api_form form = {.body = NULL};
    if (!api_form_open(request, names, &form))
        return;
    trial.policy.text = wire_read_text(&form.reader, "text", 0, LIMIT_SETTINGS_BYTES / 2, NULL);
    if (!api_refused(request, &form.reader)) {
        int r = policy_check_parent(trial.policy.name, trial.policy.text, parent, &trial.error);
        trial.policy.parent = parent;
        if (r == 0)
            r = console_store_read(trial.service->store, check, &trial);
        if (r < 0 && r != -EINVAL)
            api_respond_error(request, r);
        else
            answer(request, &trial, r == 0);
    }
}
