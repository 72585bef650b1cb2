/* application/relay/event_guard: what becomes of events that nobody could look into. */
#include "application/relay/event_guard.h"
#include "application/relay/outbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* Inspection does not start: there is no inspector. */
static bool blocks(struct event_guard guard, const char *text)
{
    const struct outbox_options options = {.output_fd = -1};
    struct guarded_event event = {
        .invocation = {.request_id = "r", .trace_id = "", .function_arn = ""},
        .bytes = text,
        .length = strlen(text)};
    static struct ruling ruling;

    guard.function = (struct incident_function){"f", "1", "", ""};
    assert_int_equal(outbox_new(&options, &guard.outbox), 0);
    bool blocked = event_guard_blocks(&guard, &event, &ruling);
    (void)outbox_free(guard.outbox);
    assert_true(!blocked || ruling.answer_length > 0);
    return blocked;
}

#define REQUEST "{\"rawPath\":\"/\",\"requestContext\":{\"http\":{\"method\":\"GET\"}}"

static void test_an_absent_inspector_fails_as_told(void **state UNUSED)
{
    static const char request[] = REQUEST "}";

    assert_true(blocks((struct event_guard){.fail_closed = true}, request));
    assert_false(blocks((struct event_guard){.fail_closed = false}, request));
    assert_false(blocks((struct event_guard){.fail_closed = true, .report_only = true}, request));
    assert_false(blocks((struct event_guard){.fail_closed = true, .off = true}, request));
}

static void test_only_requests_are_refused(void **state UNUSED)
{
    static const struct {
        const char *event;
        bool request;
    } cases[] = {
        {REQUEST ",\"rawQueryString\":\"methodArn=1\","
                 "\"queryStringParameters\":{\"methodArn\":\"1\",\"routeArn\":\"1\"}}",
         true},
        {REQUEST ",\"body\":\"{\\\"methodArn\\\":1}\"}", true},
        {"{\"httpMethod\":\"GET\",\"path\":\"/\",\"requestContext\":{}}", true},
        {"{\"requestContext\":{\"connectionId\":\"a\",\"eventType\":\"MESSAGE\"},"
         "\"body\":\"x\",\"isBase64Encoded\":false}",
         true},
        {"{\"methodArn\":\"a\",\"httpMethod\":\"GET\",\"requestContext\":{}}", false},
        {"{\"routeArn\":\"a\",\"rawPath\":\"/\",\"requestContext\":{}}", false},
        {"{\"Records\":[{\"body\":\"{\\\"requestContext\\\":{},\\\"rawPath\\\":\\\"/\\\"}\"}]}",
         false},
        {"{\"detail\":" REQUEST "}}", false},
        {"[]", false},
        {"", false},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        if (blocks((struct event_guard){.fail_closed = true}, cases[i].event) != cases[i].request)
            fail_msg("%s", cases[i].event);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_absent_inspector_fails_as_told),
        cmocka_unit_test(test_only_requests_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
