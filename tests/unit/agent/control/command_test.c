/* command.c and display.c: the command line by its table, and texts that cannot harm a terminal. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "agent/control/command.h"
#include "agent/control/display.h"
#include "common/text/text.h"
#include "common/time/clock.h"

static int run(const struct invocation *invocation)
{
    (void)invocation;
    return EXIT_CLEAN;
}

static const struct command_option scan_options[] = {
    {"all", 'a', NULL, NULL, "-"},
    {"within", 'w', "TIME", NULL, "-"},
    {NULL, 0, NULL, NULL, NULL},
};
static const struct command scan = {.name = "scan",
                                    .arguments = "PATH...",
                                    .least = 1,
                                    .most = 3,
                                    .summary = "-",
                                    .options = scan_options,
                                    .run = run};
static const struct command list = {
    .name = "box list", .arguments = "", .summary = "-", .run = run};
static const struct command show = {
    .name = "box show", .arguments = "ID", .least = 1, .most = 1, .summary = "-", .run = run};
static const struct command *const table[] = {&scan, &list, &show, NULL};

/* Splits at blanks and parses. */
static int parse(const char *line, struct invocation *invocation)
{
    static char words[512];
    static char *argv[32];
    int argc = 0;
    (void)text_copy(words, sizeof(words), line);
    for (char *rest = words; rest != NULL;)
        argv[argc++] = strsep(&rest, " ");
    argv[argc] = NULL;
    commands = table;
    return command_parse(argc, argv, invocation);
}

static void test_commands_and_options(void **state)
{
    (void)state;
    struct invocation invocation;
    assert_int_equal(parse("yaguractl -s /s scan -a /x --within 5d /y", &invocation), 0);
    assert_ptr_equal(invocation.command, &scan);
    assert_string_equal(command_option(&invocation, "socket"), "/s");
    assert_true(command_has(&invocation, "all"));
    assert_string_equal(command_option(&invocation, "within"), "5d");
    assert_false(command_has(&invocation, "json"));
    assert_false(command_has(&invocation, "no such option"));
    assert_int_equal(invocation.argument_count, 2);
    assert_string_equal(invocation.arguments[0], "/x");
    assert_string_equal(invocation.arguments[1], "/y");

    assert_int_equal(parse("yaguractl box show --json 1234 --socket=/t", &invocation), 0);
    assert_ptr_equal(invocation.command, &show);
    assert_true(invocation.json);
    assert_string_equal(command_option(&invocation, "socket"), "/t");
    assert_string_equal(invocation.arguments[0], "1234");

    assert_int_equal(parse("yaguractl scan -- -a --json", &invocation), 0);
    assert_int_equal(invocation.argument_count, 2);
    assert_false(invocation.json);
    assert_false(command_has(&invocation, "all"));
}

static void test_refusals(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "yaguractl",
        "yaguractl scna /x",
        "yaguractl box",
        "yaguractl box lst",
        "yaguractl scan",
        "yaguractl scan 1 2 3 4",
        "yaguractl box list extra",
        "yaguractl scan --al /x --nothing",
        "yaguractl scan --within",
        "yaguractl scan -z /x",
        "yaguractl --nothing scan /x",
        "yaguractl -a scan /x",
        "yaguractl -s",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(lines); i++) {
        struct invocation invocation;
        if (parse(lines[i], &invocation) != -EINVAL)
            fail_msg("%s: was accepted", lines[i]);
    }
}

static void test_help_and_version_run_nothing(void **state)
{
    (void)state;
    struct invocation invocation;
    assert_int_equal(parse("yaguractl --help", &invocation), 1);
    assert_int_equal(parse("yaguractl --version", &invocation), 1);
    assert_int_equal(parse("yaguractl scan --help", &invocation), 1);
    assert_int_equal(parse("yaguractl box list -h", &invocation), 1);
    assert_int_equal(parse("yaguractl box --help", &invocation), 1);
    assert_int_equal(parse("yaguractl box -h", &invocation), 1);
    assert_int_equal(parse("yaguractl help", &invocation), 1);
}

static void assert_shown(const char *text, const char *expected)
{
    char *shown = display_text_new(text);
    assert_string_equal(shown, expected);
    free(shown);
}

static void test_texts_are_harmless(void **state)
{
    (void)state;
    assert_shown("", "");
    assert_shown("/srv/\xe6\xab\x93", "/srv/\xe6\xab\x93");
    assert_shown("a\x1b[31m\n\tb", "a\\x1b[31m\\x0a\\x09b");
    assert_shown("already \\x1b escaped\\\\", "already \\x1b escaped\\\\");
    assert_shown("\xe2\x80\xae"
                 "exe.txt",
                 "\\xe2\\x80\\xaeexe.txt"); /* right-to-left override */
    assert_shown("\xc2\x9b"
                 "31m",
                 "\\xc2\\x9b31m"); /* C1: CSI */
    assert_shown("\xff\\\xfe", "\\xff\\\\xfe");
}

static void test_numbers(void **state)
{
    (void)state;
    char text[DISPLAY_BYTES];
    assert_string_equal(display_count(text, 0), "0");
    assert_string_equal(display_count(text, 999), "999");
    assert_string_equal(display_count(text, 1000), "1,000");
    assert_string_equal(display_count(text, UINT64_MAX), "18,446,744,073,709,551,615");
    assert_string_equal(display_size(text, 0), "0 B");
    assert_string_equal(display_size(text, 1023), "1023 B");
    assert_string_equal(display_size(text, 1536), "1.5 KiB");
    assert_string_equal(display_size(text, 200ULL << 20), "200 MiB");
    assert_string_equal(display_duration(text, 0), "0 s");
    assert_string_equal(display_duration(text, 350 * NS_PER_MS), "350 ms");
    assert_string_equal(display_duration(text, 90 * NS_PER_SECOND), "90 s");
    assert_string_equal(display_duration(text, 3 * 86400 * NS_PER_SECOND), "3 days");
}

static void test_moments(void **state)
{
    (void)state;
    uint64_t moment = 0;
    clock_set_fake(1, 1000000 * NS_PER_SECOND);
    assert_int_equal(display_parse_moment("1h", &moment), 0);
    assert_int_equal(moment, (1000000 - 3600) * NS_PER_SECOND);
    clock_set_fake(0, 0);
    assert_int_equal(display_parse_moment("2026-11-22T01:02:03Z", &moment), 0);
    assert_int_equal(moment, 1795309323ULL * NS_PER_SECOND);
    assert_int_equal(setenv("TZ", "JST-9", 1), 0);
    tzset();
    assert_int_equal(display_parse_moment("2026-11-22 10:02", &moment), 0);
    assert_int_equal(moment, 1795309320ULL * NS_PER_SECOND);
    assert_int_equal(display_parse_moment("2026-11-22", &moment), 0);
    static const char *const wrong[] = {"", "yesterday", "2026-13-01", "2026-11-22x", "22.11.2026"};
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        assert_int_equal(display_parse_moment(wrong[i], &moment), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commands_and_options),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_help_and_version_run_nothing),
        cmocka_unit_test(test_texts_are_harmless),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_moments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
