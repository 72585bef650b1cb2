/* What is remembered of a policy that could not be applied. The threads are one here: what is
 * posted runs at once. */
#include "agent/delivery/delivery_internal.h"

#include "common/event_loop/event_loop.h"
#include "common/messages/message.h"
#include "common/text/text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define DIGEST "d1"

static int applying; /* what applying answers */
static unsigned written, hurried, asked, discarded;

int __wrap_event_loop_post(struct event_loop *loop, event_post_handler *handler, void *user);
int __wrap_event_loop_post(struct event_loop *loop UNUSED, event_post_handler *handler, void *user)
{
    handler(user);
    return 0;
}

int __wrap_link_read_document(int fd, char **ret_text, size_t *ret_length);
int __wrap_link_read_document(int fd UNUSED, char **ret_text, size_t *ret_length)
{
    *ret_text = calloc(1, 1);
    *ret_length = 0;
    return *ret_text != NULL ? 0 : -ENOMEM;
}

int __wrap_identity_judge_key(struct delivery *delivery, const char *document, size_t length,
                              EVP_PKEY **ret_key);
int __wrap_identity_judge_key(struct delivery *delivery UNUSED, const char *document UNUSED,
                              size_t length UNUSED, EVP_PKEY **ret_key UNUSED)
{
    return 0;
}

int __wrap_signed_policy_take(const char *document, size_t length, EVP_PKEY *signing_key,
                              const char *agent_id, const struct console_orders *orders,
                              const char *directory, struct delivered_policy *ret_policy,
                              struct settings_error *ret_error);
int __wrap_signed_policy_take(const char *document UNUSED, size_t length UNUSED,
                              EVP_PKEY *signing_key UNUSED, const char *agent_id UNUSED,
                              const struct console_orders *orders UNUSED,
                              const char *directory UNUSED, struct delivered_policy *ret_policy,
                              struct settings_error *ret_error UNUSED)
{
    *ret_policy =
        (struct delivered_policy){.path = "/new/web.conf", .digest = DIGEST, .revision = 8};
    return 0;
}

void __wrap_signed_policy_discard(const char *directory, const char *path);
void __wrap_signed_policy_discard(const char *directory UNUSED, const char *path UNUSED)
{
    discarded++;
}

const char *__wrap_console_files_directory(const struct console_files *files);
const char *__wrap_console_files_directory(const struct console_files *files UNUSED)
{
    return "/console";
}

int __wrap_console_files_write_orders(struct console_files *files,
                                      const struct console_orders *orders);
int __wrap_console_files_write_orders(struct console_files *files UNUSED,
                                      const struct console_orders *orders UNUSED)
{
    written++;
    return 0;
}

void __wrap_messenger_process_hurry(struct delivery *delivery);
void __wrap_messenger_process_hurry(struct delivery *delivery UNUSED)
{
    hurried++;
}

int __wrap_link_send_plain(int socket, enum link_type type);
int __wrap_link_send_plain(int socket UNUSED, enum link_type type)
{
    asked += type == LINK_WANT_POLICY;
    return 0;
}

static int apply(void *user UNUSED, const char *path UNUSED, struct settings_error *ret_error)
{
    (void)text_copy(ret_error->text, sizeof ret_error->text, applying < 0 ? "it cannot be" : "");
    return applying;
}

static int set_up(void **state)
{
    struct delivery *delivery = calloc(1, sizeof *delivery);

    assert_non_null(delivery);
    delivery->options.apply_policy = apply;
    delivery->activated = true;
    delivery->orders.policy_revision = 7;
    (void)text_copy(delivery->orders.policy_digest, sizeof delivery->orders.policy_digest, "d0");
    written = hurried = asked = discarded = 0;
    *state = delivery;
    return 0;
}

static int tear_down(void **state)
{
    free(*state);
    return 0;
}

static void take(struct delivery *delivery, int result)
{
    struct message message = {.fds = {-1, -1}};

    applying = result;
    assert_int_equal(policy_delivery_take(delivery, &message), 0);
    delivery->application.waits = false; /* as a post that runs later leaves it */
}

/* Whether it is asked for when a heartbeat's answer names it. */
static bool is_asked_for(struct delivery *delivery)
{
    const struct link_beat_done done = {.delivered = true, .policy_digest = DIGEST};

    asked = 0;
    assert_int_equal(policy_delivery_compare(delivery, &done), 0);
    return asked > 0;
}

static void one_that_was_applied_is_in_force(void **state)
{
    struct delivery *delivery = *state;

    take(delivery, 0);
    assert_int_equal(delivery->orders.policy_revision, 8);
    assert_string_equal(delivery->orders.policy_digest, DIGEST);
    assert_int_equal(written, 1);
    assert_false(is_asked_for(delivery));
}

static void one_that_was_refused_is_not_asked_for_again(void **state)
{
    struct delivery *delivery = *state;

    take(delivery, -ENOSPC);
    assert_int_equal(delivery->orders.policy_revision, 8);
    assert_string_equal(delivery->orders.policy_digest, "d0");
    assert_false(is_asked_for(delivery));
    assert_string_equal(delivery->policy_problem, "it cannot be");
}

/* The console hears of the problem with the next heartbeat: one that came at once would only bring
 * the policy again. */
static void one_that_met_a_shortage_is(void **state)
{
    struct delivery *delivery = *state;

    take(delivery, -EMFILE);
    assert_int_equal(delivery->orders.policy_revision, 7);
    assert_string_equal(delivery->orders.policy_digest, "d0");
    assert_string_equal(delivery->policy_problem, "it cannot be");
    assert_int_equal(written + hurried, 0);
    assert_int_equal(discarded, 1);
    assert_true(is_asked_for(delivery));
    take(delivery, 0);
    assert_string_equal(delivery->orders.policy_digest, DIGEST);
    assert_string_equal(delivery->policy_problem, "");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(one_that_was_applied_is_in_force),
        TEST(one_that_was_refused_is_not_asked_for_again),
        TEST(one_that_met_a_shortage_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
