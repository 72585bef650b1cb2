/* Writers that race with the watch, each in the way that makes other watchers miss files. The bar
 * is 0 missed, by sync marker.
 *
 *     watch_race_test [FILES]     files for each way; 2000 unless told otherwise (36000 in the long
 *                                 run of tests/bench) */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "common/files/file.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "tests/system/watch/watch_harness.h"

#define WRITERS 3U

static unsigned int files_per_way = 2000;

struct writer {
    struct harness *harness;
    unsigned int number, files;
};

typedef void writer_function(struct writer *writer);

/* --- ways to make files ------------------------------------------------------------------------
 */

static const char *outside_path(struct writer *writer, unsigned int i, char path[static 128])
{
    (void)text_format(path, 128, "%s/outside-%u-%u", writer->harness->path, writer->number, i);
    return path;
}

static void create_files(struct writer *writer)
{
    for (unsigned int i = 0; i < writer->files; i++)
        write_file(harness_path(writer->harness, "file-%u-%u", writer->number, i), "x");
}

static void nested_directories(struct writer *writer)
{
    for (unsigned int i = 0; i < writer->files; i += 4) {
        char path[256];

        (void)text_format(path, sizeof(path), "%s/n-%u-%u", writer->harness->root, writer->number,
                          i);
        for (unsigned int level = 0; level < 4; level++) {
            size_t length = strlen(path);

            make_directory(path);
            (void)text_format(path + length, sizeof(path) - length, "/file");
            write_file(path, "x");
            (void)text_format(path + length, sizeof(path) - length, "/d");
        }
    }
}

static void moved_trees(struct writer *writer)
{
    for (unsigned int i = 0; i < writer->files; i += 4) {
        char outside[128], path[192];

        make_directory(outside_path(writer, i, outside));
        for (unsigned int j = 0; j < 2; j++) {
            (void)text_format(path, sizeof(path), "%s/file-%u", outside, j);
            write_file(path, "x");
        }
        (void)text_format(path, sizeof(path), "%s/sub", outside);
        make_directory(path);
        for (unsigned int j = 0; j < 2; j++) {
            (void)text_format(path, sizeof(path), "%s/sub/file-%u", outside, j);
            write_file(path, "x");
        }
        if (rename(outside, harness_path(writer->harness, "moved-%u-%u", writer->number, i)) < 0)
            fail_msg("rename: %s", strerrordesc_np(errno));
    }
}

static void renamed_files(struct writer *writer)
{
    for (unsigned int i = 0; i < writer->files; i++) {
        char outside[128];

        write_file(outside_path(writer, i, outside), "x");
        if (rename(outside, harness_path(writer->harness, "renamed-%u-%u", writer->number, i)) < 0)
            fail_msg("rename: %s", strerrordesc_np(errno));
    }
}

static void hard_links(struct writer *writer)
{
    for (unsigned int i = 0; i < writer->files; i++) {
        char outside[128];

        write_file(outside_path(writer, i, outside), "x");
        if (link(outside, harness_path(writer->harness, "link-%u-%u", writer->number, i)) < 0)
            fail_msg("link: %s", strerrordesc_np(errno));
    }
}

static void temporary_files(struct writer *writer)
{
    for (unsigned int i = 0; i < writer->files; i++) {
        AUTO_CLOSE int fd = open(writer->harness->root, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0644);
        char name[FILE_LINK_BYTES];

        if (fd < 0 || file_write(fd, "x", 1) < 0)
            fail_msg("O_TMPFILE: %s", strerrordesc_np(errno));
        file_link_of(fd, name);
        if (linkat(AT_FDCWD, name, AT_FDCWD,
                   harness_path(writer->harness, "tmp-%u-%u", writer->number, i),
                   AT_SYMLINK_FOLLOW) < 0)
            fail_msg("linkat: %s", strerrordesc_np(errno));
    }
}

/* Many files are open at once, and what is told of the first half is not enough. */
static void slow_writers(struct writer *writer)
{
    enum { OPEN = 200 };
    int fds[OPEN];

    for (unsigned int i = 0; i < writer->files; i += OPEN) {
        unsigned int count = MIN(writer->files - i, (unsigned int)OPEN);

        for (unsigned int j = 0; j < count; j++) {
            const char *path = harness_path(writer->harness, "slow-%u-%u", writer->number, i + j);

            fds[j] = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
            if (fds[j] < 0 || file_write(fds[j], "half", 4) < 0)
                fail_msg("slow writer: %s", strerrordesc_np(errno));
        }
        if (harness_sync(writer->harness) != 0)
            fail_msg("sync failed");
        for (unsigned int j = 0; j < count; j++) {
            if (file_write(fds[j], "whole", 5) < 0)
                fail_msg("slow writer: %s", strerrordesc_np(errno));
            (void)close(fds[j]);
        }
    }
}

/* Directories first, files only after the watch had time to forget them. */
static void late_directories(struct writer *writer)
{
    for (unsigned int i = 0; i < writer->files; i++) {
        make_directory(harness_path(writer->harness, "late-%u-%u", writer->number, i / 4));
        make_directory(
            harness_path(writer->harness, "late-%u-%u/d%u", writer->number, i / 4, i % 4));
    }
    if (harness_sync(writer->harness) != 0)
        fail_msg("sync failed");
    for (unsigned int i = 0; i < writer->files; i++)
        write_file(harness_path(writer->harness, "late-%u-%u/d%u/file", writer->number, i / 4,
                                i % 4),
                   "x");
}

/* Writers put files into a directory by its descriptor while it is renamed without end, up and
 * down and over empty directories. */
static void rename_storm(struct writer *writer)
{
    struct harness *harness = writer->harness;
    unsigned int n = writer->number;
    AUTO_CLOSE int fd = -1;
    char name[32];

    make_directory(harness_path(harness, "storm-%u", n));
    make_directory(harness_path(harness, "storm-%u/a", n));
    make_directory(harness_path(harness, "storm-%u/b", n));
    make_directory(harness_path(harness, "storm-%u/a/x", n));
    make_directory(harness_path(harness, "storm-%u/a/x/y", n));
    fd = open(harness_path(harness, "storm-%u/a/x/y", n), O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    for (unsigned int i = 0; i < writer->files; i++) {
        const char *from = harness_path(harness, "storm-%u/%c/x", n, "ab"[i & 1]);
        const char *to = harness_path(harness, "storm-%u/%c/x", n, "ba"[i & 1]);
        AUTO_CLOSE int file_fd = -1;

        (void)text_format(name, sizeof(name), "file-%u", i);
        file_fd = openat(fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        if (file_fd < 0 || file_write(file_fd, "x", 1) < 0)
            fail_msg("storm: %s", strerrordesc_np(errno));
        if (i % 3 == 0)
            make_directory(to); /* is replaced without a word */
        if (i % 7 == 0)
            (void)renameat2(AT_FDCWD, harness_path(harness, "storm-%u/a", n), AT_FDCWD,
                            harness_path(harness, "storm-%u/b", n), RENAME_EXCHANGE);
        if (rename(from, to) < 0 && errno != ENOENT && errno != ENOTEMPTY)
            fail_msg("rename: %s", strerrordesc_np(errno));
    }
}

/* Directories are made, filled, moved, and removed, and made again under the same name. */
static void churn(struct writer *writer)
{
    struct harness *harness = writer->harness;
    unsigned int n = writer->number;

    for (unsigned int i = 0; i < writer->files; i++) {
        const char *directory = harness_path(harness, "churn-%u-%u", n, i % 5);
        const char *file = harness_path(harness, "churn-%u-%u/file", n, i % 5);

        make_directory(directory);
        write_file(file, "x");
        if (i % 2 == 0 && i + 10 < writer->files) {
            (void)unlink(file);
            (void)unlink(harness_path(harness, "churn-%u-%u/old", n, i % 5));
            (void)rmdir(directory);
        } else {
            (void)rename(file, harness_path(harness, "churn-%u-%u/old", n, i % 5));
            (void)rename(directory, harness_path(harness, "churn-%u-%u", n, (i + 1) % 5));
        }
    }
}

/* --- the test ------------------------------------------------------------------------------------
 */

struct way {
    const char *name;
    writer_function *run;
    struct harness *harness;
    unsigned int number;
};

static void *run_writer(void *argument)
{
    struct way *way = argument;
    struct writer writer = {.harness = way->harness,
                            .number = way->number,
                            .files = files_per_way / WRITERS + 1};

    way->run(&writer);
    return NULL;
}

static void race(struct harness *harness, const char *name, writer_function *run)
{
    struct way ways[WRITERS];
    pthread_t threads[WRITERS];

    for (unsigned int i = 0; i < WRITERS; i++) {
        ways[i] = (struct way){.name = name, .run = run, .harness = harness, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, run_writer, &ways[i]), 0);
    }
    for (unsigned int i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

static void check_none_missed(struct harness *harness, const char *name, uint64_t started_ns)
{
    struct watch_status status;
    unsigned int files;
    unsigned int missed = harness_missed(harness, &files);

    watch_status(harness->watch, &status);
    print_message("%-20s %6u files, %u missed, %llu overflows, %llu ms\n", name, files, missed,
                  (unsigned long long)status.overflows,
                  (unsigned long long)((clock_monotonic_ns() - started_ns) / NS_PER_MS));
    assert_int_equal(missed, 0);
}

static const struct way all_ways[] = {
    {.name = "create", .run = create_files},
    {.name = "nested mkdir", .run = nested_directories},
    {.name = "moved trees", .run = moved_trees},
    {.name = "rename", .run = renamed_files},
    {.name = "hard link", .run = hard_links},
    {.name = "O_TMPFILE+linkat", .run = temporary_files},
    {.name = "slow writers", .run = slow_writers},
    {.name = "late directories", .run = late_directories},
    {.name = "rename storm", .run = rename_storm},
    {.name = "churn", .run = churn},
};

static void no_way_makes_it_miss_a_file(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(all_ways); i++) {
        struct harness harness;
        uint64_t started_ns = clock_monotonic_ns();

        harness_init(&harness);
        harness_start(&harness);
        race(&harness, all_ways[i].name, all_ways[i].run);
        assert_int_equal(harness_sync(&harness), 0);
        check_none_missed(&harness, all_ways[i].name, started_ns);
        harness_done(&harness);
    }
}

/* The same while the reader cannot read: the kernel drops events. */
static void no_overflow_makes_it_miss_a_file(void **state)
{
    static const size_t ways[] = {0, 1, 2, 3, 4, 9};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(ways); i++) {
        const struct way *way = &all_ways[ways[i]];
        uint64_t started_ns = clock_monotonic_ns();
        struct harness harness;
        struct watch_status status;

        harness_init(&harness);
        harness_start(&harness);
        assert_int_equal(harness_sync(&harness), 0);
        recorder_hold(harness.recorder);
        write_file(harness_path(&harness, "first"), "x");
        recorder_await_held(harness.recorder);
        for (unsigned int j = 0; j < 17000; j++) {
            /* Fills the queue for sure: two names, so that no event merges with the last. */
            assert_int_equal(chmod(harness_path(&harness, "first"), 0600 + (j & 1)), 0);
            assert_int_equal(utimensat(AT_FDCWD, harness.root, NULL, 0), 0);
        }
        race(&harness, way->name, way->run);
        recorder_release(harness.recorder);
        assert_int_equal(harness_sync(&harness), 0);
        watch_status(harness.watch, &status);
        assert_true(status.overflows >= 1);
        assert_int_equal(status.gaps_open, 0);
        assert_true(recorder_total(harness.recorder, WATCH_GAP) >= 1);
        assert_int_equal(recorder_total(harness.recorder, WATCH_GAP),
                         recorder_total(harness.recorder, WATCH_GAP_CLOSED));
        check_none_missed(&harness, way->name, started_ns);
        harness_done(&harness);
    }
}

/* Trees grow while the first walk runs. */
static void the_first_walk_races_with_writers(void **state)
{
    struct harness harness;
    uint64_t started_ns = clock_monotonic_ns();

    (void)state;
    harness_init(&harness);
    for (unsigned int i = 0; i < 2000; i++)
        make_directory(harness_path(&harness, "d%u", i));
    harness_start(&harness);
    for (unsigned int i = 0; i < 2000; i++) {
        make_directory(harness_path(&harness, "d%u/new", 1999 - i));
        write_file(harness_path(&harness, "d%u/new/file", 1999 - i), "x");
        write_file(harness_path(&harness, "d%u/file", i), "x");
    }
    race(&harness, "nested", nested_directories);
    assert_int_equal(harness_sync(&harness), 0);
    check_none_missed(&harness, "during first walk", started_ns);
    harness_done(&harness);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_way_makes_it_miss_a_file),
        cmocka_unit_test(no_overflow_makes_it_miss_a_file),
        cmocka_unit_test(the_first_walk_races_with_writers),
    };
    uint64_t files;

    if (argc > 1) {
        if (text_parse_u64(argv[1], &files) < 0 || files == 0 || files > 1000000) {
            (void)fprintf(stderr, "usage: %s [FILES]\n", argv[0]);
            return 2;
        }
        files_per_way = (unsigned int)files;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
