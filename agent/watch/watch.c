/* Owns: the life of a watch: its threads, its options, and the calls other threads make. Must not
 * own: reading (reader.c), walking (walk.c), or the rules of either. */
#include "agent/watch/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/random.h>

#include "agent/watch/budget.h"
#include "agent/watch/mounts.h"
#include "agent/watch/scope.h"
#include "agent/watch/watch_internal.h"
#include "agent/watch/watch_source.h"
#include "common/files/file.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#define THREAD_STACK_BYTES ((size_t)512 * 1024)

static void give_to_sink(struct watch *watch, struct watch_event *event)
{
    event->time_ns = clock_realtime_ns();
    watch->sink(watch->user, event);
}

void watch_tell(struct watch *watch, enum watch_event_kind kind, const char *path, size_t length,
                const char *detail)
{
    struct watch_event event = {
        .kind = kind, .path = path, .path_length = length, .detail = detail};

    (void)pthread_mutex_lock(&watch->sink_lock);
    give_to_sink(watch, &event);
    (void)pthread_mutex_unlock(&watch->sink_lock);
}

void watch_deliver(struct watch *watch, struct outbox *outbox)
{
    struct watch_event event;
    size_t offset = 0;

    if (outbox->bytes.length == 0)
        return;
    (void)pthread_mutex_lock(&watch->sink_lock);
    while (outbox_next(outbox, &offset, &event))
        give_to_sink(watch, &event);
    (void)pthread_mutex_unlock(&watch->sink_lock);
    outbox_clear(outbox);
}

void watch_wake_reader(struct watch *watch)
{
    uint64_t one = 1;

    (void)!write(watch->wake_fd, &one, sizeof(one));
}

/* --- making and ending ------------------------------------------------------------------------ */

static void take_options(struct watch *watch, const struct watch_options *options)
{
    watch->settle.delay_ns = options->settle_ns;
    watch->report_found = options->report_found;
    watch->policy_budget = options->budget;
    watch->budget = budget_of(budget_kernel_limit(), 0, options->budget);
    watch->budget_measured = false;
    watch->crawl.interval_ns = options->crawl_interval_ns;
    watch->crawl.rate = options->crawl_rate;
    watch->crawl.next_ns = options->crawl_interval_ns == 0
                               ? UINT64_MAX
                               : clock_monotonic_ns() + options->crawl_interval_ns;
    watch->started_ns = clock_realtime_ns();
}

static unsigned int first_walk_flags(const struct watch *watch)
{
    return WALK_FIRST | (watch->report_found ? WALK_FOUND : WALK_SINCE);
}

static int open_descriptors(struct watch *watch)
{
    int r = file_open_following("/proc/self/mountinfo", O_RDONLY, 0, &watch->mountinfo_fd);
    if (r < 0)
        return r;
    r = file_open_following("/proc/self/mountinfo", O_RDONLY, 0, &watch->mount_poll_fd);
    if (r < 0)
        return r;
    watch->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (watch->wake_fd < 0)
        return -errno;
    r = watch_source_open(&watch->source);
    return r < 0 ? r : mounts_read(watch->mountinfo_fd, &watch->mounts);
}

static int prepare(struct watch *watch, const struct watch_options *options)
{
    uint64_t seeds[3];

    if (getrandom(seeds, sizeof(seeds), 0) != sizeof(seeds))
        return -EIO;
    told_init(&watch->told, seeds[0]);
    gap_init(&watch->gap);
    sync_init(&watch->sync);
    watch->retry_ns = UINT64_MAX;
    int r = settle_init(&watch->settle, seeds[1], LIMIT_WATCH_SETTLING, 0);
    if (r == 0)
        r = tree_init(&watch->tree, seeds[2], LIMIT_WATCH_DIRECTORIES);
    if (r == 0)
        r = scope_new(options, &watch->scope);
    if (r == 0)
        r = open_descriptors(watch);
    return r;
}

static unsigned int wanted_walkers(void)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);

    return processors < 2                 ? 2
           : processors > WALKERS_MAXIMUM ? WALKERS_MAXIMUM
                                          : (unsigned int)processors;
}

/* With all signals blocked: they belong to the program's own threads. */
static int start_threads(struct watch *watch)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    int r;

    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    r = pthread_create(&watch->reader, &attributes, watch_reader_run, watch);
    watch->reader_runs = r == 0;
    while (r == 0 && watch->walker_count < wanted_walkers()) {
        r = pthread_create(&watch->walkers[watch->walker_count], &attributes, watch_walker_run,
                           watch);
        watch->walker_count += r == 0;
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    return -r;
}

/* The walkers hold it for a microsecond some times a directory: spinning a little is cheaper than
 * sleeping. */
static void init_busy_lock(pthread_mutex_t *lock)
{
    pthread_mutexattr_t attributes;

    (void)pthread_mutexattr_init(&attributes);
    (void)pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ADAPTIVE_NP);
    (void)pthread_mutex_init(lock, &attributes);
    (void)pthread_mutexattr_destroy(&attributes);
}

int watch_start(const struct watch_options *options, watch_sink *sink, void *user,
                struct watch **ret_watch)
{
    struct watch *watch = calloc(1, sizeof(*watch));

    if (watch == NULL)
        return -ENOMEM;
    watch->sink = sink;
    watch->user = user;
    watch->mountinfo_fd = watch->mount_poll_fd = watch->wake_fd = -1;
    init_busy_lock(&watch->lock);
    (void)pthread_mutex_init(&watch->sink_lock, NULL);
    (void)pthread_mutex_init(&watch->mounts_lock, NULL);
    (void)pthread_cond_init(&watch->work, NULL);
    int r = prepare(watch, options);
    if (r == 0) {
        take_options(watch, options);
        watch_queue_walk(watch, TREE_ROOT, first_walk_flags(watch));
        if (scope_contains(watch->scope, "/", 1))
            tree_at(&watch->tree, TREE_ROOT)->state |= NODE_SCOPE;
        r = start_threads(watch);
    }
    if (r < 0) {
        (void)watch_stop(watch);
        return r;
    }
    *ret_watch = watch;
    return 0;
}

static void stop_threads(struct watch *watch)
{
    (void)pthread_mutex_lock(&watch->lock);
    watch->stopping = true;
    (void)pthread_cond_broadcast(&watch->work);
    (void)pthread_mutex_unlock(&watch->lock);
    if (watch->wake_fd >= 0)
        watch_wake_reader(watch);
    for (unsigned int i = 0; i < watch->walker_count; i++)
        (void)pthread_join(watch->walkers[i], NULL);
    if (watch->reader_runs)
        (void)pthread_join(watch->reader, NULL);
}

static void cancel_requests(struct watch *watch)
{
    for (size_t i = 0; i < SYNC_REQUESTS; i++) {
        struct sync_request *request = &watch->sync.requests[i];

        if (request->state != SYNC_FREE)
            request->done(request->user, -ECANCELED);
        request->state = SYNC_FREE;
    }
}

static void free_settled(struct watch *watch)
{
    while (watch->settled != NULL) {
        struct settle_entry *next = watch->settled->next;

        free(watch->settled);
        watch->settled = next;
    }
}

struct watch *watch_stop(struct watch *watch)
{
    if (watch == NULL)
        return NULL;
    stop_threads(watch);
    cancel_requests(watch);
    if (watch->mountinfo_fd >= 0)
        (void)close(watch->mountinfo_fd);
    if (watch->mount_poll_fd >= 0)
        (void)close(watch->mount_poll_fd);
    if (watch->wake_fd >= 0)
        (void)close(watch->wake_fd);
    watch->source = watch_source_close(watch->source);
    watch->mounts = mounts_free(watch->mounts);
    watch->scope = scope_unref(watch->scope);
    if (watch->settle.buckets != NULL)
        settle_done(&watch->settle);
    free_settled(watch);
    unclosed_done(&watch->unclosed);
    tree_done(&watch->tree);
    free(watch->stack.tasks);
    (void)pthread_cond_destroy(&watch->work);
    (void)pthread_mutex_destroy(&watch->mounts_lock);
    (void)pthread_mutex_destroy(&watch->sink_lock);
    (void)pthread_mutex_destroy(&watch->lock);
    free(watch);
    return NULL;
}

/* --- calls from other threads ----------------------------------------------------------------- */

int watch_reconfigure(struct watch *watch, const struct watch_options *options)
{
    struct scope *scope;

    int r = scope_new(options, &scope);
    if (r < 0)
        return r;
    (void)pthread_mutex_lock(&watch->lock);
    take_options(watch, options);
    (void)scope_unref(watch->scope);
    watch->scope = scope;
    atomic_store(&watch->counters.first_walk_done, false);
    told_forget(&watch->told);
    watch_queue_job(watch, JOB_CONFIGURE);
    (void)pthread_mutex_unlock(&watch->lock);
    watch_wake_reader(watch);
    return 0;
}

int watch_sync(struct watch *watch, uint64_t timeout_ns, void (*done)(void *user, int result),
               void *user)
{
    struct sync_request *request;
    int r = -EBUSY;

    (void)pthread_mutex_lock(&watch->lock);
    request = sync_allocate(&watch->sync);
    if (request != NULL) {
        uint64_t now_ns = clock_monotonic_ns();

        request->marked_ns = now_ns;
        request->deadline_ns = timeout_ns > UINT64_MAX - now_ns ? UINT64_MAX : now_ns + timeout_ns;
        request->done = done;
        request->user = user;
        /* Under the lock: the reader must not read the marker before its key is noted. */
        r = watch_source_mark(watch->source, &request->key);
        if (r == 0)
            request->state = SYNC_MARKED;
    }
    (void)pthread_mutex_unlock(&watch->lock);
    watch_wake_reader(watch);
    return r;
}

void watch_status(struct watch *watch, struct watch_status *ret_status)
{
    const struct watch_counters *counters = &watch->counters;

    *ret_status = (struct watch_status){
        .directories_watched = atomic_load(&counters->watched),
        .directories_unwatched = atomic_load(&counters->unwatched),
        .events_read = atomic_load(&counters->events),
        .overflows = atomic_load(&counters->overflows),
        .gaps_open = atomic_load(&counters->gaps_open),
        .walks_running = atomic_load(&counters->walks_running),
        .found_by_crawl = atomic_load(&counters->found_by_crawl),
        .lag_ns = atomic_load(&counters->lag_ns),
    };
    ret_status->complete =
        atomic_load(&counters->first_walk_done) && ret_status->directories_unwatched == 0;
    (void)pthread_mutex_lock(&watch->lock);
    (void)text_copy(ret_status->limit, sizeof(ret_status->limit), watch->limit);
    (void)pthread_mutex_unlock(&watch->lock);
}
