/* Heartbeats and their replies while memory runs out, jansson's too: an error, nothing that leaks,
 * and nothing of a reply that is half read. */
#include "common/wire/wire.h"
#include "tests/unit/support/failing_allocator.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define EPOCH   "018f0000-0000-7000-8000-000000000001"
#define SESSION "018f0000-0000-7000-8000-000000000002"

static int beat(void *user UNUSED)
{
    struct wire_event event = {.number = 7,
                               .time_ms = 12,
                               .id = SESSION,
                               .module = "malware",
                               .kind = "malware_found",
                               .subject = "/srv/a",
                               .detail = "{\"signature\":\"X\"}"};
    struct wire_result result = {.command_id = EPOCH, .good = true, .output = "done"};
    const struct wire_heartbeat heartbeat = {.host = {.hostname = "web-1",
                                                      .machine_id = "m",
                                                      .boot_id = "b",
                                                      .os = "",
                                                      .agent_version = "1",
                                                      .instance_id = "",
                                                      .display_name = ""},
                                             .session = SESSION,
                                             .policy_digest = "",
                                             .policy_problem = "",
                                             .epoch = EPOCH,
                                             .facts = "{\"modules\":{\"a\":[1,2]}}",
                                             .events = &event,
                                             .event_count = 1,
                                             .results = &result,
                                             .result_count = 1};
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(65536);
    struct wire_heartbeat read;
    struct wire_problem problem;
    int r = wire_heartbeat_encode(&heartbeat, &body);

    if (r < 0)
        return r;
    r = wire_heartbeat_decode(buffer_text(&body), body.length, &read, &problem);
    if (r < 0)
        return r;
    assert_int_equal(read.event_count, 1);
    assert_int_equal(read.result_count, 1);
    wire_heartbeat_done(&read);
    return 0;
}

static int reply(void *user UNUSED)
{
    static const char *commands[] = {"{\"document\":\"a\"}", "{\"document\":\"b\"}"};
    struct wire_heartbeat_reply written = {.epoch = EPOCH,
                                           .acknowledged = 3,
                                           .policy_digest = "",
                                           .group_id = SESSION,
                                           .commands = commands,
                                           .command_count = ARRAY_LENGTH(commands)};
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(65536);
    struct wire_heartbeat_reply read;
    struct wire_problem problem;
    int r = wire_heartbeat_reply_encode(&written, &body);

    if (r < 0)
        return r;
    r = wire_heartbeat_reply_decode(buffer_text(&body), body.length, &read, &problem);
    if (r < 0)
        return r;
    assert_int_equal(read.command_count, 2);
    assert_string_equal(read.group_id, SESSION);
    wire_heartbeat_reply_done(&read);
    return 0;
}

static void heartbeats(void **state UNUSED)
{
    assert_true(failing_allocator_each(beat, NULL) > 0);
}

static void replies(void **state UNUSED)
{
    assert_true(failing_allocator_each(reply, NULL) > 0);
}

static int use_failing_allocator(void **state UNUSED)
{
    json_set_alloc_funcs(failing_allocator_malloc, free);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(heartbeats), cmocka_unit_test(replies)};

    return cmocka_run_group_tests(tests, use_failing_allocator, NULL);
}
