/* The messenger's life, and what it may say.
 *
 * Owns: the child and its socket. Must not: trust a word of it. Hands off: each word to the file
 * that owns its meaning. */
#include "agent/delivery/delivery_internal.h"

#include "common/crypto/random.h"
#include "common/event_loop/event_loop.h"
#include "common/log/log.h"
#include "common/messages/message.h"
#include "common/sandbox/spawn.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#define MOST_RESTART_NS (60 * NS_PER_SECOND)

void messenger_process_close(struct delivery *delivery)
{
    if (delivery->socket < 0)
        return;
    event_loop_remove_fd(delivery->loop, delivery->socket);
    (void)close(delivery->socket);
    delivery->socket = -1;
    delivery->bundle_id[0] = '\0';
    delivery->pull.asked = false;
    /* It ends when its socket does; one that hangs does not. It holds nothing that must be saved.
     */
    (void)kill(delivery->pid, SIGKILL);
    while (waitpid(delivery->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    console_choice_end_goodbye(delivery);
}

static void note_ended(struct delivery *delivery, const char *reason)
{
    struct link_state state;

    (void)pthread_mutex_lock(&delivery->lock);
    state = delivery->status.state;
    (void)pthread_mutex_unlock(&delivery->lock);
    state.code = delivery->activated ? LINK_STATE_OFFLINE : LINK_STATE_ACTIVATING;
    state.next_try_ns = clock_realtime_ns() + delivery->restart_delay_ns;
    (void)text_format(state.text, sizeof state.text,
                      "yagura-messenger does not run (%s): it is started again", reason);
    delivery_note_state(delivery, &state);
}

/* Again after 1 s, 2 s, ... a minute; after 1 s when it had lived for longer than that. An event
 * tells of the first time, and when the delay has become longest. */
void messenger_process_restart_later(struct delivery *delivery, int error)
{
    bool lived = clock_monotonic_ns() - delivery->started_ns > MOST_RESTART_NS;
    uint64_t before = delivery->restart_delay_ns;
    const char *reason = error < 0 ? log_error_text(error) : "it closed its socket";

    messenger_process_close(delivery);
    delivery->restart_delay_ns =
        lived || before == 0 ? NS_PER_SECOND : MIN(before * 2, MOST_RESTART_NS);
    note_ended(delivery, reason);
    if (delivery->restart_delay_ns == NS_PER_SECOND ||
        (delivery->restart_delay_ns == MOST_RESTART_NS && before != MOST_RESTART_NS))
        delivery_record(delivery, "messenger_ended", EVENT_MEDIUM, "yagura-messenger", reason);
    else
        log_warning("messenger_ended", "reason", reason, NULL);
    event_timer_start(delivery->restart, delivery->restart_delay_ns, 0);
}

static void handle_messenger(void *user, int fd, uint32_t epoll_events);

static int introduce(struct delivery *delivery)
{
    int r = uuid_new(delivery->settings.session);

    if (r == 0)
        r = cloud_access_introduce(delivery->cloud, delivery->socket,
                                   delivery_asks_cloud(delivery));
    if (r == 0 && delivery->activated)
        r = link_send_identity(delivery->socket, &delivery->identity);
    if (r == 0 && delivery->has_token)
        r = link_send_token(delivery->socket, &delivery->token);
    if (r == 0)
        r = link_send_settings(delivery->socket, &delivery->settings);
    return r;
}

static int start_messenger(struct delivery *delivery)
{
    char *const argv[] = {(char *)"yagura-messenger", NULL};
    int pair[2];

    delivery->started_ns = clock_monotonic_ns();
    int r = message_pair(true, pair);
    if (r < 0)
        return r;
    AUTO_CLOSE int theirs = pair[1];
    r = spawn_program(delivery->messenger_program, argv, &theirs, 1, &delivery->pid, NULL);
    if (r < 0) {
        (void)close(pair[0]);
        return r;
    }
    delivery->socket = pair[0];
    (void)pthread_mutex_lock(&delivery->lock);
    delivery->status.messenger_starts++;
    (void)pthread_mutex_unlock(&delivery->lock);
    r = event_loop_add_fd(delivery->loop, delivery->socket, EPOLLIN, handle_messenger, delivery);
    return r < 0 ? r : introduce(delivery);
}

void messenger_process_restart(void *user)
{
    struct delivery *delivery = user;

    messenger_process_close(delivery);
    event_timer_stop(delivery->restart);
    /* Without anything to show there is nothing to say. */
    bool has_something = delivery->activated || delivery->has_token;
    if (!(delivery->configured && has_something) && !delivery_asks_cloud(delivery))
        return;
    int r = start_messenger(delivery);
    if (r < 0)
        messenger_process_restart_later(delivery, r);
}

void messenger_process_hurry(struct delivery *delivery)
{
    if (delivery->socket >= 0)
        (void)!link_send_plain(delivery->socket, LINK_URGENT); /* a full socket is news enough */
}

static int take_state(void *user, struct message *message)
{
    struct delivery *delivery = user;
    struct link_state state;

    int r = link_read_state(message, &state);
    if (r == 0 && delivery->goodbye != NULL)
        console_choice_take_goodbye(delivery, &state);
    else if (r == 0)
        delivery_note_state(delivery, &state);
    return r;
}

static int take_message(struct delivery *delivery, struct message *message)
{
    bool activated = delivery->activated, asks = delivery_asks_cloud(delivery);
    struct message_route routes[] = {
        {LINK_WANT_BEAT, "want-beat", activated, false, heartbeats_take_want},
        {LINK_BEAT_DONE, "beat-done", activated, false, heartbeats_take_done},
        {LINK_COMMAND, "command", activated, true, command_delivery_take},
        {LINK_POLICY, "policy", activated, true, policy_delivery_take},
        {LINK_WANT_FILES, "want-files", asks, false, console_choice_take_want_files},
        {LINK_CONSOLE, "console", true, false, console_choice_take},
        {LINK_IDENTITY, "identity", activated || asks || delivery->has_token, false, identity_take},
        {LINK_MOVE, "move", activated, true, identity_take_move},
        {LINK_SIGNATURES, "signatures", activated, true, signature_delivery_take},
        {LINK_PIECE, "piece", activated, true, signature_delivery_take_piece},
        {LINK_BUNDLE_DONE, "bundle-done", activated, false, bundle_delivery_take_done},
        {LINK_STATE, "state", true, false, take_state},
    };

    /* What it said before it heard that it is to leave counts no more. */
    if (delivery->goodbye != NULL && message->type != LINK_STATE) {
        message_release(message);
        return 0;
    }
    return message_dispatch(routes, ARRAY_LENGTH(routes), delivery, message);
}

static void handle_messenger(void *user, int fd, uint32_t epoll_events UNUSED)
{
    struct delivery *delivery = user;
    struct message message;
    int r;

    do {
        r = message_receive(fd, delivery->buffer, sizeof delivery->buffer, &message);
        if (r == 1)
            r = take_message(delivery, &message) < 0 ? -EPROTO : 1;
    } while (r == 1 && delivery->socket == fd);
    explicit_bzero(delivery->buffer, sizeof delivery->buffer);
    if (r == -EAGAIN || r == 1 || delivery->socket != fd)
        return;
    if (delivery->configured || delivery_asks_cloud(delivery))
        messenger_process_restart_later(delivery, r);
    else
        messenger_process_restart(delivery); /* it has said goodbye */
}
