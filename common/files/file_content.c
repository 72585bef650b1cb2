/* Owns: whole reads and writes, durable replacement of a file. Must not own: how a path is opened
 * (file_open.c). */
#include "common/files/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>

#include "common/buffers/buffer.h"
#include "common/limits.h"
#include "common/text/text.h"

#define READ_PIECE 65536

/* From *offset on, or, NULL, from where fd stands. */
static ssize_t read_whole(int fd, char *bytes, size_t length, const uint64_t *offset)
{
    size_t done = 0;

    while (done < length) {
        ssize_t n = offset != NULL ? pread(fd, bytes + done, length - done, (off_t)(*offset + done))
                                   : read(fd, bytes + done, length - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

ssize_t file_read(int fd, void *bytes, size_t length)
{
    return read_whole(fd, bytes, length, NULL);
}

ssize_t file_read_at(int fd, void *bytes, size_t length, uint64_t offset)
{
    return read_whole(fd, bytes, length, &offset);
}

int file_write(int fd, const void *bytes, size_t length)
{
    size_t done = 0;

    while (done < length) {
        ssize_t n = write(fd, (const char *)bytes + done, length - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        done += (size_t)n;
    }
    return 0;
}

/* The buffer is full: the content fits only if the file ends here. */
static int expect_end(int fd)
{
    char byte;
    ssize_t n = file_read(fd, &byte, 1);

    if (n < 0)
        return (int)n;
    return n == 0 ? 0 : -EFBIG;
}

int file_read_all_fd(int fd, struct buffer *buffer)
{
    for (;;) {
        size_t room = buffer->maximum - buffer->length;
        size_t piece = MIN(room, (size_t)READ_PIECE);
        char *space;

        if (room == 0)
            return expect_end(fd);
        int r = buffer_reserve(buffer, piece, &space);
        if (r < 0)
            return r;
        ssize_t n = file_read(fd, space, piece);
        if (n < 0)
            return (int)n;
        buffer_commit(buffer, (size_t)n);
        if ((size_t)n < piece)
            return 0;
    }
}

int file_read_all(const char *path, struct buffer *buffer)
{
    AUTO_CLOSE int fd = -1;

    int r = file_open_following(path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, &fd);
    if (r < 0)
        return r;
    return file_read_all_fd(fd, buffer);
}

int file_sync_directory(int directory_fd)
{
    return fsync(directory_fd) < 0 ? -errno : 0;
}

/* Opens the directory that holds path; ret_name points at path's last component. */
static int open_parent(const char *path, int *ret_fd, const char **ret_name)
{
    const char *slash = strrchr(path, '/');
    AUTO_FREE char *parent = NULL;

    if (slash == NULL || slash[1] == '\0')
        return -EINVAL;
    parent = slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
    if (parent == NULL)
        return -ENOMEM;
    *ret_name = slash + 1;
    return file_open_directory(parent, true, ret_fd);
}

static int write_durably(int fd, const void *bytes, size_t length, mode_t mode)
{
    if (fchmod(fd, mode) < 0)
        return -errno;
    int r = file_write(fd, bytes, length);
    if (r < 0)
        return r;
    return fsync(fd) < 0 ? -errno : 0;
}

int file_replace(const char *path, const void *bytes, size_t length, mode_t mode)
{
    AUTO_CLOSE int directory_fd = -1;
    AUTO_CLOSE int fd = -1;
    const char *name;
    char temporary[48];
    uint64_t random;
    int r;

    r = open_parent(path, &directory_fd, &name);
    if (r < 0)
        return r;
    if (getrandom(&random, sizeof(random), 0) != sizeof(random))
        return -EIO;
    (void)text_format(temporary, sizeof(temporary), ".yagura-%016llx", (unsigned long long)random);
    r = file_open_at(directory_fd, temporary, O_WRONLY | O_CREAT | O_EXCL, 0600, &fd);
    if (r < 0)
        return r;
    r = write_durably(fd, bytes, length, mode);
    if (r == 0 && renameat(directory_fd, temporary, directory_fd, name) < 0)
        r = -errno;
    if (r < 0) {
        (void)unlinkat(directory_fd, temporary, 0);
        return r;
    }
    return file_sync_directory(directory_fd);
}
