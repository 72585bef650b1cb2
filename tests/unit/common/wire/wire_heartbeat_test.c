/* A heartbeat and its reply: written and read again, and the words and ids they may hold. */
#include "common/text/text.h"
#include "common/wire/wire.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define EPOCH   "018f0000-0000-7000-8000-000000000001"
#define SESSION "018f0000-0000-7000-8000-000000000002"
#define DIGEST  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void a_reply_is_written_as_the_protocol_says(void **state UNUSED)
{
    static const char *commands[] = {"{\"document\":\"a\"}", "{\"document\":\"b\"}"};
    struct wire_heartbeat_reply reply = {.epoch = EPOCH,
                                         .acknowledged = UINT64_MAX,
                                         .server_ms = 1795318400000,
                                         .policy_digest = DIGEST};
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(4096);
    assert_int_equal(wire_heartbeat_reply_encode(&reply, &body), 0);
    assert_string_equal(buffer_text(&body),
                        "{\"server_ms\":1795318400000,\"next_seconds\":0,\"acknowledged\":"
                        "{\"epoch\":\"" EPOCH "\",\"number\":18446744073709551615},"
                        "\"policy_digest\":\"" DIGEST "\",\"renew\":false,\"commands\":[]}");
    reply.renew = true;
    reply.policy_digest = "a\"b";
    reply.commands = commands;
    reply.command_count = ARRAY_LENGTH(commands);
    reply.acknowledged = reply.next_seconds = 10;
    buffer_clear(&body);
    assert_int_equal(wire_heartbeat_reply_encode(&reply, &body), 0);
    assert_string_equal(buffer_text(&body),
                        "{\"server_ms\":1795318400000,\"next_seconds\":10,\"acknowledged\":"
                        "{\"epoch\":\"" EPOCH "\",\"number\":10},\"policy_digest\":\"a\\\"b\","
                        "\"renew\":true,\"commands\":[{\"document\":\"a\"},{\"document\":\"b\"}]}");
    struct wire_heartbeat_reply read;
    struct wire_problem problem;
    assert_int_equal(wire_heartbeat_reply_decode(buffer_text(&body), body.length, &read, &problem),
                     0);
    assert_string_equal(read.policy_digest, "a\"b");
    assert_int_equal(read.acknowledged, 10);
    assert_int_equal(read.command_count, 2);
    assert_true(read.renew);
    assert_null(read.group_id);
    assert_int_equal(read.wait_seconds, 0); /* of a console that holds no requests */
    wire_heartbeat_reply_done(&read);
    reply.group_id = EPOCH;
    reply.wait_seconds = 50;
    buffer_clear(&body);
    assert_int_equal(wire_heartbeat_reply_encode(&reply, &body), 0);
    assert_int_equal(wire_heartbeat_reply_decode(buffer_text(&body), body.length, &read, &problem),
                     0);
    assert_string_equal(read.group_id, EPOCH);
    assert_int_equal(read.wait_seconds, 50);
    wire_heartbeat_reply_done(&read);
    struct buffer small = BUFFER_WITH_MAXIMUM(100);
    assert_int_equal(wire_heartbeat_reply_encode(&reply, &small), -EMSGSIZE);
    buffer_done(&small);
}

static void a_heartbeat_comes_back_as_it_was(void **state UNUSED)
{
    struct wire_event event = {.number = 7,
                               .time_ms = 12,
                               .severity = 4,
                               .id = SESSION,
                               .module = "malware",
                               .kind = "malware_found",
                               .subject = "/srv/\"a\" \\ b\n\xe2\x80\xae",
                               .detail = "{\"signature\":\"X, \\\"Y\\\"\"}"};
    const struct wire_heartbeat heartbeat = {.host = {.hostname = "web-1",
                                                      .machine_id = "m",
                                                      .boot_id = "b",
                                                      .os = "",
                                                      .agent_version = "1",
                                                      .instance_id = "",
                                                      .display_name = ""},
                                             .session = SESSION,
                                             .policy_digest = "",
                                             .policy_problem = "line 3",
                                             .epoch = EPOCH,
                                             .dropped = 3,
                                             .acknowledged = 11,
                                             .facts = "{\"modules\":{\"a\":[1,2]}}",
                                             .events = &event,
                                             .event_count = 1};
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(65536);
    struct wire_heartbeat read;
    struct wire_problem problem;
    assert_int_equal(wire_heartbeat_encode(&heartbeat, &body), 0);
    assert_int_equal(wire_heartbeat_decode(buffer_text(&body), body.length, &read, &problem), 0);
    assert_string_equal(read.host.hostname, "web-1");
    assert_string_equal(read.epoch, EPOCH);
    assert_string_equal(read.facts, heartbeat.facts);
    assert_int_equal(read.dropped, 3);
    assert_int_equal(read.acknowledged, 11);
    assert_int_equal(read.event_count, 1);
    assert_string_equal(read.events[0].subject, event.subject);
    assert_string_equal(read.events[0].detail, event.detail);
    wire_heartbeat_done(&read);
}

static void words_and_ids_are_told_from_others(void **state UNUSED)
{
    char word[66];
    memset(word, 'a', sizeof(word));
    word[65] = '\0';
    assert_false(wire_is_word(word));
    word[64] = '\0';
    assert_true(wire_is_word(word));
    static const char *const words[] = {"", "_a", "9a", "aB", "a-b", "a ", "\xc3\xa9"};
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
        assert_false(wire_is_word(words[i]));
    assert_true(wire_is_word("z_09"));
    char id[38] = EPOCH "0";
    assert_false(wire_is_uuid(id));
    id[36] = '\0';
    assert_true(wire_is_uuid(id));
    for (size_t i = 0; i < 36; i++) {
        static const char wrong[] = {'\0', 'g', 'A', '/', ':', '`', ' '};
        for (size_t j = 0; j < ARRAY_LENGTH(wrong); j++) {
            char other[37] = EPOCH;
            other[i] = wrong[j];
            assert_false(wire_is_uuid(other));
        }
        char other[37] = EPOCH;
        other[i] = other[i] == '-' ? '0' : '-';
        assert_false(wire_is_uuid(other));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reply_is_written_as_the_protocol_says),
        cmocka_unit_test(a_heartbeat_comes_back_as_it_was),
        cmocka_unit_test(words_and_ids_are_told_from_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
