/* Owns: the walkers: opening a directory, watching it, then listing it. Must not own: what is
 * queued and counted (work.c). Hands off: files to the sink, subdirectories to the queue.
 *
 * The watch comes before the listing, so that whatever the listing misses is told by an event.
 * A child is opened below its parent's descriptor, whose inode the parent's node was bound to: so
 * what a node stands for was really there at that time, and if it is not any more, an event of the
 * parent's watch says so. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "agent/watch/exclusions.h"
#include "agent/watch/scope.h"
#include "agent/watch/walk_private.h"
#include "common/files/file.h"
#include "common/text/text.h"

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
        walk_tell_unwatched_mount(walker);
        return true;
    case -EMEDIUMTYPE:
        if (scope_leads(walk->scope, walker->path, walker->path_length))
            walk_tell_unwatched_mount(walker);
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
    walk_describe_limit(watch, error);
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
    int fd = walk_open_directory(walker, walk);
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
    (void)walk_adopt(walker, walk);
    if (!walk->in_scope)
        walk_meet_way(walker, walk);
    else
        (void)walk_list(walker, walk);
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
        walk_sweep(walker, walk);
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
