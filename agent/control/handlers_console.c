/* activate: {"url","ca_pin","tenant_id","policy","group","display_name","proxy","token"}, or
 * {"parameter_store":{"prefix","region","environment":{}}}; and deactivate: {}. The answer comes
 * when the agent has kept them; how the activation goes is told by status. release: {"code"}. */
#include "agent/control/handlers_private.h"

#include "agent/delivery/cloud_access.h"
#include "agent/delivery/delivery.h"
#include "agent/delivery/removal_code.h"
#include "agent/protection/protection.h"
#include "common/log/log.h"
#include "common/text/text.h"

#include <errno.h>

static int take(const json_t *arguments, const char *key, char *field, size_t size)
{
    const char *text = argument_text(arguments, key);
    return text == NULL ? 0 : text_copy(field, size, text);
}
#define TAKE(arguments, key, field) take(arguments, key, field, sizeof(field))

static int take_settings(const json_t *arguments, struct link_settings *settings)
{
    if (TAKE(arguments, "url", settings->url) < 0 || TAKE(arguments, "ca_pin", settings->pin) < 0 ||
        TAKE(arguments, "tenant_id", settings->tenant_id) < 0 ||
        TAKE(arguments, "policy", settings->policy) < 0 ||
        TAKE(arguments, "group", settings->group) < 0 ||
        TAKE(arguments, "display_name", settings->display_name) < 0 ||
        TAKE(arguments, "proxy", settings->proxy) < 0)
        return -ENAMETOOLONG;
    if (!text_starts_with(settings->url, "https://") || settings->url[strlen("https://")] == '\0')
        return -EINVAL;
    return 0;
}

static void answer_activation(struct control_request *request, int r)
{
    if (r == -EALREADY)
        control_request_fail(request, 0, "this host is activated there already");
    else if (r < 0)
        control_request_fail(request, 2, "the activation could not be kept: %s", log_error_text(r));
    else
        control_request_done(request, 0);
}

static void activate_from_cloud(struct control_handlers *handlers, struct control_request *request,
                                const json_t *order)
{
    AUTO_FREE struct link_cloud *cloud = calloc(1, sizeof *cloud);
    char problem[512] = "out of memory";

    int r = cloud != NULL
                ? cloud_access_read(handlers->context.config, order, cloud, problem, sizeof problem)
                : -ENOMEM;
    if (r < 0)
        control_request_fail(request, 2, "%s", problem);
    else
        answer_activation(request, delivery_activate_from_cloud(handlers->context.delivery, cloud));
    if (cloud != NULL)
        explicit_bzero(cloud, sizeof *cloud);
}

static void activate(struct control_handlers *handlers, struct control_request *request,
                     const json_t *arguments)
{
    const json_t *order = json_object_get(arguments, "parameter_store");
    if (json_is_object(order)) {
        activate_from_cloud(handlers, request, order);
        return;
    }
    struct link_settings settings = {.url = ""};
    struct link_token token = {.text = ""};
    int r = take_settings(arguments, &settings);
    if (r == 0)
        r = TAKE(arguments, "token", token.text);
    if (r == 0 && token.text[0] == '\0') {
        control_request_fail(request, 2, "the token is missing");
        return;
    }
    if (r < 0) {
        control_request_fail(
            request, 2, r == -EINVAL ? "--url must be https://HOST[:PORT]" : "a value is too long");
        return;
    }
    r = delivery_activate(handlers->context.delivery, &settings, &token);
    explicit_bzero(&token, sizeof(token));
    answer_activation(request, r);
}

static void deactivate(struct control_handlers *handlers, struct control_request *request,
                       const json_t *arguments UNUSED)
{
    char problem[LINK_TEXT_BYTES];

    if (protection_is_on(handlers->context.protection)) {
        control_request_fail(request, 2, PROTECTION_REFUSAL);
        return;
    }
    int r = delivery_deactivate(handlers->context.delivery, problem);
    if (r == -EALREADY)
        control_request_fail(request, 0, "this host is leaving its console already");
    else if (r == 0 && problem[0] != '\0')
        control_request_fail(request, 0,
                             "this host has left its console, which could not be told (%s): delete "
                             "the computer there",
                             problem);
    else if (r < 0)
        control_request_fail(request, 2, "the console could not be forgotten: %s",
                             log_error_text(r));
    else
        control_request_done(request, 0);
}

/* The console's word that this agent may go, carried here by somebody. */
static void release(struct control_handlers *handlers, struct control_request *request,
                    const json_t *arguments)
{
    AUTO_BUFFER struct buffer detail = BUFFER_WITH_MAXIMUM(LIMIT_EVENT_DETAIL_BYTES);
    const char *text = argument_text(arguments, "code");
    struct removal_code code;

    enum removal_refusal refusal =
        removal_code_judge(handlers->context.config->state_directory, text != NULL ? text : "",
                           text != NULL ? strlen(text) : 0, &code);
    if (refusal == REMOVAL_GRANTED && removal_code_describe(&code, &detail) < 0)
        refusal = REMOVAL_FAILED;
    if (refusal != REMOVAL_GRANTED) {
        protection_record_refusal(handlers->context.protection, removal_refusal_word(refusal));
        control_request_fail(request, 2, "%s", removal_refusal_text(refusal));
        return;
    }
    protection_release(handlers->context.protection, PROTECTION_RELEASE_NS, buffer_text(&detail));
    control_request_done(request, 0);
}

void handle_release(void *user, struct control_request *request, const json_t *arguments)
{
    control_run_task(user, request, arguments, release);
}

void handle_activate(void *user, struct control_request *request, const json_t *arguments)
{
    control_run_task(user, request, arguments, activate);
}

void handle_deactivate(void *user, struct control_request *request, const json_t *arguments)
{
    control_run_task(user, request, arguments, deactivate);
}
