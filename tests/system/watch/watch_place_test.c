/* Where the watch looks and where it does not: missing paths, links, exclusions, deep trees,
 * hostile names, directories swapped under the walk, a changed configuration. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "common/files/file.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "tests/system/watch/watch_harness.h"

static void assert_told(struct harness *harness, const char *path)
{
    if (recorder_told(harness->recorder, path) == 0)
        fail_msg("not told: %s", path);
}

static void assert_not_told(struct harness *harness, const char *path)
{
    if (recorder_told(harness->recorder, path) != 0)
        fail_msg("told: %s", path);
}

static void synced(struct harness *harness)
{
    assert_int_equal(harness_sync(harness), 0);
}

static void waits_for_missing_paths(void **state)
{
    struct harness harness;
    char detail[256];

    (void)state;
    harness_init(&harness);
    harness.paths[0] = harness_path(&harness, "a/b/c");
    harness_start(&harness);
    synced(&harness);
    recorder_detail(harness.recorder, WATCH_LIMITED, detail, sizeof(detail));
    assert_non_null(strstr(detail, "does not exist"));
    for (int round = 0; round < 3; round++) {
        recorder_clear(harness.recorder);
        make_directory(harness_path(&harness, "a"));
        make_directory(harness_path(&harness, "a/other"));
        make_directory(harness_path(&harness, "a/b"));
        make_directory(harness_path(&harness, "a/b/c"));
        write_file(harness_path(&harness, "a/b/c/file"), "x");
        write_file(harness_path(&harness, "a/b/beside"), "x");
        write_file(harness_path(&harness, "a/other/beside"), "x");
        synced(&harness);
        assert_told(&harness, harness_path(&harness, "a/b/c/file"));
        assert_not_told(&harness, harness_path(&harness, "a/b/beside"));
        assert_not_told(&harness, harness_path(&harness, "a/other/beside"));
        assert_int_equal(file_remove_tree(AT_FDCWD, harness_path(&harness, "a")), 0);
        synced(&harness);
    }
    /* By a rename above the watched path, away and back. */
    make_directory(harness_path(&harness, "z"));
    make_directory(harness_path(&harness, "z/b"));
    make_directory(harness_path(&harness, "z/b/c"));
    write_file(harness_path(&harness, "z/b/c/old"), "x");
    assert_int_equal(rename(harness_path(&harness, "z"), harness_path(&harness, "a")), 0);
    synced(&harness);
    assert_told(&harness, harness_path(&harness, "a/b/c/old"));
    assert_int_equal(rename(harness_path(&harness, "a"), harness_path(&harness, "z")), 0);
    synced(&harness);
    recorder_clear(harness.recorder);
    write_file(harness_path(&harness, "z/b/c/away"), "x");
    synced(&harness);
    assert_int_equal(recorder_total(harness.recorder, WATCH_FILE_WRITTEN), 0);
    assert_int_equal(rename(harness_path(&harness, "z"), harness_path(&harness, "a")), 0);
    write_file(harness_path(&harness, "a/b/c/new"), "x");
    synced(&harness);
    assert_told(&harness, harness_path(&harness, "a/b/c/away"));
    assert_told(&harness, harness_path(&harness, "a/b/c/new"));
    harness_done(&harness);
}

static void refuses_links_aloud_and_never_follows_them(void **state)
{
    struct harness harness;
    char outside[96], detail[256];

    (void)state;
    harness_init(&harness);
    (void)text_format(outside, sizeof(outside), "%s/outside", harness.path);
    make_directory(outside);
    assert_int_equal(symlink(outside, harness_path(&harness, "link")), 0);
    make_directory(harness_path(&harness, "real"));
    assert_int_equal(symlink(outside, harness_path(&harness, "real/inner")), 0);
    harness.paths[0] = harness_path(&harness, "link/below");
    harness.paths[1] = harness_path(&harness, "real");
    harness_start(&harness);
    synced(&harness);
    assert_int_equal(
        recorder_count(harness.recorder, WATCH_LIMITED, harness_path(&harness, "link")), 1);
    recorder_detail(harness.recorder, WATCH_LIMITED, detail, sizeof(detail));
    assert_non_null(strstr(detail, "symbolic link"));
    (void)text_format(outside, sizeof(outside), "%s/outside/file", harness.path);
    write_file(outside, "x");
    assert_int_equal(symlink(outside, harness_path(&harness, "real/file")), 0);
    synced(&harness);
    assert_not_told(&harness, harness_path(&harness, "real/inner/file"));
    assert_not_told(&harness, harness_path(&harness, "real/file"));
    assert_not_told(&harness, outside);

    /* The link becomes a directory. */
    assert_int_equal(unlink(harness_path(&harness, "link")), 0);
    make_directory(harness_path(&harness, "link"));
    make_directory(harness_path(&harness, "link/below"));
    write_file(harness_path(&harness, "link/below/file"), "x");
    synced(&harness);
    assert_told(&harness, harness_path(&harness, "link/below/file"));
    harness_done(&harness);
}

/* By owner and mode: another's directory of that name hides nothing. */
static void our_own_directory_on_a_mount_is_not_watched(void **state)
{
    struct harness harness;

    (void)state;
    harness_init(&harness);
    harness.options.own_prefix = ".ours-";
    make_directory(harness_path(&harness, ".ours-before"));
    assert_int_equal(chmod(harness_path(&harness, ".ours-before"), 0700), 0);
    make_directory(harness_path(&harness, ".ours-open"));
    harness_start(&harness);
    synced(&harness);
    assert_int_equal(mkdir(harness_path(&harness, ".ours-later"), 0700), 0);
    make_directory(harness_path(&harness, "not.ours-"));
    synced(&harness);
    write_file(harness_path(&harness, ".ours-before/file"), "x");
    write_file(harness_path(&harness, ".ours-later/file"), "x");
    write_file(harness_path(&harness, ".ours-open/file"), "x");
    write_file(harness_path(&harness, "not.ours-/file"), "x");
    synced(&harness);
    assert_not_told(&harness, harness_path(&harness, ".ours-before/file"));
    assert_not_told(&harness, harness_path(&harness, ".ours-later/file"));
    assert_told(&harness, harness_path(&harness, ".ours-open/file"));
    assert_told(&harness, harness_path(&harness, "not.ours-/file"));
    harness_done(&harness);
}

static void excluded_places_are_neither_watched_nor_told(void **state)
{
    struct harness harness;
    struct watch_status status;
    const char *directories[] = {NULL, "node_modules", NULL, NULL};
    const char *files[] = {"core", "*.tmp", NULL, NULL};
    const char *extensions[] = {"log", NULL};
    const char *own[] = {NULL, NULL};

    (void)state;
    harness_init(&harness);
    directories[0] = harness_path(&harness, "cache/");
    directories[2] = harness_path(&harness, "home/*/scratch/");
    files[2] = harness_path(&harness, "one");
    own[0] = harness_path(&harness, "own");
    harness.options.exclude_directories = directories;
    harness.options.exclude_files = files;
    harness.options.exclude_extensions = extensions;
    harness.options.own_directories = own;
    make_directory(harness_path(&harness, "cache"));
    for (int i = 0; i < 50; i++)
        make_directory(harness_path(&harness, "cache/d%d", i));
    make_directory(harness_path(&harness, "own"));
    make_directory(harness_path(&harness, "home"));
    make_directory(harness_path(&harness, "home/u"));
    make_directory(harness_path(&harness, "home/u/scratch"));
    make_directory(harness_path(&harness, "kept"));
    harness_start(&harness);
    synced(&harness);
    watch_status(harness.watch, &status);
    assert_true(status.directories_watched < 12);
    make_directory(harness_path(&harness, "kept/node_modules"));
    make_directory(harness_path(&harness, "kept/moved"));
    write_file(harness_path(&harness, "kept/moved/file"), "x");
    static const char *const untold[] = {
        "cache/file",     "cache/d1/file",          "own/file", "home/u/scratch/file",
        "kept/core",      "kept/node_modules/file", "one",      "kept/a.tmp",
        "kept/trace.log",
    };
    static const char *const told[] = {"kept/file", "kept/one", "home/u/file", "kept/logx",
                                       "kept/.log"};
    for (size_t i = 0; i < ARRAY_LENGTH(untold); i++)
        write_file(harness_path(&harness, "%s", untold[i]), "x");
    for (size_t i = 0; i < ARRAY_LENGTH(told); i++)
        write_file(harness_path(&harness, "%s", told[i]), "x");
    synced(&harness);
    for (size_t i = 0; i < ARRAY_LENGTH(untold); i++)
        assert_not_told(&harness, harness_path(&harness, "%s", untold[i]));
    for (size_t i = 0; i < ARRAY_LENGTH(told); i++)
        assert_told(&harness, harness_path(&harness, "%s", told[i]));

    /* Out of an excluded place, and into one. */
    assert_int_equal(rename(harness_path(&harness, "cache/d1"), harness_path(&harness, "kept/d1")),
                     0);
    assert_int_equal(
        rename(harness_path(&harness, "kept/moved"), harness_path(&harness, "cache/moved")), 0);
    synced(&harness);
    assert_told(&harness, harness_path(&harness, "kept/d1/file"));
    recorder_clear(harness.recorder);
    write_file(harness_path(&harness, "kept/d1/later"), "x");
    write_file(harness_path(&harness, "cache/moved/later"), "x");
    synced(&harness);
    assert_told(&harness, harness_path(&harness, "kept/d1/later"));
    assert_int_equal(recorder_total(harness.recorder, WATCH_FILE_WRITTEN), 1);
    harness_done(&harness);
}

static void a_new_configuration_keeps_what_stays(void **state)
{
    struct harness harness;
    const char *directories[] = {NULL, NULL};

    (void)state;
    harness_init(&harness);
    make_directory(harness_path(&harness, "a"));
    make_directory(harness_path(&harness, "a/b"));
    make_directory(harness_path(&harness, "c"));
    write_file(harness_path(&harness, "c/found"), "x");
    harness.paths[0] = harness_path(&harness, "a");
    harness.options.report_found = true;
    harness_start(&harness);
    synced(&harness);
    assert_not_told(&harness, harness_path(&harness, "c/found"));

    directories[0] = harness_path(&harness, "a/b/");
    harness.options.exclude_directories = directories;
    harness.paths[1] = harness_path(&harness, "c");
    assert_int_equal(watch_reconfigure(harness.watch, &harness.options), 0);
    write_file(harness_path(&harness, "a/during"), "x");
    synced(&harness);
    assert_told(&harness, harness_path(&harness, "c/found"));
    assert_told(&harness, harness_path(&harness, "a/during"));
    write_file(harness_path(&harness, "a/b/file"), "x");
    write_file(harness_path(&harness, "c/file"), "x");
    synced(&harness);
    assert_not_told(&harness, harness_path(&harness, "a/b/file"));
    assert_told(&harness, harness_path(&harness, "c/file"));

    /* And back; a broken one changes nothing. */
    directories[0] = "not/absolute";
    assert_int_equal(watch_reconfigure(harness.watch, &harness.options), -EINVAL);
    harness.options.exclude_directories = NULL;
    harness.paths[1] = NULL;
    assert_int_equal(watch_reconfigure(harness.watch, &harness.options), 0);
    synced(&harness);
    assert_told(&harness, harness_path(&harness, "a/b/file"));
    recorder_clear(harness.recorder);
    write_file(harness_path(&harness, "a/b/later"), "x");
    write_file(harness_path(&harness, "c/later"), "x");
    synced(&harness);
    assert_told(&harness, harness_path(&harness, "a/b/later"));
    assert_not_told(&harness, harness_path(&harness, "c/later"));
    harness_done(&harness);
}

static void hostile_names_pass_as_they_are(void **state)
{
    static const char *const names[] = {
        "new\nline",
        "\xff\xfe invalid \xc3",
        "\342\200\256gpj.exe",
        " ",
        "-rf",
        "*",
        "\x01\x1b[31m",
        "...",
        "#12",
        "quote'\"\\",
    };
    struct harness harness;
    char longest[256];

    (void)state;
    harness_init(&harness);
    harness_start(&harness);
    memset(longest, 0xC3, 255);
    longest[255] = '\0';
    for (size_t i = 0; i <= ARRAY_LENGTH(names); i++) {
        const char *name = i < ARRAY_LENGTH(names) ? names[i] : longest;

        make_directory(harness_path(&harness, "d%s", i < ARRAY_LENGTH(names) ? name : ""));
        write_file(harness_path(&harness, "%s", name), "x");
        write_file(harness_path(&harness, "d%s/%s", i < ARRAY_LENGTH(names) ? name : "", name),
                   "x");
    }
    synced(&harness);
    unsigned int files;
    assert_int_equal(harness_missed(&harness, &files), 0);
    assert_int_equal(files, 2 * ARRAY_LENGTH(names) + 2);
    harness_done(&harness);
}

/* Far beyond PATH_MAX, up to our own limit; what lies deeper is said not to be watched. */
static void deep_trees_are_watched_to_the_limit(void **state)
{
    struct harness harness;
    char name[201];
    char *path = calloc(1, LIMIT_PATH_BYTES + 1024);
    size_t length;
    int fd, next_fd;
    bool deeper = false;

    (void)state;
    assert_non_null(path);
    harness_init(&harness);
    harness_start(&harness);
    memset(name, 'd', 200);
    name[200] = '\0';
    length = (size_t)text_copy(path, LIMIT_PATH_BYTES, harness.root);
    length = strlen(harness.root);
    fd = open(harness.root, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
    for (int level = 0; level < 180; level++) {
        AUTO_CLOSE int file_fd = -1;

        assert_int_equal(mkdirat(fd, name, 0755), 0);
        next_fd = openat(fd, name, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
        assert_true(next_fd >= 0);
        (void)close(fd);
        fd = next_fd;
        file_fd = openat(fd, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        assert_true(file_fd >= 0);
    }
    synced(&harness);
    for (int level = 0; level < 180; level++) {
        path[length++] = '/';
        memcpy(path + length, name, 200);
        length += 200;
        if (length + 5 >= LIMIT_PATH_BYTES) {
            deeper = true;
            break;
        }
        memcpy(path + length, "/file", 6);
        assert_told(&harness, path);
        path[length] = '\0';
    }
    assert_true(deeper);
    assert_true(recorder_total(harness.recorder, WATCH_LIMITED) >= 1);
    (void)close(fd);
    free(path);
    harness_done(&harness);
}

struct swapper {
    struct harness *harness;
    atomic_bool stop;
    char outside[96], inside[96], link[96];
};

/* Swaps a watched directory with a link to the outside, without end. */
static void *swap(void *argument)
{
    struct swapper *swapper = argument;

    while (!atomic_load(&swapper->stop))
        (void)renameat2(AT_FDCWD, swapper->inside, AT_FDCWD, swapper->link, RENAME_EXCHANGE);
    return NULL;
}

static void swapped_directories_never_lead_outside(void **state)
{
    struct harness harness;
    struct swapper swapper = {.harness = &harness};
    struct watch_status status;
    pthread_t thread;
    char path[192];

    (void)state;
    harness_init(&harness);
    (void)text_format(swapper.outside, sizeof(swapper.outside), "%s/outside", harness.path);
    make_directory(swapper.outside);
    for (int i = 0; i < 50; i++) {
        (void)text_format(path, sizeof(path), "%s/secret-%d", swapper.outside, i);
        make_directory(path);
        (void)text_format(path, sizeof(path), "%s/secret-%d/file", swapper.outside, i);
        write_file(path, "x");
    }
    (void)text_copy(swapper.inside, sizeof(swapper.inside), harness_path(&harness, "inside"));
    (void)text_copy(swapper.link, sizeof(swapper.link), harness_path(&harness, "swap"));
    make_directory(swapper.inside);
    assert_int_equal(symlink(swapper.outside, swapper.link), 0);
    harness_start(&harness);
    assert_int_equal(pthread_create(&thread, NULL, swap, &swapper), 0);
    for (int i = 0; i < 200; i++) {
        (void)text_format(path, sizeof(path), "%s/d%d", i % 2 == 0 ? swapper.inside : swapper.link,
                          i);
        (void)mkdir(path, 0755);
        if (i % 20 == 0) {
            /* Only to let the watch run: the storm may overflow the queue again and again. */
            int r = harness_sync_within(&harness, NS_PER_SECOND);
            assert_true(r == 0 || r == -ETIMEDOUT);
        }
    }
    atomic_store(&swapper.stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    synced(&harness);
    for (int i = 0; i < 50; i++) {
        (void)text_format(path, sizeof(path), "%s/secret-%d/file", swapper.inside, i);
        assert_not_told(&harness, path);
        (void)text_format(path, sizeof(path), "%s/secret-%d/file", swapper.link, i);
        assert_not_told(&harness, path);
    }
    recorder_clear(harness.recorder);
    (void)text_format(path, sizeof(path), "%s/secret-7/new", swapper.outside);
    write_file(path, "x");
    synced(&harness);
    assert_int_equal(recorder_total(harness.recorder, WATCH_FILE_WRITTEN), 0);
    watch_status(harness.watch, &status);
    assert_int_equal(status.directories_unwatched, 0);
    harness_done(&harness);
}

static void told_are_regular_files_only(void **state)
{
    struct harness harness;

    (void)state;
    harness_init(&harness);
    harness_start(&harness);
    make_directory(harness_path(&harness, "d"));
    assert_int_equal(mkfifo(harness_path(&harness, "fifo"), 0600), 0);
    assert_int_equal(mkfifo(harness_path(&harness, "d/fifo"), 0600), 0);
    assert_int_equal(symlink("/etc/passwd", harness_path(&harness, "link")), 0);
    write_file(harness_path(&harness, "file"), "x");
    synced(&harness);
    assert_not_told(&harness, harness_path(&harness, "fifo"));
    assert_not_told(&harness, harness_path(&harness, "d/fifo"));
    assert_not_told(&harness, harness_path(&harness, "link"));
    assert_told(&harness, harness_path(&harness, "file"));
    harness_done(&harness);
}

static void refuses_paths_it_cannot_understand(void **state)
{
    static const char *const bad[] = {"relative", "", "/a/../b", "/a/./b"};
    struct harness harness;

    (void)state;
    harness_init(&harness);
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        harness.paths[0] = bad[i];
        assert_int_equal(watch_start(&harness.options, recorder_sink, harness.recorder,
                                     &harness.watch),
                         -EINVAL);
    }
    harness_done(&harness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_for_missing_paths),
        cmocka_unit_test(refuses_links_aloud_and_never_follows_them),
        cmocka_unit_test(our_own_directory_on_a_mount_is_not_watched),
        cmocka_unit_test(excluded_places_are_neither_watched_nor_told),
        cmocka_unit_test(a_new_configuration_keeps_what_stays),
        cmocka_unit_test(hostile_names_pass_as_they_are),
        cmocka_unit_test(deep_trees_are_watched_to_the_limit),
        cmocka_unit_test(swapped_directories_never_lead_outside),
        cmocka_unit_test(told_are_regular_files_only),
        cmocka_unit_test(refuses_paths_it_cannot_understand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
