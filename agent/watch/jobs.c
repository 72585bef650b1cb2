/* Owns: the walkers' other jobs: reading the mount table, forgetting subtrees, following a new
 * configuration, and retrying. The verifying crawl is in crawl.c. Each job runs in slices, so that
 * the lock is free in between. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>

#include "agent/watch/budget.h"
#include "agent/watch/crawl.h"
#include "agent/watch/exclusions.h"
#include "agent/watch/mounts.h"
#include "agent/watch/scope.h"
#include "agent/watch/watch_internal.h"
#include "common/files/file.h"
#include "common/limits.h"
#include "common/time/clock.h"

#define NODES_PER_SLICE 512
#define RETRY_LAST_NS   (60 * NS_PER_SECOND)

/* --- mounts -------------------------------------------------------------------------------------
 */

struct mount_change {
    struct watch *watch;
    uint32_t epoch;
    struct outbox outbox;
};

/* Something was mounted or unmounted at path: what was known there is another tree now. */
static void mount_changed(void *user, const char *path, size_t length)
{
    struct mount_change *change = user;
    struct watch *watch = change->watch;
    bool in_scope = scope_contains(watch->scope, path, length);
    const char *name = strrchr(path, '/') + 1;
    char parent_path[PATH_MAX];
    size_t parent_length = (size_t)(name - path) - 1;
    uint32_t parent;
    uint32_t child;

    if (length <= 1 || parent_length >= sizeof(parent_path) ||
        (!in_scope && !scope_leads(watch->scope, path, length)))
        return;
    memcpy(parent_path, path, parent_length);
    parent_path[parent_length] = '\0';
    parent = tree_find(&watch->tree, parent_path);
    if (parent == TREE_NONE)
        return; /* not walked yet, or not entered */
    (void)outbox_add(&change->outbox, WATCH_MOUNT_CHANGED, path, length, NULL);
    child = tree_child(&watch->tree, parent, name, strlen(name));
    if (child != TREE_NONE)
        watch_bury(watch, child);
    if (exclusions_match_directory(watch->scope->exclusions, path, length, strlen(name)))
        return;
    child = watch_want_child(watch, parent, name, strlen(name));
    if (child == TREE_NONE)
        return;
    if (in_scope)
        tree_at(&watch->tree, child)->state |= NODE_SCOPE;
    watch_continue_walk(watch, child, WALK_TELL | WALK_DEEP, change->epoch);
}

void watch_read_mounts(struct watch *watch, uint32_t epoch)
{
    struct mount_change change = {.watch = watch, .epoch = epoch};
    struct mounts *mounts;
    struct mounts *before;

    (void)pthread_mutex_lock(&watch->mounts_lock);
    int r = mounts_read(watch->mountinfo_fd, &mounts);
    if (r == 0) {
        outbox_init(&change.outbox);
        (void)pthread_mutex_lock(&watch->lock);
        before = watch->mounts;
        watch->mounts = mounts;
        mounts_compare(before, mounts, mount_changed, &change);
        told_forget(&watch->told);
        (void)pthread_mutex_unlock(&watch->lock);
        (void)mounts_free(before);
        watch_deliver(watch, &change.outbox);
        outbox_done(&change.outbox);
    }
    (void)pthread_mutex_unlock(&watch->mounts_lock);
}

/* --- forgetting ---------------------------------------------------------------------------------
 */

/* A leaf below index that nobody walks; TREE_NONE: none, for now. */
static uint32_t find_leaf(const struct tree *tree, uint32_t index)
{
    uint32_t leaf = TREE_NONE;

    for (uint32_t child = tree_at(tree, index)->first_child;
         child != TREE_NONE && leaf == TREE_NONE; child = tree_at(tree, child)->next_sibling) {
        uint32_t at = child;

        while (tree_at(tree, at)->first_child != TREE_NONE)
            at = tree_at(tree, at)->first_child;
        if ((tree_at(tree, at)->state & NODE_WALKING) == 0)
            leaf = at;
    }
    return leaf;
}

static void bury(struct watch *watch)
{
    bool more = true;

    while (more) {
        (void)pthread_mutex_lock(&watch->lock);
        for (int i = 0; i < NODES_PER_SLICE && more; i++) {
            uint32_t leaf = find_leaf(&watch->tree, TREE_GRAVE);

            /* What is being walked is buried when its walk ends. */
            more = leaf != TREE_NONE && !watch->stopping;
            if (more)
                watch_release_node(watch, leaf);
        }
        (void)pthread_mutex_unlock(&watch->lock);
    }
}

/* --- a new configuration ------------------------------------------------------------------------
 */

/* A node under the new scope: kept, changed, or buried. */
static void configure_node(struct watch *watch, uint32_t index, char *path)
{
    struct tree_node *node = tree_at(&watch->tree, index);
    size_t length;

    if ((node->state & NODE_USED) == 0 || (index > TREE_ROOT && index <= TREE_LIMBO) ||
        tree_path(&watch->tree, index, path, LIMIT_PATH_BYTES + 1, &length) < 0)
        return;
    bool in_scope = scope_contains(watch->scope, path, length);
    bool excluded =
        exclusions_match_directory(watch->scope->exclusions, path, length, node->name_length);

    if (index != TREE_ROOT && (excluded || (!in_scope && !scope_leads(watch->scope, path, length))))
        watch_bury(watch, index);
    else if (in_scope)
        node->state |= NODE_SCOPE;
    else
        node->state &= (uint16_t)~NODE_SCOPE;
}

static void configure(struct watch *watch, uint32_t epoch)
{
    char *path = malloc(LIMIT_PATH_BYTES + 1);
    uint32_t index = TREE_ROOT;
    bool more = true;

    while (more && path != NULL) {
        (void)pthread_mutex_lock(&watch->lock);
        for (int i = 0; i < NODES_PER_SLICE && index < watch->tree.high; i++)
            configure_node(watch, index++, path);
        more = index < watch->tree.high && !watch->stopping;
        (void)pthread_mutex_unlock(&watch->lock);
    }
    free(path);
    (void)pthread_mutex_lock(&watch->lock);
    watch_continue_walk(watch, TREE_ROOT,
                        WALK_FIRST | (watch->report_found ? WALK_FOUND : WALK_SINCE), epoch);
    (void)pthread_mutex_unlock(&watch->lock);
}

/* --- unwatched directories ----------------------------------------------------------------------
 */

static uint64_t room_left(struct watch *watch)
{
    uint64_t watched = atomic_load(&watch->counters.watched);

    /* One more than there seems to be: the kernel knows better. */
    return watch->budget > watched ? watch->budget - watched : 1;
}

static void queue_retries(struct watch *watch, uint32_t epoch)
{
    uint32_t index = TREE_ROOT;
    uint64_t room;
    bool more = true;

    while (more) {
        (void)pthread_mutex_lock(&watch->lock);
        room = room_left(watch);
        for (int i = 0; i < NODES_PER_SLICE && index < watch->tree.high && room > 0; i++, index++) {
            if ((tree_at(&watch->tree, index)->state & NODE_UNWATCHED) == 0)
                continue;
            watch_continue_walk(watch, index, WALK_TELL, epoch);
            room--;
        }
        more = room > 0 && index < watch->tree.high && !watch->stopping;
        (void)pthread_mutex_unlock(&watch->lock);
    }
}

/* Tries again what could not be watched: soon when room appeared, ever more rarely otherwise. */
static void retry(struct watch *watch, uint32_t epoch)
{
    uint64_t others = budget_used_by_others();

    (void)pthread_mutex_lock(&watch->lock);
    watch->budget = budget_of(budget_kernel_limit(), others, watch->policy_budget);
    watch->retry_delay_ns =
        watch->room_appeared ? NS_PER_SECOND : MIN(watch->retry_delay_ns * 2, RETRY_LAST_NS);
    watch->room_appeared = false;
    (void)pthread_mutex_unlock(&watch->lock);
    queue_retries(watch, epoch);
    (void)pthread_mutex_lock(&watch->lock);
    if (atomic_load(&watch->counters.unwatched) > 0)
        watch->retry_ns = clock_monotonic_ns() + watch->retry_delay_ns;
    watch_wake_reader(watch);
    (void)pthread_mutex_unlock(&watch->lock);
}

/* --- settled files ------------------------------------------------------------------------------
 */

/* Tells one created file that no close was told of, or a link, socket or the like. */
static void tell_settled(struct watch *watch, struct settle_entry *entry, char *path)
{
    AUTO_CLOSE int fd = -1;
    struct stat status = {.st_mode = S_IFREG};
    size_t length;

    (void)pthread_mutex_lock(&watch->lock);
    int r = tree_at_generation(&watch->tree, entry->directory, entry->generation) == NULL
                ? -ESTALE
                : tree_path(&watch->tree, entry->directory, path, LIMIT_PATH_BYTES + 1, &length);
    (void)pthread_mutex_unlock(&watch->lock);
    if (r < 0 || length + 1 + entry->name_length > LIMIT_PATH_BYTES) {
        free(entry);
        return;
    }
    length -= length == 1;
    path[length++] = '/';
    memcpy(path + length, entry->name, entry->name_length);
    length += entry->name_length;
    path[length] = '\0';
    r = file_open_at(AT_FDCWD, path, O_PATH, 0, &fd);
    if (r == 0 && fstat(fd, &status) < 0)
        r = -errno;
    /* What cannot be looked at for now is told all the same. */
    if (r == -ELOOP || (r == 0 && !S_ISREG(status.st_mode)))
        watch_tell(watch, WATCH_FILE_CHANGED, path, length, NULL);
    else if (r != -ENOENT)
        watch_tell(watch, WATCH_FILE_ARRIVED, path, length, NULL);
    (void)pthread_mutex_lock(&watch->lock);
    if (r == 0 && S_ISREG(status.st_mode))
        unclosed_add(&watch->unclosed, tree_pack_device(status.st_dev), status.st_ino, entry);
    else
        free(entry);
    (void)pthread_mutex_unlock(&watch->lock);
}

static void tell_all_settled(struct watch *watch)
{
    char *path = malloc(LIMIT_PATH_BYTES + 1);
    struct settle_entry *entry;

    (void)pthread_mutex_lock(&watch->lock);
    entry = watch->settled;
    watch->settled = NULL;
    if (path == NULL)
        watch_note_loss(watch);
    (void)pthread_mutex_unlock(&watch->lock);
    while (entry != NULL) {
        struct settle_entry *next = entry->next;

        if (path != NULL)
            tell_settled(watch, entry, path);
        else
            free(entry);
        entry = next;
    }
    free(path);
}

void watch_run_job(struct watch *watch, enum watch_job job, uint32_t epoch)
{
    switch (job) {
    case JOB_MOUNTS:
        watch_read_mounts(watch, epoch);
        break;
    case JOB_BURY:
        bury(watch);
        break;
    case JOB_CONFIGURE:
        configure(watch, epoch);
        break;
    case JOB_RETRY:
        retry(watch, epoch);
        break;
    case JOB_CRAWL:
        watch_crawl_slice(watch, epoch);
        break;
    case JOB_SETTLED:
        tell_all_settled(watch);
        break;
    }
}
