/* The rules of a request's head, without a socket. */
#include "console/http/request_guard.h"

#include "common/text/text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static const char *const HOSTS[] = {"localhost", "console.test", "::1", NULL};

#define H(name, value)                                   \
    {                                                    \
        name, value, sizeof(name) - 1, sizeof(value) - 1 \
    }

static unsigned check(const char *method, const struct http_header *headers, size_t count,
                      const char **ret_code)
{
    struct request_head head = {.method = method,
                                .target = "/x",
                                .version = "HTTP/1.1",
                                .headers = headers,
                                .header_count = count};
    struct request_guard_result result;
    int r = request_guard_check(&head, HOSTS, &result);
    assert_int_equal(r, result.status ? -EPROTO : 0);
    *ret_code = result.code ? result.code : "";
    return result.status;
}

#define CHECK(method, status, code, ...)                                                    \
    do {                                                                                    \
        const struct http_header headers_[] = {__VA_ARGS__};                                \
        const char *found_;                                                                 \
        assert_int_equal(check(method, headers_, ARRAY_LENGTH(headers_), &found_), status); \
        assert_string_equal(found_, code);                                                  \
    } while (0)

static void takes_what_is_plain(void **state UNUSED)
{
    CHECK("GET", 0, "", H("Host", "localhost"));
    CHECK("GET", 0, "", H("host", "CONSOLE.test:4119"), H("X-Any", "a b\tc"));
    CHECK("POST", 0, "", H("Host", "[::1]:1"), H("Content-Length", "12"));
}

static void refuses_two_meanings(void **state UNUSED)
{
    CHECK("POST", 400, "two_lengths", H("Host", "localhost"), H("Content-Length", "1"),
          H("Transfer-Encoding", "chunked"));
    CHECK("POST", 400, "repeated_header", H("Host", "localhost"), H("Content-Length", "1"),
          H("Content-Length", "1"));
    CHECK("GET", 400, "repeated_header", H("Host", "localhost"), H("HOST", "localhost"));
    CHECK("POST", 411, "length_required", H("Host", "localhost"),
          H("Transfer-Encoding", "chunked"));
    CHECK("PUT", 411, "length_required", H("Host", "localhost"));
}

static void refuses_odd_lengths(void **state UNUSED)
{
    static const char *const bad[] = {"",    "+1", "-1",
                                      "01",  "1 ", "0x1",
                                      "1,1", "1a", "123456789012345678"};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        const struct http_header headers[] = {H("Host", "localhost"),
                                              {"Content-Length", bad[i], 14, strlen(bad[i])}};
        const char *code;
        assert_int_equal(check("POST", headers, 2, &code), 400);
    }
}

static void refuses_foreign_hosts(void **state UNUSED)
{
    CHECK("GET", 400, "host_missing", H("X", "y"));
    CHECK("GET", 400, "host_unknown", H("Host", "evil"));
    CHECK("GET", 400, "host_unknown", H("Host", ""));
    CHECK("GET", 400, "host_unknown", H("Host", "localhost:123456"));
    CHECK("GET", 400, "host_unknown", H("Host", "[::1"));
    CHECK("GET", 400, "host_unknown", H("Host", "[::1]x"));
    const char *const any[] = {"*", NULL};
    const struct http_header headers[] = {H("Host", "whatever")};
    struct request_head head = {"GET", "/", "HTTP/1.1", headers, 1, 0};
    struct request_guard_result result;
    assert_int_equal(request_guard_check(&head, any, &result), 0);
}

static void refuses_control_bytes(void **state UNUSED)
{
    CHECK("GET", 400, "bad_header_value", H("Host", "localhost"), H("X", "a\0b"));
    CHECK("GET", 400, "bad_header_value", H("Host", "localhost"), H("X", "a\rb"));
    CHECK("GET", 400, "bad_header_value", H("Host", "localhost"), H("X", "a "));
    CHECK("GET", 400, "bad_header_name", H("Host", "localhost"), H("X ", "a"));
    CHECK("GET", 400, "bad_header_name", H("Host", "localhost"), H("", "a"));
}

static void compares_the_size_of_the_head(void **state UNUSED)
{
    const struct http_header headers[] = {H("Host", "localhost")};
    struct request_head head = {"GET", "/", "HTTP/1.1", headers, 1, 0};
    struct request_guard_result result;
    head.head_bytes = strlen("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_int_equal(request_guard_check(&head, HOSTS, &result), 0);
    head.head_bytes--;
    assert_int_equal(request_guard_check(&head, HOSTS, &result), -EPROTO);
    assert_string_equal(result.code, "bad_header_line");
}

static void decodes_queries_strictly(void **state UNUSED)
{
    char text[8];
    assert_int_equal(request_guard_decode_query("a%2Fb+c", 7, text, sizeof(text)), 0);
    assert_string_equal(text, "a/b c");
    assert_int_equal(request_guard_decode_query("%e6%ab%93", 9, text, sizeof(text)), 0);
    assert_string_equal(text, "\xe6\xab\x93");
    static const char *const bad[] = {"%",    "%2",  "%zz",  "%00",      "%0a",
                                      "\x01", "%ff", "a%c3", "%ed%a0%80"};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
        assert_int_equal(request_guard_decode_query(bad[i], strlen(bad[i]), text, sizeof(text)),
                         -EINVAL);
    assert_int_equal(request_guard_decode_query("12345678", 8, text, sizeof(text)), -ENAMETOOLONG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_what_is_plain),      cmocka_unit_test(refuses_two_meanings),
        cmocka_unit_test(refuses_odd_lengths),      cmocka_unit_test(refuses_foreign_hosts),
        cmocka_unit_test(refuses_control_bytes),    cmocka_unit_test(compares_the_size_of_the_head),
        cmocka_unit_test(decodes_queries_strictly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
