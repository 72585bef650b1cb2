/* application/relay/http_head: where messages end, and nothing that could be read in two ways. */
#include "application/relay/http_head.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static int request(const char *text, struct http_head *head)
{
    return http_head_parse_request(text, strlen(text), head);
}

static int response(const char *text, struct http_head *head)
{
    return http_head_parse_response(text, strlen(text), false, head);
}

static void test_the_end_of_a_head_is_its_empty_line(void **state UNUSED)
{
    assert_int_equal(http_head_end("", 0), 0);
    assert_int_equal(http_head_end("GET / HTTP/1.1\r\n\r", 17), 0);
    assert_int_equal(http_head_end("GET / HTTP/1.1\r\n\r\nbody", 22), 18);
}

static void test_a_request_is_read(void **state UNUSED)
{
    struct http_head head;

    assert_int_equal(request("GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n"
                             "Host: 127.0.0.1:9009\r\n\r\n",
                             &head),
                     0);
    assert_true(http_text_is(head.method, "GET"));
    assert_true(http_text_is(head.target, "/2018-06-01/runtime/invocation/next"));
    assert_int_equal(head.body, HTTP_BODY_NONE);
    assert_false(head.closes);
    assert_int_equal(
        request("POST /x HTTP/1.1\r\nContent-Length:  12 \r\nConnection: a, Close\r\n\r\n", &head),
        0);
    assert_int_equal(head.body, HTTP_BODY_LENGTH);
    assert_int_equal(head.body_length, 12);
    assert_true(head.closes);
    assert_int_equal(request("POST /x HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n", &head), 0);
    assert_int_equal(head.body, HTTP_BODY_CHUNKED);
    assert_int_equal(request("GET /x HTTP/1.0\r\n\r\n", &head), 0);
    assert_true(head.closes);
}

static void test_what_is_ambiguous_is_refused(void **state UNUSED)
{
    static const char *const wrong[] = {
        "POST /x HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST /x HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "POST /x HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n",
        "POST /x HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
        "POST /x HTTP/1.1\r\nContent-Length: 0x1\r\n\r\n",
        "POST /x HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "POST /x HTTP/1.1\r\nContent-Length:\r\n\r\n",
        "POST /x HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST /x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST /x HTTP/1.1\r\nContent-Length : 1\r\n\r\n",
        "POST /x HTTP/1.1\r\n Content-Length: 1\r\n\r\n",
        "POST /x HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
        "POST /x HTTP/1.1\r\nA: b\nContent-Length: 1\r\n\r\n",
        "POST /x HTTP/2.0\r\n\r\n",
        "POST  HTTP/1.1\r\n\r\n",
        "POST /x y HTTP/1.1\r\n\r\n",
        "/x HTTP/1.1\r\n\r\n",
        "\r\n\r\n",
    };
    struct http_head head;

    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        assert_int_equal(request(wrong[i], &head), -EBADMSG);
}

static void test_a_response_ends_where_the_standard_says(void **state UNUSED)
{
    struct http_head head;

    assert_int_equal(response("HTTP/1.1 202 Accepted\r\nContent-Length: 3\r\n\r\n", &head), 0);
    assert_int_equal(head.status, 202);
    assert_int_equal(head.body, HTTP_BODY_LENGTH);
    assert_int_equal(response("HTTP/1.1 200 \r\n\r\n", &head), 0);
    assert_int_equal(head.body, HTTP_BODY_UNTIL_CLOSE);
    assert_true(head.closes);
    assert_int_equal(response("HTTP/1.1 204 No Content\r\n\r\n", &head), 0);
    assert_int_equal(head.body, HTTP_BODY_NONE);
    assert_false(head.closes);
    assert_int_equal(response("HTTP/1.1 100 Continue\r\n\r\n", &head), 0);
    assert_int_equal(head.body, HTTP_BODY_NONE);
    static const char to_head[] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n";
    assert_int_equal(http_head_parse_response(to_head, sizeof to_head - 1, true, &head), 0);
    assert_int_equal(head.body, HTTP_BODY_NONE);
    assert_int_equal(response("HTTP/1.1 20 OK\r\n\r\n", &head), -EBADMSG);
    assert_int_equal(response("HTTP/1.1 2000 OK\r\n\r\n", &head), -EBADMSG);
    assert_int_equal(response("ICY 200 OK\r\n\r\n", &head), -EBADMSG);
}

static void test_fields_are_found_in_any_case(void **state UNUSED)
{
    static const char text[] =
        "HTTP/1.1 200 OK\r\nLambda-Runtime-Deadline-Ms: \t42 \r\nB: c\r\n\r\n";
    struct http_text value;

    assert_true(http_head_field(text, sizeof text - 1, "lambda-runtime-deadline-ms", &value));
    assert_true(http_text_is(value, "42"));
    assert_false(http_head_field(text, sizeof text - 1, "lambda", &value));
    assert_int_equal(value.length, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_end_of_a_head_is_its_empty_line),
        cmocka_unit_test(test_a_request_is_read),
        cmocka_unit_test(test_what_is_ambiguous_is_refused),
        cmocka_unit_test(test_a_response_ends_where_the_standard_says),
        cmocka_unit_test(test_fields_are_found_in_any_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
