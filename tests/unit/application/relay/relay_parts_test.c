/* application/relay: endpoints, invocations, incidents, events of the Extensions API, rulings out
 * of shared memory. */
#include "application/relay/endpoint.h"
#include "application/relay/extension_client.h"
#include "application/relay/incident.h"
#include "application/relay/invocations.h"
#include "application/relay/ruling.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct endpoint endpoint(const char *method, const char *target)
{
    struct http_head head = {.method = {method, strlen(method)},
                             .target = {target, strlen(target)}};
    return endpoint_of(&head);
}

static void test_endpoints_are_recognised(void **state UNUSED)
{
    struct endpoint found = endpoint("GET", "/2018-06-01/runtime/invocation/next");

    assert_int_equal(found.kind, ENDPOINT_NEXT);
    assert_true(http_text_is(found.prefix, "/2018-06-01"));
    found = endpoint("POST", "/2018-06-01/runtime/invocation/8476a536-e9f4/response");
    assert_int_equal(found.kind, ENDPOINT_RESPONSE);
    assert_true(http_text_is(found.request_id, "8476a536-e9f4"));
    found = endpoint("POST", "/2018-06-01/runtime/invocation/8476a536-e9f4/error");
    assert_int_equal(found.kind, ENDPOINT_ERROR);
    assert_int_equal(endpoint("GET", "/yagura/hello").kind, ENDPOINT_HELLO);
}

static void test_everything_else_passes(void **state UNUSED)
{
    static const struct {
        const char *method, *target;
    } others[] = {{"POST", "/2018-06-01/runtime/init/error"},
                  {"GET", "/2018-06-01/runtime/restore/next"},
                  {"POST", "/2018-06-01/runtime/restore/error"},
                  {"POST", "/2018-06-01/runtime/invocation//response"},
                  {"POST", "/2018-06-01/runtime/invocation/a/b/response"},
                  {"POST", "/2018-06-01/runtime/invocation/next"},
                  {"GET", "/2018-06-01/runtime/invocation/a/response"},
                  {"POST", "/2020-01-01/extension/register"},
                  {"PUT", "/2022-07-01/telemetry"}};

    for (size_t i = 0; i < ARRAY_LENGTH(others); i++)
        assert_int_equal(endpoint(others[i].method, others[i].target).kind, ENDPOINT_OTHER);
}

static void test_a_wait_ends_with_the_invocation(void **state UNUSED)
{
    struct invocations *invocations = NULL;

    assert_int_equal(invocations_new(&invocations), 0);
    assert_false(invocations_wait(invocations, "a", NS_PER_MS));
    invocations_begin(invocations, "a");
    assert_false(invocations_wait(invocations, "a", NS_PER_MS));
    invocations_end(invocations, "a");
    assert_true(invocations_wait(invocations, "a", 0));
    invocations_end(invocations, "blocked");
    assert_true(invocations_wait(invocations, "blocked", 0));
    /* More than are remembered: the oldest is forgotten, nothing else happens. */
    for (unsigned i = 0; i < 2 * RELAY_IN_FLIGHT; i++) {
        char name[16];
        (void)text_format(name, sizeof name, "%u", i);
        invocations_begin(invocations, name);
    }
    assert_false(invocations_wait(invocations, "a", 0));
    (void)invocations_free(invocations);
}

static void test_events_of_the_extensions_api_are_read(void **state UNUSED)
{
    static const char invoke[] = "{\"eventType\":\"INVOKE\",\"deadlineMs\": 676051,"
                                 "\"requestId\" : \"3da1f2dc\",\"tracing\":{\"type\":\"x\"}}";
    static const char shutdown[] = "{\"eventType\": \"SHUTDOWN\", \"deadlineMs\": \"x\"}";
    struct extension_event event;

    extension_event_read(invoke, sizeof invoke - 1, &event);
    assert_false(event.shutdown);
    assert_int_equal(event.deadline_ms, 676051);
    assert_string_equal(event.request_id, "3da1f2dc");
    extension_event_read(shutdown, sizeof shutdown - 1, &event);
    assert_true(event.shutdown);
    assert_int_equal(event.deadline_ms, 0);
    for (size_t length = 0; length < sizeof invoke; length++)
        extension_event_read(invoke, length, &event);
}

static void test_a_ruling_out_of_shared_memory_is_bounded(void **state UNUSED)
{
    struct ruling shared, taken;

    memset(&shared, 'A', sizeof shared);
    ruling_take(&shared, &taken);
    assert_int_equal(taken.finding_count, RULING_FINDINGS);
    assert_int_equal(taken.action, RULING_PASS);
    assert_int_equal(taken.answer_length, 0);
    assert_int_equal(strlen(taken.request.path), sizeof taken.request.path - 1);
    assert_int_equal(strlen(taken.findings[RULING_FINDINGS - 1].excerpt),
                     sizeof taken.findings[0].excerpt - 1);
    /* A block without an answer cannot be carried out. */
    shared.action = RULING_BLOCK;
    ruling_take(&shared, &taken);
    assert_int_equal(taken.action, RULING_REPORT);
}

static void test_an_incident_is_one_object(void **state UNUSED)
{
    AUTO_BUFFER struct buffer json = BUFFER_WITH_MAXIMUM(65536);
    struct incident_function function = {.name = "shop", .version = "3"};
    struct incident_invocation invocation = {.request_id = "r",
                                             .function_arn = "arn",
                                             .trace_id = ""};
    struct ruling ruling = {.is_http = 1, .action = RULING_BLOCK, .score = 5, .finding_count = 1};

    (void)text_copy(ruling.findings[0].protection, 32, "SQL Injection");
    (void)text_copy(ruling.findings[0].excerpt, 32, "\"\\x0a");
    ruling.findings[0].rule = 942100;
    incident_write(&json, &function, &invocation, &ruling);
    assert_int_equal(buffer_failed(&json), 0);
    assert_non_null(strstr(buffer_text(&json), "\"kind\":\"request_blocked\",\"severity\":3"));
    assert_non_null(strstr(buffer_text(&json), "\"rule\":942100"));
    assert_non_null(strstr(buffer_text(&json), "\"excerpt\":\"\\\"\\\\x0a\""));
    assert_null(strchr(buffer_text(&json), '\n'));
    buffer_clear(&json);
    incident_write_uninspected(&json, &function, &invocation, "crashed", false);
    assert_non_null(strstr(buffer_text(&json), "\"kind\":\"request_uninspected\""));
    assert_non_null(strstr(buffer_text(&json), "\"reason\":\"crashed\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_endpoints_are_recognised),
        cmocka_unit_test(test_everything_else_passes),
        cmocka_unit_test(test_a_wait_ends_with_the_invocation),
        cmocka_unit_test(test_events_of_the_extensions_api_are_read),
        cmocka_unit_test(test_a_ruling_out_of_shared_memory_is_bounded),
        cmocka_unit_test(test_an_incident_is_one_object),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
