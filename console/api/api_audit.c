/* Owns the audit entries of requests: who, from where, what, and what was asked for. Must not let a
 * secret into them: only what is named here is copied from a body. */
#include "common/text/text.h"
#include "console/api/api_internal.h"

#include <errno.h>

#define DETAIL_MAXIMUM 4096

static const char *const TOLD[] = {"name",     "role",    "groups", "disabled",  "display_name",
                                   "group",    "policy",  "tags",   "cidrs",     "days",
                                   "uses",     "kind",    "type",   "position",  "when",
                                   "severity", "enabled", "filter", "condition", "note"};

/* The body's JSON object without what must not be told; "" when nothing is left. NULL: out of
 * memory. */
static char *describe(const struct http_request *request)
{
    size_t length;
    const char *text = http_request_body(request, &length);
    json_t *body = length > 0 ? json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL) : NULL;
    json_t *told = json_object();
    for (size_t i = 0; i < ARRAY_LENGTH(TOLD); i++) {
        json_t *value = json_object_get(body, TOLD[i]);
        if (value)
            (void)json_object_set(told, TOLD[i], value);
    }
    if (json_object_get(body, "password"))
        (void)json_object_set_new(told, "password", json_string("set"));
    char *detail = json_object_size(told) ? json_dumps(told, JSON_COMPACT) : strdup("");
    if (detail && strlen(detail) > DETAIL_MAXIMUM) {
        free(detail);
        detail = strdup("{\"cut\":true}");
    }
    json_decref(told);
    json_decref(body);
    return detail;
}

int api_audit(struct sql *sql, const struct http_request *request, const char *action,
              const char *subject, const char *detail)
{
    AUTO_FREE char *asked = detail[0] ? NULL : describe(request);
    struct audit_entry entry = {.actor = api_viewer(request)->actor,
                                .address = http_request_address(request),
                                .action = action,
                                .subject = subject,
                                .detail = detail[0] ? detail : asked};
    return entry.detail ? audit_append(sql, &entry) : -ENOMEM;
}
