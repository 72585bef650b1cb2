/* Owns: opening a directory below its parent, and binding its node and its watch to it. Must not
 * own: the listing (walk_list.c). */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "agent/watch/budget.h"
#include "agent/watch/scope.h"
#include "agent/watch/walk_private.h"
#include "agent/watch/watch_source.h"
#include "common/files/file.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#define MOUNT_TRIES    3
#define SINCE_SLACK_NS (2 * NS_PER_SECOND)

/* --- opening ---------------------------------------------------------------------------------- */

static enum mount_class class_at(struct watch *watch, const char *path, size_t length,
                                 bool *ret_is_mount)
{
    enum mount_class class = MOUNT_LOCAL;
    const struct mount_entry *entry;

    (void)pthread_mutex_lock(&watch->lock);
    entry = mounts_at(watch->mounts, path, length);
    if (entry != NULL)
        class = entry->class;
    (void)pthread_mutex_unlock(&watch->lock);
    *ret_is_mount = entry != NULL;
    return class;
}

/* Says once for each mount why it is not watched. */
void walk_tell_unwatched_mount(struct walker *walker)
{
    struct watch *watch = walker->watch;
    char detail[192];
    struct mount_entry *entry;
    bool tells = false;

    (void)pthread_mutex_lock(&watch->lock);
    entry = mounts_at(watch->mounts, walker->path, walker->path_length);
    if (entry != NULL && !entry->told) {
        entry->told = tells = true;
        (void)text_format(detail, sizeof(detail),
                          "%s file system (%s): its changes are not told to this host; scan it on "
                          "a schedule, or run the agent where it lives",
                          entry->class == MOUNT_REMOTE ? "network or FUSE" : "kernel", entry->type);
    }
    (void)pthread_mutex_unlock(&watch->lock);
    if (tells)
        watch_tell(watch, WATCH_LIMITED, walker->path, walker->path_length, detail);
}

static int check_identity(int fd, const struct walk *walk)
{
    struct stat status;

    if (fstat(fd, &status) < 0)
        return -errno;
    if (status.st_ino != walk->parent_inode ||
        tree_pack_device(status.st_dev) != walk->parent_device)
        return -ESTALE;
    return 0;
}

/* The parent's descriptor, kept by the cache. -ESTALE: another directory has its path now. */
static int open_parent(struct walker *walker, const struct walk *walk, int *ret_fd)
{
    size_t length = walker->path_length - walk->name_length - 1;
    AUTO_CLOSE int fd = -1;
    char kept;

    *ret_fd = descriptor_cache_get(&walker->cache, walk->parent, walk->parent_generation);
    if (*ret_fd >= 0)
        return 0;
    length = MAX(length, (size_t)1);
    kept = walker->path[length];
    walker->path[length] = '\0';
    int r = file_open_directory(walker->path, true, &fd);
    walker->path[length] = kept;
    if (r == 0)
        r = check_identity(fd, walk);
    if (r < 0)
        return r == -ENOENT || r == -ENOTDIR || r == -ELOOP ? -ESTALE : r;
    *ret_fd = fd;
    descriptor_cache_put(&walker->cache, walk->parent, walk->parent_generation, TAKE_FD(fd));
    return 0;
}

static int open_child(struct walker *walker, const struct walk *walk, int parent_fd)
{
    const char *name = walker->path + walker->path_length - walk->name_length;
    const int flags = O_RDONLY | O_DIRECTORY | O_NONBLOCK;
    int fd = -1;
    int r = -EXDEV;

    for (int tries = 0; tries < MOUNT_TRIES && r == -EXDEV; tries++) {
        bool is_mount;

        if (tries > 0)
            watch_read_mounts(walker->watch, walk->task.epoch);
        switch (class_at(walker->watch, walker->path, walker->path_length, &is_mount)) {
        case MOUNT_PSEUDO:
            return -EMEDIUMTYPE;
        case MOUNT_REMOTE:
            return -EREMOTE;
        case MOUNT_LOCAL:
            r = is_mount ? file_open_at(parent_fd, name, flags, 0, &fd)
                         : file_open_same_mount(parent_fd, name, flags, &fd);
        }
    }
    return r < 0 ? r : fd;
}

/* The descriptor, or -ENOENT, -ENOTDIR, -ELOOP (not a directory here any more), -ESTALE (the parent
 * moved), -EREMOTE and -EMEDIUMTYPE (a mount that is not entered), -errno. */
int walk_open_directory(struct walker *walker, const struct walk *walk)
{
    int parent_fd;
    int fd;

    if (walk->task.node == TREE_ROOT) {
        int r = file_open_directory("/", true, &fd);
        return r < 0 ? r : fd;
    }
    int r = open_parent(walker, walk, &parent_fd);
    return r < 0 ? r : open_child(walker, walk, parent_fd);
}

/* --- watching --------------------------------------------------------------------------------- */

/* Measures once, near the limit, what other processes hold. Not under the lock. */
static void measure_budget(struct watch *watch)
{
    uint64_t others;
    bool measures;

    (void)pthread_mutex_lock(&watch->lock);
    measures = !watch->budget_measured && atomic_load(&watch->counters.watched) > watch->budget / 2;
    watch->budget_measured |= measures;
    (void)pthread_mutex_unlock(&watch->lock);
    if (!measures)
        return;
    others = budget_used_by_others();
    (void)pthread_mutex_lock(&watch->lock);
    watch->budget = budget_of(budget_kernel_limit(), others, watch->policy_budget);
    (void)pthread_mutex_unlock(&watch->lock);
}

void walk_describe_limit(struct watch *watch, int error)
{
    uint64_t watched = atomic_load(&watch->counters.watched);

    if (error == -ENOSPC && watch->policy_budget != 0 && watched >= watch->policy_budget)
        (void)text_format(watch->limit, sizeof(watch->limit),
                          "watch budget of the policy reached: %llu directories are watched; raise "
                          "the budget or exclude directories",
                          (unsigned long long)watched);
    else if (error == -ENOSPC)
        (void)text_format(watch->limit, sizeof(watch->limit),
                          "inotify watch limit reached: %llu directories are watched; cure: "
                          "sysctl -w fs.inotify.max_user_watches=%llu",
                          (unsigned long long)watched,
                          (unsigned long long)MAX((uint64_t)1048576, 4 * watched));
    else
        (void)text_format(watch->limit, sizeof(watch->limit), "cannot watch: %s",
                          strerrordesc_np(-error));
}

/* Adds the watch and binds it to the node. Under the lock: the reader must not read the first
 * record of a key before it can find the node. */
static int watch_node(struct watch *watch, struct walk *walk, struct tree_node *node)
{
    int32_t key;

    if (node->key < 0 && atomic_load(&watch->counters.watched) >= watch->budget && walk->in_scope)
        return -ENOSPC;
    int r = watch_source_add(watch->source, walk->fd,
                             walk->in_scope ? WATCH_DEPTH_FULL : WATCH_DEPTH_ANCHOR, &key);
    if (r < 0)
        return r;
    if (node->key >= 0 && node->key != key)
        watch_forget_key(watch, walk->task.node);
    if (node->key < 0) {
        tree_bind(&watch->tree, walk->task.node, key);
        (void)atomic_fetch_add(&watch->counters.watched, 1);
    }
    walk->key = key;
    return 0;
}

/* Another directory has this place: nothing that was known below it holds. */
static void replace_identity(struct watch *watch, struct walk *walk, struct tree_node *node)
{
    uint32_t child;

    while ((child = node->first_child) != TREE_NONE)
        watch_bury(watch, child);
    watch_forget_key(watch, walk->task.node);
    walk->flags |= WALK_TELL;
}

static uint64_t change_floor(const struct watch *watch, const struct walk *walk)
{
    uint64_t since_ns = UINT64_MAX;

    if ((walk->flags & WALK_GAP) != 0)
        since_ns = watch->gap.since_ns;
    if ((walk->flags & WALK_FIRST) != 0)
        since_ns = MIN(since_ns, watch->started_ns - SINCE_SLACK_NS);
    return since_ns == UINT64_MAX ? 0 : since_ns;
}

/* Ties the opened directory to its node. 0; -errno: it is not watched, but may be listed. */
int walk_adopt(struct walker *walker, struct walk *walk)
{
    struct watch *watch = walker->watch;
    struct tree_node *node;
    struct stat status;
    bool was_walked;
    bool tells_limit = false;
    char limit[sizeof(watch->limit)];

    if (fstat(walk->fd, &status) < 0)
        return -errno;
    measure_budget(watch);
    (void)pthread_mutex_lock(&watch->lock);
    node = tree_at(&watch->tree, walk->task.node);
    was_walked = (node->state & NODE_WALKED) != 0;
    if (was_walked &&
        (node->inode != status.st_ino || node->device != tree_pack_device(status.st_dev)))
        replace_identity(watch, walk, node);
    node->inode = status.st_ino;
    node->device = tree_pack_device(status.st_dev);
    node->state |= NODE_WALKED;
    node->told_seconds = (uint32_t)(clock_realtime_ns() / NS_PER_SECOND);
    if ((walk->flags & WALK_SINCE) != 0)
        walk->since_ns = change_floor(watch, walk);
    /* Changed itself since then: entries came and went, so all of them count as changed. */
    if ((walk->flags & WALK_SINCE) != 0 && timespec_to_ns(status.st_ctim) >= walk->since_ns)
        walk->flags |= WALK_TELL;
    int r = watch_node(watch, walk, node);
    watch_set_unwatched(watch, walk->task.node, r < 0);
    if (r < 0) {
        walk_describe_limit(watch, r);
        tells_limit = r != -ENOSPC || !watch->limit_told;
        watch->limit_told |= r == -ENOSPC;
        (void)text_copy(limit, sizeof(limit), watch->limit);
    }
    (void)pthread_mutex_unlock(&watch->lock);
    if (tells_limit)
        watch_tell(watch, WATCH_LIMITED, walker->path, walker->path_length, limit);
    return r;
}

/* --- listing ---------------------------------------------------------------------------------- */
