/* Owns the look-up. Must not: touch any file system but the local one that mountinfo tells for the
 * path, for a name that others chose may lead to one that never answers. */
#include "agent/prevention/open_path.h"

#include "agent/watch/mounts.h"
#include "common/files/file.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* The mount's root, unless something else is mounted there by now. */
static bool open_mount(const struct mount_entry *mount, int *ret_fd)
{
    struct statx status;
    AUTO_CLOSE int fd = -1;

    if (mount == NULL || mount->class != MOUNT_LOCAL || file_find_cached(mount->path, &fd) < 0 ||
        statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID, &status) < 0 ||
        (status.stx_mask & STATX_MNT_ID) == 0 || status.stx_mnt_id != mount->id)
        return false;
    *ret_fd = TAKE_FD(fd);
    return true;
}

static bool open_by(const struct mounts *mounts, const char *path, int *ret_fd)
{
    const struct mount_entry *mount = mounts_covering(mounts, path, strlen(path));
    AUTO_CLOSE int root = -1;

    if (!open_mount(mount, &root))
        return false;
    const char *below = path + mount->path_length;
    below += strspn(below, "/");
    return below[0] != '\0' && file_open_same_mount(root, below, O_PATH, ret_fd) == 0;
}

static bool leads_to(const char *path, int fd)
{
    struct mounts *mounts = NULL;
    struct stat wanted, found;
    AUTO_CLOSE int info = -1, there = -1;

    if (file_open_following("/proc/self/mountinfo", O_RDONLY, 0, &info) < 0 ||
        mounts_read(info, &mounts) < 0)
        return false;
    bool opened = open_by(mounts, path, &there);
    (void)mounts_free(mounts);
    return opened && fstat(fd, &wanted) == 0 && fstat(there, &found) == 0 &&
           wanted.st_dev == found.st_dev && wanted.st_ino == found.st_ino;
}

bool open_path_find(int fd, char path[static PATH_MAX])
{
    char link[FILE_LINK_BYTES];

    file_link_of(fd, link);
    ssize_t length = readlink(link, path, PATH_MAX);
    path[length > 0 && length < PATH_MAX ? length : 0] = '\0';
    if (path[0] == '/' && leads_to(path, fd))
        return true;
    path[0] = '\0';
    return false;
}
