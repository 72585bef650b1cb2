/* Which paths matter, and how much. */
#include "agent/integrity/integrity_rules.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const char *const paths[] = {"/etc", "/usr/bin", "/etc/deep/inner", NULL};
static const char *const attributes[] = {"/etc/deep", NULL};
static const char *const logs[] = {"/var/log", NULL};
static const char *const directories[] = {"/etc/skip/", "cache", NULL};
static const char *const files[] = {"*.swp", "/etc/mtab", NULL};
static const char *const critical[] = {"/etc/ssh", NULL};
static const char *const diff[] = {"/etc", NULL};
static const char *const no_diff[] = {"private.conf", NULL};

static const struct integrity_lists lists = {
    .paths = paths,
    .attributes = attributes,
    .logs = logs,
    .exclude_directories = directories,
    .exclude_files = files,
    .critical = critical,
    .diff = diff,
    .no_diff = no_diff,
};

static enum integrity_care care_of(const struct integrity_rules *rules, const char *path)
{
    return integrity_rules_care(rules, path, strlen(path));
}

static bool tells_lines(const struct integrity_rules *rules, const char *path)
{
    return integrity_rules_allow_text(rules, path, strlen(path));
}

static void the_longest_path_decides(void **state)
{
    const struct integrity_rules *rules = *state;

    assert_int_equal(care_of(rules, "/etc/passwd"), CARE_CONTENT);
    assert_int_equal(care_of(rules, "/etc"), CARE_CONTENT);
    assert_int_equal(care_of(rules, "/etcetera"), CARE_NONE);
    assert_int_equal(care_of(rules, "/etc/deep/file"), CARE_ATTRIBUTES);
    assert_int_equal(care_of(rules, "/etc/deep/inner/file"), CARE_CONTENT);
    assert_int_equal(care_of(rules, "/var/log/syslog"), CARE_LOG);
    assert_int_equal(care_of(rules, "/srv/file"), CARE_NONE);
}

static void what_is_excluded_is_left_alone(void **state)
{
    const struct integrity_rules *rules = *state;

    assert_int_equal(care_of(rules, "/etc/skip/file"), CARE_NONE);
    assert_int_equal(care_of(rules, "/etc/a/cache/b/file"), CARE_NONE);
    assert_int_equal(care_of(rules, "/etc/config.swp"), CARE_NONE);
    assert_int_equal(care_of(rules, "/etc/mtab"), CARE_NONE);
}

static void walks_begin_once(void **state)
{
    const char *const *roots = integrity_rules_roots(*state);
    bool found[3] = {false, false, false};
    size_t count = 0;

    for (; roots[count] != NULL; count++) {
        found[0] = found[0] || strcmp(roots[count], "/etc") == 0;
        found[1] = found[1] || strcmp(roots[count], "/usr/bin") == 0;
        found[2] = found[2] || strcmp(roots[count], "/var/log") == 0;
    }
    assert_int_equal(count, 3);
    assert_true(found[0] && found[1] && found[2]);
}

static void secrets_have_no_lines(void **state)
{
    static const char *const secret[] = {
        "/etc/shadow",
        "/etc/shadow-",
        "/etc/ssl/private/host.key",
        "/etc/ssh/ssh_host_rsa_key",
        "/etc/krb5.keytab",
        "/etc/app/.env",
        "/etc/app/db-password.conf",
        "/etc/private.conf",
        "/usr/bin/tool",
    };

    assert_true(tells_lines(*state, "/etc/hosts"));
    for (size_t i = 0; i < sizeof secret / sizeof *secret; i++)
        if (tells_lines(*state, secret[i]))
            fail_msg("lines of %s would be told", secret[i]);
}

static void severe_is_what_is_named(void **state)
{
    assert_true(integrity_rules_are_critical(*state, "/etc/ssh/sshd_config", 20));
    assert_false(integrity_rules_are_critical(*state, "/etc/sshd", 9));
}

static void trees_that_matter_are_reached(void **state)
{
    assert_true(integrity_rules_reach(*state, "/usr", 4));
    assert_true(integrity_rules_reach(*state, "/", 1));
    assert_true(integrity_rules_reach(*state, "/etc/x", 6));
    assert_false(integrity_rules_reach(*state, "/srv", 4));
}

static void a_text_of_rules_covers_the_same(void **state)
{
    static const char *const asked[] = {"/etc/passwd",    "/etc/deep/file", "/etc/skip/file",
                                        "/var/log/x",     "/srv/x",         "/etc/x.swp",
                                        "/etc/deep/inner"};
    struct integrity_rules *again;

    assert_int_equal(integrity_rules_from_text(integrity_rules_text(*state), &again), 0);
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++)
        assert_int_equal(care_of(again, asked[i]), care_of(*state, asked[i]));
    (void)integrity_rules_unref(again);
    assert_int_equal(integrity_rules_from_text("x/etc\n", &again), -EINVAL);
    assert_int_equal(integrity_rules_from_text("pno\n", &again), -EINVAL);
}

static int set_up(void **state)
{
    return integrity_rules_new(&lists, (struct integrity_rules **)state);
}

static int tear_down(void **state)
{
    *state = integrity_rules_unref(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_longest_path_decides),
        cmocka_unit_test(walks_begin_once),
        cmocka_unit_test(secrets_have_no_lines),
        cmocka_unit_test(severe_is_what_is_named),
        cmocka_unit_test(trees_that_matter_are_reached),
        cmocka_unit_test(what_is_excluded_is_left_alone),
        cmocka_unit_test(a_text_of_rules_covers_the_same),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
