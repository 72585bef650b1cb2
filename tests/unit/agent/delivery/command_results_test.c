/* A result survives until the console has it, and a crash is told. */
#include "agent/delivery/command_results.h"

#include "common/files/file.h"
#include "common/text/text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char directory[64];
static struct command_results *results;
static struct command_result taken[LIMIT_HEARTBEAT_COMMANDS];

static void begin_again(void)
{
    (void)command_results_close(results);
    assert_int_equal(command_results_open(directory, &results), 0);
}

static int set_up(void **state UNUSED)
{
    (void)text_copy(directory, sizeof directory, "/tmp/yagura-results-XXXXXX");
    assert_non_null(mkdtemp(directory));
    results = NULL;
    begin_again();
    return 0;
}

static int tear_down(void **state UNUSED)
{
    int parent = -1;

    results = command_results_close(results);
    assert_int_equal(file_open_directory("/tmp", true, &parent), 0);
    assert_int_equal(file_remove_tree(parent, strrchr(directory, '/') + 1), 0);
    (void)close(parent);
    return 0;
}

static void test_a_result_goes_until_it_has_arrived(void **state UNUSED)
{
    assert_int_equal(command_results_begin(results, "one"), 0);
    assert_int_equal(command_results_take(results, taken), 0);
    assert_int_equal(command_results_end(results, "one", true, "done\n\"\\\x01"), 0);
    assert_int_equal(command_results_take(results, taken), 1);
    assert_true(taken[0].good);
    assert_false(taken[0].running);
    assert_int_equal(command_results_settle(results, false), 1);
    begin_again();
    assert_true(command_results_know(results, "one"));
    assert_int_equal(command_results_take(results, taken), 1);
    assert_string_equal(taken[0].output, "done\n\"\\\x01");
    assert_int_equal(command_results_settle(results, true), 0);
    assert_false(command_results_know(results, "one"));
    begin_again();
    assert_false(command_results_know(results, "one"));
}

static void test_what_was_not_sent_stays(void **state UNUSED)
{
    assert_int_equal(command_results_end(results, "one", true, "1"), 0);
    assert_int_equal(command_results_take(results, taken), 1);
    assert_int_equal(command_results_end(results, "two", false, "2"), 0);
    assert_int_equal(command_results_settle(results, true), 1);
    assert_int_equal(command_results_take(results, taken), 1);
    assert_string_equal(taken[0].id, "two");
    assert_false(taken[0].good);
}

static void test_news_of_one_that_runs_goes_once(void **state UNUSED)
{
    assert_int_equal(command_results_begin(results, "one"), 0);
    assert_true(command_results_advance(results, "one", "a third"));
    assert_false(command_results_advance(results, "one", "a third"));
    assert_false(command_results_advance(results, "other", "a third"));
    assert_int_equal(command_results_take(results, taken), 1);
    assert_true(taken[0].running);
    assert_true(command_results_advance(results, "one", "a half")); /* while it is on its way */
    assert_int_equal(command_results_settle(results, true), 0);
    assert_int_equal(command_results_take(results, taken), 1);
    assert_string_equal(taken[0].output, "a half");
    assert_int_equal(command_results_settle(results, true), 0);
    assert_int_equal(command_results_take(results, taken), 0);
    assert_int_equal(command_results_end(results, "one", true, "all"), 0);
    assert_false(command_results_advance(results, "one", "late"));
    assert_int_equal(command_results_take(results, taken), 1);
    assert_string_equal(taken[0].output, "all");
}

static void test_a_crash_is_seen(void **state UNUSED)
{
    static char ids[COMMAND_RESULTS_MAXIMUM][40];

    assert_int_equal(command_results_begin(results, "one"), 0);
    assert_int_equal(command_results_end(results, "two", true, ""), 0);
    begin_again();
    assert_int_equal(command_results_running(results, ids), 1);
    assert_string_equal(ids[0], "one");
}

static void test_there_is_an_end(void **state UNUSED)
{
    char id[40];

    for (int i = 0; i < COMMAND_RESULTS_MAXIMUM; i++) {
        (void)text_format(id, sizeof id, "command %d", i);
        assert_int_equal(command_results_begin(results, id), 0);
        assert_int_equal(command_results_begin(results, id), 0); /* the same is no second one */
    }
    assert_int_equal(command_results_begin(results, "another"), -ENOBUFS);
    for (int i = 0; i < COMMAND_RESULTS_MAXIMUM; i++) {
        (void)text_format(id, sizeof id, "command %d", i);
        assert_int_equal(command_results_end(results, id, true, "x"), 0);
    }
    assert_int_equal(command_results_take(results, taken), LIMIT_HEARTBEAT_COMMANDS);
    assert_int_equal(command_results_settle(results, true),
                     COMMAND_RESULTS_MAXIMUM - LIMIT_HEARTBEAT_COMMANDS);
    assert_int_equal(command_results_begin(results, "another"), 0);
}

static void test_a_damaged_file_is_begun_anew(void **state UNUSED)
{
    static const char *const texts[] = {"", "{", "[7, null, {}, {\"id\": 3}]", "{\"id\": \"x\"}"};
    char path[96];

    assert_true(text_format(path, sizeof path, "%s/results.json", directory) > 0);
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        assert_int_equal(file_replace(path, texts[i], strlen(texts[i]), 0600), 0);
        begin_again();
        assert_int_equal(command_results_take(results, taken), 0);
        assert_int_equal(command_results_begin(results, "one"), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_result_goes_until_it_has_arrived, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_was_not_sent_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_news_of_one_that_runs_goes_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_crash_is_seen, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_there_is_an_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_damaged_file_is_begun_anew, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
