/* transformations.c: each as the rule language's manual says, byte for byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "application/detection/sha256.h"
#include "application/detection/transformations.h"
#include "common/text/text.h"

static const struct {
    const char *name;
    const char *text;
    const char *expected;
} cases[] = {
    {"none", "a", "a"},
    {"base64Decode", "YWJj\nZGU=", "abcde"},
    {"base64Decode", "YWJj*", "abc"},
    {"cmdLine", "\"C^md\"  /c,;'ls'\\ (x", "cmd/c ls(x"},
    {"compressWhitespace", "a \t\n b  ", "a b "},
    {"cssDecode", "ja\\76 ascript\\00000a\\z\\", "javascript\nz"},
    {"cssDecode", "\\ff41x", "ax"},
    {"escapeSeqDecode", "\\x41\\101\\n\\t\\\\\\q\\", "AA\n\t\\\\q\\"},
    {"escapeSeqDecode", "\\xzz\\x4\\400", "\\xzz\\x4 0"},
    {"hexDecode", "4a4b", "JK"},
    {"hexEncode", "JK", "4a4b"},
    {"htmlEntityDecode", "&lt;&#x41;&#65&amp;&nope;&", "<AA&&nope;&"},
    {"jsDecode", "\\u0041\\x42\\103\\n\\q\\400\\", "ABC\nq 0\\"},
    {"length", "abcdefghijkl", "12"},
    {"lowercase", "aBC\xc3\x89", "abc\xc3\x89"},
    {"normalizePath", "/a//b/./../c/", "/a/c/"},
    {"normalizePath", "a/../../b", "../b"},
    {"normalizePath", "/../../etc/passwd", "/etc/passwd"},
    {"normalizePathWin", "\\a\\..\\b", "/b"},
    {"removeCommentsChar", "a/*b*/c--d#e<!--f-->g", "abcdefg"},
    {"removeWhitespace", " a\tb ", "ab"},
    {"replaceComments", "a/*x*/b/*y", "a b "},
    {"trim", " a b ", "a b"},
    {"uppercase", "aBc", "ABC"},
    {"urlDecode", "%41+%4", "A %4"},
    {"urlDecodeUni", "%u0041%uff21%41%uzz", "AAA%uzz"},
    {"utf8toUnicode", "a\xc3\xa9\xff", "a%u00e9\xff"},
};

static void test_each(void **state)
{
    (void)state;
    struct arena arena;
    assert_int_equal(arena_init(&arena, 1 << 20), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        enum transformation which = transformation_of(span_of(cases[i].name));
        assert_int_not_equal(which, TRANSFORM_COUNT);
        struct span result = transform(which, &arena, span_of(cases[i].text));
        if (!span_is(result, cases[i].expected))
            fail_msg("%s of \"%s\" is \"%.*s\"", cases[i].name, cases[i].text, (int)result.length,
                     result.data);
    }
    arena_done(&arena);
}

static void test_nulls(void **state)
{
    (void)state;
    static const char text[] = "a\0b\0";
    struct arena arena;
    assert_int_equal(arena_init(&arena, 1 << 20), 0);
    struct span nulls = {text, sizeof(text) - 1};
    assert_true(span_is(transform(TRANSFORM_REMOVE_NULLS, &arena, nulls), "ab"));
    assert_true(span_is(transform(TRANSFORM_REPLACE_NULLS, &arena, nulls), "a b "));
    arena_done(&arena);
}

static void test_unknown_names(void **state)
{
    (void)state;
    assert_int_equal(transformation_of(SPAN("rot13")), TRANSFORM_COUNT);
    assert_int_equal(transformation_of(SPAN("")), TRANSFORM_COUNT);
}

static void test_nothing_fits(void **state)
{
    (void)state;
    struct arena arena;
    char text[8192];
    memset(text, '%', sizeof(text));
    assert_int_equal(arena_init(&arena, 4096), 0);
    struct span result = transform(TRANSFORM_URL_DECODE, &arena, (struct span){text, sizeof(text)});
    assert_null(result.data);
    assert_true(arena.exhausted);
    arena_done(&arena);
}

static void test_sha256(void **state)
{
    (void)state;
    uint8_t digest[32];
    char hex[65];
    char many[200];
    sha256_of(SPAN("abc"), digest);
    text_hex(hex, digest, 32);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    sha256_of(SPAN(""), digest);
    text_hex(hex, digest, 32);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    memset(many, 'a', sizeof(many));
    sha256_of((struct span){many, 119}, digest);
    text_hex(hex, digest, 32);
    assert_string_equal(hex, "31eba51c313a5c08226adf18d4a359cfdfd8d2e816b13f4af952f7ea6584dcfb");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nulls),  cmocka_unit_test(test_unknown_names),
        cmocka_unit_test(test_each),   cmocka_unit_test(test_nothing_fits),
        cmocka_unit_test(test_sha256),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
