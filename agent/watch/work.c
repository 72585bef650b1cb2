/* Owns: the queue of walks and jobs, and the bookkeeping that ties a node's state, its watch and
 * the counters together. Must not own: path input or output, or telling. Everything here runs under
 * the lock. */
#include "agent/watch/watch_internal.h"

#include <errno.h>

#include "agent/watch/watch_source.h"
#include "common/time/clock.h"

#define RETRY_FIRST_NS NS_PER_SECOND
#define RETRY_ROOM_NS  (100 * NS_PER_MS)

static bool push_task(struct watch *watch, uint32_t node, uint32_t epoch)
{
    struct walk_stack *stack = &watch->stack;

    if (stack->count == stack->capacity) {
        size_t capacity = MAX(stack->capacity * 2, (size_t)1024);
        struct walk_task *tasks = realloc(stack->tasks, capacity * sizeof(*tasks));

        if (tasks == NULL)
            return false;
        stack->tasks = tasks;
        stack->capacity = capacity;
    }
    stack->tasks[stack->count++] = (struct walk_task){
        .node = node, .generation = tree_at(&watch->tree, node)->generation, .epoch = epoch};
    return true;
}

void watch_continue_walk(struct watch *watch, uint32_t index, unsigned int flags, uint32_t epoch)
{
    struct tree_node *node = tree_at(&watch->tree, index);
    unsigned int fresh = flags & ~(unsigned int)node->pending;

    node->pending |= (uint16_t)flags;
    watch->gap_walks += (fresh & WALK_GAP) != 0;
    watch->first_walks += (fresh & WALK_FIRST) != 0;
    if ((node->state & NODE_WALKING) != 0) {
        node->state |= NODE_AGAIN;
        return;
    }
    /* Queued by later work: a second task makes those who wait for ours wait for it. */
    if ((node->state & NODE_QUEUED) != 0 && epoch == watch->sync.epoch)
        return;
    if (!push_task(watch, index, epoch)) {
        watch_account_walk(watch, node->pending);
        node->pending = 0;
        watch_note_loss(watch);
        return;
    }
    node->state |= NODE_QUEUED;
    sync_continue_work(&watch->sync, epoch);
    (void)atomic_fetch_add_explicit(&watch->counters.walks_running, 1, memory_order_relaxed);
    if (watch->walkers_idle > 0)
        (void)pthread_cond_signal(&watch->work);
}

void watch_queue_walk(struct watch *watch, uint32_t index, unsigned int flags)
{
    watch_continue_walk(watch, index, flags, watch->sync.epoch);
}

void watch_queue_job(struct watch *watch, enum watch_job job)
{
    if ((watch->jobs & job) != 0)
        return;
    watch->jobs |= job;
    watch->job_epochs[__builtin_ctz(job)] = sync_begin_work(&watch->sync);
    (void)pthread_cond_signal(&watch->work);
}

void watch_account_walk(struct watch *watch, unsigned int flags)
{
    if ((flags & WALK_FIRST) != 0 && --watch->first_walks == 0) {
        atomic_store(&watch->counters.first_walk_done, true);
        watch->walked = true;
        watch_wake_reader(watch);
    }
    if ((flags & WALK_GAP) != 0 && --watch->gap_walks == 0)
        watch_wake_reader(watch);
}

void watch_end_work(struct watch *watch, uint32_t epoch)
{
    if (sync_end_work(&watch->sync, epoch))
        watch_wake_reader(watch);
}

uint32_t watch_want_child(struct watch *watch, uint32_t parent, const char *name, size_t length)
{
    uint32_t index = tree_child(&watch->tree, parent, name, length);

    if (index != TREE_NONE)
        return index;
    int r = tree_add(&watch->tree, parent, name, length, &index);
    if (r < 0) {
        if (r == -ENOMEM)
            watch_note_loss(watch);
        return TREE_NONE;
    }
    return index;
}

void watch_set_unwatched(struct watch *watch, uint32_t index, bool unwatched)
{
    struct tree_node *node = tree_at(&watch->tree, index);

    if (unwatched == ((node->state & NODE_UNWATCHED) != 0))
        return;
    if (unwatched) {
        node->state |= NODE_UNWATCHED;
        (void)atomic_fetch_add(&watch->counters.unwatched, 1);
        if (watch->retry_ns == UINT64_MAX) {
            watch->retry_delay_ns = RETRY_FIRST_NS;
            watch->retry_ns = clock_monotonic_ns() + watch->retry_delay_ns;
            watch_wake_reader(watch);
        }
    } else {
        node->state &= (uint16_t)~NODE_UNWATCHED;
        if (atomic_fetch_sub(&watch->counters.unwatched, 1) == 1) {
            watch->limit[0] = '\0';
            watch->limit_told = false;
        }
    }
}

void watch_forget_key(struct watch *watch, uint32_t index)
{
    int32_t key = tree_at(&watch->tree, index)->key;

    if (key < 0)
        return;
    if (tree_unbind(&watch->tree, index))
        watch_source_remove(watch->source, key);
    (void)atomic_fetch_sub(&watch->counters.watched, 1);
    if (atomic_load(&watch->counters.unwatched) > 0 && !watch->room_appeared) {
        watch->room_appeared = true;
        watch->retry_ns = MIN(watch->retry_ns, clock_monotonic_ns() + RETRY_ROOM_NS);
        watch_wake_reader(watch);
    }
}

void watch_release_node(struct watch *watch, uint32_t index)
{
    struct tree_node *node = tree_at(&watch->tree, index);

    watch_forget_key(watch, index);
    watch_set_unwatched(watch, index, false);
    watch_account_walk(watch, node->pending);
    node->pending = 0;
    tree_free(&watch->tree, index);
}

void watch_bury(struct watch *watch, uint32_t index)
{
    struct tree_node *node = tree_at(&watch->tree, index);

    if (index <= TREE_LIMBO)
        return;
    if (node->first_child == TREE_NONE && (node->state & NODE_WALKING) == 0) {
        watch_release_node(watch, index);
        return;
    }
    tree_detach(&watch->tree, index, TREE_GRAVE);
    watch_queue_job(watch, JOB_BURY);
}

void watch_note_loss(struct watch *watch)
{
    if (gap_note_loss(&watch->gap, clock_realtime_ns(), clock_monotonic_ns()))
        (void)atomic_fetch_add(&watch->counters.gaps_open, 1);
    told_forget(&watch->told);
    watch_wake_reader(watch);
}
