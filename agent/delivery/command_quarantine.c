/* The quarantine, as the console sees and steers it. */
#include "agent/delivery/commands_internal.h"
#include "agent/respond/quarantine.h"
#include "agent/respond/responder.h"
#include "common/json/json_writer.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

static int list_entry(void *user, const struct quarantine_entry *entry)
{
    struct json_writer *json = user;
    char path[512]; /* cut when longer: the id names it */

    (void)text_escape(path, sizeof path, entry->path, strlen(entry->path));
    json_write_object_begin(json);
    json_write_field_string(json, "id", entry->id);
    json_write_field_string(json, "path", path);
    json_write_field_string(json, "signature", entry->signature);
    json_write_field_string(json, "sha256", entry->sha256);
    json_write_field_unsigned(json, "time_ms", entry->time_ns / NS_PER_MS);
    json_write_field_unsigned(json, "size", entry->size);
    json_write_object_end(json);
    /* An entry that makes the list too long is cut off with what follows; "after" fetches it. */
    return json->buffer->length > LIMIT_COMMAND_OUTPUT_BYTES / 2;
}

void command_quarantine_list(struct commands *commands, const struct wire_command *command)
{
    AUTO_BUFFER struct buffer list = BUFFER_WITH_MAXIMUM(LIMIT_COMMAND_OUTPUT_BYTES - 1);
    const char *after = command_argument(command, "after");
    struct json_writer json;

    json_writer_init(&json, &list);
    json_write_array_begin(&json);
    int r = quarantine_list(responder_quarantine(commands->context.responder), after, 0, list_entry,
                            &json);
    json_write_array_end(&json);
    if (r == 0)
        r = buffer_failed(&list);
    command_answer_result(commands, command->id, r, buffer_text(&list));
}

/* The whole id: what a beginning names may change on its way. */
static const char *entry_id(const struct wire_command *command)
{
    const char *id = command_argument(command, "id");

    return id != NULL && wire_is_uuid(id) ? id : NULL;
}

void command_quarantine_restore(struct commands *commands, const struct wire_command *command)
{
    const struct quarantine_restore how = {
        .exclude = json_is_true(json_object_get(command->arguments_json, "exclude"))};
    const char *id = entry_id(command);
    int missing = 0;

    int r = id == NULL ? -EINVAL
                       : quarantine_restore(responder_quarantine(commands->context.responder), id,
                                            &how, &missing);
    command_answer_result(commands, command->id, r,
                          missing == 0 ? "restored" : "restored, but not all of its attributes");
}

void command_quarantine_delete(struct commands *commands, const struct wire_command *command)
{
    const char *id = entry_id(command);

    int r = id == NULL ? -EINVAL
                       : quarantine_delete(responder_quarantine(commands->context.responder), id);
    command_answer_result(commands, command->id, r, "deleted");
}
