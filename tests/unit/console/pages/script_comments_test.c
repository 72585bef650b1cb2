#include "console/pages/script_comments.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The script stands at the end of its memory, so that reading on would be seen. */
static void expect(const char *script, const char *wanted)
{
    AUTO_BUFFER struct buffer lean = BUFFER_WITH_MAXIMUM(4096);
    size_t length = strlen(script);
    char *exact = malloc(length + 1);

    assert_non_null(exact);
    memcpy(exact + 1, script, length);
    assert_int_equal(script_comments_remove(exact + 1, length, &lean), 0);
    assert_string_equal(buffer_text(&lean), wanted);
    free(exact);
}

static void test_lines_of_comments_go(void **state)
{
    (void)state;
    expect("// a\nlet x;\n  // b\nf();\n", "let x;\nf();\n");
    expect("/** a */\nlet x;\n\t/* b\n * c\n */\nf();\n", "let x;\nf();\n");
    expect("// a", "");
    expect("", "");
}

static void test_code_stays(void **state)
{
    static const char *const scripts[] = {
        "let x; // behind code\n", "let address = \"https://x\"; /* behind code */\n",
        "//x is no sentence\n",    "/",
        "/[/]/.test(x);\n\n",      "no newline at the end",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(scripts); i++)
        expect(scripts[i], scripts[i]);
    expect("/* a */ let x;\n", " let x;\n");
}

static void test_a_comment_without_an_end(void **state)
{
    (void)state;
    expect("f();\n/* never\nends", "f();\n");
    expect("f();\n/*", "f();\n");
    expect("f();\n/*/ not its end\n*/g();\n", "f();\ng();\n");
}

static void test_more_than_may_be(void **state)
{
    AUTO_BUFFER struct buffer lean = BUFFER_WITH_MAXIMUM(4);

    (void)state;
    assert_int_equal(script_comments_remove("longer\n", 7, &lean), -EMSGSIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_of_comments_go),
        cmocka_unit_test(test_code_stays),
        cmocka_unit_test(test_a_comment_without_an_end),
        cmocka_unit_test(test_more_than_may_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
