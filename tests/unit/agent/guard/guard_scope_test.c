/* Which paths are the guard's business. */
#include "agent/guard/guard_scope.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static int add(struct guard_trees *trees, const char *path)
{
    return guard_trees_add(trees, path, strlen(path));
}

static void trees_hold_what_is_below_them(void **state)
{
    struct guard_scope scope = {0};

    (void)state;
    assert_int_equal(add(&scope.protect, "/srv/www/"), 0);
    assert_int_equal(add(&scope.leave, "/srv/www/cache"), 0);
    assert_true(guard_scope_contains(&scope, "/srv/www"));
    assert_true(guard_scope_contains(&scope, "/srv/www/a/b"));
    assert_false(guard_scope_contains(&scope, "/srv/wwwroot/a"));
    assert_false(guard_scope_contains(&scope, "/srv"));
    assert_false(guard_scope_contains(&scope, "/srv/www/cache/a"));
    assert_true(guard_scope_contains(&scope, "/srv/www/cached"));
    assert_true(guard_scope_contains(&scope, "")); /* too long to be told */
    guard_scope_done(&scope);
}

static void the_root_holds_all(void **state)
{
    struct guard_scope scope = {0};

    (void)state;
    assert_int_equal(add(&scope.protect, "/"), 0);
    assert_true(guard_scope_contains(&scope, "/"));
    assert_true(guard_scope_contains(&scope, "/a"));
    guard_scope_done(&scope);
    assert_false(guard_scope_contains(&scope, "/a"));
}

static void only_absolute_paths_are_trees(void **state)
{
    struct guard_trees trees = {0};

    (void)state;
    assert_int_equal(add(&trees, "srv"), -EINVAL);
    assert_int_equal(add(&trees, ""), -EINVAL);
    assert_int_equal(guard_trees_add(&trees, "/a\0b", 4), -EINVAL);
    assert_int_equal(trees.count, 0);
}

static void the_system_is_where_root_alone_moves_files(void **state)
{
    (void)state;
    assert_true(guard_scope_is_system("/usr/lib/libc.so.6"));
    assert_true(guard_scope_is_system("/etc/passwd"));
    assert_false(guard_scope_is_system("/usrlocal/x"));
    assert_false(guard_scope_is_system("/srv/usr/x"));
    assert_false(guard_scope_is_system("/tmp/x"));
    assert_false(guard_scope_is_system(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trees_hold_what_is_below_them),
        cmocka_unit_test(the_root_holds_all),
        cmocka_unit_test(only_absolute_paths_are_trees),
        cmocka_unit_test(the_system_is_where_root_alone_moves_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
