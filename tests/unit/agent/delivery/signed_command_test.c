/* A command is done once, for whom it was signed, and before it expires. */
#include "agent/delivery/signed_command.h"

#include "common/buffers/buffer.h"
#include "common/crypto/keys.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "common/wire/wire.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define AGENT   "01a20110-8b87-741b-b374-275c67b8f792"
#define OTHER   "01a20110-8b87-741b-b374-000000000000"
#define COMMAND "01a20110-8c8f-7be4-bdb3-843036f9649c"
#define HOUR_MS 3600000ULL

static EVP_PKEY *key, *foreign;
static struct console_orders orders;

static uint64_t now_ms(void)
{
    return clock_realtime_ns() / NS_PER_MS;
}

static struct wire_command command_of(const char *type, const char *arguments)
{
    return (struct wire_command){.agent_id = AGENT,
                                 .id = COMMAND,
                                 .type = type,
                                 .arguments = arguments,
                                 .issued_ms = now_ms(),
                                 .expires_ms = now_ms() + HOUR_MS};
}

static int take(const struct wire_command *command, EVP_PKEY *signer, char **ret_document)
{
    AUTO_BUFFER struct buffer document = BUFFER_WITH_MAXIMUM(65536);
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(65536);

    assert_int_equal(wire_command_encode(command, &document), 0);
    assert_int_equal(wire_signed_encode(buffer_text(&document), signer, &body), 0);
    return signed_command_take(buffer_text(&body), body.length, key, AGENT, &orders, ret_document);
}

static int set_up(void **state UNUSED)
{
    memset(&orders, 0, sizeof orders);
    return 0;
}

static int make_keys(void **state UNUSED)
{
    return key_new_ed25519(&key) < 0 || key_new_ed25519(&foreign) < 0;
}

static int free_keys(void **state UNUSED)
{
    EVP_PKEY_free(key);
    EVP_PKEY_free(foreign);
    return 0;
}

static void test_a_good_one_is_taken_once(void **state UNUSED)
{
    const struct wire_command command = command_of("heartbeat", "{}");
    char *first = NULL, *again = NULL;

    assert_int_equal(take(&command, key, &first), 0);
    assert_non_null(first);
    assert_int_equal(orders.seen_count, 1);
    assert_int_equal(take(&command, key, &again), -EALREADY);
    assert_string_equal(first, again);
    assert_int_equal(orders.seen_count, 1);
    free(first);
    free(again);
}

static void test_another_ones_is_not(void **state UNUSED)
{
    struct wire_command command = command_of("heartbeat", "{}");
    char *document = NULL;

    assert_int_equal(take(&command, foreign, &document), -EACCES);
    command.agent_id = OTHER;
    assert_int_equal(take(&command, key, &document), -EACCES);
    command = command_of("heartbeat", "{}");
    command.expires_ms = now_ms() - 1;
    assert_int_equal(take(&command, key, &document), -ETIME);
    assert_null(document);
    assert_int_equal(orders.seen_count, 0);
}

static void test_a_changed_byte_is_seen(void **state UNUSED)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(65536);
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(65536);
    const struct wire_command command = command_of("scan", "{\"path\":\"/srv\"}");
    char *document = NULL;

    assert_int_equal(wire_command_encode(&command, &text), 0);
    assert_int_equal(wire_signed_encode(buffer_text(&text), key, &body), 0);
    for (size_t i = 0; i < body.length; i++) {
        body.data[i] ^= 1;
        int r =
            signed_command_take(buffer_text(&body), body.length, key, AGENT, &orders, &document);
        /* The name of the key is advice; the signature's last digit has bits without meaning. */
        if (r == 0) {
            struct wire_command got;
            struct wire_problem problem;
            assert_int_equal(wire_command_decode(document, &got, &problem), 0);
            assert_string_equal(got.type, "scan");
            wire_command_done(&got);
            free(document);
            document = NULL;
            memset(&orders, 0, sizeof orders);
        }
        body.data[i] ^= 1;
    }
    assert_int_equal(signed_command_take(buffer_text(&body), body.length - 1, key, AGENT, &orders,
                                         &document),
                     -EBADMSG);
}

static void test_a_policy_is_no_command(void **state UNUSED)
{
    static const char text[] =
        "{\"purpose\":\"policy\",\"agent_id\":\"" AGENT "\",\"id\":\"" COMMAND
        "\",\"type\":\"scan_full\",\"arguments\":{},\"issued_ms\":1,\"expires_ms\":9999999999999}";
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(65536);
    char *document = NULL;

    assert_int_equal(wire_signed_encode(text, key, &body), 0);
    assert_int_equal(signed_command_take(buffer_text(&body), body.length, key, AGENT, &orders,
                                         &document),
                     -EBADMSG);
}

static void test_a_full_memory_refuses_and_forgets_what_expired(void **state UNUSED)
{
    struct wire_command command = command_of("heartbeat", "{}");
    char *document = NULL;

    orders.seen_count = CONSOLE_SEEN_COMMANDS;
    for (size_t i = 0; i < CONSOLE_SEEN_COMMANDS; i++)
        orders.seen[i].expires_ms = now_ms() + HOUR_MS;
    assert_int_equal(take(&command, key, &document), -ENOBUFS);
    orders.seen[5].expires_ms = now_ms() - 1;
    assert_int_equal(take(&command, key, &document), 0);
    assert_int_equal(orders.seen_count, CONSOLE_SEEN_COMMANDS);
    free(document);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_a_good_one_is_taken_once, set_up),
        cmocka_unit_test_setup(test_another_ones_is_not, set_up),
        cmocka_unit_test_setup(test_a_changed_byte_is_seen, set_up),
        cmocka_unit_test_setup(test_a_policy_is_no_command, set_up),
        cmocka_unit_test_setup(test_a_full_memory_refuses_and_forgets_what_expired, set_up),
    };
    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
