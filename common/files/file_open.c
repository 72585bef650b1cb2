/* Owns: every way the suite opens a path. Must not own: what is read or written. Hands off: a
 * close-on-exec descriptor that no symbolic link helped to reach.
 *
 * O_NOFOLLOW is not passed to openat2: with it the kernel stops at a link in the last place and
 * answers ENOTDIR or, with O_PATH, opens the link itself; RESOLVE_NO_SYMLINKS alone answers ELOOP
 * wherever the link stands. */
#include "common/files/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/syscall.h>

#include "common/limits.h"
#include "common/text/text.h"
#include "common/time/clock.h"

struct file_identity file_identity_of(const struct stat *status)
{
    return (struct file_identity){
        .device = status->st_dev,
        .inode = status->st_ino,
        .size = (uint64_t)status->st_size,
        .mtime_ns = timespec_to_ns(status->st_mtim),
        .ctime_ns = timespec_to_ns(status->st_ctim),
    };
}

bool file_identity_equal(const struct file_identity *a, const struct file_identity *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

/* One system call: path must be shorter than PATH_MAX. */
static int open_resolving(int directory_fd, const char *path, int flags, mode_t mode,
                          uint64_t resolve, int *ret_fd)
{
    bool creates = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
    struct open_how how = {
        .flags = (uint64_t)(unsigned int)(flags | O_CLOEXEC),
        .mode = creates ? mode & 07777 : 0,
        .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | resolve,
    };
    long fd;

    do {
        fd = syscall(SYS_openat2, directory_fd, path, &how, sizeof(how));
    } while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return -errno;
    *ret_fd = (int)fd;
    return 0;
}

static int open_piece(int directory_fd, const char *path, int flags, mode_t mode, int *ret_fd)
{
    return open_resolving(directory_fd, path, flags, mode, 0, ret_fd);
}

int file_open_same_mount(int directory_fd, const char *path, int flags, int *ret_fd)
{
    return open_resolving(directory_fd, path, flags, 0, RESOLVE_BENEATH | RESOLVE_NO_XDEV, ret_fd);
}

/* Length of the longest run of whole components that one system call takes; 0 when a single
 * component is too long. */
static size_t piece_length(const char *path)
{
    size_t length = PATH_MAX - 1;

    while (length > 0 && path[length] != '/')
        length--;
    return length;
}

int file_open_at(int directory_fd, const char *path, int flags, mode_t mode, int *ret_fd)
{
    size_t left = strnlen(path, LIMIT_PATH_BYTES + 1);
    AUTO_CLOSE int parent_fd = -1;
    int from_fd = directory_fd;

    if (left > LIMIT_PATH_BYTES)
        return -ENAMETOOLONG;
    while (left >= PATH_MAX) {
        char piece[PATH_MAX];
        size_t length = piece_length(path);
        int next_fd;

        if (length == 0)
            return -ENAMETOOLONG;
        memcpy(piece, path, length);
        piece[length] = '\0';
        int r = open_piece(from_fd, piece, O_PATH | O_DIRECTORY, 0, &next_fd);
        if (r < 0)
            return r;
        if (parent_fd >= 0)
            (void)close(parent_fd);
        from_fd = parent_fd = next_fd;
        while (path[length] == '/')
            length++;
        path += length;
        left -= length;
    }
    return open_piece(from_fd, left > 0 || parent_fd < 0 ? path : ".", flags, mode, ret_fd);
}

int file_open_directory(const char *path, bool readable, int *ret_fd)
{
    return file_open_at(AT_FDCWD, path, O_DIRECTORY | (readable ? O_RDONLY : O_PATH), 0, ret_fd);
}

int file_reopen(int fd, int flags, int *ret_fd)
{
    char link[FILE_LINK_BYTES];
    int new_fd;

    file_link_of(fd, link);
    do {
        new_fd = open(link, flags | O_CLOEXEC);
    } while (new_fd < 0 && errno == EINTR);
    if (new_fd < 0)
        return -errno;
    *ret_fd = new_fd;
    return 0;
}

void file_link_of(int fd, char link[static FILE_LINK_BYTES])
{
    (void)text_format(link, FILE_LINK_BYTES, "/proc/self/fd/%d", fd);
}

int file_open_regular(int directory_fd, const char *path, int *ret_fd, struct stat *ret_status)
{
    AUTO_CLOSE int path_fd = -1;
    struct stat status;
    int r;

    r = file_open_at(directory_fd, path, O_PATH, 0, &path_fd);
    if (r < 0)
        return r;
    if (fstat(path_fd, &status) < 0)
        return -errno;
    if (S_ISDIR(status.st_mode))
        return -EISDIR;
    if (!S_ISREG(status.st_mode))
        return -ENXIO;
    r = file_reopen(path_fd, O_RDONLY | O_NONBLOCK | O_NOCTTY, ret_fd);
    if (r < 0)
        return r;
    if (ret_status != NULL)
        *ret_status = status;
    return 0;
}

int file_open_following(const char *path, int flags, mode_t mode, int *ret_fd)
{
    int fd;

    do {
        fd = open(path, flags | O_CLOEXEC, mode);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return -errno;
    *ret_fd = fd;
    return 0;
}

int file_find_cached(const char *path, int *ret_fd)
{
    return open_resolving(AT_FDCWD, path, O_PATH, 0, RESOLVE_CACHED, ret_fd);
}
