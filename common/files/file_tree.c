/* Owns: making our own directories and removing our own trees, without following links. */
#include "common/files/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>

#include "common/limits.h"
#include "common/text/text.h"

/* Deeper folders are moved up before they are emptied, so that few descriptors are open. */
#define REMOVE_DEPTH 32

static int open_or_make(int parent_fd, const char *name, mode_t mode, int *ret_fd)
{
    int r = file_open_at(parent_fd, name, O_DIRECTORY | O_RDONLY, 0, ret_fd);

    if (r != -ENOENT)
        return r;
    if (mkdirat(parent_fd, name, mode) < 0 && errno != EEXIST)
        return -errno;
    r = file_open_at(parent_fd, name, O_DIRECTORY | O_RDONLY, 0, ret_fd);
    if (r < 0)
        return r;
    /* The umask may have taken bits away. */
    return fchmod(*ret_fd, mode) < 0 ? -errno : 0;
}

static int check_ours(int fd, mode_t mode)
{
    struct stat status;

    if (fstat(fd, &status) < 0)
        return -errno;
    if (status.st_uid != geteuid() || (status.st_mode & ~mode & (S_IWGRP | S_IWOTH)) != 0)
        return -EPERM;
    return 0;
}

int file_make_directories(const char *path, mode_t mode)
{
    AUTO_CLOSE int fd = -1;

    if (path[0] != '/')
        return -EINVAL;
    int r = file_open_directory("/", true, &fd);
    if (r < 0)
        return r;
    for (const char *at = path + strspn(path, "/"); *at != '\0';) {
        char name[NAME_MAX + 1];
        size_t length = strcspn(at, "/");
        int next_fd = -1;

        if (length > NAME_MAX)
            return -ENAMETOOLONG;
        memcpy(name, at, length);
        name[length] = '\0';
        r = open_or_make(fd, name, mode, &next_fd);
        (void)close(fd);
        fd = next_fd;
        if (r < 0)
            return r;
        at += length;
        at += strspn(at, "/");
    }
    return check_ours(fd, mode);
}

static void cleanup_directory(DIR **directory)
{
    if (*directory != NULL)
        (void)closedir(*directory);
}

struct removal {
    int top_fd;
    unsigned int moved; /* folders moved up so far: makes their names */
};

static int remove_children(struct removal *removal, int fd, int depth);

static int remove_folder(struct removal *removal, int parent_fd, const char *name, int depth)
{
    AUTO_CLOSE int fd = -1;

    if (depth >= REMOVE_DEPTH) {
        char moved[32];

        (void)text_format(moved, sizeof(moved), ".yagura-removed-%u", removal->moved++);
        return renameat(parent_fd, name, removal->top_fd, moved) < 0 ? -errno : 0;
    }
    int r = file_open_at(parent_fd, name, O_DIRECTORY | O_RDONLY, 0, &fd);
    if (r < 0)
        return r;
    r = remove_children(removal, fd, depth + 1);
    if (r < 0)
        return r;
    return unlinkat(parent_fd, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

/* unlink of a directory is EISDIR (Linux) or EPERM (POSIX). */
static int remove_entry(struct removal *removal, int parent_fd, const char *name, int depth)
{
    if (unlinkat(parent_fd, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return -errno;
    return remove_folder(removal, parent_fd, name, depth);
}

static int remove_children(struct removal *removal, int fd, int depth)
{
    CLEANUP(cleanup_directory) DIR *directory = NULL;
    int list_fd = -1;
    const struct dirent *entry;

    int r = file_open_at(fd, ".", O_DIRECTORY | O_RDONLY, 0, &list_fd);
    if (r < 0)
        return r;
    directory = fdopendir(list_fd);
    if (directory == NULL) {
        r = -errno;
        (void)close(list_fd);
        return r;
    }
    while ((errno = 0, entry = readdir(directory)) != NULL) {
        if (text_equal(entry->d_name, ".") || text_equal(entry->d_name, ".."))
            continue;
        r = remove_entry(removal, fd, entry->d_name, depth);
        if (r < 0)
            return r;
    }
    return -errno;
}

int file_remove_tree(int directory_fd, const char *name)
{
    struct removal removal = {.top_fd = -1, .moved = 0};
    AUTO_CLOSE int fd = -1;
    unsigned int moved_before;

    if (unlinkat(directory_fd, name, 0) == 0)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return -errno;
    int r = file_open_at(directory_fd, name, O_DIRECTORY | O_RDONLY, 0, &fd);
    if (r < 0)
        return r;
    removal.top_fd = fd;
    do {
        moved_before = removal.moved;
        r = remove_children(&removal, fd, 0);
        if (r < 0)
            return r;
    } while (removal.moved != moved_before);
    return unlinkat(directory_fd, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}
