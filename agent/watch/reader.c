/* Owns: the reader thread: records in, events out, and everything that waits for time (settling
 * files, moves, gaps, markers, retries). Must not own: any path input or output, which could block
 * and let the kernel's queue overflow. Hands off: walks and jobs to the walkers (work.c). */
#include <errno.h>
#include <poll.h>

#include "agent/watch/reader_private.h"
#include "agent/watch/scope.h"
#include "common/time/clock.h"

#define RECORDS_PER_LOCK 512

static void deliver(struct reader *reader)
{
    watch_deliver(reader->watch, &reader->outbox);
}

static void read_records(struct reader *reader)
{
    struct watch *watch = reader->watch;
    uint64_t realtime_ns = clock_realtime_ns();
    struct watch_record record;
    bool drained;
    bool more = true;

    if (watch_source_read(watch->source, &drained) < 0)
        return;
    while (more) {
        uint64_t count = 0;

        (void)pthread_mutex_lock(&watch->lock);
        while (count < RECORDS_PER_LOCK && !outbox_is_full(&reader->outbox) &&
               (more = watch_source_next(watch->source, &record))) {
            reader_handle_record(reader, &record);
            count++;
        }
        if (!more && drained)
            gap_note_drained(&watch->gap, realtime_ns, reader->now_ns);
        (void)pthread_mutex_unlock(&watch->lock);
        (void)atomic_fetch_add_explicit(&watch->counters.events, count, memory_order_relaxed);
        deliver(reader);
    }
}

/* --- time ---------------------------------------------------------------------------------------
 */

/* Tells kind for every watched path. */
static void tell_all_paths(struct reader *reader, enum watch_event_kind kind, const char *detail)
{
    const struct scope *scope = reader->watch->scope;

    for (size_t i = 0; i < scope->path_count; i++)
        (void)outbox_add(&reader->outbox, kind, scope->paths[i].text, scope->paths[i].length,
                         detail);
}

/* Marks again what was marked before events were lost. */
static void mark_again(struct watch *watch)
{
    for (size_t i = 0; i < SYNC_REQUESTS; i++) {
        struct sync_request *request = &watch->sync.requests[i];

        if (request->state != SYNC_GAP && request->state != SYNC_MARKED)
            continue;
        request->state = SYNC_MARKED;
        request->marked_ns = clock_monotonic_ns();
        if (watch_source_mark(watch->source, &request->key) < 0)
            request->deadline_ns = 0;
    }
}

static void mind_gap(struct reader *reader)
{
    struct watch *watch = reader->watch;
    struct gap *gap = &watch->gap;

    if (gap->open && !watch->gap_told) {
        watch->gap_told = true;
        tell_all_paths(reader, WATCH_GAP,
                       "the kernel dropped events; what may have changed is being told again");
    }
    if (gap->walking && watch->gap_walks == 0 && gap_end_walk(gap, reader->now_ns)) {
        watch->gap_told = false;
        (void)atomic_fetch_sub(&watch->counters.gaps_open, 1);
        tell_all_paths(reader, WATCH_GAP_CLOSED, NULL);
        mark_again(watch);
    }
    if (gap_begin_walk(gap, reader->now_ns))
        watch_queue_walk(watch, TREE_ROOT, WALK_SINCE | WALK_GAP);
}

static void mind_first_walk(struct reader *reader)
{
    if (reader->watch->first_walks == 0 && TAKE_FLAG(reader->watch->walked))
        tell_all_paths(reader, WATCH_WALKED, NULL);
}

static void mind_retries(struct reader *reader)
{
    struct watch *watch = reader->watch;

    if (watch->retry_ns > reader->now_ns)
        return;
    watch->retry_ns = UINT64_MAX;
    watch_queue_job(watch, JOB_RETRY);
}

static void mind_crawl(struct reader *reader)
{
    struct watch *watch = reader->watch;

    if (watch->crawl.next_ns > reader->now_ns)
        return;
    watch->crawl.next_ns = UINT64_MAX;
    watch_queue_job(watch, JOB_CRAWL);
}

static void mind_time(struct reader *reader)
{
    struct watch *watch = reader->watch;
    struct limbo_node node;

    (void)pthread_mutex_lock(&watch->lock);
    reader->now_ns = clock_monotonic_ns();
    reader_flush_settled(watch, reader->now_ns);
    while ((node = limbo_take_expired(&watch->limbo, reader->now_ns)).number != 0)
        reader_bury_from_limbo(watch, node);
    mind_gap(reader);
    mind_first_walk(reader);
    mind_retries(reader);
    mind_crawl(reader);
    (void)pthread_mutex_unlock(&watch->lock);
    deliver(reader);
}

static void finish_requests(struct watch *watch)
{
    struct sync_request request;
    int result;
    bool found;

    do {
        (void)pthread_mutex_lock(&watch->lock);
        found = sync_take_done(&watch->sync, clock_monotonic_ns(), &request, &result);
        (void)pthread_mutex_unlock(&watch->lock);
        if (found)
            request.done(request.user, result);
    } while (found);
}

/* Sets ret_timeout to the time until something is due; false: nothing is. */
static bool next_timeout(struct reader *reader, struct timespec *ret_timeout)
{
    struct watch *watch = reader->watch;
    uint64_t due_ns;

    (void)pthread_mutex_lock(&watch->lock);
    due_ns = MIN(settle_deadline(&watch->settle), limbo_deadline(&watch->limbo));
    due_ns = MIN(due_ns, MIN(watch->gap.due_ns, sync_deadline(&watch->sync)));
    due_ns = MIN(due_ns, MIN(watch->retry_ns, watch->crawl.next_ns));
    (void)pthread_mutex_unlock(&watch->lock);
    if (due_ns == UINT64_MAX)
        return false;
    reader->now_ns = clock_monotonic_ns();
    *ret_timeout = timespec_from_ns(due_ns > reader->now_ns ? due_ns - reader->now_ns : 0);
    return true;
}

static bool is_stopping(struct watch *watch)
{
    (void)pthread_mutex_lock(&watch->lock);
    bool stopping = watch->stopping;
    (void)pthread_mutex_unlock(&watch->lock);
    return stopping;
}

/* Waits for records, mounts, a call, or time. */
static void turn(struct reader *reader)
{
    struct watch *watch = reader->watch;
    struct pollfd fds[] = {
        {.fd = watch_source_fd(watch->source), .events = POLLIN},
        {.fd = watch->wake_fd, .events = POLLIN},
        {.fd = watch->mount_poll_fd, .events = POLLPRI},
    };
    struct timespec timeout;
    bool timed = next_timeout(reader, &timeout);
    uint64_t realtime_ns = clock_realtime_ns();
    uint64_t calls;

    int ready = ppoll(fds, ARRAY_LENGTH(fds), timed ? &timeout : NULL, NULL);
    if (ready < 0)
        return; /* EINTR */
    reader->now_ns = clock_monotonic_ns();
    if (fds[1].revents != 0)
        (void)!read(watch->wake_fd, &calls, sizeof(calls));
    if (fds[2].revents != 0) {
        (void)pthread_mutex_lock(&watch->lock);
        watch_queue_job(watch, JOB_MOUNTS);
        (void)pthread_mutex_unlock(&watch->lock);
    }
    if (fds[0].revents != 0) {
        read_records(reader);
    } else {
        (void)pthread_mutex_lock(&watch->lock);
        gap_note_drained(&watch->gap, realtime_ns, reader->now_ns);
        (void)pthread_mutex_unlock(&watch->lock);
    }
    mind_time(reader);
    finish_requests(watch);
}

void *watch_reader_run(void *argument)
{
    struct reader reader = {.watch = argument};

    outbox_init(&reader.outbox);
    reader.path = malloc(PATH_ROOM);
    while (reader.path != NULL && !is_stopping(reader.watch))
        turn(&reader);
    outbox_done(&reader.outbox);
    free(reader.path);
    return NULL;
}
