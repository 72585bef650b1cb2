/* Owns: that only the very inode that was scanned is moved. Must not own: what becomes of it. */
#include "agent/respond/respond_move.h"

#include "agent/respond/holding.h"
#include "common/files/file.h"
#include "common/limits.h"
#include "common/text/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

/* A file that is renamed again and again while we look for it. */
#define LOCATE_TRIES 5

const char *respond_parent_of(const struct task *task)
{
    static _Thread_local char parent[LIMIT_PATH_BYTES];
    const char *path = task->intent.facts.path, *slash = strrchr(path, '/');
    size_t length = slash && slash > path ? (size_t)(slash - path) : 1;

    if (length >= sizeof(parent))
        length = sizeof(parent) - 1;
    memcpy(parent, path, length);
    parent[length] = '\0';
    return parent;
}

void respond_moved_name(const struct task *task, char name[static MOVED_NAME_BYTES])
{
    (void)text_format(name, MOVED_NAME_BYTES, "%s%s", task->intent.facts.id,
                      task->intent.action == RESPOND_DELETE ? DELETE_SUFFIX : "");
}

/* 0 when directory_fd/name is the file; -ESTALE when it is another, -errno. */
static int check_name(const struct task *task, int directory_fd, const char *name)
{
    struct stat status;

    if (fstatat(directory_fd, name, &status, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
        return -errno;
    return status.st_ino == task->intent.facts.inode && status.st_dev == task->intent.facts.device
               ? 0
               : -ESTALE;
}

static int locate_by_path(const struct task *task, int *ret_parent_fd, const char **ret_name)
{
    const char *slash = strrchr(task->intent.facts.path, '/');
    AUTO_CLOSE int parent_fd = -1;
    int r;

    if (!slash || slash[1] == '\0')
        return -EINVAL;
    r = file_open_directory(respond_parent_of(task), false, &parent_fd);
    if (r < 0)
        return r;
    r = check_name(task, parent_fd, slash + 1);
    if (r < 0)
        return r;
    *ret_parent_fd = TAKE_FD(parent_fd);
    *ret_name = slash + 1;
    return 0;
}

/* Where the kernel says the open file is now. */
static int follow_file(struct task *task)
{
    char link[FILE_LINK_BYTES], path[PATH_MAX];
    struct stat status;
    ssize_t length;
    char *copy;

    if (task->fd < 0)
        return -ENOENT;
    if (fstat(task->fd, &status) < 0)
        return -errno;
    if (status.st_nlink == 0)
        return -ENOENT;
    file_link_of(task->fd, link);
    length = readlink(link, path, sizeof(path) - 1);
    if (length < 0)
        return -errno;
    if (length >= (ssize_t)sizeof(path) - 1 || path[0] != '/')
        return -ENOENT;
    copy = strndup(path, (size_t)length);
    if (!copy)
        return -ENOMEM;
    free(task->intent.facts.path);
    task->intent.facts.path = copy;
    return 0;
}

static bool may_have_moved(int error)
{
    return error == -ENOENT || error == -ESTALE || error == -ELOOP || error == -ENOTDIR ||
           error == -EXDEV;
}

int respond_locate(struct task *task, int *ret_parent_fd, const char **ret_name)
{
    int r = locate_by_path(task, ret_parent_fd, ret_name);

    for (int tries = 0; may_have_moved(r) && tries < LOCATE_TRIES; tries++) {
        int followed = follow_file(task);

        if (followed < 0)
            return followed;
        r = locate_by_path(task, ret_parent_fd, ret_name);
    }
    return r == -ESTALE ? -ENOENT : r;
}

int respond_choose_holding(struct task *task)
{
    AUTO_CLOSE int parent_fd = -1, holding_fd = -1;
    const char *name, *holding;
    char *copy;
    int r;

    r = respond_locate(task, &parent_fd, &name);
    if (r < 0)
        return r;
    r = holdings_find(task->responder->holdings, parent_fd, respond_parent_of(task), &holding_fd,
                      &holding);
    if (r < 0)
        return r;
    copy = strdup(holding);
    if (!copy)
        return -ENOMEM;
    free((char *)task->intent.holding);
    task->intent.holding = copy;
    return 0;
}

int respond_open_holding(struct task *task)
{
    int r;

    if (task->holding_fd >= 0)
        return 0;
    r = holdings_open(task->intent.holding, &task->holding_fd);
    if (r != -ENOENT || !task->resumed)
        return r;
    /* The power failed before the disk had the directory: make it again where the file stands. */
    r = respond_choose_holding(task);
    return r < 0 ? r : holdings_open(task->intent.holding, &task->holding_fd);
}

/* What was moved is not the file: somebody exchanged it between the look and the rename. */
static int give_back(struct task *task, const char *moved_name, int parent_fd, const char *name)
{
    char returned[NAME_MAX + 1];

    return holding_give_back(task->holding_fd, moved_name, parent_fd, name, returned);
}

static int move_once(struct task *task)
{
    AUTO_CLOSE int parent_fd = -1;
    char moved_name[MOVED_NAME_BYTES];
    const char *name;
    int r;

    r = respond_locate(task, &parent_fd, &name);
    if (r < 0)
        return r;
    respond_moved_name(task, moved_name);
    r = holding_take(parent_fd, name, task->holding_fd, moved_name);
    if (r < 0)
        return r;
    r = check_name(task, task->holding_fd, moved_name);
    if (r == -ESTALE) {
        int returned = give_back(task, moved_name, parent_fd, name);

        return returned < 0 ? returned : -ESTALE;
    }
    return r;
}

bool respond_lies_moved(const struct task *task)
{
    char moved_name[MOVED_NAME_BYTES];

    respond_moved_name(task, moved_name);
    return check_name(task, task->holding_fd, moved_name) == 0;
}

int respond_give_back(struct task *task)
{
    AUTO_CLOSE int parent_fd = -1;
    char moved_name[MOVED_NAME_BYTES];
    const char *slash = strrchr(task->intent.facts.path, '/');
    int r;

    if (!slash)
        return -EINVAL;
    r = file_open_directory(respond_parent_of(task), false, &parent_fd);
    if (r < 0)
        return r;
    respond_moved_name(task, moved_name);
    return give_back(task, moved_name, parent_fd, slash + 1);
}

/* A restart: it may lie there already, or something else that was about to go back. */
static int find_moved(struct task *task)
{
    char moved_name[MOVED_NAME_BYTES];
    int r;

    respond_moved_name(task, moved_name);
    r = check_name(task, task->holding_fd, moved_name);
    if (r != -ESTALE)
        return r;
    r = respond_give_back(task);
    return r < 0 ? r : -ENOENT;
}

int respond_move(struct task *task)
{
    int r;

    if (task->moved)
        return 0;
    r = respond_open_holding(task);
    if (r < 0)
        return r;
    r = task->resumed ? find_moved(task) : -ENOENT;
    for (int tries = 0; (r == -ESTALE || r == -ENOENT) && tries < LOCATE_TRIES; tries++) {
        r = move_once(task);
        if (r == -ENOENT && task->fd < 0)
            break; /* nothing else says where it may be */
    }
    task->moved = r == 0;
    return r;
}
