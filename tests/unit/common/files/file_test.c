#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/buffers/buffer.h"
#include "common/files/file.h"
#include "common/limits.h"
#include "common/text/text.h"

struct folder {
    char path[64];
    int fd;
};

static int set_up(void **state)
{
    struct folder *folder = calloc(1, sizeof(*folder));

    assert_non_null(folder);
    text_copy(folder->path, sizeof(folder->path), "/tmp/yagura-file-test-XXXXXX");
    assert_non_null(mkdtemp(folder->path));
    assert_int_equal(file_open_directory(folder->path, true, &folder->fd), 0);
    *state = folder;
    return 0;
}

static int tear_down(void **state)
{
    struct folder *folder = *state;

    (void)close(folder->fd);
    assert_int_equal(file_remove_tree(AT_FDCWD, folder->path), 0);
    free(folder);
    return 0;
}

static void make_file(struct folder *folder, const char *name, const char *content)
{
    AUTO_CLOSE int fd = -1;

    assert_int_equal(file_open_at(folder->fd, name, O_WRONLY | O_CREAT | O_EXCL, 0600, &fd), 0);
    assert_int_equal(file_write(fd, content, strlen(content)), 0);
}

static void reads_from_where_it_is_told(void **state)
{
    struct folder *folder = *state;
    AUTO_CLOSE int fd = -1;
    char bytes[8] = "";

    make_file(folder, "file", "0123456789");
    assert_int_equal(file_open_regular(folder->fd, "file", &fd, NULL), 0);
    assert_int_equal(file_read_at(fd, bytes, 4, 3), 4);
    assert_memory_equal(bytes, "3456", 4);
    assert_int_equal(file_read_at(fd, bytes, sizeof bytes, 8), 2);
    assert_memory_equal(bytes, "8956", 4);
    assert_int_equal(file_read_at(fd, bytes, sizeof bytes, 10), 0);
    assert_int_equal(file_read(fd, bytes, 1), 1); /* it stands where it stood */
    assert_int_equal(bytes[0], '0');
    assert_int_equal(file_read_at(folder->fd, bytes, 1, 0), -EISDIR);
}

static void open_refuses_links(void **state)
{
    struct folder *folder = *state;
    AUTO_CLOSE int fd = -1;

    make_file(folder, "file", "x");
    assert_int_equal(mkdirat(folder->fd, "directory", 0700), 0);
    assert_int_equal(symlinkat("file", folder->fd, "link"), 0);
    assert_int_equal(symlinkat("directory", folder->fd, "linked-directory"), 0);
    assert_int_equal(symlinkat("nowhere", folder->fd, "dangling"), 0);

    assert_int_equal(file_open_at(folder->fd, "link", O_RDONLY, 0, &fd), -ELOOP);
    assert_int_equal(file_open_at(folder->fd, "link", O_PATH, 0, &fd), -ELOOP);
    assert_int_equal(file_open_at(folder->fd, "linked-directory", O_PATH | O_DIRECTORY, 0, &fd),
                     -ELOOP);
    assert_int_equal(file_open_at(folder->fd, "linked-directory/x", O_CREAT | O_WRONLY, 0600, &fd),
                     -ELOOP);
    assert_int_equal(file_open_at(folder->fd, "dangling", O_CREAT | O_WRONLY, 0600, &fd), -ELOOP);
    assert_int_equal(file_open_regular(folder->fd, "link", &fd, NULL), -ELOOP);
    assert_int_equal(fd, -1);
    assert_int_equal(file_open_at(folder->fd, "file", O_RDONLY, 0, &fd), 0);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
}

static void regular_opens_nothing_else(void **state)
{
    struct folder *folder = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    AUTO_CLOSE int socket_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    AUTO_CLOSE int fd = -1;
    struct stat status;

    make_file(folder, "file", "hello");
    assert_int_equal(mkfifoat(folder->fd, "fifo", 0600), 0);
    assert_true(text_format(address.sun_path, sizeof(address.sun_path), "%s/socket", folder->path) >
                0);
    assert_int_equal(bind(socket_fd, (struct sockaddr *)&address, sizeof(address)), 0);

    assert_int_equal(file_open_regular(folder->fd, "fifo", &fd, NULL), -ENXIO);
    assert_int_equal(file_open_regular(folder->fd, "socket", &fd, NULL), -ENXIO);
    assert_int_equal(file_open_regular(folder->fd, ".", &fd, NULL), -EISDIR);
    assert_int_equal(file_open_regular(AT_FDCWD, "/dev/null", &fd, NULL), -ENXIO);
    assert_int_equal(file_open_regular(folder->fd, "missing", &fd, NULL), -ENOENT);
    assert_int_equal(fd, -1);
    assert_int_equal(file_open_regular(folder->fd, "file", &fd, &status), 0);
    assert_int_equal(status.st_size, 5);
}

static void long_paths_are_walked_in_pieces(void **state)
{
    struct folder *folder = *state;
    char *path = calloc(1, LIMIT_PATH_BYTES + 2);
    size_t length = strlen(folder->path);
    char name[201];
    int at_fd = dup(folder->fd);
    int next_fd;
    AUTO_CLOSE int fd = -1;
    struct stat status;

    assert_non_null(path);
    memcpy(path, folder->path, length);
    memset(name, 'd', 200);
    name[200] = '\0';
    for (int i = 0; i < 150; i++) {
        assert_int_equal(mkdirat(at_fd, name, 0700), 0);
        assert_int_equal(file_open_at(at_fd, name, O_DIRECTORY | O_RDONLY, 0, &next_fd), 0);
        (void)close(at_fd);
        at_fd = next_fd;
        path[length++] = '/';
        memcpy(path + length, name, 200);
        length += 200;
    }
    assert_int_equal(file_open_at(at_fd, "file", O_WRONLY | O_CREAT, 0600, &next_fd), 0);
    assert_int_equal(file_write(next_fd, "deep", 4), 0);
    (void)close(next_fd);
    (void)close(at_fd);
    memcpy(path + length, "/file", 6);

    assert_int_equal(file_open_regular(AT_FDCWD, path, &fd, &status), 0);
    assert_int_equal(status.st_size, 4);
    memset(path + length + 1, 'x', LIMIT_PATH_BYTES - length);
    assert_int_equal(file_open_regular(AT_FDCWD, path, &next_fd, NULL), -ENAMETOOLONG);
    free(path);
}

static void reads_whole_files_within_the_maximum(void **state)
{
    struct folder *folder = *state;
    AUTO_BUFFER struct buffer exact = BUFFER_WITH_MAXIMUM(5);
    AUTO_BUFFER struct buffer small = BUFFER_WITH_MAXIMUM(4);
    char path[96];

    make_file(folder, "file", "hello");
    assert_true(text_format(path, sizeof(path), "%s/file", folder->path) > 0);
    assert_int_equal(file_read_all(path, &exact), 0);
    assert_string_equal(buffer_text(&exact), "hello");
    assert_int_equal(file_read_all(path, &small), -EFBIG);
}

static void replace_is_whole_and_leaves_nothing(void **state)
{
    struct folder *folder = *state;
    AUTO_BUFFER struct buffer content = BUFFER_WITH_MAXIMUM(64);
    char path[96];
    struct stat status;

    assert_true(text_format(path, sizeof(path), "%s/file", folder->path) > 0);
    assert_int_equal(file_replace(path, "one", 3, 0640), 0);
    assert_int_equal(file_replace(path, "second", 6, 0604), 0);
    assert_int_equal(file_read_all(path, &content), 0);
    assert_string_equal(buffer_text(&content), "second");
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0604);

    /* A directory in the place cannot be replaced, and the temporary file goes. */
    assert_int_equal(mkdirat(folder->fd, "directory", 0700), 0);
    assert_true(text_format(path, sizeof(path), "%s/directory", folder->path) > 0);
    assert_int_equal(file_replace(path, "x", 1, 0600), -EISDIR);
    assert_int_equal(unlinkat(folder->fd, "file", 0), 0);
    assert_int_equal(unlinkat(folder->fd, "directory", AT_REMOVEDIR), 0);
    assert_int_equal(fstat(folder->fd, &status), 0);
    assert_int_equal(rmdir(folder->path), 0);
    assert_int_equal(mkdir(folder->path, 0700), 0);
}

static void makes_directories_that_are_ours(void **state)
{
    struct folder *folder = *state;
    char path[128];
    struct stat status;
    mode_t mask = umask(077);

    assert_true(text_format(path, sizeof(path), "%s/a//b/c/", folder->path) > 0);
    assert_int_equal(file_make_directories(path, 0750), 0);
    assert_int_equal(file_make_directories(path, 0750), 0);
    (void)umask(mask);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0750);

    assert_int_equal(fchmodat(folder->fd, "a/b", 0777, 0), 0);
    assert_true(text_format(path, sizeof(path), "%s/a/b", folder->path) > 0);
    assert_int_equal(file_make_directories(path, 0750), -EPERM);
    assert_int_equal(symlinkat("a", folder->fd, "link"), 0);
    assert_true(text_format(path, sizeof(path), "%s/link/new", folder->path) > 0);
    assert_int_equal(file_make_directories(path, 0750), -ELOOP);
    make_file(folder, "file", "");
    assert_true(text_format(path, sizeof(path), "%s/file", folder->path) > 0);
    assert_int_equal(file_make_directories(path, 0750), -ENOTDIR);
}

static void removal_does_not_follow_links(void **state)
{
    struct folder *folder = *state;

    assert_int_equal(mkdirat(folder->fd, "kept", 0700), 0);
    make_file(folder, "kept/file", "x");
    assert_int_equal(mkdirat(folder->fd, "gone", 0700), 0);
    assert_int_equal(symlinkat("../kept", folder->fd, "gone/link"), 0);
    assert_int_equal(file_remove_tree(folder->fd, "gone"), 0);
    assert_int_equal(faccessat(folder->fd, "kept/file", F_OK, 0), 0);
    assert_int_equal(faccessat(folder->fd, "gone", F_OK, 0), -1);
}

static void identity_sees_every_difference(void **state)
{
    struct stat status = {.st_dev = 1, .st_ino = 2, .st_size = 3};
    struct file_identity first;
    struct file_identity second;

    (void)state;
    status.st_mtim.tv_nsec = 4;
    status.st_ctim.tv_sec = 5;
    first = file_identity_of(&status);
    assert_int_equal(first.ctime_ns, 5000000000ULL);
    second = first;
    assert_true(file_identity_equal(&first, &second));
    second.mtime_ns++;
    assert_false(file_identity_equal(&first, &second));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(open_refuses_links, set_up, tear_down),
        cmocka_unit_test_setup_teardown(regular_opens_nothing_else, set_up, tear_down),
        cmocka_unit_test_setup_teardown(long_paths_are_walked_in_pieces, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reads_whole_files_within_the_maximum, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reads_from_where_it_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(replace_is_whole_and_leaves_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(makes_directories_that_are_ours, set_up, tear_down),
        cmocka_unit_test_setup_teardown(removal_does_not_follow_links, set_up, tear_down),
        cmocka_unit_test(identity_sees_every_difference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
