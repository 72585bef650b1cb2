#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>

#include "agent/watch/told.h"

static void remembers_until_told_to_forget(void **state)
{
    struct told *told = calloc(1, sizeof(*told));

    (void)state;
    assert_non_null(told);
    told_init(told, 1);
    assert_false(told_lately(told, 3, "/a", 2));
    told_note(told, 3, "/a", 2);
    assert_true(told_lately(told, 3, "/a", 2));
    assert_false(told_lately(told, 4, "/a", 2));
    assert_false(told_lately(told, 3, "/b", 2));
    told_forget(told);
    assert_false(told_lately(told, 3, "/a", 2));
    free(told);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(remembers_until_told_to_forget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
