/* A heartbeat for which there is no descriptor: the messenger stays, and asks again. The threads
 * are one here: what is posted runs at once. */
#include "agent/delivery/delivery_internal.h"

#include "common/buffers/buffer.h"
#include "common/event_loop/event_loop.h"
#include "common/messages/message.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static int sending; /* what sending answers */
static unsigned sent, restarted;

int __wrap_event_loop_post(struct event_loop *loop, event_post_handler *handler, void *user);
int __wrap_event_loop_post(struct event_loop *loop UNUSED, event_post_handler *handler, void *user)
{
    handler(user);
    return 0;
}

size_t __wrap_command_results_take(
    struct command_results *results,
    struct command_result ret_taken[static LIMIT_HEARTBEAT_COMMANDS]);
size_t __wrap_command_results_take(
    struct command_results *results UNUSED,
    struct command_result ret_taken[static LIMIT_HEARTBEAT_COMMANDS] UNUSED)
{
    return 0;
}

int __wrap_heartbeat_body_write(struct store *store, const struct heartbeat_body *heartbeat,
                                struct buffer *body, bool *ret_more);
int __wrap_heartbeat_body_write(struct store *store UNUSED,
                                const struct heartbeat_body *heartbeat UNUSED, struct buffer *body,
                                bool *ret_more)
{
    *ret_more = false;
    return buffer_append_text(body, "{}");
}

int __wrap_link_send_document(int socket, enum link_type type, const void *bytes, size_t length);
int __wrap_link_send_document(int socket UNUSED, enum link_type type UNUSED,
                              const void *bytes UNUSED, size_t length UNUSED)
{
    sent++;
    return sending;
}

void __wrap_messenger_process_restart_later(struct delivery *delivery, int error);
void __wrap_messenger_process_restart_later(struct delivery *delivery UNUSED, int error UNUSED)
{
    restarted++;
}

static int write_facts(void *user UNUSED, struct buffer *json)
{
    return buffer_append_text(json, "{}");
}

static void ask(struct delivery *delivery, int result)
{
    struct message message = {.fds = {-1, -1}};

    sending = result;
    assert_int_equal(heartbeats_take_want(delivery, &message), 0);
    delivery->beat.waits = false; /* as a post that runs later leaves it */
}

static void only_a_broken_link_ends_the_messenger(void **state UNUSED)
{
    struct delivery *delivery = calloc(1, sizeof *delivery);

    assert_non_null(delivery);
    delivery->options.write_facts = write_facts;
    delivery->activated = true;
    ask(delivery, 0);
    ask(delivery, -EMFILE);
    ask(delivery, -ENFILE);
    assert_int_equal(sent, 3);
    assert_int_equal(restarted, 0);
    ask(delivery, -EPIPE);
    assert_int_equal(restarted, 1);
    free(delivery);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_a_broken_link_ends_the_messenger),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
