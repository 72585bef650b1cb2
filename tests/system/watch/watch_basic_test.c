/* One behaviour a test, on the real kernel. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "common/files/file.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "tests/system/watch/watch_harness.h"

static void started(struct harness *harness)
{
    harness_init(harness);
    harness_start(harness);
    assert_int_equal(harness_sync(harness), 0);
}

static void assert_told(struct harness *harness, const char *path)
{
    if (recorder_told(harness->recorder, path) == 0)
        fail_msg("not told: %s", path);
}

static void tells_writes_moves_and_removals(void **state)
{
    struct harness harness;
    const char *file, *moved;

    (void)state;
    started(&harness);
    file = harness_path(&harness, "file");
    moved = harness_path(&harness, "moved");
    write_file(file, "x");
    assert_int_equal(harness_sync(&harness), 0);
    assert_int_equal(recorder_count(harness.recorder, WATCH_FILE_WRITTEN, file), 1);
    assert_int_equal(recorder_count(harness.recorder, WATCH_FILE_ARRIVED, file), 0);
    assert_int_equal(chmod(file, 0600), 0);
    assert_int_equal(rename(file, moved), 0);
    assert_int_equal(harness_sync(&harness), 0);
    assert_int_equal(recorder_count(harness.recorder, WATCH_FILE_CHANGED, file), 1);
    assert_int_equal(recorder_count(harness.recorder, WATCH_FILE_REMOVED, file), 1);
    assert_int_equal(recorder_count(harness.recorder, WATCH_FILE_ARRIVED, moved), 1);
    assert_int_equal(unlink(moved), 0);
    assert_int_equal(harness_sync(&harness), 0);
    assert_int_equal(recorder_count(harness.recorder, WATCH_FILE_REMOVED, moved), 1);
    harness_done(&harness);
}

static void tells_links_that_never_close(void **state)
{
    struct harness harness;
    char outside[96], link[32];
    const char *hard, *temporary;
    int fd;

    (void)state;
    started(&harness);
    (void)text_format(outside, sizeof(outside), "%s/outside", harness.path);
    write_file(outside, "x");
    hard = harness_path(&harness, "hard");
    temporary = harness_path(&harness, "temporary");
    assert_int_equal(linkat(AT_FDCWD, outside, AT_FDCWD, hard, 0), 0);
    fd = open(harness.root, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(file_write(fd, "x", 1), 0);
    file_link_of(fd, link);
    assert_int_equal(linkat(AT_FDCWD, link, AT_FDCWD, temporary, AT_SYMLINK_FOLLOW), 0);
    assert_int_equal(harness_sync(&harness), 0);
    assert_told(&harness, hard);
    assert_told(&harness, temporary);
    /* Written once more after it was told: its close comes under the name "#inode". */
    recorder_clear(harness.recorder);
    assert_int_equal(file_write(fd, "y", 1), 0);
    (void)close(fd);
    assert_int_equal(harness_sync(&harness), 0);
    assert_int_equal(recorder_count(harness.recorder, WATCH_FILE_WRITTEN, temporary), 1);
    harness_done(&harness);
}

static void follows_directories_that_move(void **state)
{
    struct harness harness;
    char outside[96], file[128];

    (void)state;
    started(&harness);
    make_directory(harness_path(&harness, "a"));
    make_directory(harness_path(&harness, "a/b"));
    write_file(harness_path(&harness, "a/b/before"), "x");
    assert_int_equal(harness_sync(&harness), 0);
    assert_told(&harness, harness_path(&harness, "a/b/before"));

    /* Within the tree: told again under the new path, and still watched. */
    assert_int_equal(rename(harness_path(&harness, "a"), harness_path(&harness, "c")), 0);
    write_file(harness_path(&harness, "c/b/after"), "x");
    assert_int_equal(harness_sync(&harness), 0);
    assert_told(&harness, harness_path(&harness, "c/b/before"));
    assert_told(&harness, harness_path(&harness, "c/b/after"));

    /* Out of the tree: no longer told; and in again. */
    (void)text_format(outside, sizeof(outside), "%s/outside", harness.path);
    assert_int_equal(rename(harness_path(&harness, "c"), outside), 0);
    assert_int_equal(harness_sync(&harness), 0);
    recorder_clear(harness.recorder);
    (void)text_format(file, sizeof(file), "%s/b/away", outside);
    write_file(file, "x");
    assert_int_equal(harness_sync(&harness), 0);
    assert_int_equal(recorder_total(harness.recorder, WATCH_FILE_WRITTEN), 0);
    assert_int_equal(rename(outside, harness_path(&harness, "d")), 0);
    write_file(harness_path(&harness, "d/b/again"), "x");
    assert_int_equal(harness_sync(&harness), 0);
    assert_told(&harness, harness_path(&harness, "d/b/away"));
    assert_told(&harness, harness_path(&harness, "d/b/before"));
    assert_told(&harness, harness_path(&harness, "d/b/again"));
    harness_done(&harness);
}

static void survives_the_exchange_of_two_directories(void **state)
{
    struct harness harness;

    (void)state;
    started(&harness);
    make_directory(harness_path(&harness, "a"));
    make_directory(harness_path(&harness, "b"));
    write_file(harness_path(&harness, "a/from-a"), "x");
    write_file(harness_path(&harness, "b/from-b"), "x");
    assert_int_equal(harness_sync(&harness), 0);
    for (int i = 0; i < 101; i++)
        assert_int_equal(renameat2(AT_FDCWD, harness_path(&harness, "a"), AT_FDCWD,
                                   harness_path(&harness, "b"), RENAME_EXCHANGE),
                         0);
    assert_int_equal(harness_sync(&harness), 0);
    assert_told(&harness, harness_path(&harness, "b/from-a"));
    assert_told(&harness, harness_path(&harness, "a/from-b"));
    recorder_clear(harness.recorder);
    write_file(harness_path(&harness, "a/new"), "x");
    write_file(harness_path(&harness, "b/new"), "x");
    assert_int_equal(harness_sync(&harness), 0);
    assert_told(&harness, harness_path(&harness, "a/new"));
    assert_told(&harness, harness_path(&harness, "b/new"));
    harness_done(&harness);
}

static void first_walk_tells_what_is_there_when_asked(void **state)
{
    struct harness harness;
    const char *file;

    (void)state;
    harness_init(&harness);
    make_directory(harness_path(&harness, "a"));
    file = harness_path(&harness, "a/file");
    write_file(file, "x");
    harness.options.report_found = true;
    harness_start(&harness);
    assert_int_equal(harness_sync(&harness), 0);
    assert_int_equal(recorder_count(harness.recorder, WATCH_FILE_FOUND, file), 1);
    harness_done(&harness);
}

static void tells_when_its_first_walk_is_done(void **state)
{
    struct harness harness;

    (void)state;
    harness_init(&harness);
    harness_start(&harness);
    assert_true(recorder_await(harness.recorder, WATCH_WALKED, harness.root));
    recorder_clear(harness.recorder);
    assert_int_equal(watch_reconfigure(harness.watch, &harness.options), 0);
    assert_true(recorder_await(harness.recorder, WATCH_WALKED, harness.root));
    harness_done(&harness);
}

/* A write through a hard link outside tells no event: only the crawl finds it. */
static void the_crawl_finds_what_events_cannot_tell(void **state)
{
    struct harness harness;
    struct watch_status status;
    const char *inside;
    char outside[96];

    (void)state;
    harness_init(&harness);
    make_directory(harness_path(&harness, "d"));
    inside = harness_path(&harness, "d/inside");
    write_file(inside, "x");
    write_file(harness_path(&harness, "d/other"), "x");
    (void)text_format(outside, sizeof(outside), "%s/outside", harness.path);
    assert_int_equal(link(inside, outside), 0);
    harness.options.settle_ns = 100 * NS_PER_MS;
    harness.options.crawl_interval_ns = 300 * NS_PER_MS;
    harness.options.crawl_rate = 10000;
    harness_start(&harness);
    assert_int_equal(harness_sync(&harness), 0);
    assert_true(recorder_await(harness.recorder, WATCH_FILE_FOUND, inside));
    recorder_clear(harness.recorder);
    /* The change must be seconds younger than the last event of the directory. */
    do {
        write_file(outside, "changed");
    } while (
        !recorder_await_within(harness.recorder, WATCH_FILE_ARRIVED, inside, 3 * NS_PER_SECOND));
    watch_status(harness.watch, &status);
    assert_int_equal(status.found_by_crawl, 1);
    assert_int_equal(
        recorder_count(harness.recorder, WATCH_FILE_ARRIVED, harness_path(&harness, "d/other")), 0);
    harness_done(&harness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_writes_moves_and_removals),
        cmocka_unit_test(tells_links_that_never_close),
        cmocka_unit_test(follows_directories_that_move),
        cmocka_unit_test(survives_the_exchange_of_two_directories),
        cmocka_unit_test(first_walk_tells_what_is_there_when_asked),
        cmocka_unit_test(tells_when_its_first_walk_is_done),
        cmocka_unit_test(the_crawl_finds_what_events_cannot_tell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
