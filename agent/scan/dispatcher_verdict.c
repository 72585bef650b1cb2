/* Owns: what a verdict of the scanner means: scan again, remember, report. Must not own: how it is
 * committed (dispatcher_commit.c).
 *
 * A verdict is remembered only if: the file system is local; ctime was more than RACY_NS old when
 * the scan began (a later write then changes it); a read lease was held from before the scan until
 * after it (no writer, no writable mapping: a page dirtied before and written again after the scan
 * changes no ctime); and the same descriptor has the same identity before and after. */
#include "agent/scan/dispatcher_private.h"

#include "common/shortage.h"

#include <errno.h>
#include <fcntl.h>

/* Scans of a file that changes while it is scanned. */
#define CHANGED_SCANS 3
#define RECENT_NS     (5 * NS_PER_SECOND)

static void count_verdict(struct dispatcher *dispatcher, enum scan_verdict verdict)
{
    switch (verdict) {
    case SCAN_CLEAN:
        atomic_fetch_add(&dispatcher->clean, 1);
        break;
    case SCAN_INFECTED:
        atomic_fetch_add(&dispatcher->infected, 1);
        break;
    case SCAN_INCOMPLETE:
        atomic_fetch_add(&dispatcher->incomplete, 1);
        break;
    case SCAN_ERROR:
        atomic_fetch_add(&dispatcher->errors, 1);
        break;
    }
}

static struct recent_scan *recent_slot(struct dispatcher *dispatcher,
                                       const struct file_identity *identity)
{
    uint64_t hash = (identity->inode * 31 + identity->device) * 0x9e3779b97f4a7c15ULL;

    return &dispatcher->recent[(hash >> 32) % DISPATCHER_RECENT];
}

static void remember_recent(struct dispatcher *dispatcher, const struct scan_task *task)
{
    *recent_slot(dispatcher, &task->identity) = (struct recent_scan){
        .identity = task->identity,
        .until_ns = clock_monotonic_ns() + RECENT_NS,
        .generation = task->result.generation,
    };
}

bool dispatcher_scanned_lately(struct dispatcher *dispatcher, const struct file_identity *identity)
{
    const struct recent_scan *recent = recent_slot(dispatcher, identity);

    return file_identity_equal(&recent->identity, identity) &&
           recent->generation == dispatcher_generation(dispatcher) &&
           clock_monotonic_ns() < recent->until_ns;
}

/* Whether an unchanged file with this verdict was reported before. A person who asks about malware,
 * and a writer who closes it, always get an answer. */
static bool is_reported(struct dispatcher *dispatcher, const struct scan_task *task)
{
    struct file_identity identity = dispatcher_reported_identity(task);
    bool asked = task->lane == SCAN_LANE_WRITTEN || task->lane == SCAN_LANE_DEMAND;

    return !(task->result.verdict == SCAN_INFECTED && asked) &&
           verdict_cache_is_reported(dispatcher->parts.cache, &identity, &task->result);
}

/* Whether the file was one of ours, whose verdict is nobody else's business. */
static bool is_own_file(struct dispatcher *dispatcher, const struct scan_task *task)
{
    const struct scan_own_verdict verdict = {
        .path = task->path,
        .fd = task->fd,
        .identity = &task->identity,
        .result = &task->result,
        .asked = task->lane == SCAN_LANE_DEMAND || task->lane == SCAN_LANE_BACKGROUND,
    };

    (void)pthread_mutex_lock(&dispatcher->own_lock);
    bool own = dispatcher->own_file != NULL && dispatcher->own_file(dispatcher->own_user, &verdict);
    (void)pthread_mutex_unlock(&dispatcher->own_lock);
    return own;
}

/* The verdict is final: tells it, and commits what must not be forgotten. */
static void settle_task(struct dispatcher *dispatcher, struct scan_task *task)
{
    if (task->answered == NULL && is_own_file(dispatcher, task)) {
        dispatcher_drop_task(dispatcher, task);
        return;
    }
    dispatcher->worked_ns = clock_monotonic_ns();
    if (!task->untouched) /* whoever waits relies on it; it goes with the last descriptor */
        dispatcher_forget_lease(task);
    count_verdict(dispatcher, task->result.verdict);
    if (task->job != NULL)
        scan_job_tell(task->job, task);
    if (task->item.entry != NULL)
        backlog_scanned(dispatcher->parts.backlog, &task->item);
    if (task->result.verdict == SCAN_CLEAN || !task->act || is_reported(dispatcher, task))
        dispatcher_release_task(dispatcher, task);
    else if (task->result.verdict == SCAN_INFECTED)
        dispatcher_commit_detection(dispatcher, task);
    else
        dispatcher_commit_or_hold(dispatcher, task);
}

/* Not scanned, for a reason of ours or of the file system. */
void dispatcher_fail_task(struct dispatcher *dispatcher, struct scan_task *task,
                          enum scan_reason reason, int error)
{
    task->result = (struct scan_result){
        .verdict = SCAN_ERROR,
        .reason = reason,
        .generation = dispatcher_generation(dispatcher),
    };
    task->error = error;
    settle_task(dispatcher, task);
}

void dispatcher_submit_task(struct dispatcher *dispatcher, struct scan_task *task)
{
    bool waited_for = task->answered != NULL;
    int r = waited_for ? scanner_client_submit_urgent(dispatcher->client, task->fd, task)
                       : scanner_client_submit(dispatcher->client, task->fd, task);
    if (r == 0) {
        dispatcher->told_short = false;
        scan_task_list_add(&dispatcher->in_flight, task);
        atomic_store(&dispatcher->in_flight_count, dispatcher->in_flight.count);
        return;
    }
    if (r == -EAGAIN) {
        dispatcher_forget_lease(task);
        scan_task_list_add(waited_for ? &dispatcher->asks : &dispatcher->resume, task);
        return;
    }
    /* Whoever opens a file does not wait for that. */
    if (is_shortage(r) && !waited_for) {
        dispatcher_forget_lease(task);
        dispatcher_wait_for_room(dispatcher, task, r);
        return;
    }
    dispatcher_fail_task(dispatcher, task, SCAN_REASON_INTERNAL, r);
}

/* The file changed under the scan: the verdict is about something that is no more. Malware found in
 * it is malware all the same. */
static bool scan_again(struct dispatcher *dispatcher, struct scan_task *task, bool changed)
{
    if (task->result.reason == SCAN_REASON_NO_ENGINE && task->answered == NULL) {
        dispatcher_forget_lease(task);
        scan_task_list_add(&dispatcher->resume, task);
        return true;
    }
    if (!changed || task->result.verdict == SCAN_INFECTED)
        return false;
    if (++task->attempts >= CHANGED_SCANS) {
        task->result.verdict = SCAN_INCOMPLETE;
        task->result.reason = SCAN_REASON_CHANGED;
        return false;
    }
    atomic_fetch_add(&dispatcher->rescanned_changed, 1);
    dispatcher_forget_lease(task);
    task->cacheable = false;
    dispatcher_submit_task(dispatcher, task);
    return true;
}

static void judge_task(struct dispatcher *dispatcher, struct scan_task *task)
{
    struct stat status;

    if (fstat(task->fd, &status) < 0) {
        dispatcher_fail_task(dispatcher, task, SCAN_REASON_READ, -errno);
        return;
    }
    struct file_identity now = file_identity_of(&status);
    bool changed = !file_identity_equal(&task->identity, &now);
    bool kept_lease = task->leased && file_lease_holds(task->fd);
    task->identity = now;
    if (scan_again(dispatcher, task, changed))
        return;
    atomic_fetch_add(&dispatcher->scanned, 1);
    task->untouched = task->answered != NULL && kept_lease && !changed;
    if (task->result.verdict == SCAN_CLEAN && !changed) {
        if (task->cacheable && kept_lease)
            verdict_cache_remember_clean(dispatcher->parts.cache, &now, task->result.generation);
        if (task->job == NULL && task->answered == NULL)
            remember_recent(dispatcher, task);
    }
    settle_task(dispatcher, task);
}

void dispatcher_file_scanned(void *owner, void *job, const struct scan_result *result)
{
    struct dispatcher *dispatcher = owner;
    struct scan_task *task = job;

    scan_task_list_remove(&dispatcher->in_flight, task);
    atomic_store(&dispatcher->in_flight_count, dispatcher->in_flight.count);
    if (dispatcher->stopping) {
        dispatcher_drop_task(dispatcher, task);
        return;
    }
    task->result = *result;
    judge_task(dispatcher, task);
    /* The client says when there is room; this is for the case that it has said so already. */
    event_timer_start(dispatcher->refill, 0, 0);
}
