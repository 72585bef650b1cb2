/* Commands on their way from the messenger to commands.h, and their results on the way back. */
#include "agent/delivery/delivery_internal.h"

#include "common/crypto/keys.h"
#include "common/event_loop/event_loop.h"
#include "common/log/log.h"
#include "common/messages/message.h"
#include "common/text/text.h"

#include <errno.h>

static void want_heartbeat(void *user)
{
    messenger_process_hurry(user);
}

/* From any thread. */
static void command_advances(void *user, const char *command_id, const char *output)
{
    struct delivery *delivery = user;

    if (command_results_advance(delivery->results, command_id, output))
        (void)!event_loop_post(delivery->loop, want_heartbeat, delivery);
}

/* From any thread. */
static void command_done(void *user, const char *command_id, bool good, const char *output)
{
    struct delivery *delivery = user;

    int r = command_results_end(delivery->results, command_id, good, output);
    if (r < 0)
        log_warning("result_not_kept", "command", command_id, "error", log_error_text(r), NULL);
    delivery_record(delivery, good ? "command_done" : "command_failed",
                    good ? EVENT_INFO : EVENT_MEDIUM, command_id, output);
    (void)!event_loop_post(delivery->loop, want_heartbeat, delivery);
}

/* From any thread. */
static void bundle_ready(void *user)
{
    struct delivery *delivery = user;

    (void)!event_loop_post(delivery->loop, bundle_delivery_send, delivery);
}

static void want_leave(void *user)
{
    struct delivery *delivery = user;

    delivery->leaving = true;
    messenger_process_hurry(delivery);
}

static bool is_pending(void *user, const char *command_id)
{
    return command_results_know(((struct delivery *)user)->results, command_id);
}

/* Noted on the disk before it is done: that it was taken, and that its result is owed. What cannot
 * be noted is not done; the console sends it again, and there may be room then. */
static int note_taken(struct delivery *delivery)
{
    struct console_orders *orders = &delivery->orders;

    int r = console_files_write_orders(delivery->files, orders);
    if (r == 0)
        r = command_results_begin(delivery->results, orders->seen[orders->seen_count - 1].id);
    if (r < 0)
        orders->seen_count--;
    return r;
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
    if (r == 0)
        r = note_taken(delivery);
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
    const char *directory = console_files_directory(delivery->files);
    const struct command_context context = {
        .pipeline = delivery->options.pipeline,
        .responder = delivery->options.responder,
        .integrity = delivery->options.integrity,
        .schedule = delivery->options.schedule,
        .application_control = delivery->options.application_control,
        .protection = delivery->options.protection,
        .program_directory = delivery->options.program_directory,
        .directory = directory,
        .control_socket = delivery->options.control_socket,
        .database_directories = delivery->options.database_directories,
        .heartbeat = want_heartbeat,
        .deactivate = want_leave,
        .bundle_ready = bundle_ready,
        .advance = command_advances,
        .done = command_done,
        .user = delivery,
    };

    int r = command_results_open(directory, &delivery->results);
    return r < 0 ? r : commands_new(&context, &delivery->commands);
}

void command_delivery_resume(struct delivery *delivery)
{
    char ids[COMMAND_RESULTS_MAXIMUM][40];

    size_t count = command_results_running(delivery->results, ids);
    for (size_t i = 0; i < count; i++)
        command_resume(delivery->commands, ids[i]);
}
