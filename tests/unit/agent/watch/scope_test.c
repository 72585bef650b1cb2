#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "agent/watch/scope.h"
#include "agent/watch/watch.h"

static bool contains(const struct scope *scope, const char *path)
{
    return scope_contains(scope, path, strlen(path));
}

static bool leads(const struct scope *scope, const char *path)
{
    return scope_leads(scope, path, strlen(path));
}

static void cleans_and_folds_paths(void **state)
{
    const char *const paths[] = {"/srv//www/a/", "/srv/www", "/home", "/home/x", "/homes", NULL};
    struct watch_options options = {.paths = paths};
    struct scope *scope;

    (void)state;
    assert_int_equal(scope_new(&options, &scope), 0);
    assert_int_equal(scope->path_count, 3);
    assert_true(contains(scope, "/srv/www"));
    assert_true(contains(scope, "/srv/www/a/b"));
    assert_false(contains(scope, "/srv/wwwx"));
    assert_false(contains(scope, "/srv"));
    assert_true(leads(scope, "/srv"));
    assert_true(leads(scope, "/"));
    assert_true(leads(scope, "/srv/www"));
    assert_false(leads(scope, "/srv/www/a"));
    assert_false(leads(scope, "/sr"));
    scope_unref(scope);
}

static void root_holds_everything(void **state)
{
    const char *const paths[] = {"/a", "//", NULL};
    struct watch_options options = {.paths = paths};
    struct scope *scope;

    (void)state;
    assert_int_equal(scope_new(&options, &scope), 0);
    assert_int_equal(scope->path_count, 1);
    assert_true(contains(scope, "/"));
    assert_true(contains(scope, "/x/y"));
    assert_false(leads(scope, "/x"));
    scope_unref(scope);
}

static void refuses_relative_parts(void **state)
{
    static const char *const bad[] = {"a", "", "./a", "/a/..", "/../a", "/a/./b"};
    struct scope *scope = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        const char *const paths[] = {"/ok", bad[i], NULL};
        struct watch_options options = {.paths = paths};

        assert_int_equal(scope_new(&options, &scope), -EINVAL);
    }
    assert_null(scope);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cleans_and_folds_paths),
        cmocka_unit_test(root_holds_everything),
        cmocka_unit_test(refuses_relative_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
