/* Owns the descriptors and the names of one walk. Must not judge files; hands every regular one to
 * the visitor with its directory still open.
 *
 * Each level of the walk is a directory read to its end (or until the room for names is used up)
 * before the first of its subdirectories is entered. Descriptors of levels far up are closed and
 * opened anew by path, verified by device and inode, when the walk comes back to them. */
#include "agent/scan/tree_walk.h"

#include "common/files/file.h"
#include "common/limits.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>

enum { ENTRIES_BYTES = 64 * 1024, LEAST_NAMES_BYTES = 4096 };

struct level {
    int fd; /* -1: closed meanwhile */
    dev_t device;
    ino_t inode;
    uint64_t mount_id;
    size_t path_length;
    size_t names, next_name, names_end; /* of subdirectories, in walk.names */
    off_t resume;                       /* where to read on */
    bool more;
};

struct walk {
    const struct tree_walk_visitor *visitor;
    void *user;
    struct mount_classes *mounts;
    bool recursive, remote;
    char *path;
    struct level *levels;
    size_t depth, capacity;
    char *names;
    size_t names_size;
    char *entries;
};

struct directory_entry {
    uint64_t inode;
    int64_t offset; /* of the next one */
    unsigned short length;
    unsigned char type;
    char name[];
};

/* Appends "/name"; false when the path would be too long. */
static bool extend_path(struct walk *walk, size_t length, const char *name, size_t *ret_length)
{
    size_t name_length = strlen(name);
    bool slash = length > 1;

    if (length + slash + name_length > LIMIT_PATH_BYTES)
        return false;
    if (slash)
        walk->path[length++] = '/';
    memcpy(walk->path + length, name, name_length + 1);
    *ret_length = length + name_length;
    return true;
}

static void tell_problem(struct walk *walk, size_t length, int error)
{
    if (error != -ENOENT && error != -ENOTDIR)
        walk->visitor->problem(walk->user, walk->path, length, error);
}

/* ---- reading one directory ---- */

static int visit_file(struct walk *walk, struct level *level, const char *name)
{
    struct stat status;
    size_t length;

    if (!extend_path(walk, level->path_length, name, &length)) {
        walk->path[level->path_length] = '\0';
        tell_problem(walk, level->path_length, -ENAMETOOLONG);
        return 0;
    }
    if (fstatat(level->fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0) {
        tell_problem(walk, length, -errno);
        return 0;
    }
    const struct tree_walk_file file = {
        .directory_fd = level->fd,
        .name = name,
        .path = walk->path,
        .path_length = length,
        .status = &status,
    };
    if (S_ISREG(status.st_mode))
        return walk->visitor->file(walk->user, &file);
    if (S_ISDIR(status.st_mode))
        return 1;
    return walk->visitor->other != NULL ? walk->visitor->other(walk->user, &file) : 0;
}

static struct timespec time_of(struct statx_timestamp time)
{
    return (struct timespec){.tv_sec = time.tv_sec, .tv_nsec = time.tv_nsec};
}

/* A subdirectory, as its parent is read. What is mounted there is not asked, and not told. */
static int visit_directory(struct walk *walk, const struct level *level, const char *name)
{
    int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC;
    struct statx status;
    size_t length;

    if (!extend_path(walk, level->path_length, name, &length) ||
        statx(level->fd, name, flags, STATX_BASIC_STATS | STATX_MNT_ID, &status) < 0 ||
        status.stx_mnt_id != level->mount_id || !S_ISDIR(status.stx_mode))
        return 0;
    const struct stat same = {
        .st_mode = status.stx_mode,
        .st_nlink = status.stx_nlink,
        .st_uid = status.stx_uid,
        .st_gid = status.stx_gid,
        .st_ino = status.stx_ino,
        .st_size = (off_t)status.stx_size,
        .st_mtim = time_of(status.stx_mtime),
        .st_ctim = time_of(status.stx_ctime),
    };
    return walk->visitor->other(walk->user, &(struct tree_walk_file){
                                                .directory_fd = level->fd,
                                                .name = name,
                                                .path = walk->path,
                                                .path_length = length,
                                                .status = &same,
                                            });
}

/* Room that this level's names may use: less and less as the walk gets deeper. */
static size_t names_room(const struct level *level)
{
    size_t left = level->names < TREE_WALK_NAMES_BYTES ? TREE_WALK_NAMES_BYTES - level->names : 0;

    return MAX(left / 4, (size_t)LEAST_NAMES_BYTES);
}

static int keep_name(struct walk *walk, struct level *level, const char *name)
{
    size_t bytes = strlen(name) + 1;

    if (level->names_end + bytes > walk->names_size) {
        size_t size = MAX(walk->names_size * 2, level->names_end + bytes + LEAST_NAMES_BYTES);
        char *names = realloc(walk->names, size);
        if (names == NULL)
            return -ENOMEM;
        walk->names = names;
        walk->names_size = size;
    }
    memcpy(walk->names + level->names_end, name, bytes);
    level->names_end += bytes;
    return 0;
}

static bool is_dot(const char *name)
{
    return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

/* 0 go on, 1 no more room for names, < 0 end of the walk. */
static int read_entry(struct walk *walk, struct level *level, const struct directory_entry *entry)
{
    int r = entry->type == DT_DIR ? 1 : 0;

    if (is_dot(entry->name))
        return 0;
    if (entry->type == DT_REG || entry->type == DT_UNKNOWN ||
        (r == 0 && walk->visitor->other != NULL))
        r = visit_file(walk, level, entry->name);
    if (r > 0 && walk->visitor->other != NULL) {
        int told = visit_directory(walk, level, entry->name);
        if (told < 0)
            return told;
    }
    if (r <= 0 || !walk->recursive)
        return MIN(r, 0);
    r = keep_name(walk, level, entry->name);
    if (r == 0 && level->names_end - level->names >= names_room(level))
        return 1;
    return r;
}

static int read_level(struct walk *walk, struct level *level)
{
    level->more = false;
    level->next_name = level->names_end = level->names;
    for (;;) {
        long bytes = syscall(SYS_getdents64, level->fd, walk->entries, ENTRIES_BYTES);
        if (bytes < 0) {
            walk->path[level->path_length] = '\0';
            tell_problem(walk, level->path_length, -errno);
        }
        if (bytes <= 0)
            return 0;
        for (long at = 0; at < bytes;) {
            const struct directory_entry *entry = (void *)(walk->entries + at);
            at += entry->length;
            int r = read_entry(walk, level, entry);
            level->resume = entry->offset;
            level->more = r > 0;
            if (r != 0)
                return MIN(r, 0);
        }
    }
}

/* ---- levels ---- */

static struct level *push_level(struct walk *walk)
{
    if (walk->depth == walk->capacity) {
        size_t capacity = MAX(walk->capacity * 2, (size_t)16);
        struct level *levels = reallocarray(walk->levels, capacity, sizeof *levels);
        if (levels == NULL)
            return NULL;
        walk->levels = levels;
        walk->capacity = capacity;
    }
    struct level *level = &walk->levels[walk->depth];
    size_t names = walk->depth > 0 ? level[-1].names_end : 0;
    *level = (struct level){.fd = -1, .names = names, .next_name = names, .names_end = names};
    walk->depth++;
    if (walk->depth > TREE_WALK_FDS) {
        struct level *far = &walk->levels[walk->depth - 1 - TREE_WALK_FDS];
        if (far->fd >= 0)
            (void)close(far->fd);
        far->fd = -1;
    }
    return level;
}

static void pop_level(struct walk *walk)
{
    struct level *level = &walk->levels[--walk->depth];

    if (level->fd >= 0)
        (void)close(level->fd);
}

/* Takes fd. */
static int enter_directory(struct walk *walk, int fd, size_t path_length, uint64_t mount_id)
{
    struct stat status;
    struct level *level = push_level(walk);

    if (level == NULL || fstat(fd, &status) < 0) {
        int error = level == NULL ? -ENOMEM : -errno;
        (void)close(fd);
        if (level != NULL)
            pop_level(walk);
        return error;
    }
    level->fd = fd;
    level->device = status.st_dev;
    level->inode = status.st_ino;
    level->mount_id = mount_id;
    level->path_length = path_length;
    int r = walk->visitor->checks(walk->user);
    return r < 0 ? r : read_level(walk, level);
}

/* Whether the mount that begins at path may be entered. */
static bool mount_is_entered(struct walk *walk, uint64_t mount_id)
{
    enum mount_class kind = mount_class_of_id(walk->mounts, mount_id);

    if (kind == MOUNT_LOCAL || (kind == MOUNT_REMOTE && walk->remote))
        return true;
    walk->visitor->skipped(walk->user, walk->path, kind);
    return false;
}

static int descend(struct walk *walk, struct level *parent, const char *name)
{
    struct statx status;
    size_t length;
    int fd;

    if (walk->depth >= LIMIT_PATH_DEPTH || !extend_path(walk, parent->path_length, name, &length)) {
        walk->path[parent->path_length] = '\0';
        tell_problem(walk, parent->path_length, -ENAMETOOLONG);
        return 0;
    }
    if (!walk->visitor->enters(walk->user, walk->path, length))
        return 0;
    int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC;
    if (statx(parent->fd, name, flags, STATX_TYPE | STATX_MNT_ID, &status) < 0) {
        tell_problem(walk, length, -errno);
        return 0;
    }
    if (status.stx_mnt_id != parent->mount_id && !mount_is_entered(walk, status.stx_mnt_id))
        return 0;
    int r = file_open_at(parent->fd, name, O_RDONLY | O_DIRECTORY, 0, &fd);
    if (r < 0) {
        if (r != -ELOOP)
            tell_problem(walk, length, r);
        return 0;
    }
    return enter_directory(walk, fd, length, status.stx_mnt_id);
}

/* A level whose descriptor was closed meanwhile. A directory that is no longer there, or another
 * one, ends this level: what moved is told by the watch where it is now. */
static bool reopen_level(struct walk *walk, struct level *level)
{
    struct stat status;

    if (level->fd >= 0)
        return true;
    walk->path[level->path_length] = '\0';
    int r = file_open_directory(walk->path, true, &level->fd);
    if (r == 0 && (fstat(level->fd, &status) < 0 || status.st_dev != level->device ||
                   status.st_ino != level->inode))
        r = -ESTALE;
    if (r < 0)
        tell_problem(walk, level->path_length, r);
    return r == 0;
}

static int walk_levels(struct walk *walk)
{
    int r = 0;

    while (r == 0 && walk->depth > 0) {
        struct level *level = &walk->levels[walk->depth - 1];
        if (level->next_name < level->names_end) {
            const char *name = walk->names + level->next_name;
            level->next_name += strlen(name) + 1;
            if (reopen_level(walk, level))
                r = descend(walk, level, name);
            else
                pop_level(walk);
        } else if (level->more && reopen_level(walk, level) &&
                   lseek(level->fd, level->resume, SEEK_SET) >= 0) {
            r = read_level(walk, level);
        } else {
            pop_level(walk);
        }
    }
    return r;
}

/* ---- the root ---- */

static int walk_single_file(struct walk *walk, size_t length)
{
    size_t end = length;
    int fd;

    while (end > 1 && walk->path[end - 1] != '/')
        end--;
    AUTO_FREE char *name = strdup(walk->path + end);
    if (name == NULL)
        return -ENOMEM;
    size_t parent_length = end > 1 ? end - 1 : 1;
    walk->path[parent_length] = '\0';
    int r = file_open_directory(walk->path, false, &fd);
    if (r < 0)
        return r;
    struct level level = {.fd = fd, .path_length = parent_length};
    r = visit_file(walk, &level, name);
    (void)close(fd);
    return MIN(r, 0);
}

static int walk_root(struct walk *walk, size_t length)
{
    AUTO_CLOSE int fd = -1;
    struct statx status = {.stx_mode = 0};
    enum mount_class kind = MOUNT_LOCAL;

    int r = file_open_at(AT_FDCWD, walk->path, O_PATH, 0, &fd);
    if (r == 0)
        r = mount_class_of(walk->mounts, fd, "", &kind, &status);
    if (r < 0)
        return r;
    walk->remote = kind == MOUNT_REMOTE;
    if (kind == MOUNT_PSEUDO) {
        walk->visitor->skipped(walk->user, walk->path, kind);
        return 0;
    }
    if (S_ISREG(status.stx_mode))
        return walk_single_file(walk, length);
    if (!S_ISDIR(status.stx_mode)) {
        tell_problem(walk, length, -ENXIO);
        return 0;
    }
    int directory_fd;
    r = file_open_at(fd, ".", O_RDONLY | O_DIRECTORY, 0, &directory_fd);
    if (r < 0) {
        tell_problem(walk, length, r);
        return 0;
    }
    r = enter_directory(walk, directory_fd, length, status.stx_mnt_id);
    return r < 0 ? r : walk_levels(walk);
}

int tree_walk(const char *root, bool recursive, struct mount_classes *mounts,
              const struct tree_walk_visitor *visitor, void *user)
{
    size_t length = strlen(root);
    struct walk walk = {.visitor = visitor, .user = user, .mounts = mounts, .recursive = recursive};

    while (length > 1 && root[length - 1] == '/')
        length--;
    if (length == 0 || root[0] != '/' || length > LIMIT_PATH_BYTES)
        return length > LIMIT_PATH_BYTES ? -ENAMETOOLONG : -EINVAL;
    walk.path = malloc(LIMIT_PATH_BYTES + 2);
    walk.entries = malloc(ENTRIES_BYTES);
    int r = -ENOMEM;
    if (walk.path != NULL && walk.entries != NULL) {
        memcpy(walk.path, root, length);
        walk.path[length] = '\0';
        r = walk_root(&walk, length);
    }
    while (walk.depth > 0)
        pop_level(&walk);
    free(walk.levels);
    free(walk.names);
    free(walk.entries);
    free(walk.path);
    return r;
}
