#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "agent/watch/exclusions.h"

static bool glob(const char *pattern, const char *text)
{
    return exclusion_glob(pattern, strlen(pattern), text, strlen(text));
}

static struct exclusions *make(const char *const *directories, const char *const *files,
                               const char *const *extensions)
{
    struct exclusion_lists lists = {.directories = directories,
                                    .files = files,
                                    .extensions = extensions};
    struct exclusions *exclusions = NULL;

    assert_int_equal(exclusions_new(&lists, &exclusions), 0);
    return exclusions;
}

static size_t name_length(const char *path)
{
    return strlen(strrchr(path, '/') + 1);
}

static bool directory(const struct exclusions *exclusions, const char *path)
{
    return exclusions_match_directory(exclusions, path, strlen(path), name_length(path));
}

static bool file(const struct exclusions *exclusions, const char *path)
{
    return exclusions_match_file(exclusions, path, strlen(path), name_length(path));
}

static void star_stays_within_a_level(void **state)
{
    (void)state;
    assert_true(glob("*", ""));
    assert_true(glob("*", "anything"));
    assert_true(glob("a*c", "abbbc"));
    assert_true(glob("a*b*c", "aXbYbZc"));
    assert_true(glob("**", "x"));
    assert_true(glob("/srv/*/x", "/srv/user/x"));
    assert_false(glob("/srv/*/x", "/srv/a/b/x"));
    assert_false(glob("*", "a/b"));
    assert_false(glob("a*", "b"));
    assert_false(glob("a*c", "abcd"));
    assert_false(glob("", "x"));
    assert_true(glob("", ""));
    assert_true(glob("/a*/b*", "/axx/byy"));
}

/* Linear-ish: a pattern of many stars must not take exponential time. */
static void many_stars_are_harmless(void **state)
{
    char text[2001];

    (void)state;
    memset(text, 'a', 2000);
    text[2000] = '\0';
    assert_false(glob("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", text));
}

static void directories_by_path_pattern_and_name(void **state)
{
    const char *const list[] = {"/a/b/", "/srv/*/cache", "node_modules/", "build*", NULL};
    struct exclusions *exclusions = make(list, NULL, NULL);

    (void)state;
    assert_true(directory(exclusions, "/a/b"));
    assert_false(directory(exclusions, "/a/bc"));
    assert_false(directory(exclusions, "/a/b/c"));
    assert_true(exclusions_cover_directory(exclusions, "/a/b/c", 6));
    assert_false(exclusions_cover_directory(exclusions, "/a/c", 4));
    assert_true(directory(exclusions, "/srv/user/cache"));
    assert_false(directory(exclusions, "/srv/cache"));
    assert_true(directory(exclusions, "/srv/x/node_modules"));
    assert_true(directory(exclusions, "/srv/build-1"));
    assert_false(file(exclusions, "/srv/node_modules"));
    exclusions_free(exclusions);
}

static void files_by_path_name_and_extension(void **state)
{
    const char *const files[] = {"/a/one", "core", "/var/*/spool", "*.tmp", NULL};
    const char *const extensions[] = {"log", ".mdb", NULL};
    struct exclusions *exclusions = make(NULL, files, extensions);

    (void)state;
    assert_true(file(exclusions, "/a/one"));
    assert_false(file(exclusions, "/b/one"));
    assert_true(file(exclusions, "/any/where/core"));
    assert_false(file(exclusions, "/any/where/core2"));
    assert_true(file(exclusions, "/var/x/spool"));
    assert_false(file(exclusions, "/var/x/y/spool"));
    assert_true(file(exclusions, "/x/a.tmp"));
    assert_true(file(exclusions, "/x/a.log"));
    assert_true(file(exclusions, "/x/a.b.mdb"));
    assert_false(file(exclusions, "/x/a.LOG"));
    assert_false(file(exclusions, "/x/.log"));
    assert_false(file(exclusions, "/x/log"));
    assert_false(file(exclusions, "/x.log/a"));
    assert_false(directory(exclusions, "/x/core"));
    exclusions_free(exclusions);
}

static void thousands_of_patterns_are_found(void **state)
{
    static char texts[3000][32];
    static const char *list[3001];
    struct exclusions *exclusions;

    (void)state;
    for (int i = 0; i < 3000; i++) {
        (void)snprintf(texts[i], sizeof(texts[i]), "/data/%d/", i);
        list[i] = texts[i];
    }
    exclusions = make(list, NULL, NULL);
    assert_true(directory(exclusions, "/data/0"));
    assert_true(directory(exclusions, "/data/2999"));
    assert_false(directory(exclusions, "/data/3000"));
    exclusions_free(exclusions);
}

static void refuses_what_it_cannot_understand(void **state)
{
    const char *const bad[] = {"/ok", "a/b", NULL};
    struct exclusion_lists lists = {.directories = bad};
    struct exclusions *exclusions = NULL;

    (void)state;
    assert_int_equal(exclusion_check_directory("a/b/"), -EINVAL);
    assert_int_equal(exclusion_check_directory("/a/../b"), -EINVAL);
    assert_int_equal(exclusion_check_directory("/a//b"), -EINVAL);
    assert_int_equal(exclusion_check_directory("/a/."), -EINVAL);
    assert_int_equal(exclusion_check_directory(""), -EINVAL);
    assert_int_equal(exclusion_check_directory(".."), -EINVAL);
    assert_int_equal(exclusion_check_directory("/"), 0);
    assert_int_equal(exclusion_check_directory("/a/b"), 0);
    assert_int_equal(exclusion_check_file("/a/"), -EINVAL);
    assert_int_equal(exclusion_check_file("x"), 0);
    assert_int_equal(exclusion_check_extension("a/b"), -EINVAL);
    assert_int_equal(exclusion_check_extension("."), -EINVAL);
    assert_int_equal(exclusion_check_extension("tar.gz"), 0);
    assert_int_equal(exclusions_new(&lists, &exclusions), -EINVAL);
    assert_null(exclusions);
}

static void sameness_is_by_pattern(void **state)
{
    const char *const one[] = {"/a", NULL};
    const char *const two[] = {"/b", NULL};
    struct exclusions *a = make(one, NULL, NULL);
    struct exclusions *b = make(one, NULL, NULL);
    struct exclusions *c = make(two, NULL, NULL);

    (void)state;
    assert_true(exclusions_equal(a, b));
    assert_false(exclusions_equal(a, c));
    exclusions_free(a);
    exclusions_free(b);
    exclusions_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(star_stays_within_a_level),
        cmocka_unit_test(many_stars_are_harmless),
        cmocka_unit_test(directories_by_path_pattern_and_name),
        cmocka_unit_test(files_by_path_name_and_extension),
        cmocka_unit_test(thousands_of_patterns_are_found),
        cmocka_unit_test(refuses_what_it_cannot_understand),
        cmocka_unit_test(sameness_is_by_pattern),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
