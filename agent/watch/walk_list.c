/* Owns: listing a directory: its files go to the sink, its subdirectories to the queue. Must not
 * own: opening and watching it (walk_open.c). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "agent/watch/exclusions.h"
#include "agent/watch/scope.h"
#include "agent/watch/walk_private.h"
#include "common/files/file.h"
#include "common/text/text.h"
#include "common/time/clock.h"

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

/* Tells a regular file, a link or the like if this walk has to. */
static void meet_file(struct walker *walker, struct walk *walk, const char *name, uint8_t type)
{
    struct watch *watch = walker->watch;
    size_t name_length = strlen(name);
    size_t length = entry_path(walker, name, name_length);
    enum watch_event_kind kind = type == DT_REG ? WATCH_FILE_ARRIVED : WATCH_FILE_CHANGED;

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

        /* The first walk tells files only: nothing else has content to be scanned. */
        if (entry->type == DT_REG ||
            (entry->type != DT_DIR && entry->type != DT_UNKNOWN && (walk->flags & WALK_FOUND) == 0))
            meet_file(walker, walk, entry->name, entry->type);
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

int walk_list(struct walker *walker, struct walk *walk)
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
void walk_meet_way(struct walker *walker, struct walk *walk)
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
void walk_sweep(struct walker *walker, struct walk *walk)
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
