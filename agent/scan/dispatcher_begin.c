/* Owns: which file is next, its opening, the look into the cache, and the lease. Must not own: what
 * comes back (dispatcher_verdict.c). */
#include "agent/scan/dispatcher_private.h"

#include "common/log/log.h"
#include "common/shortage.h"

#include <errno.h>
#include <fcntl.h>

enum {
    BEGIN_PER_TURN = 32, /* files begun before the loop looks at verdicts and leases again */
    OPEN_TRIES = 500,    /* of DISPATCHER_DELAY: 50 s; a lease of others is broken after 45 s */
};

/* An older ctime changes with the next write: see dispatcher_verdict.c. */
#define RACY_NS (2 * NS_PER_SECOND)

/* A lane's turn costs its stride: with all lanes full, each gets its share and none starves. */
static const uint64_t lane_strides[SCAN_LANES] = {
    [SCAN_LANE_WRITTEN] = 1, [SCAN_LANE_ARRIVED] = 2, [SCAN_LANE_FOLD] = 2,
    [SCAN_LANE_DEMAND] = 3,  [SCAN_LANE_FOUND] = 8,   [SCAN_LANE_BACKGROUND] = 16,
};

void dispatcher_wait_for_room(struct dispatcher *dispatcher, struct scan_task *task, int error)
{
    if (!dispatcher->told_short)
        log_warning("files_wait", "error", log_error_text(error), "effect",
                    "they are scanned as soon as it is there again", NULL);
    dispatcher->told_short = dispatcher->is_short = true;
    scan_task_list_add(&dispatcher->delayed, task);
    event_timer_start(dispatcher->retry, DISPATCHER_DELAY, 0);
}

static void open_failed(struct dispatcher *dispatcher, struct scan_task *task, int error)
{
    switch (error) {
    case -ENOENT:
    case -ENOTDIR:
    case -ESTALE:
        atomic_fetch_add(&dispatcher->vanished, 1);
        dispatcher_drop_task(dispatcher, task);
        return;
    case -EISDIR: /* what is no regular file holds nothing to scan */
    case -ENXIO:
    case -ELOOP:
        dispatcher_drop_task(dispatcher, task);
        return;
    }
    if (is_shortage(error)) {
        dispatcher_wait_for_room(dispatcher, task, error);
        return;
    }
    if ((error == -EAGAIN || error == -ETXTBSY) && ++task->attempts < OPEN_TRIES) {
        scan_task_list_add(&dispatcher->delayed, task);
        event_timer_start(dispatcher->retry, DISPATCHER_DELAY, 0);
        return;
    }
    task->attempts = 0;
    dispatcher_fail_task(dispatcher, task, SCAN_REASON_READ, error);
}

/* Of the backlog: arrived and found files may be settled without a scan. Symbolic links in the path
 * do no harm here: an inode that is clean is clean by any name. */
static bool settle_unchanged(struct dispatcher *dispatcher, struct scan_task *task)
{
    struct stat status;

    if (task->lane == SCAN_LANE_WRITTEN || lstat(task->path, &status) < 0 ||
        !S_ISREG(status.st_mode))
        return false;
    struct file_identity identity = file_identity_of(&status);
    uint64_t generation = dispatcher_generation(dispatcher);
    enum verdict_cache_answer answer =
        verdict_cache_lookup(dispatcher->parts.cache, &identity, generation);
    const struct scan_pipeline_options *options = scan_settings_options(dispatcher->settings);
    bool left_to_rescan = answer == VERDICT_CACHE_STALE && task->lane == SCAN_LANE_FOUND &&
                          options->rescan_on_update && options->rescan_paths != NULL;
    if (answer != VERDICT_CACHE_HIT && !left_to_rescan &&
        !dispatcher_scanned_lately(dispatcher, &identity))
        return false;
    atomic_fetch_add(&dispatcher->cached, 1);
    dispatcher_drop_task(dispatcher, task);
    return true;
}

/* False: it is settled already. */
static bool open_task(struct dispatcher *dispatcher, struct scan_task *task)
{
    if (task->fd >= 0)
        return true;
    if (settle_unchanged(dispatcher, task))
        return false;
    int r = scan_task_open(AT_FDCWD, task->path, &task->fd);
    if (r < 0) {
        open_failed(dispatcher, task, r);
        return false;
    }
    task->attempts = 0;
    return true;
}

/* One device has one class; mounts change seldom, so it is asked anew once a second. */
static bool is_local(struct dispatcher *dispatcher, const struct scan_task *task)
{
    uint64_t now = clock_monotonic_ns();
    enum mount_class class;

    if (task->identity.device != dispatcher->asked_device || now >= dispatcher->asked_until_ns) {
        dispatcher->asked_device = task->identity.device;
        dispatcher->asked_until_ns = now + NS_PER_SECOND;
        int r = mount_class_of(dispatcher->parts.mounts, task->fd, "", &class, NULL);
        dispatcher->asked_is_local = r == 0 && class == MOUNT_LOCAL;
    }
    return dispatcher->asked_is_local;
}

/* The lease comes last, so that files whose verdict could not be remembered anyway have none:
 * nobody who writes to a fresh file ever meets it. */
static void take_lease(struct dispatcher *dispatcher, struct scan_task *task)
{
    uint64_t now = clock_realtime_ns();

    bool settled = task->identity.ctime_ns + RACY_NS < now;

    if ((settled || task->answered != NULL) && is_local(dispatcher, task))
        task->leased = file_lease_take(task->fd) == 0;
    task->cacheable =
        task->leased && settled && file_lease_evidence(task->fd) == FILE_EVIDENCE_FULL;
}

/* ---- for whom somebody waits ---- */

bool dispatcher_is_unwanted(const struct scan_task *task)
{
    return (task->job != NULL && scan_job_is_cancelled(task->job)) ||
           (task->answered != NULL && clock_monotonic_ns() >= task->until_ns);
}

/* Unchanged since it was found clean, and under a lease, so that it stays so. */
static bool answer_known(struct dispatcher *dispatcher, struct scan_task *task)
{
    struct stat status;
    uint64_t generation = dispatcher_generation(dispatcher);

    if (!task->leased || fstat(task->fd, &status) < 0)
        return false;
    struct file_identity identity = file_identity_of(&status);
    if (verdict_cache_lookup(dispatcher->parts.cache, &identity, generation) != VERDICT_CACHE_HIT)
        return false;
    atomic_fetch_add(&dispatcher->cached, 1);
    task->result = (struct scan_result){.verdict = SCAN_CLEAN, .generation = generation};
    task->untouched = file_lease_holds(task->fd);
    dispatcher_release_task(dispatcher, task);
    return true;
}

void dispatcher_take_asked(struct dispatcher *dispatcher)
{
    struct scan_task *task;

    (void)pthread_mutex_lock(&dispatcher->lock);
    while ((task = scan_task_list_take(&dispatcher->asked)) != NULL)
        scan_task_list_add(&dispatcher->asks, task);
    (void)pthread_mutex_unlock(&dispatcher->lock);
}

/* The oldest of another user than the last one, if there is one: nobody who opens much makes
 * another wait for more than one of his files. */
static struct scan_task *next_ask(struct dispatcher *dispatcher)
{
    struct scan_task *task = dispatcher->asks.first;

    while (task != NULL && task->asking_user == dispatcher->asking_user)
        task = task->next;
    if (task == NULL)
        task = dispatcher->asks.first;
    if (task == NULL)
        return NULL;
    scan_task_list_remove(&dispatcher->asks, task);
    dispatcher->asking_user = task->asking_user;
    return task;
}

static void begin_ask(struct dispatcher *dispatcher, struct scan_task *task)
{
    struct stat status;

    if (dispatcher_is_unwanted(task)) {
        dispatcher_drop_task(dispatcher, task);
        return;
    }
    if (!dispatcher->has_engine) {
        dispatcher_fail_task(dispatcher, task, SCAN_REASON_NO_ENGINE, 0);
        return;
    }
    if (fstat(task->fd, &status) < 0) {
        dispatcher_fail_task(dispatcher, task, SCAN_REASON_READ, -errno);
        return;
    }
    task->identity = file_identity_of(&status);
    take_lease(dispatcher, task);
    if (!answer_known(dispatcher, task))
        dispatcher_submit_task(dispatcher, task);
}

/* As many as agent/prevention lets wait. Without an engine they are answered at once. */
static void begin_asks(struct dispatcher *dispatcher)
{
    struct scan_task *task;

    dispatcher_take_asked(dispatcher);
    for (size_t left = dispatcher->asks.count; left > 0; left--) {
        if (dispatcher->has_engine && !scanner_client_has_urgent_room(dispatcher->client))
            return;
        task = next_ask(dispatcher);
        if (task == NULL)
            return;
        begin_ask(dispatcher, task);
    }
}

void dispatcher_begin_task(struct dispatcher *dispatcher, struct scan_task *task)
{
    struct stat status;

    if (!open_task(dispatcher, task))
        return;
    if (fstat(task->fd, &status) < 0) {
        dispatcher_fail_task(dispatcher, task, SCAN_REASON_READ, -errno);
        return;
    }
    task->identity = file_identity_of(&status);
    take_lease(dispatcher, task);
    dispatcher_submit_task(dispatcher, task);
}

static struct scan_task *take_from_backlog(struct dispatcher *dispatcher, enum scan_lane lane)
{
    static const enum backlog_class classes[] = {
        [SCAN_LANE_WRITTEN] = BACKLOG_WRITTEN,
        [SCAN_LANE_ARRIVED] = BACKLOG_ARRIVED,
        [SCAN_LANE_FOUND] = BACKLOG_FOUND,
    };
    struct backlog_item item;

    if (backlog_take(dispatcher->parts.backlog, classes[lane], &item) < 0)
        return NULL;
    struct scan_task *task = calloc(1, sizeof *task);
    if (task == NULL) {
        backlog_return(dispatcher->parts.backlog, &item);
        return NULL;
    }
    task->path = item.path;
    task->item = item;
    task->fd = -1;
    task->lane = lane;
    task->cause = SCAN_CAUSE_REALTIME;
    task->act = true;
    return task;
}

static struct scan_task *take_from_lane(struct dispatcher *dispatcher, enum scan_lane lane)
{
    struct scan_task *task = lane <= SCAN_LANE_FOUND
                                 ? take_from_backlog(dispatcher, lane)
                                 : scan_lanes_take(dispatcher->parts.lanes, lane);

    if (task == NULL) {
        dispatcher->passes[lane] = MAX(dispatcher->passes[lane], dispatcher->pass);
        return NULL;
    }
    dispatcher->pass = dispatcher->passes[lane];
    dispatcher->passes[lane] += lane_strides[lane];
    task->dispatcher = dispatcher;
    return task;
}

/* The lane whose turn it is, or the next one that has something. */
static struct scan_task *next_task(struct dispatcher *dispatcher)
{
    struct scan_task *task = NULL;
    unsigned tried = 0;

    while (task == NULL && tried != (1U << SCAN_LANES) - 1) {
        int best = -1;
        for (int lane = 0; lane < SCAN_LANES; lane++)
            if ((tried & (1U << lane)) == 0 &&
                (best < 0 || dispatcher->passes[lane] < dispatcher->passes[best]))
                best = lane;
        task = take_from_lane(dispatcher, (enum scan_lane)best);
        tried |= 1U << best;
    }
    return task;
}

/* A task that was submitted before: false when there is still no room. */
static bool resume_task(struct dispatcher *dispatcher)
{
    struct scan_task *task = scan_task_list_take(&dispatcher->resume);

    if (dispatcher_is_unwanted(task)) {
        dispatcher_drop_task(dispatcher, task);
        return true;
    }
    size_t waiting = dispatcher->resume.count;
    dispatcher_begin_task(dispatcher, task);
    return dispatcher->resume.count <= waiting;
}

/* After hungry is set there is one more look, for work that came before it was seen. */
static bool begin_next(struct dispatcher *dispatcher)
{
    struct scan_task *task = next_task(dispatcher);

    if (task == NULL) {
        atomic_store(&dispatcher->hungry, true);
        task = next_task(dispatcher);
        if (task == NULL)
            return false;
        atomic_store(&dispatcher->hungry, false);
    }
    if (dispatcher_is_unwanted(task))
        dispatcher_drop_task(dispatcher, task);
    else
        dispatcher_begin_task(dispatcher, task);
    return true;
}

void dispatcher_fill_workers(struct dispatcher *dispatcher)
{
    unsigned begun = 0;

    if (dispatcher->stopping || dispatcher->client == NULL)
        return;
    begin_asks(dispatcher);
    while (dispatcher->held.count == 0 && !dispatcher->is_short &&
           scanner_client_room(dispatcher->client) > 0) {
        if (begun++ == BEGIN_PER_TURN) {
            event_timer_start(dispatcher->refill, 0, 0);
            return;
        }
        if (!(dispatcher->resume.count > 0 ? resume_task(dispatcher) : begin_next(dispatcher)))
            return;
    }
}
