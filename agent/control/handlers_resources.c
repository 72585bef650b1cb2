/* resources: <-
 * {"group":{"name","cpu_weight","cpu_quota_us","memory_high","memory_max","memory_now",
 * "cpu_us","throttled","memory_met","memory_killed"}} each, then
 * <- {"resources":{"directory","problem"}}. A limit of 0 is not in force. */
#include "agent/control/handlers_private.h"

#include "agent/resources/resources.h"
#include "common/text/text.h"

#define LINE_BYTES 4096

static int send_group(struct control_request *request, const struct resource_use *use)
{
    AUTO_BUFFER struct buffer line = BUFFER_WITH_MAXIMUM(LINE_BYTES);
    struct json_writer json;

    json_writer_init(&json, &line);
    json_write_object_begin(&json);
    json_write_key(&json, "group");
    json_write_object_begin(&json);
    json_write_field_string(&json, "name", use->name);
    json_write_field_unsigned(&json, "cpu_weight", use->weight);
    json_write_field_unsigned(&json, "cpu_quota_us", use->quota);
    json_write_field_unsigned(&json, "memory_high", use->memory_high);
    json_write_field_unsigned(&json, "memory_max", use->memory_max);
    json_write_field_unsigned(&json, "memory_now", use->memory_now);
    json_write_field_unsigned(&json, "cpu_us", use->cpu_us);
    json_write_field_unsigned(&json, "throttled", use->throttled);
    json_write_field_unsigned(&json, "memory_met", use->memory_met);
    json_write_field_unsigned(&json, "memory_killed", use->memory_killed);
    json_write_object_end(&json);
    json_write_object_end(&json);
    return send_json(request, &line);
}

static int send_whole(struct control_request *request, const struct resources_status *status)
{
    AUTO_FREE char *shown = text_escape_new(status->directory, strlen(status->directory));
    AUTO_BUFFER struct buffer line = BUFFER_WITH_MAXIMUM(LINE_BYTES);
    struct json_writer json;

    json_writer_init(&json, &line);
    json_write_object_begin(&json);
    json_write_key(&json, "resources");
    json_write_object_begin(&json);
    json_write_field_string(&json, "directory", shown != NULL ? shown : "");
    json_write_field_string(&json, "problem", status->problem);
    json_write_object_end(&json);
    json_write_object_end(&json);
    return send_json(request, &line);
}

void handle_resources(void *user, struct control_request *request, const json_t *arguments UNUSED)
{
    const struct control_handlers *handlers = user;
    struct resources_status status;

    resources_status(handlers->context.resources, &status);
    for (int i = 0; i < RESOURCE_GROUPS; i++)
        if (send_group(request, &status.groups[i]) < 0)
            return;
    if (send_whole(request, &status) == 0)
        control_request_done(request, 0);
}
