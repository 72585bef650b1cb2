/* policy: {} <- {"policy":{"name","description","digest","sources":[...]}}, then for each key
 *   <- {"key":{"name","value","origin","default":true,"meaning","bounds"}}; values as they would be
 *      written in a policy.
 * reload: {} <- {"policy":{"name","digest"}}, or an error that says why the old one stays. */
#include "agent/control/handlers_private.h"

#include "agent/policy/policy.h"
#include "common/limits.h"
#include "common/text/text.h"

#include <errno.h>

#define DEFAULT_ORIGIN "built-in default"

static void write_sources(struct json_writer *json, const struct policy *policy)
{
    json_write_key(json, "sources");
    json_write_array_begin(json);
    for (const char *const *source = policy_sources(policy); *source != NULL; source++) {
        AUTO_FREE char *shown = text_escape_new(*source, strlen(*source));
        json_write_string(json, shown != NULL ? shown : "");
    }
    json_write_array_end(json);
}

static int send_policy(struct control_request *request, const struct policy *policy)
{
    AUTO_BUFFER struct buffer line = BUFFER_WITH_MAXIMUM(LIMIT_CONTROL_OUTPUT_BYTES);
    struct json_writer json;
    char digest[65];
    policy_digest(policy, digest);
    json_writer_init(&json, &line);
    json_write_object_begin(&json);
    json_write_key(&json, "policy");
    json_write_object_begin(&json);
    json_write_field_string(&json, "name", policy_name(policy));
    json_write_field_string(&json, "description", policy_description(policy));
    json_write_field_string(&json, "digest", digest);
    write_sources(&json, policy);
    json_write_object_end(&json);
    json_write_object_end(&json);
    return send_json(request, &line);
}

static int send_key(struct control_request *request, const struct policy *policy,
                    enum policy_key key)
{
    const struct settings_rule *rule = policy_key_rule(key);
    AUTO_FREE char *value = policy_value_text(policy, key);
    AUTO_BUFFER struct buffer line = BUFFER_WITH_MAXIMUM(LIMIT_CONTROL_OUTPUT_BYTES);
    struct json_writer json;
    json_writer_init(&json, &line);
    json_write_object_begin(&json);
    json_write_key(&json, "key");
    json_write_object_begin(&json);
    json_write_field_string(&json, "name", rule->key);
    json_write_field_string(&json, "value", value != NULL ? value : "");
    json_write_field_string(&json, "origin", policy_origin(policy, key));
    json_write_field_bool(&json, "default", text_equal(policy_origin(policy, key), DEFAULT_ORIGIN));
    json_write_field_string(&json, "meaning", rule->meaning);
    json_write_field_string(&json, "bounds", rule->bounds);
    json_write_object_end(&json);
    json_write_object_end(&json);
    return send_json(request, &line);
}

void handle_policy(void *user, struct control_request *request, const json_t *arguments UNUSED)
{
    const struct control_handlers *handlers = user;
    struct policy *policy = handlers->context.policy(handlers->context.user);
    int r = send_policy(request, policy);
    for (int key = 0; key < POLICY_KEY_COUNT && r == 0; key++)
        r = send_key(request, policy, (enum policy_key)key);
    if (r == 0)
        control_request_done(request, 0);
}

void handle_reload(void *user, struct control_request *request, const json_t *arguments UNUSED)
{
    const struct control_handlers *handlers = user;
    struct settings_error error = {.text = ""};
    if (handlers->context.reload(handlers->context.user, &error) < 0) {
        control_request_fail(request, 2, "%s", error.text);
        return;
    }
    if (send_policy(request, handlers->context.policy(handlers->context.user)) == 0)
        control_request_done(request, 0);
}
