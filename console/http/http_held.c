/* Owns requests that are answered later, and their way back to the loop that read them. Must not
 * know what an answer says.
 *
 * A loop that has read all there is comes back to what it holds, and then waits a moment for the
 * first answers: leaving and joining libmicrohttpd's epoll costs more than answering does. When
 * none comes, all are suspended, and resumed by whoever finishes them. */
#include "common/time/clock.h"
#include "console/http/http_internal.h"

#include <errno.h>
#include <time.h>

#define PATIENCE_NS      (40 * NS_PER_MS)
#define IMPATIENT_FOR_NS NS_PER_SECOND /* after it was in vain: others want the loop too */

/* The loop of this thread. */
static struct http_loop *own_loop(void)
{
    static _Thread_local struct http_loop own = {.lock = PTHREAD_MUTEX_INITIALIZER};
    if (!own.begun) {
        pthread_condattr_t monotonic;
        (void)pthread_condattr_init(&monotonic);
        (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
        (void)pthread_cond_init(&own.one_ready, &monotonic);
        (void)pthread_condattr_destroy(&monotonic);
        own.begun = true;
    }
    return &own;
}

void http_server_release(struct http_server *server)
{
    /* Under the lock: who waits for the last one frees the server when it sees none. */
    (void)pthread_mutex_lock(&server->lock);
    if (atomic_fetch_sub(&server->held, 1) == 1)
        (void)pthread_cond_broadcast(&server->idle);
    (void)pthread_mutex_unlock(&server->lock);
}

void http_request_hold(struct http_request *request)
{
    struct http_loop *loop = own_loop();
    atomic_fetch_add(&request->server->held, 1);
    request->loop = loop;
    request->held = true;
}

void http_request_hold_long(struct http_request *request)
{
    request->slow = true;
    http_request_hold(request);
}

/* What there is to do with one that is ready. */
enum next { NEXT_NOTHING, NEXT_RESUME, NEXT_FREE };

/* Under the lock. chained: its loop may resume it, when it is awake for another. */
static enum next make_ready(struct http_loop *loop, struct http_request *request, bool chained)
{
    request->ready = true;
    if (request->gone)
        return NEXT_FREE;
    if (!request->suspended) {
        if (loop->ready++ == 0)
            (void)pthread_cond_signal(&loop->one_ready);
        return NEXT_NOTHING;
    }
    if (chained && loop->woken) {
        request->next_finished = loop->finished;
        loop->finished = request;
        return NEXT_NOTHING;
    }
    loop->woken |= chained;
    return NEXT_RESUME;
}

/* Outside of the lock: resuming takes the library's, which a loop may hold when it suspends. */
static enum next give_back(struct http_request *request, bool chained)
{
    struct http_loop *loop = request->loop;
    struct MHD_Connection *connection = request->connection;
    (void)pthread_mutex_lock(&loop->lock);
    enum next next = make_ready(loop, request, chained);
    (void)pthread_mutex_unlock(&loop->lock);
    if (next == NEXT_RESUME)
        MHD_resume_connection(connection);
    if (next == NEXT_FREE)
        http_request_free(request);
    return next;
}

void http_held_ready(struct http_request *request)
{
    (void)give_back(request, false);
}

void http_request_finish(struct http_request *request, http_handler *answer, void *user)
{
    struct http_server *server = request->server;
    request->answer = answer;
    request->answer_user = user;
    if (give_back(request, true) == NEXT_FREE)
        http_server_release(server);
}

bool http_held_leave(struct http_request *request)
{
    struct http_loop *loop = request->loop;
    (void)pthread_mutex_lock(&loop->lock);
    bool ready = request->ready;
    request->gone = !ready;
    loop->ready -= ready && !request->suspended;
    (void)pthread_mutex_unlock(&loop->lock);
    return ready;
}

void http_loop_resume(struct http_loop *loop)
{
    (void)pthread_mutex_lock(&loop->lock);
    struct http_request *request = loop->finished;
    loop->finished = NULL;
    loop->woken = false;
    (void)pthread_mutex_unlock(&loop->lock);
    while (request) {
        struct http_request *next = request->next_finished;
        MHD_resume_connection(request->connection);
        request = next;
    }
}

/* Under the lock: until one of those that the loop holds is ready. */
static void wait_for_one(struct http_loop *loop, const struct http_server_options *options)
{
    if (options->settle)
        options->settle(options->user);
    uint64_t now = clock_monotonic_ns(), until = now + PATIENCE_NS;
    struct timespec end = {.tv_sec = (time_t)(until / NS_PER_SECOND),
                           .tv_nsec = (long)(until % NS_PER_SECOND)};
    int r = now < loop->impatient_until_ns ? ETIMEDOUT : 0;
    while (r == 0 && loop->ready == 0)
        r = pthread_cond_timedwait(&loop->one_ready, &loop->lock, &end);
    if (r != 0 && now >= loop->impatient_until_ns)
        loop->impatient_until_ns = until + IMPATIENT_FOR_NS;
}

bool http_held_take(struct http_request *request)
{
    struct http_loop *loop = request->loop;
    (void)pthread_mutex_lock(&loop->lock);
    if (!request->ready && loop->ready == 0 && !request->slow)
        wait_for_one(loop, &request->server->options);
    bool ready = request->ready;
    if (ready) {
        loop->ready -= !request->suspended;
        request->held = false;
    } else if (loop->ready == 0 || request->slow) {
        /* In vain; else the library asks again after the others. */
        request->suspended = true;
        MHD_suspend_connection(request->connection); /* under the lock: nobody resumes it before */
    }
    (void)pthread_mutex_unlock(&loop->lock);
    return ready;
}
