/* application/preload/runtime_rules: patterns, their order, and commands as text. */
#include "application/preload/runtime_rules.h"

#include "common/attributes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static bool matches(const char *pattern, const char *text)
{
    return runtime_rules_match(pattern, strlen(pattern), text);
}

static void test_stars_stand_for_anything(void **state UNUSED)
{
    assert_true(matches("/etc/shadow", "/etc/shadow"));
    assert_false(matches("/etc/shadow", "/etc/shadow-"));
    assert_false(matches("/etc/shadow", "/etc/shado"));
    assert_true(matches("/proc/*/mem", "/proc/self/mem"));
    assert_true(matches("*", ""));
    assert_true(matches("", ""));
    assert_false(matches("", "a"));
    assert_true(matches("*nc *", "/bin/nc -e"));
    assert_false(matches("*nc *", "/bin/sync"));
    assert_true(matches("**a**b", "xaxaxb"));
}

static void test_a_hostile_text_takes_no_time(void **state UNUSED)
{
    char text[4096];

    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_false(matches("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", text));
}

static enum runtime_rule judged(const char *rules, const char *text)
{
    return runtime_rules_judge(rules, strlen(rules), text);
}

static void test_the_first_match_decides(void **state UNUSED)
{
    static const char rules[] = "allow:/etc/passwd;deny:/etc/*;nonsense;allow:*;deny:*";

    assert_int_equal(judged(rules, "/etc/passwd"), RUNTIME_RULE_ALLOW);
    assert_int_equal(judged(rules, "/etc/shadow"), RUNTIME_RULE_DENY);
    assert_int_equal(judged(rules, "/tmp/x"), RUNTIME_RULE_ALLOW);
    assert_int_equal(judged("deny:/etc/*", "/tmp/x"), RUNTIME_RULE_NONE);
    assert_int_equal(judged("", "/tmp/x"), RUNTIME_RULE_NONE);
    assert_int_equal(judged(";;deny:*", "x"), RUNTIME_RULE_DENY);
    /* Nothing is read beyond the length: the rest is somebody else's. */
    assert_int_equal(runtime_rules_judge("deny:/a*;deny:*", 9, "x"), RUNTIME_RULE_NONE);
    assert_int_equal(runtime_rules_judge("deny:x", 5, "x"), RUNTIME_RULE_NONE);
}

static const char *shell_text(const char *path, const char *first, const char *second)
{
    char *argv[] = {(char *)(uintptr_t)path, (char *)(uintptr_t)first, (char *)(uintptr_t)second,
                    NULL};
    return runtime_rules_shell_text(path, argv);
}

static void test_what_a_shell_is_told(void **state UNUSED)
{
    assert_string_equal(shell_text("/bin/sh", "-c", "id"), "id");
    assert_string_equal(shell_text("bash", "-lc", "id"), "id");
    assert_null(shell_text("/bin/sh", "script", "-x"));
    assert_null(shell_text("/bin/sh", "--rcfile", "-x"));
    assert_null(shell_text("/usr/bin/convert", "-c", "a;b"));
    assert_null(runtime_rules_shell_text("/bin/sh", NULL));
}

static void test_a_path_leads_somewhere(void **state UNUSED)
{
    static const struct {
        const char *folder, *path, *expected; /* NULL: nowhere */
    } cases[] = {
        {"", "/etc/shadow", "/etc/shadow"},
        {"/var/task", "/etc/./shadow", "/etc/shadow"},
        {"/var/task", "//etc//shadow", "/etc/shadow"},
        {"/var/task", "/tmp/../etc/shadow/", "/etc/shadow"},
        {"/var/task", "../../etc/shadow", "/etc/shadow"},
        {"/var/task", "../../../../etc/shadow", "/etc/shadow"},
        {"/", "etc/shadow", "/etc/shadow"},
        {"/etc", "shadow", "/etc/shadow"},
        {"/etc", "./x/../shadow", "/etc/shadow"},
        {"/etc", "..", "/"},
        {"/etc", "...", "/etc/..."},
        {"/etc", ".hidden/..b", "/etc/.hidden/..b"},
        {"/etc", "", NULL},
        {"/0123456789012345678", "0123456789", "/0123456789012345678/0123456789"},
        {"/0123456789012345678", "01234567890", NULL},
    };
    char text[32];

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        memcpy(text, cases[i].folder, strlen(cases[i].folder) + 1);
        bool leads = runtime_rules_follow(text, sizeof text, cases[i].path);
        assert_int_equal(leads, cases[i].expected != NULL);
        if (leads)
            assert_string_equal(text, cases[i].expected);
    }
}

static void test_a_command_is_its_program_and_arguments(void **state UNUSED)
{
    char *argv[] = {(char[]){"sh"}, (char[]){"-c"}, (char[]){"id"}, NULL};
    char text[32], small[8];

    runtime_rules_join(text, sizeof text, "/bin/sh", argv);
    assert_string_equal(text, "/bin/sh -c id");
    runtime_rules_join(text, sizeof text, "ls -l", NULL);
    assert_string_equal(text, "ls -l");
    runtime_rules_join(small, sizeof small, "/bin/sh", argv);
    assert_int_equal(strlen(small), 7);
    runtime_rules_join(small, sizeof small, "/b", argv);
    assert_string_equal(small, "/b -c i");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stars_stand_for_anything),
        cmocka_unit_test(test_a_hostile_text_takes_no_time),
        cmocka_unit_test(test_the_first_match_decides),
        cmocka_unit_test(test_what_a_shell_is_told),
        cmocka_unit_test(test_a_path_leads_somewhere),
        cmocka_unit_test(test_a_command_is_its_program_and_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
