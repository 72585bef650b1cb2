/* common/buffers: the maximum holds, the first error stays, nothing leaks. */
#include "common/buffers/buffer.h"

#include "tests/unit/support/failing_allocator.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_appends_are_one_text(void **state UNUSED)
{
    AUTO_BUFFER struct buffer buffer = BUFFER_WITH_MAXIMUM(1000);

    assert_string_equal(buffer_text(&buffer), "");
    assert_int_equal(buffer_append(&buffer, "", 0), 0);
    assert_int_equal(buffer_append_text(&buffer, "one "), 0);
    assert_int_equal(buffer_append_format(&buffer, "%d %s", 2, "three"), 0);
    assert_int_equal(buffer_append(&buffer, "\0x", 2), 0);
    assert_int_equal(buffer.length, 13);
    assert_memory_equal(buffer.data, "one 2 three\0x", 14);
    assert_int_equal(buffer_failed(&buffer), 0);
}

static void test_the_maximum_is_exact(void **state UNUSED)
{
    AUTO_BUFFER struct buffer buffer = BUFFER_WITH_MAXIMUM(5);

    assert_int_equal(buffer_append(&buffer, "12345", 5), 0);
    assert_true(buffer.capacity <= 6);
    assert_int_equal(buffer_append(&buffer, "", 0), 0);
    assert_int_equal(buffer_append(&buffer, "6", 1), -EMSGSIZE);
    assert_int_equal(buffer_failed(&buffer), -EMSGSIZE);
    assert_null(buffer.data);
}

static void test_the_first_error_stays(void **state UNUSED)
{
    AUTO_BUFFER struct buffer buffer = BUFFER_WITH_MAXIMUM(3);
    char *space = NULL;

    assert_int_equal(buffer_append_format(&buffer, "%s", "four"), -EMSGSIZE);
    assert_int_equal(buffer_append_text(&buffer, "ok"), -EMSGSIZE);
    assert_int_equal(buffer_reserve(&buffer, 1, &space), -EMSGSIZE);
    assert_null(space);
    assert_null(buffer_take(&buffer));
    assert_string_equal(buffer_text(&buffer), "");
    buffer_clear(&buffer);
    assert_int_equal(buffer_append_text(&buffer, "ok"), 0);
    assert_string_equal(buffer_text(&buffer), "ok");
}

static void test_lengths_do_not_wrap(void **state UNUSED)
{
    AUTO_BUFFER struct buffer buffer = BUFFER_WITH_MAXIMUM(SIZE_MAX);
    char *space = NULL;

    assert_int_equal(buffer_append_text(&buffer, "x"), 0);
    assert_int_equal(buffer_reserve(&buffer, SIZE_MAX, &space), -EMSGSIZE);
    buffer_clear(&buffer);
    assert_int_equal(buffer_reserve(&buffer, SIZE_MAX, &space), -EMSGSIZE);
    assert_null(space);
}

static void test_reserve_and_commit(void **state UNUSED)
{
    AUTO_BUFFER struct buffer buffer = BUFFER_WITH_MAXIMUM(100000);
    char *space;

    for (int i = 0; i < 100; i++) {
        assert_int_equal(buffer_reserve(&buffer, 1000, &space), 0);
        memset(space, 'a' + i % 26, 1000);
        buffer_commit(&buffer, 10);
    }
    assert_int_equal(buffer.length, 1000);
    assert_int_equal(strlen(buffer_text(&buffer)), 1000);
    assert_int_equal(buffer.data[999], 'a' + 99 % 26);
}

static void test_consume_drops_the_front(void **state UNUSED)
{
    AUTO_BUFFER struct buffer buffer = BUFFER_WITH_MAXIMUM(100);

    buffer_consume(&buffer, 5);
    assert_int_equal(buffer_append_text(&buffer, "line one\nline two"), 0);
    buffer_consume(&buffer, 0);
    buffer_consume(&buffer, 9);
    assert_string_equal(buffer_text(&buffer), "line two");
    buffer_consume(&buffer, 1000);
    assert_string_equal(buffer_text(&buffer), "");
    assert_int_equal(buffer.length, 0);
}

static void test_take_hands_the_memory_out(void **state UNUSED)
{
    AUTO_BUFFER struct buffer buffer = BUFFER_WITH_MAXIMUM(100);

    assert_int_equal(buffer_append_text(&buffer, "mine"), 0);
    AUTO_FREE char *text = buffer_take(&buffer);
    assert_string_equal(text, "mine");
    assert_null(buffer.data);
    AUTO_FREE char *nothing = buffer_take(&buffer);
    assert_string_equal(nothing, "");
    assert_int_equal(buffer_append_text(&buffer, "again"), 0);
}

static int attempt_many_appends(void *user UNUSED)
{
    AUTO_BUFFER struct buffer buffer = BUFFER_WITH_MAXIMUM(1 << 20);

    for (int i = 0; i < 1000; i++)
        (void)buffer_append_format(&buffer, "%d,", i);
    AUTO_FREE char *text = buffer_take(&buffer);
    assert_int_equal(text == NULL, buffer_failed(&buffer) == -ENOMEM);
    return buffer_failed(&buffer);
}

static void test_out_of_memory_is_one_answer_at_the_end(void **state UNUSED)
{
    /* 256, 512, ... 4096 bytes. */
    assert_int_equal(failing_allocator_each(attempt_many_appends, NULL), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_appends_are_one_text),
        cmocka_unit_test(test_the_maximum_is_exact),
        cmocka_unit_test(test_the_first_error_stays),
        cmocka_unit_test(test_lengths_do_not_wrap),
        cmocka_unit_test(test_reserve_and_commit),
        cmocka_unit_test(test_consume_drops_the_front),
        cmocka_unit_test(test_take_hands_the_memory_out),
        cmocka_unit_test(test_out_of_memory_is_one_answer_at_the_end),
    };

    return cmocka_run_group_tests_name("buffer", tests, NULL, NULL);
}
