/* Commands from the console: is this one to be done? Nothing of a document is looked at before its
 * signature holds. */
#include "agent/delivery/signed_command.h"

#include "common/text/text.h"
#include "common/time/clock.h"
#include "common/wire/wire.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

static void forget_expired(struct console_orders *orders, uint64_t now_ms)
{
    size_t kept = 0;

    for (size_t i = 0; i < orders->seen_count; i++)
        if (orders->seen[i].expires_ms >= now_ms)
            orders->seen[kept++] = orders->seen[i];
    orders->seen_count = kept;
}

/* An expired command is refused, so its id need not be known any longer. */
static int note_command(const struct wire_command *command, const char *agent_id,
                        struct console_orders *orders)
{
    uint64_t now_ms = clock_realtime_ns() / NS_PER_MS;

    if (!text_equal(command->agent_id, agent_id))
        return -EACCES;
    if (command->expires_ms < now_ms)
        return -ETIME;
    forget_expired(orders, now_ms);
    for (size_t i = 0; i < orders->seen_count; i++)
        if (text_equal(orders->seen[i].id, command->id))
            return -EALREADY;
    if (orders->seen_count == CONSOLE_SEEN_COMMANDS)
        return -ENOBUFS;
    size_t i = orders->seen_count++;
    orders->seen[i].expires_ms = command->expires_ms;
    return text_copy(orders->seen[i].id, sizeof orders->seen[i].id, command->id) < 0 ? -EBADMSG : 0;
}

int signed_command_take(const char *document, size_t length, EVP_PKEY *signing_key,
                        const char *agent_id, struct console_orders *orders, char **ret_document)
{
    struct wire_command command;
    struct wire_problem problem;
    const char *text = NULL;
    json_t *root = NULL;

    int r = wire_signed_decode(document, length, signing_key, &root, &text, &problem);
    if (r == 0)
        r = wire_command_decode(text, &command, &problem);
    if (r == 0) {
        r = note_command(&command, agent_id, orders);
        wire_command_done(&command);
    }
    if (r == 0 || r == -EALREADY) {
        *ret_document = strdup(text);
        r = *ret_document != NULL ? r : -ENOMEM;
    }
    json_decref(root);
    return r;
}
