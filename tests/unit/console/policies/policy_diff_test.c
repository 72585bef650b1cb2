/* The fewest changed lines, in order; and both texts can be put together again from the answer. */
#include "console/policies/policy_diff.h"

#include "common/text/text.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static json_t *diff(const char *from, const char *to)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(1 << 24);
    assert_int_equal(policy_diff_write(from, to, &text), 0);
    json_t *lines = json_loadb(text.data, text.length, 0, NULL);
    assert_true(json_is_array(lines));
    return lines;
}

/* "=a-b+c" for the lines' changes and texts. */
static void expect(const char *from, const char *to, const char *expected)
{
    AUTO_BUFFER struct buffer shown = BUFFER_WITH_MAXIMUM(65536);
    json_t *lines = diff(from, to);
    size_t i;
    const json_t *line;
    json_array_foreach(lines, i, line)
    {
        const char *change = json_string_value(json_object_get(line, "change"));
        assert_int_equal(buffer_append_text(&shown, text_equal(change, "same")      ? "="
                                                    : text_equal(change, "removed") ? "-"
                                                                                    : "+"),
                         0);
        assert_int_equal(
            buffer_append_text(&shown, json_string_value(json_object_get(line, "line"))), 0);
    }
    assert_string_equal(buffer_text(&shown), expected);
    json_decref(lines);
}

static void shows_what_changed(void **state UNUSED)
{
    expect("", "", "");
    expect("a\nb\n", "a\nb\n", "=a=b");
    expect("", "a\n", "+a");
    expect("a", "", "-a");
    expect("a\nb\nc\n", "a\nx\nc\n", "=a-b+x=c");
    expect("a\nb\nc\n", "b\nc\nd\n", "-a=b=c+d");
    expect("a\nb\nc\nd\n", "a\nc\nb\nd\n", "=a-b=c+b=d");
    expect("a\n\n\nb", "a\n\nb", "=a=-=b");
    expect("a", "a\n", "=a"); /* the last line's end is no change of a line */
}

static void a_large_difference_is_replaced_whole(void **state UNUSED)
{
    enum { LINES = 2500 };
    AUTO_BUFFER struct buffer from = BUFFER_WITH_MAXIMUM(1 << 20);
    AUTO_BUFFER struct buffer to = BUFFER_WITH_MAXIMUM(1 << 20);
    for (int i = 0; i < LINES; i++) {
        assert_int_equal(buffer_append_format(&from, "old %d\n", i), 0);
        assert_int_equal(buffer_append_format(&to, "new %d\n", i), 0);
    }
    json_t *lines = diff(buffer_text(&from), buffer_text(&to));
    assert_int_equal(json_array_size(lines), 2 * LINES);
    assert_string_equal(
        json_string_value(json_object_get(json_array_get(lines, LINES - 1), "change")), "removed");
    assert_string_equal(json_string_value(json_object_get(json_array_get(lines, LINES), "line")),
                        "new 0");
    json_decref(lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shows_what_changed),
        cmocka_unit_test(a_large_difference_is_replaced_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
