#include "agent/scan/tree_walk.h"

#include "common/files/file.h"
#include "common/limits.h"
#include "common/text/text.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct seen {
    size_t files, bytes, problems, skipped, longest, stop_after;
    char last[512];
    const char *excluded;
    const char *swap_from, *swap_to;
};

static char root[64];
static int root_fd;
static struct mount_classes *mounts;

static bool enters(void *user, const char *path, size_t length)
{
    struct seen *seen = user;

    assert_int_equal(strlen(path), length);
    return seen->excluded == NULL || strcmp(path, seen->excluded) != 0;
}

static int found(void *user, const struct tree_walk_file *file)
{
    struct seen *seen = user;
    struct stat status;

    assert_int_equal(strlen(file->path), file->path_length);
    assert_int_equal(fstatat(file->directory_fd, file->name, &status, 0), 0);
    assert_true(S_ISREG(status.st_mode));
    seen->files++;
    seen->longest = MAX(seen->longest, file->path_length);
    (void)text_copy(seen->last, sizeof seen->last, file->path);
    if (seen->swap_from != NULL) {
        assert_int_equal(rename(seen->swap_from, seen->swap_to), 0);
        assert_int_equal(symlink("/etc", seen->swap_from), 0);
        seen->swap_from = NULL;
    }
    return seen->stop_after != 0 && seen->files == seen->stop_after ? -ECANCELED : 0;
}

static void problem(void *user, const char *path UNUSED, size_t length UNUSED, int error UNUSED)
{
    ((struct seen *)user)->problems++;
}

static void skipped(void *user, const char *path UNUSED, enum mount_class kind UNUSED)
{
    ((struct seen *)user)->skipped++;
}

static int checks(void *user UNUSED)
{
    return 0;
}

static const struct tree_walk_visitor visitor = {
    .enters = enters,
    .file = found,
    .problem = problem,
    .skipped = skipped,
    .checks = checks,
};

static int walk(const char *path, bool recursive, struct seen *seen)
{
    return tree_walk(path, recursive, mounts, &visitor, seen);
}

static int set_up(void **state)
{
    (void)state;
    (void)text_copy(root, sizeof root, "/tmp/yagura-walk-XXXXXX");
    assert_non_null(mkdtemp(root));
    assert_int_equal(file_open_directory(root, true, &root_fd), 0);
    return mount_classes_new(&mounts);
}

static int tear_down(void **state)
{
    int tmp;

    (void)state;
    (void)close(root_fd);
    mounts = mount_classes_free(mounts);
    assert_int_equal(file_open_directory("/tmp", true, &tmp), 0);
    int r = file_remove_tree(tmp, root + 5);
    (void)close(tmp);
    return r;
}

static void put(int directory_fd, const char *name)
{
    int fd = openat(directory_fd, name, O_WRONLY | O_CREAT, 0600);

    assert_true(fd >= 0);
    (void)close(fd);
}

static void test_every_file_is_found_once(void **state)
{
    struct seen seen = {0};
    char name[64];

    (void)state;
    for (int i = 0; i < 30; i++) {
        (void)text_format(name, sizeof name, "d%d", i);
        assert_int_equal(mkdirat(root_fd, name, 0700), 0);
        for (int j = 0; j < 20; j++) {
            (void)text_format(name, sizeof name, "d%d/f%d", i, j);
            put(root_fd, name);
        }
    }
    put(root_fd, "top");
    put(root_fd, "new\nline");
    put(root_fd, "\xff\xfe");
    assert_int_equal(mkfifoat(root_fd, "fifo", 0600), 0);
    assert_int_equal(symlinkat("d1", root_fd, "link"), 0);
    assert_int_equal(symlinkat("top", root_fd, "link-to-file"), 0);
    assert_int_equal(walk(root, true, &seen), 0);
    assert_int_equal(seen.files, 603);
    assert_int_equal(seen.problems, 0);
    seen = (struct seen){0};
    assert_int_equal(walk(root, false, &seen), 0);
    assert_int_equal(seen.files, 3);
    (void)text_format(name, sizeof name, "%s/d3", root);
    seen = (struct seen){.excluded = name};
    assert_int_equal(walk(root, true, &seen), 0);
    assert_int_equal(seen.files, 583);
    seen = (struct seen){.stop_after = 10};
    assert_int_equal(walk(root, true, &seen), -ECANCELED);
    assert_int_equal(seen.files, 10);
}

static void test_single_files_and_what_is_none(void **state)
{
    struct seen seen = {0};
    char path[128];

    (void)state;
    put(root_fd, "one");
    (void)text_format(path, sizeof path, "%s/one", root);
    assert_int_equal(walk(path, true, &seen), 0);
    assert_int_equal(seen.files, 1);
    assert_string_equal(seen.last, path);
    assert_int_equal(mkfifoat(root_fd, "fifo", 0600), 0);
    (void)text_format(path, sizeof path, "%s/fifo", root);
    assert_int_equal(walk(path, true, &seen), 0);
    assert_int_equal(seen.problems, 1);
    assert_int_equal(symlinkat("one", root_fd, "link"), 0);
    (void)text_format(path, sizeof path, "%s/link", root);
    assert_int_equal(walk(path, true, &seen), -ELOOP);
    (void)text_format(path, sizeof path, "%s/none", root);
    assert_int_equal(walk(path, true, &seen), -ENOENT);
    assert_int_equal(walk("relative", true, &seen), -EINVAL);
    assert_int_equal(walk("/proc", true, &seen), 0);
    assert_int_equal(seen.skipped, 1);
    assert_int_equal(seen.files, 1);
}

/* Deeper than PATH_MAX and than the descriptors that are kept; a file and a second, later branch at
 * each level make the walk come back to all of them. */
static void test_deep_trees(void **state)
{
    enum { DEPTH = 200 };
    struct seen seen = {0};
    char name[41];
    int fd = dup(root_fd);

    (void)state;
    memset(name, 'n', 40);
    name[40] = '\0';
    for (int i = 0; i < DEPTH; i++) {
        put(fd, "file");
        assert_int_equal(mkdirat(fd, "zz-branch", 0700), 0);
        put(fd, "zz-branch/leaf");
        assert_int_equal(mkdirat(fd, "aa-branch", 0700), 0);
        put(fd, "aa-branch/leaf");
        assert_int_equal(mkdirat(fd, name, 0700), 0);
        int next = openat(fd, name, O_RDONLY | O_DIRECTORY);
        assert_true(next >= 0);
        (void)close(fd);
        fd = next;
    }
    (void)close(fd);
    assert_int_equal(walk(root, true, &seen), 0);
    assert_int_equal(seen.files, 3 * DEPTH);
    assert_int_equal(seen.problems, 0);
    assert_true(seen.longest > 4096);
}

/* More subdirectories than the room for their names: read in parts, each once. */
static void test_wide_trees_with_little_room(void **state)
{
    struct seen seen = {0};
    char name[260];

    (void)state;
    for (int i = 0; i < 12000; i++) {
        (void)text_format(name, sizeof name, "%0200d", i);
        assert_int_equal(mkdirat(root_fd, name, 0700), 0);
    }
    (void)text_format(name, sizeof name, "%0200d/file", 11999);
    put(root_fd, name);
    (void)text_format(name, sizeof name, "%0200d/file", 0);
    put(root_fd, name);
    assert_int_equal(walk(root, true, &seen), 0);
    assert_int_equal(seen.files, 2);
}

static void test_a_directory_swapped_for_a_link_leads_nowhere(void **state)
{
    char from[128], to[128];

    (void)state;
    assert_int_equal(mkdirat(root_fd, "sub", 0700), 0);
    put(root_fd, "sub/inside");
    put(root_fd, "first");
    (void)text_format(from, sizeof from, "%s/sub", root);
    (void)text_format(to, sizeof to, "/tmp/%s-moved", root + 5);
    struct seen seen = {.swap_from = from, .swap_to = to};
    assert_int_equal(walk(root, true, &seen), 0);
    assert_int_equal(seen.files, 1);
    assert_int_equal(unlink(from), 0);
    assert_int_equal(rename(to, from), 0);
}

static void test_kinds_of_mounts(void **state)
{
    enum mount_class kind;
    struct statx status;

    (void)state;
    assert_int_equal(mount_classify("ext4"), MOUNT_LOCAL);
    assert_int_equal(mount_classify("nfs4"), MOUNT_REMOTE);
    assert_int_equal(mount_classify("fuse.sshfs"), MOUNT_REMOTE);
    assert_int_equal(mount_classify("cgroup2"), MOUNT_PSEUDO);
    assert_int_equal(mount_class_of(mounts, AT_FDCWD, "/proc", &kind, NULL), 0);
    assert_int_equal(kind, MOUNT_PSEUDO);
    assert_int_equal(mount_class_of(mounts, root_fd, "", &kind, &status), 0);
    assert_int_equal(kind, MOUNT_LOCAL);
    assert_true(S_ISDIR(status.stx_mode));
    assert_int_equal(mount_class_of(mounts, root_fd, "none", &kind, NULL), -ENOENT);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_every_file_is_found_once),
        TEST(test_single_files_and_what_is_none),
        TEST(test_deep_trees),
        TEST(test_wide_trees_with_little_room),
        TEST(test_a_directory_swapped_for_a_link_leads_nowhere),
        TEST(test_kinds_of_mounts),
    };

    return cmocka_run_group_tests_name("agent/scan/tree_walk", tests, NULL, NULL);
}
