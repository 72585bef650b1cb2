/* event_view.c and request.c: every shape of event, and every kind of body. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "application/events/request.h"
#include "application/limits.h"

struct fixture {
    struct arena arena;
    struct event_view view;
    struct request request;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    *state = &fixture;
    return arena_init(&fixture.arena, APPLICATION_LIMIT_ARENA);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    arena_done(&fixture->arena);
    return 0;
}

static void read_event(struct fixture *fixture, const char *event)
{
    const struct request_options options = {.inflate = true};
    arena_reset(&fixture->arena);
    event_view_read(span_of(event), &fixture->arena, &fixture->view);
    if (fixture->view.kind != EVENT_OTHER)
        request_read(&fixture->view, &options, &fixture->arena, &fixture->request);
}

static void assert_span(struct span span, const char *expected)
{
    if (!span_is(span, expected))
        fail_msg("\"%.*s\" is not \"%s\"", (int)span.length, span.data, expected);
}

/* The one value of a list under name. */
static struct span value_of(const struct request *request, enum request_list list, const char *name)
{
    for (size_t i = 0; i < request->lists[list].count; i++) {
        if (span_is(request->lists[list].values[i].name, name))
            return request->lists[list].values[i].text;
    }
    fail_msg("no %s", name);
    return SPAN_NONE;
}

static void test_rest(void **state)
{
    struct fixture *fixture = *state;
    read_event(fixture,
               "{\"resource\":\"/{proxy+}\",\"path\":\"/a%20b\",\"httpMethod\":\"GET\","
               "\"headers\":{\"Host\":\"x\"},\"multiValueHeaders\":{\"Host\":[\"h.example\"],"
               "\"Cookie\":[\" a=1; b=\\\"2\\\" \"]},"
               "\"queryStringParameters\":{\"q\":\"last\"},"
               "\"multiValueQueryStringParameters\":{\"q\":[\"1 & 2=\\u00e9\",\"last\"]},"
               "\"requestContext\":{\"identity\":{\"sourceIp\":\"192.0.2.1\"},\"requestId\":\"r\"},"
               "\"body\":null,\"isBase64Encoded\":false}");
    assert_int_equal(fixture->view.kind, EVENT_REST);
    assert_true(fixture->view.multi_value);
    assert_span(fixture->view.query, "q=1%20%26%202%3D%C3%A9&q=last");
    assert_span(fixture->view.host, "h.example");
    assert_span(fixture->view.source, "192.0.2.1");
    assert_span(fixture->view.route, "/{proxy+}");
    assert_span(value_of(&fixture->request, REQUEST_ARGUMENTS_GET, "q"), "1 & 2=\xc3\xa9");
    assert_int_equal(fixture->request.lists[REQUEST_ARGUMENTS_GET].count, 2);
    assert_span(value_of(&fixture->request, REQUEST_COOKIES, "b"), "\"2\"");
    assert_span(fixture->request.lists[REQUEST_FILENAME].values[0].text, "/a b");
    assert_span(fixture->request.lists[REQUEST_BASENAME].values[0].text, "a b");
}

static void test_http_api(void **state)
{
    struct fixture *fixture = *state;
    read_event(
        fixture,
        "{\"version\":\"2.0\",\"routeKey\":\"$default\",\"rawPath\":\"/p\","
        "\"rawQueryString\":\"a=%27+b&a\",\"cookies\":[\"c=1\",\"d=2\"],"
        "\"headers\":{\"content-type\":\"application/x-www-form-urlencoded\"},"
        "\"requestContext\":{\"domainName\":\"i.execute-api.example\",\"http\":{\"method\":\"POST\","
        "\"path\":\"/p\",\"sourceIp\":\"192.0.2.2\"}},\"body\":\"eD0xJnk9JTNj\","
        "\"isBase64Encoded\":true}");
    assert_int_equal(fixture->view.kind, EVENT_HTTP_API);
    assert_span(value_of(&fixture->request, REQUEST_ARGUMENTS_GET, "a"), "' b");
    assert_span(value_of(&fixture->request, REQUEST_ARGUMENTS_POST, "y"), "<");
    assert_span(value_of(&fixture->request, REQUEST_COOKIES, "d"), "2");
    assert_span(fixture->view.host, "i.execute-api.example");
}

static void test_load_balancer(void **state)
{
    struct fixture *fixture = *state;
    read_event(fixture,
               "{\"requestContext\":{\"elb\":{\"targetGroupArn\":\"a\"}},\"httpMethod\":\"GET\","
               "\"path\":\"/\",\"queryStringParameters\":{\"a\":\"%3Cb\"},\"headers\":{"
               "\"x-forwarded-for\":\"203.0.113.1, 192.0.2.3\"},\"body\":\"\"}");
    assert_int_equal(fixture->view.kind, EVENT_LOAD_BALANCER);
    assert_span(value_of(&fixture->request, REQUEST_ARGUMENTS_GET, "a"), "<b");
    assert_span(fixture->view.source, "192.0.2.3");
}

/* The client's own header comes first, the load balancer's last. */
static void test_forwarded_twice(void **state)
{
    struct fixture *fixture = *state;
    read_event(fixture,
               "{\"requestContext\":{\"elb\":{\"targetGroupArn\":\"a\"}},\"httpMethod\":\"GET\","
               "\"path\":\"/\",\"multiValueHeaders\":{\"X-Forwarded-For\":[\"198.51.100.1\","
               "\"203.0.113.1, 192.0.2.3\"]},\"body\":\"\"}");
    assert_span(fixture->view.source, "192.0.2.3");
}

static void test_others_pass(void **state)
{
    static const char *const others[] = {
        "{\"Records\":[{\"eventSource\":\"aws:s3\"}]}",
        "{\"type\":\"REQUEST\",\"methodArn\":\"a\",\"httpMethod\":\"GET\",\"path\":\"/\","
        "\"requestContext\":{}}",
        "{\"version\":\"2.0\",\"type\":\"REQUEST\",\"routeArn\":\"a\","
        "\"requestContext\":{\"http\":{\"method\":\"GET\"}}}",
        "[]",
        "",
        "{\"requestContext\":{\"http\":{\"method\":\"GET\"}}",
        "\"text\"",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++) {
        read_event(*state, others[i]);
        assert_int_equal(((struct fixture *)*state)->view.kind, EVENT_OTHER);
    }
}

/* An HTTP API event with a body, which must need no escapes but those it has. */
static const char *with_body(const char *type, const char *body)
{
    static char event[4096];
    assert_true(
        snprintf(event, sizeof(event),
                 "{\"version\":\"2.0\",\"rawPath\":\"/\",\"headers\":{\"content-type\":\"%s\"},"
                 "\"requestContext\":{\"http\":{\"method\":\"POST\"}},\"body\":\"%s\"}",
                 type, body) < (int)sizeof(event));
    return event;
}

static void test_json_names(void **state)
{
    struct fixture *fixture = *state;
    read_event(
        fixture,
        with_body(
            "application/json; charset=utf-8",
            "{\\\"a\\\":{\\\"b\\\":\\\"x\\\\u0027\\\"},\\\"l\\\":[1,[true,null]],\\\"n\\\":-1.5e3}"));
    assert_span(value_of(&fixture->request, REQUEST_ARGUMENTS_POST, "json.a.b"), "x'");
    assert_span(value_of(&fixture->request, REQUEST_ARGUMENTS_POST, "json.l.array_0"), "1");
    assert_span(value_of(&fixture->request, REQUEST_ARGUMENTS_POST, "json.n"), "-1.5e3");
    assert_false(fixture->request.body_malformed);
    assert_int_equal(fixture->request.lists[REQUEST_ARGUMENTS_POST].count, 5);
    read_event(fixture, with_body("application/json", "{\\\"a\\\":1,"));
    assert_true(fixture->request.body_malformed);
    assert_span(value_of(&fixture->request, REQUEST_ARGUMENTS_POST, "json.a"), "1");
}

static void test_xml(void **state)
{
    struct fixture *fixture = *state;
    read_event(fixture, with_body("text/xml",
                                  "<?xml?><!DOCTYPE a [<!ENTITY b 'c'>]><a k='1 &lt;'>x<!-- n -->"
                                  "<b/>&#x41;&b;<![CDATA[<y>]]></a>"));
    assert_span(fixture->request.lists[REQUEST_XML_TEXT].values[0].text, "xA&b;<y>");
    assert_span(fixture->request.lists[REQUEST_XML_ATTRIBUTES].values[0].text, "1 <");
}

static void test_multipart(void **state)
{
    struct fixture *fixture = *state;
    read_event(
        fixture,
        with_body("multipart/form-data; boundary=\\\"b1\\\"",
                  "--b1\\r\\nContent-Disposition: form-data; name=\\\"t\\\"\\r\\n\\r\\nvalue\\r\\n"
                  "--b1\\r\\nContent-Disposition: form-data; name=f; filename=\\\"a;b.php\\\"\\r\\n"
                  "Content-Type: image/png\\r\\n\\r\\n<?php --b1 ?>\\r\\n--b1--\\r\\n"));
    assert_span(value_of(&fixture->request, REQUEST_ARGUMENTS_POST, "t"), "value");
    assert_span(value_of(&fixture->request, REQUEST_FILES, "f"), "a;b.php");
    assert_int_equal(fixture->request.upload_count, 1);
    assert_span(fixture->request.uploads[0].content, "<?php --b1 ?>");
    assert_span(fixture->request.uploads[0].type, "image/png");
    assert_false(fixture->request.body_malformed);
    assert_int_equal(fixture->request.lists[REQUEST_PART_HEADERS].count, 3);
}

static void test_deep_and_many(void **state)
{
    struct fixture *fixture = *state;
    char body[1200];
    memset(body, '[', sizeof(body) - 1);
    body[sizeof(body) - 1] = '\0';
    read_event(fixture, with_body("application/json", body));
    assert_true(fixture->request.partial);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rest),
        cmocka_unit_test(test_http_api),
        cmocka_unit_test(test_forwarded_twice),
        cmocka_unit_test(test_load_balancer),
        cmocka_unit_test(test_others_pass),
        cmocka_unit_test(test_json_names),
        cmocka_unit_test(test_xml),
        cmocka_unit_test(test_multipart),
        cmocka_unit_test(test_deep_and_many),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
