/* Owns the event loop of scanning, the scanner client, and every descriptor from its opening until
 * the verdict. Must not walk trees or write to files. Hands detections to the responder (which dups
 * the descriptor), unfinished scans to the store, and clean verdicts to the cache. */
#include "agent/scan/dispatcher.h"

#include "agent/scan/dispatcher_private.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#define TICK_NS (500 * NS_PER_MS)

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
        struct scan_task *task = scan_task_list_take(&dispatcher->held);
        if (!dispatcher_commit_task(dispatcher, task))
            scan_task_list_add(&dispatcher->held, task);
    }
    dispatcher->is_short = false;
    for (size_t count = dispatcher->delayed.count; count > 0; count--) {
        struct scan_task *task = scan_task_list_take(&dispatcher->delayed);
        if (task->job != NULL && scan_job_is_cancelled(task->job))
            dispatcher_drop_task(dispatcher, task);
        else if (dispatcher->is_short)
            scan_task_list_add(&dispatcher->delayed, task);
        else
            dispatcher_begin_task(dispatcher, task);
    }
    if (dispatcher->held.count > 0)
        event_timer_start(dispatcher->retry, DISPATCHER_COMMIT_DELAY, 0);
    else if (dispatcher->delayed.count > 0)
        event_timer_start(dispatcher->retry, DISPATCHER_DELAY, 0);
    dispatcher_fill_workers(dispatcher);
}

static void refill_workers(void *user)
{
    dispatcher_fill_workers(user);
    call_drained(user);
}

static void workers_ready(void *owner)
{
    dispatcher_fill_workers(owner);
}

/* One that was given up comes back after a whole load, which no open can wait for. */
static bool has_engine(const struct dispatcher *dispatcher, enum scanner_state now)
{
    switch (now) {
    case SCANNER_READY:
    case SCANNER_RELOADING:
        return true;
    case SCANNER_RESTING:
    case SCANNER_NO_SIGNATURES:
        return false;
    case SCANNER_LOADING:
    case SCANNER_FAILED:
        break;
    }
    return dispatcher->has_engine;
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
    dispatcher->has_engine = has_engine(dispatcher, now.state);
    if (now.state == SCANNER_READY && before.state != SCANNER_READY)
        dispatcher->worked_ns = clock_monotonic_ns();
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
            dispatcher_forget_lease(task);
            atomic_fetch_add(&dispatcher->leases_broken, 1);
        }
}

static void drop_list(struct dispatcher *dispatcher, struct scan_task_list *list)
{
    for (struct scan_task *task = scan_task_list_take(list); task != NULL;
         task = scan_task_list_take(list))
        dispatcher_drop_task(dispatcher, task);
}

static void drop_unwanted(struct dispatcher *dispatcher, struct scan_task_list *list)
{
    for (struct scan_task *task = list->first, *next; task != NULL; task = next) {
        next = task->next;
        if (dispatcher_is_unwanted(task)) {
            scan_task_list_remove(list, task);
            dispatcher_drop_task(dispatcher, task);
        }
    }
}

/* Also while no engine is there to scan anything. */
static void take_turn(struct dispatcher *dispatcher)
{
    struct scan_task *task;

    dispatcher_release_committed(dispatcher);
    while ((task = scan_lanes_take_cancelled(dispatcher->parts.lanes)) != NULL)
        dispatcher_drop_task(dispatcher, task);
    dispatcher_take_asked(dispatcher);
    drop_unwanted(dispatcher, &dispatcher->asks);
    drop_unwanted(dispatcher, &dispatcher->resume);
    drop_unwanted(dispatcher, &dispatcher->delayed);
    dispatcher->parts.turn(dispatcher->parts.user);
}

static bool commits_are_open(struct dispatcher *dispatcher)
{
    struct timespec until = clock_wait_until(DISPATCHER_COMMIT_DELAY);

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
    dispatcher_take_asked(dispatcher); /* none is added once a stop is asked for */
    drop_list(dispatcher, &dispatcher->asks);
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
    dispatcher_fill_workers(dispatcher);
    call_drained(dispatcher);
}

static bool has_work(struct dispatcher *dispatcher)
{
    struct backlog_counts waiting;

    backlog_count(dispatcher->parts.backlog, &waiting);
    for (int class = 0; class < BACKLOG_CLASSES; class ++)
        if (waiting.waiting[class] > 0)
            return true;
    return waiting.folds > 0 || scan_lanes_count(dispatcher->parts.lanes) > 0 ||
           dispatcher->in_flight.count > 0 || dispatcher->asks.count > 0 ||
           dispatcher->resume.count > 0 || dispatcher->delayed.count > 0 ||
           dispatcher->parts.is_busy(dispatcher->parts.user);
}

/* A file that comes in the same moment wakes the engine again: it only waits in its lane. Our own
 * test files are no work, or they would keep the engine for ever. */
static void rest_or_wake(struct dispatcher *dispatcher, enum scanner_state state)
{
    uint64_t idle_ns = scan_settings_options(dispatcher->settings)->idle_exit_ns;

    if (state == SCANNER_RESTING && idle_ns == 0)
        (void)!scanner_client_reload(dispatcher->client);
    if (state == SCANNER_READY && idle_ns > 0 && !has_work(dispatcher) &&
        clock_monotonic_ns() - dispatcher->worked_ns >= idle_ns)
        (void)!scanner_client_rest(dispatcher->client);
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
    dispatcher_fill_workers(dispatcher);
    call_drained(dispatcher);
    rest_or_wake(dispatcher, status.state);
}

/* ---- the thread ---- */

static int start_loop(struct dispatcher *dispatcher)
{
    static const struct scanner_callbacks callbacks = {
        .scanned = dispatcher_file_scanned,
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
        dispatcher_fill_workers(dispatcher);
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
    (void)pthread_mutex_destroy(&dispatcher->own_lock);
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
    (void)pthread_mutex_init(&dispatcher->own_lock, NULL);
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
    dispatcher_post_wake(dispatcher);
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
    dispatcher_post_wake(dispatcher);
    return 0;
}

int dispatcher_reload_signatures(struct dispatcher *dispatcher)
{
    (void)pthread_mutex_lock(&dispatcher->lock);
    dispatcher->reload_asked = true;
    (void)pthread_mutex_unlock(&dispatcher->lock);
    dispatcher_post_wake(dispatcher);
    return 0;
}

int dispatcher_ask(struct dispatcher *dispatcher, struct scan_task *task)
{
    (void)pthread_mutex_lock(&dispatcher->lock);
    int r = dispatcher->stop_asked ? -ESHUTDOWN : 0;
    if (r == 0) {
        task->dispatcher = dispatcher;
        scan_task_list_add(&dispatcher->asked, task);
    }
    (void)pthread_mutex_unlock(&dispatcher->lock);
    if (r == 0)
        dispatcher_post_wake(dispatcher);
    return r;
}

void dispatcher_tell_work(struct dispatcher *dispatcher)
{
    if (atomic_exchange(&dispatcher->hungry, false))
        dispatcher_post_wake(dispatcher);
}

void dispatcher_wake(struct dispatcher *dispatcher)
{
    dispatcher_post_wake(dispatcher);
}

void dispatcher_set_own_file(struct dispatcher *dispatcher, scan_own_file *own_file, void *user)
{
    (void)pthread_mutex_lock(&dispatcher->own_lock);
    dispatcher->own_file = own_file;
    dispatcher->own_user = user;
    (void)pthread_mutex_unlock(&dispatcher->own_lock);
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
