/* A release ends by itself; the file says what holds. */
#include "agent/protection/protection.h"

#include "agent/store/store.h"
#include "common/buffers/buffer.h"
#include "common/event_loop/event_loop.h"
#include "common/files/file.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static char folder[64], path[128], last_kind[64];
static struct event_loop *loop;
static struct protection *protection;

int store_append(struct store *store UNUSED, const struct event_draft *draft,
                 store_work *work UNUSED, store_committed *committed UNUSED, void *user UNUSED)
{
    return text_copy(last_kind, sizeof last_kind, draft->kind);
}

static bool file_is_there(void)
{
    return access(path, F_OK) == 0;
}

static int set_up(void **state UNUSED)
{
    (void)text_copy(folder, sizeof folder, "/tmp/yagura-protection-XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)text_format(path, sizeof path, "%s/" PROTECTION_FILE, folder);
    last_kind[0] = '\0';
    assert_int_equal(event_loop_new(&loop), 0);
    return protection_start(loop, NULL, folder, &protection);
}

static int tear_down(void **state UNUSED)
{
    protection = protection_stop(protection);
    loop = event_loop_free(loop);
    return file_remove_tree(AT_FDCWD, folder);
}

static void the_file_follows_the_policy(void **state UNUSED)
{
    assert_false(protection_is_on(protection));
    protection_set(protection, true);
    assert_true(protection_is_on(protection));
    assert_true(file_is_there());
    protection_set(protection, false);
    assert_false(file_is_there());
    protection_set(protection, false);
}

static ino_t file_number(void)
{
    struct stat status;

    assert_int_equal(stat(path, &status), 0);
    return status.st_ino;
}

static void what_stands_as_wanted_stays(void **state UNUSED)
{
    protection_set(protection, true);
    ino_t number = file_number();
    protection_set(protection, true);
    assert_int_equal(file_number(), number);
    assert_int_equal(file_replace(path, "other", 5, 0600), 0);
    protection_set(protection, true);
    AUTO_BUFFER struct buffer there = BUFFER_WITH_MAXIMUM(64);
    assert_int_equal(file_read_all(path, &there), 0);
    assert_string_equal(buffer_text(&there), "console - -\n");
}

/* Without the folder not even root can write there. */
static void a_file_that_cannot_be_written_is_told(void **state UNUSED)
{
    char aside[128];

    (void)text_format(aside, sizeof aside, "%s-aside", folder);
    assert_int_equal(rename(folder, aside), 0);
    protection_set(protection, true);
    assert_true(protection_is_on(protection));
    assert_int_equal(protection_problem(protection), -ENOENT);
    assert_int_equal(rename(aside, folder), 0);
    protection_set(protection, true);
    assert_int_equal(protection_problem(protection), 0);
    assert_true(file_is_there());
}

static void a_release_ends(void **state UNUSED)
{
    protection_set(protection, true);
    protection_release(protection, 50 * NS_PER_MS, "{}");
    assert_false(protection_is_on(protection));
    assert_string_equal(last_kind, "protection_released");
    while (file_is_there())
        assert_true(event_loop_turn(loop, NS_PER_SECOND) >= 0);
    while (!file_is_there())
        assert_true(event_loop_turn(loop, NS_PER_SECOND) >= 0);
    assert_true(protection_is_on(protection));
    assert_string_equal(last_kind, "protection_restored");
}

static void a_new_policy_does_not_end_a_release(void **state UNUSED)
{
    protection_set(protection, true);
    protection_release(protection, 3600 * NS_PER_SECOND, "{}");
    protection_set(protection, true);
    assert_false(protection_is_on(protection));
    assert_false(file_is_there());
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_file_follows_the_policy),           TEST(what_stands_as_wanted_stays),
        TEST(a_file_that_cannot_be_written_is_told), TEST(a_release_ends),
        TEST(a_new_policy_does_not_end_a_release),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
