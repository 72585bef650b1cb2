/* Owns: the walkers: opening a directory, watching it, then listing it. Must not own: what is
 * queued and counted (work.c). Hands off: files to the sink, subdirectories to the queue.
 *
 * The watch comes before the listing, so that whatever the listing misses is told by an event.
 * A child is opened below its parent's descriptor, whose inode the parent's node was bound to: so
 * what a node stands for was really there at that time, and if it is not any more, an event of the
 * parent's watch says so. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>

#include "agent/watch/budget.h"
#include "agent/watch/descriptor_cache.h"
#include "agent/watch/exclusions.h"
#include "agent/watch/mounts.h"
#include "agent/watch/scope.h"
#include "agent/watch/watch_internal.h"
#include "agent/watch/watch_source.h"
#include "common/files/file.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#define LISTING_BYTES  ((size_t)32768)
#define PATH_ROOM      (LIMIT_PATH_BYTES + 1)
#define MOUNT_TRIES    3
#define SINCE_SLACK_NS (2 * NS_PER_SECOND)

struct walker {
    struct watch *watch;
    struct descriptor_cache cache;
    struct outbox outbox;
    char *path; /* PATH_ROOM: of the directory, and behind it the name of the entry */
    char *listing;
    size_t path_length; /* of the directory */
};

/* One walk of one directory. */
struct walk {
    struct walk_task task;
    unsigned int flags; /* enum walk_flag: taken from the node */
    uint32_t parent;
    uint16_t parent_generation;
    uint64_t parent_inode;
    uint32_t parent_device;
    size_t name_length; /* the last bytes of the path */
    bool in_scope;
    struct scope *scope;
    int32_t key;
    uint64_t since_ns; /* with WALK_SINCE: times from here on changed */
    bool has_children;
    bool complete; /* the listing was read to its end */
    int fd;
};

/* The record of getdents64(2), which glibc does not declare. */
struct listed {
    uint64_t inode;
    int64_t offset;
    uint16_t length;
    uint8_t type;
    char name[];
};

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
static void tell_unwatched_mount(struct walker *walker)
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
static int open_directory(struct walker *walker, const struct walk *walk)
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

static void describe_limit(struct watch *watch, int error)
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
static int adopt(struct walker *walker, struct walk *walk)
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
        describe_limit(watch, r);
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

/* The path of an entry; 0 when it is too long. */
static size_t entry_path(struct walker *walker, const char *name, size_t name_length)
{
    size_t length = walker->path_length > 1 ? walker->path_length : 0;

    if (length + 1 + name_length >= PATH_ROOM)
        return 0;
    walker->path[length++] = '/';
    memcpy(walker->path + length, name, name_length + 1);
    return length + name_length;
}

static void restore_path(struct walker *walker)
{
    walker->path[walker->path_length] = '\0';
}

static unsigned int flags_below(const struct walk *walk, bool is_new)
{
    unsigned int counted = walk->flags & (WALK_GAP | WALK_FIRST);

    if ((walk->flags & WALK_FIRST) != 0)
        return counted | (walk->flags & (WALK_FOUND | WALK_SINCE | (is_new ? WALK_TELL : 0)));
    if (is_new)
        return counted | WALK_TELL;
    if ((walk->flags & WALK_DEEP) != 0)
        return counted | WALK_TELL | WALK_DEEP;
    return counted | (walk->flags & WALK_SINCE);
}

/* A subdirectory, under the lock. */
static void meet_directory(struct walker *walker, struct walk *walk, const char *name,
                           size_t name_length)
{
    struct watch *watch = walker->watch;
    size_t length = entry_path(walker, name, name_length);
    struct tree_node *node;
    unsigned int flags;
    uint32_t child;
    bool is_new;

    if (length == 0) {
        (void)outbox_add(&walker->outbox, WATCH_LIMITED, walker->path, walker->path_length,
                         WATCH_TOO_LONG);
        return;
    }
    if (exclusions_match_directory(walk->scope->exclusions, walker->path, length, name_length))
        return;
    child = tree_child(&watch->tree, walk->task.node, name, name_length);
    is_new = child == TREE_NONE;
    if (is_new)
        child = watch_want_child(watch, walk->task.node, name, name_length);
    if (child == TREE_NONE)
        return;
    walk->has_children = true;
    node = tree_at(&watch->tree, child);
    node->state = (uint16_t)((node->state | NODE_SCOPE) & ~(unsigned int)NODE_UNSEEN);
    flags = flags_below(walk, is_new);
    if (flags != 0)
        watch_continue_walk(watch, child, flags, walk->task.epoch);
    if (is_new && (walk->flags & (WALK_TELL | WALK_GAP)) != 0)
        (void)outbox_add(&walker->outbox, WATCH_DIRECTORY_ARRIVED, walker->path, length, NULL);
}

static bool is_dots(const char *name)
{
    return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

static void meet_directories(struct walker *walker, struct walk *walk, size_t listed_bytes)
{
    (void)pthread_mutex_lock(&walker->watch->lock);
    for (size_t offset = 0; offset < listed_bytes;) {
        const struct listed *entry = (const void *)(walker->listing + offset);

        if (entry->type == DT_DIR && !is_dots(entry->name))
            meet_directory(walker, walk, entry->name, strlen(entry->name));
        offset += entry->length;
    }
    (void)pthread_mutex_unlock(&walker->watch->lock);
    restore_path(walker);
}

/* Tells a regular file if this walk has to. */
static void meet_file(struct walker *walker, struct walk *walk, const char *name)
{
    struct watch *watch = walker->watch;
    size_t name_length = strlen(name);
    size_t length = entry_path(walker, name, name_length);
    enum watch_event_kind kind = WATCH_FILE_ARRIVED;

    if (length == 0 ||
        exclusions_match_file(walk->scope->exclusions, walker->path, length, name_length))
        return;
    if ((walk->flags & WALK_TELL) == 0) {
        struct stat status;

        if ((walk->flags & WALK_FOUND) != 0) {
            kind = WATCH_FILE_FOUND;
        } else if (fstatat(walk->fd, name, &status, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0 ||
                   timespec_to_ns(status.st_ctim) < walk->since_ns) {
            return;
        }
    }
    if (walk->key >= 0 && told_lately(&watch->told, walk->key, walker->path, length))
        return;
    (void)outbox_add(&walker->outbox, kind, walker->path, length, NULL);
    if (outbox_is_full(&walker->outbox))
        watch_deliver(watch, &walker->outbox);
}

static void meet_files(struct walker *walker, struct walk *walk, size_t listed_bytes)
{
    if ((walk->flags & (WALK_TELL | WALK_FOUND | WALK_SINCE)) == 0)
        return;
    for (size_t offset = 0; offset < listed_bytes;) {
        const struct listed *entry = (const void *)(walker->listing + offset);

        if (entry->type == DT_REG)
            meet_file(walker, walk, entry->name);
        offset += entry->length;
    }
    restore_path(walker);
}

/* File systems that do not say what an entry is: look, without entering a mount. */
static void find_types(struct walk *walk, char *listing, size_t listed_bytes)
{
    for (size_t offset = 0; offset < listed_bytes;) {
        struct listed *entry = (void *)(listing + offset);
        struct stat status;

        offset += entry->length;
        if (entry->type != DT_UNKNOWN || is_dots(entry->name))
            continue;
        AUTO_CLOSE int fd = -1;
        int r = file_open_same_mount(walk->fd, entry->name, O_PATH, &fd);
        if (r == -EXDEV)
            entry->type = DT_DIR;
        else if (r == 0 && fstat(fd, &status) == 0)
            entry->type = (uint8_t)IFTODT(status.st_mode);
    }
}

static int list(struct walker *walker, struct walk *walk)
{
    for (;;) {
        long n = syscall(SYS_getdents64, walk->fd, walker->listing, LISTING_BYTES);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        find_types(walk, walker->listing, (size_t)n);
        meet_directories(walker, walk, (size_t)n);
        meet_files(walker, walk, (size_t)n);
    }
    walk->complete = true;
    return 0;
}

/* On the way to watched paths only their next names matter. */
static void meet_way(struct walker *walker, struct walk *walk)
{
    struct watch *watch = walker->watch;
    size_t start = walker->path_length > 1 ? walker->path_length : 0;

    (void)pthread_mutex_lock(&watch->lock);
    for (size_t i = 0; i < walk->scope->path_count; i++) {
        const struct scope_path *path = &walk->scope->paths[i];
        const char *name = path->text + start + 1;
        struct tree_node *node;
        size_t name_length;
        uint32_t child;
        bool is_new;

        if (path->length <= start + 1 || memcmp(path->text, walker->path, start) != 0 ||
            path->text[start] != '/')
            continue;
        name_length = strcspn(name, "/");
        if (name_length > 255)
            continue;
        child = watch_want_child(watch, walk->task.node, name, name_length);
        if (child == TREE_NONE)
            continue;
        node = tree_at(&watch->tree, child);
        is_new = (node->state & NODE_WALKED) == 0;
        if (scope_contains(walk->scope, path->text, start + 1 + name_length))
            node->state |= NODE_SCOPE;
        watch_continue_walk(watch, child, flags_below(walk, is_new), walk->task.epoch);
    }
    (void)pthread_mutex_unlock(&watch->lock);
    walk->has_children = true;
}

/* Children the whole listing did not show went while nobody watched. */
static void sweep(struct walker *walker, struct walk *walk)
{
    struct watch *watch = walker->watch;
    uint32_t next;

    for (uint32_t child = tree_at(&watch->tree, walk->task.node)->first_child; child != TREE_NONE;
         child = next) {
        const struct tree_node *node = tree_at(&watch->tree, child);
        char name[256];
        size_t length;

        next = node->next_sibling;
        if ((node->state & NODE_UNSEEN) == 0)
            continue;
        memcpy(name, tree_name(node), node->name_length);
        name[node->name_length] = '\0';
        length = entry_path(walker, name, node->name_length);
        if (length > 0)
            (void)outbox_add(&walker->outbox, WATCH_DIRECTORY_REMOVED, walker->path, length, NULL);
        watch_bury(watch, child);
    }
    restore_path(walker);
}

/* --- one walk --------------------------------------------------------------------------------- */

/* A watched path, or a part of the way to it, that cannot be entered: said with its cure. */
static void tell_refused(struct walker *walker, const struct walk *walk, int error)
{
    const char *detail = NULL;

    if (walk->in_scope && !scope_leads(walk->scope, walker->path, walker->path_length))
        return;
    if (error == -ELOOP)
        detail = "a symbolic link: links are not followed; name the directory it leads to";
    else if (error == -ENOTDIR)
        detail = "not a directory: name the directory that holds it";
    else if (error == -ENOENT && (walk->flags & WALK_FIRST) != 0)
        detail = "does not exist; it will be watched as soon as it appears";
    if (detail != NULL)
        watch_tell(walker->watch, WATCH_LIMITED, walker->path, walker->path_length, detail);
}

/* true: the node is to be forgotten. */
static bool refuse(struct walker *walker, const struct walk *walk, int error)
{
    switch (error) {
    case -ENOENT:
    case -ENOTDIR:
    case -ELOOP:
        tell_refused(walker, walk, error);
        return true;
    case -EREMOTE:
        tell_unwatched_mount(walker);
        return true;
    case -EMEDIUMTYPE:
        if (scope_leads(walk->scope, walker->path, walker->path_length))
            tell_unwatched_mount(walker);
        return true;
    default:
        return false;
    }
}

/* Not there for now: tried again by the retry job. */
static void put_off(struct walker *walker, const struct walk *walk, int error)
{
    struct watch *watch = walker->watch;
    bool tells;

    (void)pthread_mutex_lock(&watch->lock);
    tells =
        error != -ESTALE && (tree_at(&watch->tree, walk->task.node)->state & NODE_UNWATCHED) == 0;
    watch_set_unwatched(watch, walk->task.node, true);
    describe_limit(watch, error);
    (void)pthread_mutex_unlock(&watch->lock);
    if (tells)
        watch_tell(watch, WATCH_LIMITED, walker->path, walker->path_length,
                   strerrordesc_np(-error));
}

/* A folder that the quarantine made on this mount: what is moved there is not to be told again. */
static bool is_own(const struct walker *walker, const struct walk *walk, int fd)
{
    const char *name = walker->path + walker->path_length - walk->name_length;
    struct stat status;

    return scope_may_be_own(walk->scope, name) && fstat(fd, &status) == 0 && scope_is_own(&status);
}

/* true: the node is to be forgotten. */
static bool walk_directory(struct walker *walker, struct walk *walk)
{
    walk->fd = -1;
    if (exclusions_match_directory(walk->scope->exclusions, walker->path, walker->path_length,
                                   walk->name_length)) {
        if (!walk->in_scope || scope_leads(walk->scope, walker->path, walker->path_length))
            watch_tell(walker->watch, WATCH_LIMITED, walker->path, walker->path_length,
                       "excluded, though a watched path lies here");
        return true;
    }
    int fd = open_directory(walker, walk);
    if (fd < 0) {
        bool forget = refuse(walker, walk, fd);
        if (!forget)
            put_off(walker, walk, fd);
        return forget;
    }
    if (is_own(walker, walk, fd)) {
        (void)close(fd);
        return true;
    }
    walk->fd = fd;
    (void)adopt(walker, walk);
    if (!walk->in_scope)
        meet_way(walker, walk);
    else
        (void)list(walker, walk);
    if (walk->has_children)
        descriptor_cache_put(&walker->cache, walk->task.node, walk->task.generation, walk->fd);
    else
        (void)close(walk->fd);
    return false;
}

/* Takes the walk's data from its node; false when there is nothing to walk. Under the lock. */
static bool begin_walk(struct walker *walker, struct walk *walk)
{
    struct watch *watch = walker->watch;
    struct tree *tree = &watch->tree;
    struct tree_node *node = tree_at_generation(tree, walk->task.node, walk->task.generation);

    if (node == NULL || (node->state & NODE_QUEUED) == 0)
        return false;
    node->state &= (uint16_t) ~(NODE_QUEUED | NODE_AFFIRMED);
    int r = tree_path(tree, walk->task.node, walker->path, PATH_ROOM, &walker->path_length);
    /* Moved away, or waiting to be forgotten: coming back queues it again. */
    if (r == -ESTALE)
        return false;
    walk->flags = node->pending;
    if (r < 0) {
        node->pending = 0;
        watch_account_walk(watch, walk->flags);
        return false;
    }
    node->pending = 0;
    node->state |= NODE_WALKING;
    walk->in_scope = (node->state & NODE_SCOPE) != 0;
    walk->name_length = node->name_length;
    walk->scope = scope_ref(watch->scope);
    walk->key = -1;
    walk->parent = node->parent;
    if (walk->parent != TREE_NONE) {
        const struct tree_node *parent = tree_at(tree, walk->parent);

        walk->parent_generation = parent->generation;
        walk->parent_inode = parent->inode;
        walk->parent_device = parent->device;
    }
    for (uint32_t child = node->first_child; child != TREE_NONE;
         child = tree_at(tree, child)->next_sibling)
        tree_at(tree, child)->state |= NODE_UNSEEN;
    return true;
}

/* Under the lock. */
static void end_walk(struct walker *walker, struct walk *walk, bool forget)
{
    struct watch *watch = walker->watch;
    struct tree_node *node = tree_at(&watch->tree, walk->task.node);
    bool buried = tree_below(&watch->tree, walk->task.node, TREE_GRAVE);

    if (walk->complete && !buried)
        sweep(walker, walk);
    node->state &= (uint16_t)~NODE_WALKING;
    watch_account_walk(watch, walk->flags);
    if (buried) {
        watch_queue_job(watch, JOB_BURY);
    } else if (forget && (node->state & (NODE_AFFIRMED | NODE_AGAIN)) == 0) {
        watch_bury(watch, walk->task.node);
    } else if (forget || (node->state & NODE_AGAIN) != 0) {
        node->state &= (uint16_t)~NODE_AGAIN;
        watch_continue_walk(watch, walk->task.node, forget ? WALK_TELL : 0, walk->task.epoch);
    }
    walk->scope = scope_unref(walk->scope);
}

static void run_walk(struct walker *walker, const struct walk_task *task)
{
    struct watch *watch = walker->watch;
    struct walk walk = {.task = *task};

    if (begin_walk(walker, &walk)) {
        (void)pthread_mutex_unlock(&watch->lock);
        bool forget = walk_directory(walker, &walk);
        (void)pthread_mutex_lock(&watch->lock);
        end_walk(walker, &walk, forget);
    }
    /* What was told must be with the sink before the work counts as done. */
    if (walker->outbox.bytes.length > 0) {
        (void)pthread_mutex_unlock(&watch->lock);
        watch_deliver(watch, &walker->outbox);
        (void)pthread_mutex_lock(&watch->lock);
    }
    (void)atomic_fetch_sub_explicit(&watch->counters.walks_running, 1, memory_order_relaxed);
    watch_end_work(watch, task->epoch);
}

/* --- the thread ------------------------------------------------------------------------------- */

static void run_job(struct watch *watch)
{
    enum watch_job job = 1U << __builtin_ctz(watch->jobs & ~watch->jobs_running);
    uint32_t epoch = watch->job_epochs[__builtin_ctz(job)];

    watch->jobs &= ~(unsigned int)job;
    watch->jobs_running |= job;
    (void)pthread_mutex_unlock(&watch->lock);
    watch_run_job(watch, job, epoch);
    (void)pthread_mutex_lock(&watch->lock);
    watch->jobs_running &= ~(unsigned int)job;
    watch_end_work(watch, epoch);
}

static void serve(struct walker *walker)
{
    struct watch *watch = walker->watch;

    (void)pthread_mutex_lock(&watch->lock);
    while (!watch->stopping) {
        if ((watch->jobs & ~watch->jobs_running) != 0) {
            run_job(watch);
        } else if (watch->stack.count > 0) {
            struct walk_task task = watch->stack.tasks[--watch->stack.count];

            run_walk(walker, &task);
        } else {
            /* Nothing stays open while nothing is to do: a held directory keeps a mount busy. */
            descriptor_cache_clear(&walker->cache);
            watch->walkers_idle++;
            (void)pthread_cond_wait(&watch->work, &watch->lock);
            watch->walkers_idle--;
        }
    }
    (void)pthread_mutex_unlock(&watch->lock);
}

void *watch_walker_run(void *argument)
{
    struct walker walker = {.watch = argument};

    descriptor_cache_init(&walker.cache);
    outbox_init(&walker.outbox);
    walker.path = malloc(PATH_ROOM);
    walker.listing = malloc(LISTING_BYTES);
    if (walker.path != NULL && walker.listing != NULL)
        serve(&walker);
    descriptor_cache_clear(&walker.cache);
    outbox_done(&walker.outbox);
    free(walker.path);
    free(walker.listing);
    return NULL;
}
