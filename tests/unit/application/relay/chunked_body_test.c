/* application/relay/chunked_body: the end is found however the bytes come, trailers included. */
#include "application/relay/chunked_body.h"

#include "application/relay/relay_limits.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const char body[] = "5\r\nhello\r\n1;x=\"y\"\r\n,\r\n6\r\n world\r\n0\r\n"
                           "Lambda-Runtime-Function-Error-Type: x\r\n\r\n";

static void test_every_split_ends_at_the_same_place(void **state UNUSED)
{
    static const char more[] = "GET / HTTP/1.1\r\n";
    char stream[sizeof body + sizeof more];
    size_t length = sizeof body - 1 + sizeof more - 1, used = 0;

    memcpy(stream, body, sizeof body - 1);
    memcpy(stream + sizeof body - 1, more, sizeof more);
    for (size_t cut = 0; cut <= sizeof body - 2; cut++) {
        struct chunked_body state_of_body = {0};
        assert_int_equal(chunked_body_scan(&state_of_body, stream, cut, &used), 0);
        assert_int_equal(used, cut);
        assert_int_equal(chunked_body_scan(&state_of_body, stream + cut, length - cut, &used), 1);
        assert_int_equal(used, sizeof body - 1 - cut);
    }
}

static void test_a_whole_body_is_taken_apart_in_place(void **state UNUSED)
{
    char text[sizeof body];
    size_t length = 0;

    memcpy(text, body, sizeof body);
    assert_int_equal(chunked_body_decode(text, sizeof body - 1, text, &length), 0);
    assert_int_equal(length, 12);
    assert_memory_equal(text, "hello, world", 12);
    memcpy(text, body, sizeof body);
    assert_int_equal(chunked_body_decode(text, sizeof body - 2, text, &length), -EBADMSG);
    assert_int_equal(chunked_body_decode("0\r\n\r\nx", 6, text, &length), -EBADMSG);
}

static void test_broken_bodies_are_refused(void **state UNUSED)
{
    static const char *const wrong[] = {
        "\r\n",         "x\r\n",           "-1\r\n",          " 5\r\nhello\r\n",
        "5\nhello\r\n", "5\r\nhello!\r\n", "5\r\nhello\n\n",  "1000000000000000\r\n",
        "0\r\n\n",      "0\r\nA: b\n\r\n", "0x5\r\nhello\r\n"};
    size_t used = 0;

    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        struct chunked_body state_of_body = {0};
        assert_int_equal(chunked_body_scan(&state_of_body, wrong[i], strlen(wrong[i]), &used),
                         -EBADMSG);
    }
}

static void test_extensions_and_trailers_have_a_limit(void **state UNUSED)
{
    struct chunked_body state_of_body = {0};
    size_t used = 0, rounds = 0;
    int r;

    assert_int_equal(chunked_body_scan(&state_of_body, "0\r\n", 3, &used), 0);
    do
        r = chunked_body_scan(&state_of_body, "A: bcdef\r\n", 10, &used);
    while (r == 0 && rounds++ < RELAY_HEAD_BYTES);
    assert_int_equal(r, -EBADMSG);
    assert_true(rounds < RELAY_HEAD_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_split_ends_at_the_same_place),
        cmocka_unit_test(test_a_whole_body_is_taken_apart_in_place),
        cmocka_unit_test(test_broken_bodies_are_refused),
        cmocka_unit_test(test_extensions_and_trailers_have_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
