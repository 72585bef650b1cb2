/* Owns: handing what was found to the responder or the store, holding it back when they have no
 * room, and the end of a task. Must not own: verdicts. Hand-off: a task that was handed on is
 * theirs until it comes back in the list of the committed. */
#include "agent/scan/dispatcher_private.h"

/* Everything about it is committed. */
void dispatcher_release_task(struct dispatcher *dispatcher, struct scan_task *task)
{
    if (task->answered != NULL)
        task->answered(task->answered_user, &task->result, task->untouched);
    else if (task->job != NULL)
        scan_job_release(task->job);
    else
        backlog_release(dispatcher->parts.backlog, task->item.mark);
    scan_task_free(task);
}

void dispatcher_forget_lease(struct scan_task *task)
{
    if (task->leased)
        file_lease_give_back(task->fd);
    task->leased = false;
}

/* Nobody wants it any more, or it vanished. */
void dispatcher_drop_task(struct dispatcher *dispatcher, struct scan_task *task)
{
    dispatcher_forget_lease(task);
    task->untouched = false;
    if (task->answered != NULL)
        task->result = (struct scan_result){.verdict = SCAN_ERROR, .reason = SCAN_REASON_INTERNAL};
    if (task->item.entry != NULL)
        backlog_scanned(dispatcher->parts.backlog, &task->item);
    dispatcher_release_task(dispatcher, task);
}

void dispatcher_post_wake(struct dispatcher *dispatcher)
{
    uint64_t one = 1;

    if (!atomic_exchange(&dispatcher->wake_posted, true))
        (void)!write(dispatcher->wake_fd, &one, sizeof one);
}

/* What an unchanged file was reported as. One that could never be opened goes by its path. */
struct file_identity dispatcher_reported_identity(const struct scan_task *task)
{
    struct file_identity identity = task->identity;

    if (task->fd >= 0)
        return identity;
    identity = (struct file_identity){.device = UINT32_MAX, .size = strlen(task->path)};
    for (const char *at = task->path; *at != '\0'; at++)
        identity.inode = (identity.inode ^ (unsigned char)*at) * 0x100000001b3ULL + 1;
    identity.ctime_ns = (uint64_t)-task->error;
    return identity;
}

/* From the threads of the store and the responder. */
static void task_committed(struct scan_task *task, int result)
{
    struct dispatcher *dispatcher = task->dispatcher;
    struct file_identity identity = dispatcher_reported_identity(task);

    if (result == 0)
        verdict_cache_note_report(dispatcher->parts.cache, &identity, &task->result);
    (void)pthread_mutex_lock(&dispatcher->lock);
    scan_task_list_add(&dispatcher->committed, task);
    dispatcher->commits--;
    (void)pthread_cond_broadcast(&dispatcher->changed);
    dispatcher_post_wake(dispatcher);
    (void)pthread_mutex_unlock(&dispatcher->lock);
}

static void detection_done(void *user, int result)
{
    task_committed(user, result);
}

static void event_committed(void *user, int result, uint64_t number UNUSED)
{
    task_committed(user, result);
}

static int hand_on(struct dispatcher *dispatcher, struct scan_task *task)
{
    if (task->result.verdict != SCAN_INFECTED)
        return scan_report_unfinished(dispatcher->parts.store, task, event_committed, task);
    struct detection detection = {
        .path = task->path,
        .fd = task->fd,
        .identity = task->identity,
        .result = task->result,
        .cause = task->cause,
    };
    return responder_submit(dispatcher->parts.responder, &detection, detection_done, task);
}

static uint16_t *acting_slot(struct dispatcher *dispatcher, const struct scan_task *task)
{
    uint64_t hash = (task->identity.inode * 31 + task->identity.device) * 0x9e3779b97f4a7c15ULL;

    return &dispatcher->acting[(hash >> 32) % DISPATCHER_ACTING];
}

/* False: there is no room for it now. Whoever takes it may answer before we are back here. */
bool dispatcher_commit_task(struct dispatcher *dispatcher, struct scan_task *task)
{
    (void)pthread_mutex_lock(&dispatcher->lock);
    dispatcher->commits++;
    (void)pthread_mutex_unlock(&dispatcher->lock);
    bool infected = task->result.verdict == SCAN_INFECTED;
    uint16_t *acting = acting_slot(dispatcher, task);
    *acting += infected;
    if (hand_on(dispatcher, task) == 0)
        return true;
    *acting -= infected;
    (void)pthread_mutex_lock(&dispatcher->lock);
    dispatcher->commits--;
    (void)pthread_mutex_unlock(&dispatcher->lock);
    return false;
}

void dispatcher_commit_or_hold(struct dispatcher *dispatcher, struct scan_task *task)
{
    if (dispatcher->held.count == 0 && dispatcher_commit_task(dispatcher, task))
        return;
    scan_task_list_add(&dispatcher->held, task);
    event_timer_start(dispatcher->retry, DISPATCHER_COMMIT_DELAY, 0);
}

/* The responder may be moving this very file because of an event or a walk that met it under this
 * or another name: it must not be told again while it is on its way, for it would find it in its
 * own folder. */
void dispatcher_commit_detection(struct dispatcher *dispatcher, struct scan_task *task)
{
    if (*acting_slot(dispatcher, task) > 0)
        scan_task_list_add(&dispatcher->twins, task);
    else
        dispatcher_commit_or_hold(dispatcher, task);
}

static void commit_twins(struct dispatcher *dispatcher)
{
    for (size_t count = dispatcher->twins.count; count > 0; count--) {
        struct scan_task *task = scan_task_list_take(&dispatcher->twins);
        struct stat status;
        bool acting = *acting_slot(dispatcher, task) > 0;
        if (!acting && fstat(task->fd, &status) == 0 && status.st_nlink == 0)
            dispatcher_release_task(dispatcher, task);
        else
            dispatcher_commit_detection(dispatcher, task);
    }
}

void dispatcher_release_committed(struct dispatcher *dispatcher)
{
    bool acted = false;

    for (;;) {
        (void)pthread_mutex_lock(&dispatcher->lock);
        struct scan_task *task = scan_task_list_take(&dispatcher->committed);
        (void)pthread_mutex_unlock(&dispatcher->lock);
        if (task == NULL)
            break;
        if (task->result.verdict == SCAN_INFECTED) {
            --*acting_slot(dispatcher, task);
            acted = true;
        }
        dispatcher_release_task(dispatcher, task);
    }
    if (acted)
        commit_twins(dispatcher);
}
