#include "console/signatures/reserved_name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static bool has(const char *text)
{
    struct reserved_name reserved = RESERVED_NAME_INIT;
    bool whole = reserved_name_find(&reserved, text, strlen(text));

    /* By single bytes it is the same. */
    reserved = (struct reserved_name)RESERVED_NAME_INIT;
    for (const char *at = text; *at != '\0'; at++)
        (void)reserved_name_find(&reserved, at, 1);
    assert_true(reserved_name_find(&reserved, "", 0) == whole);
    return whole;
}

static void test_names(void **state)
{
    (void)state;
    assert_true(has("Yagura.Denied.x:0:*:616263"));
    assert_true(has("Good.One:0:*:616263\nYagura.Denied.x:0:*:616263\n"));
    assert_true(has("Yagura.Denied.x;Engine:81-255;0;616263"));
    assert_true(has("0123456789abcdef0123456789abcdef:3:Yagura.Denied.x\n"));
    assert_false(has("Good.One:0:*:616263\nOther.Yagura.Denied:0:*:616263\n"));
    assert_false(has("yagura.denied:0:*:616263"));
    assert_false(has("YYagura.Denied:0:*:616263"));
    assert_false(has("Yagura"));
    assert_false(has(""));
}

static void test_its_line(void **state)
{
    (void)state;
    struct reserved_name reserved = RESERVED_NAME_INIT;
    const char text[] = "A:0:*:61\nB:0:*:61\nYagura.C:0:*:61\nD:0:*:61\n";
    char problem[128] = "";

    assert_true(reserved_name_find(&reserved, text, strlen(text)));
    reserved_name_tell(&reserved, problem, sizeof problem);
    assert_non_null(strstr(problem, "line 3:"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_names),
                                       cmocka_unit_test(test_its_line)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
