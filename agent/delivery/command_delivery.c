/* Commands on their way from the messenger to commands.h, and their results on the way back. */
#include "agent/delivery/delivery_internal.h"

#include "common/crypto/keys.h"
#include "common/event_loop/event_loop.h"
#include "common/messages/message.h"
#include "common/text/text.h"

#include <errno.h>

static void want_heartbeat(void *user)
{
    messenger_process_hurry(user);
}

/* From any thread. */
static void command_done(void *user, const char *command_id, bool good, const char *output)
{
    struct delivery *delivery = user;

    (void)pthread_mutex_lock(&delivery->lock);
    if (delivery->result_count < MOST_RESULTS) {
        struct command_result *result = &delivery->results[delivery->result_count++];
        *result = (struct command_result){.good = good};
        (void)text_copy(result->id, sizeof result->id, command_id);
        (void)text_copy(result->output, sizeof result->output, output);
    }
    (void)pthread_mutex_unlock(&delivery->lock);
    delivery_record(delivery, good ? "command_done" : "command_failed",
                    good ? EVENT_INFO : EVENT_MEDIUM, command_id, output);
    (void)!event_loop_post(delivery->loop, want_heartbeat, delivery);
}

static void want_leave(void *user)
{
    struct delivery *delivery = user;

    delivery->leaving = true;
    messenger_process_hurry(delivery);
}

static bool is_pending(void *user, const char *command_id)
{
    struct delivery *delivery = user;
    bool pending = false;

    (void)pthread_mutex_lock(&delivery->lock);
    for (size_t i = 0; i < delivery->result_count; i++)
        pending = pending || text_equal(delivery->results[i].id, command_id);
    (void)pthread_mutex_unlock(&delivery->lock);
    return pending;
}

int command_delivery_take(void *user, struct message *message)
{
    struct delivery *delivery = user;
    AUTO_CLOSE int fd = TAKE_FD(message->fds[0]);
    AUTO_FREE char *signed_text = NULL;
    AUTO_FREE char *document = NULL;
    AUTO_KEY EVP_PKEY *key = NULL;
    size_t length;

    int r = link_read_document(fd, &signed_text, &length);
    if (r < 0)
        return r;
    if (!delivery->activated)
        return 0;
    r = identity_judge_key(delivery, signed_text, length, &key);
    if (r == 0)
        r = signed_command_take(signed_text, length, key, delivery->identity.agent_id,
                                &delivery->orders, &document);
    if (r == 0) {
        r = console_files_write_orders(delivery->files, &delivery->orders);
        if (r < 0)
            delivery->orders.seen_count--; /* when it comes again, there may be room */
    }
    if (r == 0)
        command_run(delivery->commands, document);
    else if (r == -EALREADY)
        command_repeated(delivery->commands, document, is_pending);
    else
        delivery_refuse_order(delivery, "command", r, NULL);
    return 0;
}

int command_delivery_new(struct delivery *delivery)
{
    const struct command_context context = {
        .pipeline = delivery->options.pipeline,
        .responder = delivery->options.responder,
        .heartbeat = want_heartbeat,
        .deactivate = want_leave,
        .done = command_done,
        .user = delivery,
    };

    return commands_new(&context, &delivery->commands);
}
