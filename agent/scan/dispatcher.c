/* Owns the event loop of scanning, the scanner client, and every descriptor from its opening until
 * the verdict. Must not walk trees or write to files. Hands detections to the responder (which dups
 * the descriptor), unfinished scans to the store, and clean verdicts to the cache.
 *
 * A verdict is remembered only if: the file system is local; ctime was more than RACY_NS old when
 * the scan began (a later write then changes it); a read lease was held from before the scan until
 * after it (no writer, no writable mapping: a page dirtied before and written again after the scan
 * changes no ctime); and the same descriptor has the same identity before and after. */
#include "agent/scan/dispatcher.h"

#include "agent/scan/file_lease.h"
#include "agent/scan/scan_job.h"
#include "agent/scan/scan_report.h"
#include "common/event_loop/event_loop.h"
#include "common/limits.h"
#include "common/time/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

enum {
    BEGIN_PER_TURN = 32, /* files begun before the loop looks at verdicts and leases again */
    CHANGED_SCANS = 3,   /* scans of a file that changes while it is scanned */
    OPEN_TRIES = 500,    /* of DELAY_NS: 50 s; a lease of others is broken after 45 s */
    RECENT_FILES = 1024, /* a power of two */
    ACTING_SLOTS = 16384,
};

static const uint64_t RACY_NS = 2 * NS_PER_SECOND;
static const uint64_t DELAY_NS = 100 * NS_PER_MS;
static const uint64_t COMMIT_DELAY_NS = 20 * NS_PER_MS;
static const uint64_t TICK_NS = 500 * NS_PER_MS;
static const uint64_t RECENT_NS = 5 * NS_PER_SECOND;

/* A lane's turn costs its stride: with all lanes full, each gets its share and none starves. */
static const uint64_t lane_strides[SCAN_LANES] = {
    [SCAN_LANE_WRITTEN] = 1, [SCAN_LANE_ARRIVED] = 2, [SCAN_LANE_FOLD] = 2,
    [SCAN_LANE_DEMAND] = 3,  [SCAN_LANE_FOUND] = 8,   [SCAN_LANE_BACKGROUND] = 16,
};

struct task_list {
    struct scan_task *first, *last;
    size_t count;
};

/* A file of the watched trees that was scanned a moment ago: news of its arrival that name the same
 * state need no second scan, for a writer's close would be told as WRITTEN. */
struct recent_scan {
    struct file_identity identity;
    uint64_t until_ns;
    uint64_t generation;
};

struct dispatcher {
    struct dispatcher_parts parts;
    pthread_t thread;
    int wake_fd; /* an eventfd */
    struct event_loop *loop;
    struct scanner_client *client;
    struct event_timer *tick, *retry, *refill;
    struct task_list in_flight;    /* with the scanner */
    struct task_list resume;       /* to be submitted again, before all others */
    struct task_list delayed;      /* could not be opened now */
    struct task_list held;         /* the store or the responder had no room */
    struct task_list twins;        /* malware that may be acted upon already, by another name */
    uint16_t acting[ACTING_SLOTS]; /* detections with the responder, by a hash of their inode */
    uint64_t passes[SCAN_LANES], pass;
    struct recent_scan recent[RECENT_FILES];
    uint64_t asked_device, asked_until_ns; /* whose class was asked last */
    bool asked_is_local;
    struct scan_settings *settings; /* those the client works with */
    bool stopping;

    atomic_bool hungry, wake_posted;
    atomic_uint_fast64_t generation;
    atomic_uint_fast64_t scanned, cached, clean, infected, incomplete, errors, vanished,
        rescanned_changed, leases_broken, in_flight_count;

    pthread_mutex_t lock; /* of all below */
    pthread_cond_t changed;
    bool started, stop_asked, reload_asked;
    int start_result;
    struct scanner_status status;
    struct scan_settings *new_settings;
    struct task_list committed; /* by the threads of store and responder */
    size_t commits;             /* handed on and not committed */
};

static void list_add(struct task_list *list, struct scan_task *task)
{
    task->next = NULL;
    task->previous = list->last;
    *(list->last != NULL ? &list->last->next : &list->first) = task;
    list->last = task;
    list->count++;
}

static void list_remove(struct task_list *list, struct scan_task *task)
{
    *(task->previous != NULL ? &task->previous->next : &list->first) = task->next;
    *(task->next != NULL ? &task->next->previous : &list->last) = task->previous;
    task->next = task->previous = NULL;
    list->count--;
}

static struct scan_task *list_take(struct task_list *list)
{
    struct scan_task *task = list->first;

    if (task != NULL)
        list_remove(list, task);
    return task;
}

/* ---- the end of a task ---- */

/* Everything about it is committed. */
static void release_task(struct dispatcher *dispatcher, struct scan_task *task)
{
    if (task->job != NULL)
        scan_job_release(task->job);
    else
        backlog_release(dispatcher->parts.backlog, task->item.mark);
    scan_task_free(task);
}

static void forget_lease(struct scan_task *task)
{
    if (task->leased)
        file_lease_give_back(task->fd);
    task->leased = false;
}

/* Nobody wants it any more, or it vanished. */
static void drop_task(struct dispatcher *dispatcher, struct scan_task *task)
{
    forget_lease(task);
    if (task->item.entry != NULL)
        backlog_scanned(dispatcher->parts.backlog, &task->item);
    release_task(dispatcher, task);
}

static void wake(struct dispatcher *dispatcher)
{
    uint64_t one = 1;

    if (!atomic_exchange(&dispatcher->wake_posted, true))
        (void)!write(dispatcher->wake_fd, &one, sizeof one);
}

/* What an unchanged file was reported as. One that could never be opened goes by its path. */
static struct file_identity reported_identity(const struct scan_task *task)
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
    struct file_identity identity = reported_identity(task);

    if (result == 0)
        verdict_cache_note_report(dispatcher->parts.cache, &identity, &task->result);
    (void)pthread_mutex_lock(&dispatcher->lock);
    list_add(&dispatcher->committed, task);
    dispatcher->commits--;
    (void)pthread_cond_broadcast(&dispatcher->changed);
    wake(dispatcher);
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

    return &dispatcher->acting[(hash >> 32) % ACTING_SLOTS];
}

/* False: there is no room for it now. Whoever takes it may answer before we are back here. */
static bool commit_task(struct dispatcher *dispatcher, struct scan_task *task)
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

static void commit_or_hold(struct dispatcher *dispatcher, struct scan_task *task)
{
    if (dispatcher->held.count == 0 && commit_task(dispatcher, task))
        return;
    list_add(&dispatcher->held, task);
    event_timer_start(dispatcher->retry, COMMIT_DELAY_NS, 0);
}

/* The responder may be moving this very file because of an event or a walk that met it under this
 * or another name: it must not be told again while it is on its way, for it would find it in its
 * own folder. */
static void commit_detection(struct dispatcher *dispatcher, struct scan_task *task)
{
    if (*acting_slot(dispatcher, task) > 0)
        list_add(&dispatcher->twins, task);
    else
        commit_or_hold(dispatcher, task);
}

static void commit_twins(struct dispatcher *dispatcher)
{
    for (size_t count = dispatcher->twins.count; count > 0; count--) {
        struct scan_task *task = list_take(&dispatcher->twins);
        struct stat status;
        bool acting = *acting_slot(dispatcher, task) > 0;
        if (!acting && fstat(task->fd, &status) == 0 && status.st_nlink == 0)
            release_task(dispatcher, task);
        else
            commit_detection(dispatcher, task);
    }
}

static void release_committed(struct dispatcher *dispatcher)
{
    bool acted = false;

    for (;;) {
        (void)pthread_mutex_lock(&dispatcher->lock);
        struct scan_task *task = list_take(&dispatcher->committed);
        (void)pthread_mutex_unlock(&dispatcher->lock);
        if (task == NULL)
            break;
        if (task->result.verdict == SCAN_INFECTED) {
            --*acting_slot(dispatcher, task);
            acted = true;
        }
        release_task(dispatcher, task);
    }
    if (acted)
        commit_twins(dispatcher);
}

/* ---- verdicts ---- */

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

    return &dispatcher->recent[(hash >> 32) % RECENT_FILES];
}

static void remember_recent(struct dispatcher *dispatcher, const struct scan_task *task)
{
    *recent_slot(dispatcher, &task->identity) = (struct recent_scan){
        .identity = task->identity,
        .until_ns = clock_monotonic_ns() + RECENT_NS,
        .generation = task->result.generation,
    };
}

static bool is_recent(struct dispatcher *dispatcher, const struct file_identity *identity)
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
    struct file_identity identity = reported_identity(task);
    bool asked = task->lane == SCAN_LANE_WRITTEN || task->lane == SCAN_LANE_DEMAND;

    return !(task->result.verdict == SCAN_INFECTED && asked) &&
           verdict_cache_is_reported(dispatcher->parts.cache, &identity, &task->result);
}

/* The verdict is final: tells it, and commits what must not be forgotten. */
static void settle_task(struct dispatcher *dispatcher, struct scan_task *task)
{
    forget_lease(task);
    count_verdict(dispatcher, task->result.verdict);
    if (task->job != NULL)
        scan_job_tell(task->job, task);
    if (task->item.entry != NULL)
        backlog_scanned(dispatcher->parts.backlog, &task->item);
    if (task->result.verdict == SCAN_CLEAN || !task->act || is_reported(dispatcher, task))
        release_task(dispatcher, task);
    else if (task->result.verdict == SCAN_INFECTED)
        commit_detection(dispatcher, task);
    else
        commit_or_hold(dispatcher, task);
}

/* Not scanned, for a reason of ours or of the file system. */
static void fail_task(struct dispatcher *dispatcher, struct scan_task *task,
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

static void submit_task(struct dispatcher *dispatcher, struct scan_task *task)
{
    int r = scanner_client_submit(dispatcher->client, task->fd, task);
    if (r == 0) {
        list_add(&dispatcher->in_flight, task);
        atomic_store(&dispatcher->in_flight_count, dispatcher->in_flight.count);
        return;
    }
    if (r == -EAGAIN) {
        forget_lease(task);
        list_add(&dispatcher->resume, task);
        return;
    }
    fail_task(dispatcher, task, SCAN_REASON_INTERNAL, r);
}

/* The file changed under the scan: the verdict is about something that is no more. Malware found in
 * it is malware all the same. */
static bool scan_again(struct dispatcher *dispatcher, struct scan_task *task, bool changed)
{
    if (task->result.reason == SCAN_REASON_NO_ENGINE) {
        forget_lease(task);
        list_add(&dispatcher->resume, task);
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
    forget_lease(task);
    task->cacheable = false;
    submit_task(dispatcher, task);
    return true;
}

static void judge_task(struct dispatcher *dispatcher, struct scan_task *task)
{
    struct stat status;

    if (fstat(task->fd, &status) < 0) {
        fail_task(dispatcher, task, SCAN_REASON_READ, -errno);
        return;
    }
    struct file_identity now = file_identity_of(&status);
    bool changed = !file_identity_equal(&task->identity, &now);
    bool kept_lease = task->leased && file_lease_holds(task->fd);
    task->identity = now;
    if (scan_again(dispatcher, task, changed))
        return;
    atomic_fetch_add(&dispatcher->scanned, 1);
    if (task->result.verdict == SCAN_CLEAN && !changed) {
        if (task->cacheable && kept_lease)
            verdict_cache_remember_clean(dispatcher->parts.cache, &now, task->result.generation);
        if (task->job == NULL)
            remember_recent(dispatcher, task);
    }
    settle_task(dispatcher, task);
}

static void file_scanned(void *owner, void *job, const struct scan_result *result)
{
    struct dispatcher *dispatcher = owner;
    struct scan_task *task = job;

    list_remove(&dispatcher->in_flight, task);
    atomic_store(&dispatcher->in_flight_count, dispatcher->in_flight.count);
    if (dispatcher->stopping) {
        drop_task(dispatcher, task);
        return;
    }
    task->result = *result;
    judge_task(dispatcher, task);
    /* The client says when there is room; this is for the case that it has said so already. */
    event_timer_start(dispatcher->refill, 0, 0);
}

/* ---- beginning a task ---- */

static bool must_try_later(int error)
{
    return error == -EAGAIN || error == -EMFILE || error == -ENFILE || error == -ENOMEM ||
           error == -ETXTBSY;
}

static void open_failed(struct dispatcher *dispatcher, struct scan_task *task, int error)
{
    switch (error) {
    case -ENOENT:
    case -ENOTDIR:
    case -ESTALE:
        atomic_fetch_add(&dispatcher->vanished, 1);
        drop_task(dispatcher, task);
        return;
    case -EISDIR: /* what is no regular file holds nothing to scan */
    case -ENXIO:
    case -ELOOP:
        drop_task(dispatcher, task);
        return;
    }
    if (must_try_later(error) && ++task->attempts < OPEN_TRIES) {
        list_add(&dispatcher->delayed, task);
        event_timer_start(dispatcher->retry, DELAY_NS, 0);
        return;
    }
    task->attempts = 0;
    fail_task(dispatcher, task, SCAN_REASON_READ, error);
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
    if (answer != VERDICT_CACHE_HIT && !left_to_rescan && !is_recent(dispatcher, &identity))
        return false;
    atomic_fetch_add(&dispatcher->cached, 1);
    drop_task(dispatcher, task);
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

    task->cacheable = task->identity.ctime_ns + RACY_NS < now && is_local(dispatcher, task);
    if (task->cacheable)
        task->leased = file_lease_take(task->fd) == 0;
    task->cacheable = task->leased;
}

static void begin_task(struct dispatcher *dispatcher, struct scan_task *task)
{
    struct stat status;

    if (!open_task(dispatcher, task))
        return;
    if (fstat(task->fd, &status) < 0) {
        fail_task(dispatcher, task, SCAN_REASON_READ, -errno);
        return;
    }
    task->identity = file_identity_of(&status);
    take_lease(dispatcher, task);
    submit_task(dispatcher, task);
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
    struct scan_task *task = list_take(&dispatcher->resume);

    if (task->job != NULL && scan_job_is_cancelled(task->job)) {
        drop_task(dispatcher, task);
        return true;
    }
    size_t waiting = dispatcher->resume.count;
    begin_task(dispatcher, task);
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
    if (task->job != NULL && scan_job_is_cancelled(task->job))
        drop_task(dispatcher, task);
    else
        begin_task(dispatcher, task);
    return true;
}

static void fill_workers(struct dispatcher *dispatcher)
{
    unsigned begun = 0;

    if (dispatcher->stopping || dispatcher->client == NULL)
        return;
    while (dispatcher->held.count == 0 && scanner_client_room(dispatcher->client) > 0) {
        if (begun++ == BEGIN_PER_TURN) {
            event_timer_start(dispatcher->refill, 0, 0);
            return;
        }
        if (!(dispatcher->resume.count > 0 ? resume_task(dispatcher) : begin_next(dispatcher)))
            return;
    }
}

/* ---- the loop's handlers ---- */

static void call_drained(struct dispatcher *dispatcher)
{
    backlog_drained *done;
    void *user;

    while (backlog_take_drained(dispatcher->parts.backlog, &done, &user))
        done(user);
}

static void retry_tasks(void *user)
{
    struct dispatcher *dispatcher = user;

    if (dispatcher->stopping)
        return;
    for (size_t count = dispatcher->held.count; count > 0; count--) {
        struct scan_task *task = list_take(&dispatcher->held);
        if (!commit_task(dispatcher, task))
            list_add(&dispatcher->held, task);
    }
    for (size_t count = dispatcher->delayed.count; count > 0; count--) {
        struct scan_task *task = list_take(&dispatcher->delayed);
        if (task->job != NULL && scan_job_is_cancelled(task->job))
            drop_task(dispatcher, task);
        else
            begin_task(dispatcher, task);
    }
    if (dispatcher->held.count > 0)
        event_timer_start(dispatcher->retry, COMMIT_DELAY_NS, 0);
    else if (dispatcher->delayed.count > 0)
        event_timer_start(dispatcher->retry, DELAY_NS, 0);
    fill_workers(dispatcher);
}

static void refill_workers(void *user)
{
    fill_workers(user);
    call_drained(user);
}

static void workers_ready(void *owner)
{
    fill_workers(owner);
}

static void scanner_changed(void *owner)
{
    struct dispatcher *dispatcher = owner;
    struct scanner_status now, before;

    if (dispatcher->client == NULL)
        return;
    scanner_client_status(dispatcher->client, &now);
    (void)pthread_mutex_lock(&dispatcher->lock);
    before = dispatcher->status;
    dispatcher->status = now;
    (void)pthread_mutex_unlock(&dispatcher->lock);
    atomic_store(&dispatcher->generation, now.generation);
    if (!dispatcher->stopping)
        scan_report_scanner(dispatcher->parts.store, &before, &now);
    dispatcher->parts.turn(dispatcher->parts.user);
}

/* A writer waits for a lease of ours. */
static void lease_broken(void *user, int signal_number UNUSED)
{
    struct dispatcher *dispatcher = user;

    for (struct scan_task *task = dispatcher->in_flight.first; task != NULL; task = task->next)
        if (task->leased && !file_lease_holds(task->fd)) {
            forget_lease(task);
            atomic_fetch_add(&dispatcher->leases_broken, 1);
        }
}

static void drop_list(struct dispatcher *dispatcher, struct task_list *list)
{
    for (struct scan_task *task = list_take(list); task != NULL; task = list_take(list))
        drop_task(dispatcher, task);
}

static void drop_cancelled(struct dispatcher *dispatcher, struct task_list *list)
{
    for (struct scan_task *task = list->first, *next; task != NULL; task = next) {
        next = task->next;
        if (task->job != NULL && scan_job_is_cancelled(task->job)) {
            list_remove(list, task);
            drop_task(dispatcher, task);
        }
    }
}

/* Also while no engine is there to scan anything. */
static void take_turn(struct dispatcher *dispatcher)
{
    struct scan_task *task;

    release_committed(dispatcher);
    while ((task = scan_lanes_take_cancelled(dispatcher->parts.lanes)) != NULL)
        drop_task(dispatcher, task);
    drop_cancelled(dispatcher, &dispatcher->resume);
    drop_cancelled(dispatcher, &dispatcher->delayed);
    dispatcher->parts.turn(dispatcher->parts.user);
}

static bool commits_are_open(struct dispatcher *dispatcher)
{
    struct timespec until = clock_wait_until(COMMIT_DELAY_NS);

    (void)pthread_mutex_lock(&dispatcher->lock);
    bool open = dispatcher->commits > 0 || dispatcher->parts.is_busy(dispatcher->parts.user);
    if (open)
        (void)pthread_cond_clockwait(&dispatcher->changed, &dispatcher->lock, CLOCK_MONOTONIC,
                                     &until);
    (void)pthread_mutex_unlock(&dispatcher->lock);
    return open;
}

/* Dropped files are looked at again after the next start: the cache does not know them. */
static void stop_work(struct dispatcher *dispatcher)
{
    dispatcher->stopping = true;
    dispatcher->client = scanner_client_stop(dispatcher->client);
    drop_list(dispatcher, &dispatcher->in_flight);
    drop_list(dispatcher, &dispatcher->resume);
    drop_list(dispatcher, &dispatcher->delayed);
    drop_list(dispatcher, &dispatcher->held);
    drop_list(dispatcher, &dispatcher->twins);
    do
        take_turn(dispatcher);
    while (commits_are_open(dispatcher));
    take_turn(dispatcher);
    event_loop_stop(dispatcher->loop);
}

static void take_orders(struct dispatcher *dispatcher, bool *ret_stop)
{
    (void)pthread_mutex_lock(&dispatcher->lock);
    struct scan_settings *settings = TAKE_POINTER(dispatcher->new_settings);
    bool reload = dispatcher->reload_asked;
    dispatcher->reload_asked = false;
    *ret_stop = dispatcher->stop_asked;
    (void)pthread_mutex_unlock(&dispatcher->lock);
    if (settings != NULL) {
        /* A failure shows in the scanner's status; the options before stay in force there. */
        (void)!scanner_client_reconfigure(dispatcher->client,
                                          &scan_settings_options(settings)->scanner);
        scan_settings_unref(dispatcher->settings);
        dispatcher->settings = settings;
    }
    if (reload)
        (void)!scanner_client_reload(dispatcher->client);
}

static void handle_wake(void *user, int fd, uint32_t epoll_events UNUSED)
{
    struct dispatcher *dispatcher = user;
    uint64_t count;
    bool stop;

    /* In this order: a wake in between is not written, but what it is about is seen below. */
    (void)!read(fd, &count, sizeof count);
    atomic_store(&dispatcher->wake_posted, false);
    take_orders(dispatcher, &stop);
    if (stop) {
        stop_work(dispatcher);
        return;
    }
    take_turn(dispatcher);
    fill_workers(dispatcher);
    call_drained(dispatcher);
}

static void handle_tick(void *user)
{
    struct dispatcher *dispatcher = user;
    struct scanner_status status;

    if (dispatcher->stopping)
        return;
    scanner_client_status(dispatcher->client, &status);
    (void)pthread_mutex_lock(&dispatcher->lock);
    dispatcher->status = status;
    (void)pthread_mutex_unlock(&dispatcher->lock);
    take_turn(dispatcher);
    fill_workers(dispatcher);
    call_drained(dispatcher);
}

/* ---- the thread ---- */

static int start_loop(struct dispatcher *dispatcher)
{
    static const struct scanner_callbacks callbacks = {
        .scanned = file_scanned,
        .ready = workers_ready,
        .changed = scanner_changed,
    };
    int r = event_loop_new(&dispatcher->loop);

    if (r == 0)
        r = event_loop_add_fd(dispatcher->loop, dispatcher->wake_fd, EPOLLIN, handle_wake,
                              dispatcher);
    if (r == 0)
        r = event_loop_add_signal(dispatcher->loop, SIGIO, lease_broken, dispatcher);
    if (r == 0)
        r = event_timer_new(dispatcher->loop, handle_tick, dispatcher, &dispatcher->tick);
    if (r == 0)
        r = event_timer_new(dispatcher->loop, retry_tasks, dispatcher, &dispatcher->retry);
    if (r == 0)
        r = event_timer_new(dispatcher->loop, refill_workers, dispatcher, &dispatcher->refill);
    if (r == 0)
        r = scanner_client_start(dispatcher->loop,
                                 &scan_settings_options(dispatcher->settings)->scanner, &callbacks,
                                 dispatcher, &dispatcher->client);
    return r;
}

static void end_loop(struct dispatcher *dispatcher)
{
    dispatcher->client = scanner_client_stop(dispatcher->client);
    event_timer_free(dispatcher->tick);
    event_timer_free(dispatcher->retry);
    event_timer_free(dispatcher->refill);
    event_loop_free(dispatcher->loop);
}

static void *run_dispatcher(void *argument)
{
    struct dispatcher *dispatcher = argument;
    int r = start_loop(dispatcher);

    (void)pthread_mutex_lock(&dispatcher->lock);
    dispatcher->started = true;
    dispatcher->start_result = r;
    (void)pthread_cond_broadcast(&dispatcher->changed);
    (void)pthread_mutex_unlock(&dispatcher->lock);
    if (r == 0) {
        scanner_changed(dispatcher);
        event_timer_start(dispatcher->tick, TICK_NS, TICK_NS);
        fill_workers(dispatcher);
        (void)!event_loop_run(dispatcher->loop);
    }
    end_loop(dispatcher);
    return NULL;
}

static struct dispatcher *free_dispatcher(struct dispatcher *dispatcher)
{
    scan_settings_unref(dispatcher->settings);
    scan_settings_unref(dispatcher->new_settings);
    if (dispatcher->wake_fd >= 0)
        (void)close(dispatcher->wake_fd);
    (void)pthread_cond_destroy(&dispatcher->changed);
    (void)pthread_mutex_destroy(&dispatcher->lock);
    free(dispatcher);
    return NULL;
}

static int wait_for_start(struct dispatcher *dispatcher)
{
    (void)pthread_mutex_lock(&dispatcher->lock);
    while (!dispatcher->started)
        (void)pthread_cond_wait(&dispatcher->changed, &dispatcher->lock);
    int r = dispatcher->start_result;
    (void)pthread_mutex_unlock(&dispatcher->lock);
    return r;
}

int dispatcher_start(const struct dispatcher_parts *parts, struct dispatcher **ret_dispatcher)
{
    struct dispatcher *dispatcher = calloc(1, sizeof *dispatcher);
    if (dispatcher == NULL)
        return -ENOMEM;
    dispatcher->parts = *parts;
    dispatcher->settings = scan_settings_ref(parts->settings);
    (void)pthread_mutex_init(&dispatcher->lock, NULL);
    (void)pthread_cond_init(&dispatcher->changed, NULL);
    dispatcher->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int r = dispatcher->wake_fd < 0 ? -errno : 0;
    if (r == 0)
        r = -pthread_create(&dispatcher->thread, NULL, run_dispatcher, dispatcher);
    if (r == 0) {
        r = wait_for_start(dispatcher);
        if (r < 0)
            (void)pthread_join(dispatcher->thread, NULL);
    }
    if (r < 0) {
        free_dispatcher(dispatcher);
        return r;
    }
    *ret_dispatcher = dispatcher;
    return 0;
}

struct dispatcher *dispatcher_stop(struct dispatcher *dispatcher)
{
    if (dispatcher == NULL)
        return NULL;
    (void)pthread_mutex_lock(&dispatcher->lock);
    dispatcher->stop_asked = true;
    (void)pthread_mutex_unlock(&dispatcher->lock);
    wake(dispatcher);
    (void)pthread_join(dispatcher->thread, NULL);
    return free_dispatcher(dispatcher);
}

/* ---- from other threads ---- */

int dispatcher_reconfigure(struct dispatcher *dispatcher, struct scan_settings *settings)
{
    (void)pthread_mutex_lock(&dispatcher->lock);
    scan_settings_unref(dispatcher->new_settings);
    dispatcher->new_settings = scan_settings_ref(settings);
    (void)pthread_mutex_unlock(&dispatcher->lock);
    wake(dispatcher);
    return 0;
}

int dispatcher_reload_signatures(struct dispatcher *dispatcher)
{
    (void)pthread_mutex_lock(&dispatcher->lock);
    dispatcher->reload_asked = true;
    (void)pthread_mutex_unlock(&dispatcher->lock);
    wake(dispatcher);
    return 0;
}

void dispatcher_tell_work(struct dispatcher *dispatcher)
{
    if (atomic_exchange(&dispatcher->hungry, false))
        wake(dispatcher);
}

void dispatcher_wake(struct dispatcher *dispatcher)
{
    wake(dispatcher);
}

uint64_t dispatcher_generation(struct dispatcher *dispatcher)
{
    return atomic_load(&dispatcher->generation);
}

void dispatcher_count(struct dispatcher *dispatcher, struct dispatcher_counts *ret_counts,
                      struct scanner_status *ret_scanner)
{
    *ret_counts = (struct dispatcher_counts){
        .scanned = atomic_load(&dispatcher->scanned),
        .cached = atomic_load(&dispatcher->cached),
        .clean = atomic_load(&dispatcher->clean),
        .infected = atomic_load(&dispatcher->infected),
        .incomplete = atomic_load(&dispatcher->incomplete),
        .errors = atomic_load(&dispatcher->errors),
        .vanished = atomic_load(&dispatcher->vanished),
        .rescanned_changed = atomic_load(&dispatcher->rescanned_changed),
        .leases_broken = atomic_load(&dispatcher->leases_broken),
        .in_flight = atomic_load(&dispatcher->in_flight_count),
    };
    (void)pthread_mutex_lock(&dispatcher->lock);
    *ret_scanner = dispatcher->status;
    (void)pthread_mutex_unlock(&dispatcher->lock);
}
