/* common/text: bounds, strict numbers, and escapes that hide nothing and lose nothing. */
#include "common/text/text.h"

#include "tests/unit/support/failing_allocator.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_format_says_when_it_does_not_fit(void **state UNUSED)
{
    char text[6];

    assert_int_equal(text_format(text, sizeof text, "%d-%s", 12, "ab"), 5);
    assert_string_equal(text, "12-ab");
    assert_int_equal(text_format(text, sizeof text, "%d-%s", 12, "abc"), -ENAMETOOLONG);
    assert_string_equal(text, "12-ab");
    assert_int_equal(text_format(text, 0, "x"), -ENAMETOOLONG);
    assert_int_equal(text_format(text, 1, "%s", ""), 0);
}

static void test_copy_terminates_always(void **state UNUSED)
{
    char text[4] = "zzz";

    assert_int_equal(text_copy(text, sizeof text, "abc"), 0);
    assert_string_equal(text, "abc");
    assert_int_equal(text_copy(text, sizeof text, "abcd"), -ENAMETOOLONG);
    assert_string_equal(text, "abc");
    assert_int_equal(text_copy(text, 1, "a"), -ENAMETOOLONG);
    assert_string_equal(text, "");
    assert_int_equal(text_copy(text, 0, ""), -ENAMETOOLONG);
}

static void test_numbers_are_whole_and_strict(void **state UNUSED)
{
    static const char *const wrong[] = {"", " 1", "1 ", "+1", "-1", "0x1", "1.0", "1e3", "a", "1a"};
    uint64_t value = 7;

    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        assert_int_equal(text_parse_u64(wrong[i], &value), -EINVAL);
    assert_int_equal(text_parse_u64("18446744073709551616", &value), -ERANGE);
    assert_int_equal(text_parse_u64("99999999999999999999999", &value), -ERANGE);
    assert_int_equal(value, 7);
    assert_int_equal(text_parse_u64("18446744073709551615", &value), 0);
    assert_true(value == UINT64_MAX);
    assert_int_equal(text_parse_u64("007", &value), 0);
    assert_int_equal(value, 7);
}

static void test_sizes_have_binary_units(void **state UNUSED)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } right[] = {{"0", 0},          {"4096", 4096},     {"64K", 65536},
                 {"25M", 26214400}, {"2G", 2147483648}, {"1T", 1ULL << 40}};
    static const char *const wrong[] = {"", "K", "1KB", "1k", "1 K", "1.5M", "1P", "-1K"};
    uint64_t bytes = 7;

    for (size_t i = 0; i < ARRAY_LENGTH(right); i++) {
        assert_int_equal(text_parse_size(right[i].text, &bytes), 0);
        assert_true(bytes == right[i].bytes);
    }
    bytes = 7;
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        assert_int_equal(text_parse_size(wrong[i], &bytes), -EINVAL);
    assert_int_equal(text_parse_size("16777216T", &bytes), -ERANGE);
    assert_int_equal(bytes, 7);
    assert_int_equal(text_parse_size("16777215T", &bytes), 0);
}

static void test_durations_are_nanoseconds(void **state UNUSED)
{
    static const struct {
        const char *text;
        uint64_t ns;
    } right[] = {{"0", 0},
                 {"3", 3000000000},
                 {"500ms", 500000000},
                 {"30s", 30000000000},
                 {"5m", 300000000000},
                 {"12h", 43200000000000},
                 {"7d", 604800000000000}};
    static const char *const wrong[] = {"", "s", "1S", "1 s", "1us", "1.5h", "1w", "-1s", "1sm"};
    uint64_t ns = 7;

    for (size_t i = 0; i < ARRAY_LENGTH(right); i++) {
        assert_int_equal(text_parse_duration(right[i].text, &ns), 0);
        assert_true(ns == right[i].ns);
    }
    ns = 7;
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        assert_int_equal(text_parse_duration(wrong[i], &ns), -EINVAL);
    assert_int_equal(text_parse_duration("213504d", &ns), -ERANGE);
    assert_int_equal(ns, 7);
}

static void test_prefix_and_suffix(void **state UNUSED)
{
    assert_true(text_starts_with("/srv/www", "/srv"));
    assert_true(text_starts_with("a", ""));
    assert_false(text_starts_with("/sr", "/srv"));
    assert_true(text_ends_with("a.conf", ".conf"));
    assert_true(text_ends_with("a", ""));
    assert_false(text_ends_with("conf", ".conf"));
}

static void check_escape(const char *bytes, size_t length, const char *expected)
{
    char escaped[256], back[256];
    size_t back_length;

    assert_int_equal(text_escape(escaped, sizeof escaped, bytes, length), strlen(expected));
    assert_string_equal(escaped, expected);
    if (memchr(bytes, '\0', length) != NULL)
        return;
    assert_int_equal(text_unescape(back, sizeof back, escaped, &back_length), 0);
    assert_int_equal(back_length, length);
    assert_memory_equal(back, bytes, length);
}

#define CHECK_ESCAPE(literal, expected) check_escape(literal, sizeof(literal) - 1, expected)

static void test_escape_shows_what_is_there(void **state UNUSED)
{
    CHECK_ESCAPE("", "");
    CHECK_ESCAPE("plain name.txt", "plain name.txt");
    CHECK_ESCAPE("\xE6\xAB\x93\xF0\x9F\x98\x80", "\xE6\xAB\x93\xF0\x9F\x98\x80");
    CHECK_ESCAPE("a\nb\\c\033[31m\x7F", "a\\x0ab\\x5cc\\x1b[31m\\x7f");
    CHECK_ESCAPE("a\0b", "a\\x00b");
    CHECK_ESCAPE("\xC2\x85", "\\xc2\\x85"); /* NEL, a C1 control */
}

static void test_escape_disarms_what_deceives(void **state UNUSED)
{
    CHECK_ESCAPE("\xE2\x80\xAEgnp.exe", "\\xe2\\x80\\xaegnp.exe"); /* U+202E */
    CHECK_ESCAPE("\xE2\x81\xA6", "\\xe2\\x81\\xa6");               /* U+2066 */
    CHECK_ESCAPE("\xD8\x9C", "\\xd8\\x9c");                        /* U+061C */
    CHECK_ESCAPE("\xE2\x80\x8B", "\\xe2\\x80\\x8b");               /* U+200B, no width */
    CHECK_ESCAPE("\xE2\x80\xA8", "\\xe2\\x80\\xa8");               /* U+2028, line separator */
    CHECK_ESCAPE("\xC2\xA0", "\\xc2\\xa0");                        /* U+00A0 */
    CHECK_ESCAPE("\xEF\xBB\xBF", "\\xef\\xbb\\xbf");               /* U+FEFF */
    CHECK_ESCAPE("\xF3\xA0\x81\x81", "\\xf3\\xa0\\x81\\x81");      /* U+E0041, a tag */
}

static void test_knows_utf8(void **state UNUSED)
{
    static const char *const good[] = {"", "plain", "\xc3\xa9", "\xe6\xab\x93", "\xf0\x9f\x98\x80"};
    static const char *const bad[] = {"\xff", "a\xc3", "\xc0\x80", "\xed\xa0\x80",
                                      "\xf5\x80\x80\x80"};

    for (size_t i = 0; i < ARRAY_LENGTH(good); i++)
        assert_true(text_is_utf8(good[i]));
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
        assert_false(text_is_utf8(bad[i]));
}

static void test_escape_takes_no_invalid_utf8(void **state UNUSED)
{
    CHECK_ESCAPE("\xFF\xFE", "\\xff\\xfe");
    CHECK_ESCAPE("\xC0\x80", "\\xc0\\x80");                   /* overlong NUL */
    CHECK_ESCAPE("\xE0\x80\xAF", "\\xe0\\x80\\xaf");          /* overlong slash */
    CHECK_ESCAPE("\xED\xA0\x80", "\\xed\\xa0\\x80");          /* a surrogate */
    CHECK_ESCAPE("\xF4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"); /* above U+10FFFF */
    CHECK_ESCAPE("\xE6\xAB", "\\xe6\\xab");                   /* cut short */
    CHECK_ESCAPE("\xE6\x41", "\\xe6"
                             "A");
    CHECK_ESCAPE("\x80", "\\x80");
}

static void test_escape_cuts_at_whole_characters(void **state UNUSED)
{
    char text[8];

    assert_int_equal(text_escape(text, 7, "ab\n", 3), 6);
    assert_int_equal(text_escape(text, 6, "ab\n", 3), -ENAMETOOLONG);
    assert_string_equal(text, "ab");
    assert_int_equal(text_escape(text, 4, "a\xE6\xAB\x93", 4), -ENAMETOOLONG);
    assert_string_equal(text, "a");
    assert_int_equal(text_escape(text, 5, "a\xE6\xAB\x93", 4), 4);
    assert_int_equal(text_escape(text, 1, "a", 1), -ENAMETOOLONG);
    assert_string_equal(text, "");
    assert_int_equal(text_escape(text, 0, "", 0), -ENAMETOOLONG);
}

static void test_every_byte_survives_an_escape(void **state UNUSED)
{
    char bytes[255], back[256];
    size_t length;

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i + 1);
    AUTO_FREE char *escaped = text_escape_new(bytes, sizeof bytes);
    assert_non_null(escaped);
    assert_int_equal(text_unescape(back, sizeof back, escaped, &length), 0);
    assert_int_equal(length, sizeof bytes);
    assert_memory_equal(back, bytes, sizeof bytes);
}

static void test_unescape_refuses_broken_escapes(void **state UNUSED)
{
    static const char *const wrong[] = {"\\",  "\\x",   "\\x1",   "\\xg0", "\\x0g",
                                        "\\n", "\\X41", "a\\x00", "\\x 1"};
    char text[16];
    size_t length = 99;

    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        assert_int_equal(text_unescape(text, sizeof text, wrong[i], &length), -EINVAL);
    assert_int_equal(text_unescape(text, 3, "abc", &length), -ENAMETOOLONG);
    assert_int_equal(text_unescape(text, 0, "", &length), -ENAMETOOLONG);
    assert_int_equal(length, 99);
    assert_int_equal(text_unescape(text, 4, "a\\x5Cc", &length), 0);
    assert_string_equal(text, "a\\c");
}

static void test_hex_both_ways(void **state UNUSED)
{
    static const uint8_t bytes[] = {0x00, 0x7F, 0x80, 0xFF};
    uint8_t back[sizeof bytes];
    char hex[2 * sizeof bytes + 1];

    text_hex(hex, bytes, sizeof bytes);
    assert_string_equal(hex, "007f80ff");
    assert_int_equal(text_parse_hex("007F80ff", back, sizeof back), 0);
    assert_memory_equal(back, bytes, sizeof bytes);
    assert_int_equal(text_parse_hex("007f80f", back, sizeof back), -EINVAL);
    assert_int_equal(text_parse_hex("007f80ff0", back, sizeof back), -EINVAL);
    assert_int_equal(text_parse_hex("007f80fg", back, sizeof back), -EINVAL);
    assert_int_equal(text_parse_hex("", back, 0), 0);
}

static int attempt_new_texts(void *user UNUSED)
{
    AUTO_FREE char *formatted = text_format_new("%s %d", "text", 1);
    AUTO_FREE char *escaped = text_escape_new("a\n", 2);

    return formatted != NULL && escaped != NULL ? 0 : -ENOMEM;
}

static void test_new_texts_survive_out_of_memory(void **state UNUSED)
{
    assert_int_equal(failing_allocator_each(attempt_new_texts, NULL), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format_says_when_it_does_not_fit),
        cmocka_unit_test(test_copy_terminates_always),
        cmocka_unit_test(test_numbers_are_whole_and_strict),
        cmocka_unit_test(test_sizes_have_binary_units),
        cmocka_unit_test(test_durations_are_nanoseconds),
        cmocka_unit_test(test_prefix_and_suffix),
        cmocka_unit_test(test_escape_shows_what_is_there),
        cmocka_unit_test(test_escape_disarms_what_deceives),
        cmocka_unit_test(test_knows_utf8),
        cmocka_unit_test(test_escape_takes_no_invalid_utf8),
        cmocka_unit_test(test_escape_cuts_at_whole_characters),
        cmocka_unit_test(test_every_byte_survives_an_escape),
        cmocka_unit_test(test_unescape_refuses_broken_escapes),
        cmocka_unit_test(test_hex_both_ways),
        cmocka_unit_test(test_new_texts_survive_out_of_memory),
    };

    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
