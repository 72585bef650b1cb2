/* The only code that opens files. Every descriptor is close-on-exec and no symbolic link is ever
 * followed (openat2 with RESOLVE_NO_SYMLINKS|RESOLVE_NO_MAGICLINKS), unless the name of the
 * function says so. Paths of any length up to LIMIT_PATH_BYTES work: longer ones than PATH_MAX are
 * walked in pieces. Thread-safe. Source: openat2(2), path_resolution(7). */
#ifndef COMMON_FILES_FILE_H
#define COMMON_FILES_FILE_H

#include "common/attributes.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

struct buffer;

/* What identifies a file's content as far as stat can tell. Times in ns since 1970. */
struct file_identity {
    uint64_t device;
    uint64_t inode;
    uint64_t size;
    uint64_t mtime_ns;
    uint64_t ctime_ns;
};

struct file_identity file_identity_of(const struct stat *status);
bool file_identity_equal(const struct file_identity *a, const struct file_identity *b);

/* Opens path below directory_fd (AT_FDCWD for absolute paths). flags as openat; O_CLOEXEC is added.
 * -ELOOP when any part is a symbolic link, the last one too (also with O_PATH); -errno. */
int file_open_at(int directory_fd, const char *path, int flags, mode_t mode, int *ret_fd) MUST_USE;
/* The same, but never above directory_fd and never onto another mount: -EXDEV, and what is mounted
 * there is not touched. path is shorter than PATH_MAX. */
int file_open_same_mount(int directory_fd, const char *path, int flags, int *ret_fd) MUST_USE;
/* A directory by absolute path, O_PATH or readable. */
int file_open_directory(const char *path, bool readable, int *ret_fd) MUST_USE;
/* A regular file for reading; nothing else is ever opened, so no FIFO holds us and no device acts:
 * -ELOOP symbolic link, -EISDIR directory, -ENXIO other non-regular. -EAGAIN while somebody holds a
 * write lease. Needs /proc. ret_status may be NULL. */
int file_open_regular(int directory_fd, const char *path, int *ret_fd,
                      struct stat *ret_status) MUST_USE;
/* Opens what fd (O_PATH is enough) stands for once more, with other flags. Needs /proc. */
int file_reopen(int fd, int flags, int *ret_fd) MUST_USE;
/* "/proc/self/fd/N": a path to what fd stands for, for calls that take only paths. */
#define FILE_LINK_BYTES 32
void file_link_of(int fd, char link[static FILE_LINK_BYTES]);
/* Follows symbolic links: for configuration an administrator names. */
int file_open_following(const char *path, int flags, mode_t mode, int *ret_fd) MUST_USE;
/* O_PATH, by what the kernel has in memory alone: waits for no disk and no file system. No links.
 * -EAGAIN: it is not all there; -EINVAL: the kernel (before 5.12) cannot. */
int file_find_cached(const char *path, int *ret_fd) MUST_USE;

/* Appends the whole content; -EFBIG above the buffer's maximum. file_read_all follows links. */
int file_read_all(const char *path, struct buffer *buffer) MUST_USE;
int file_read_all_fd(int fd, struct buffer *buffer) MUST_USE;
/* All bytes or -errno; repeats on EINTR and short counts. read: fewer only at the end of the file.
 */
ssize_t file_read(int fd, void *bytes, size_t length) MUST_USE;
/* The same at offset (INT64_MAX at most), wherever the descriptor stands. */
ssize_t file_read_at(int fd, void *bytes, size_t length, uint64_t offset) MUST_USE;
int file_write(int fd, const void *bytes, size_t length) MUST_USE;

/* Replaces path durably: temporary name in the same directory, fsync, rename, fsync of the folder.
 */
int file_replace(const char *path, const void *bytes, size_t length, mode_t mode) MUST_USE;
int file_sync_directory(int directory_fd) MUST_USE;
/* Makes path and its missing parents with mode; an existing directory is fine, and a last component
 * that is not ours (owner, group/other writable when mode forbids it) is -EPERM. */
int file_make_directories(const char *path, mode_t mode) MUST_USE;
/* Removes a tree below directory_fd without following links. For our own directories only. */
int file_remove_tree(int directory_fd, const char *name) MUST_USE;

#endif
