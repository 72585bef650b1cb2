/* The event loop. Owns the epoll, one eventfd for posts, one signalfd, its registrations and
 * timers; never the descriptors it watches.
 *
 * Timers stand in a list sorted by deadline: a program has a handful. A registration that is
 * removed while its event waits in the current batch stays allocated, marked dead, until the batch
 * ends. */
#include "common/event_loop/event_loop.h"

#include "common/time/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>

enum { EVENTS_PER_TURN = 64 };

struct registration {
    struct registration *next;
    int fd;
    bool dead;
    event_fd_handler *handler;
    void *user;
};

struct event_timer {
    struct event_loop *loop;
    struct event_timer *next; /* by deadline, while running */
    uint64_t deadline_ns;
    uint64_t interval_ns;
    uint64_t started_round; /* of run_timers, so that a round runs a timer once */
    bool running;
    event_timer_handler *handler;
    void *user;
};

struct signal_watch {
    struct signal_watch *next;
    int number;
    event_signal_handler *handler;
    void *user;
};

struct post {
    struct post *next;
    event_post_handler *handler;
    void *user;
};

struct event_loop {
    int epoll_fd;
    int wake_fd;
    int signal_fd;
    sigset_t signals;
    atomic_bool stopping;
    struct registration *registrations;
    struct signal_watch *signal_watches;
    struct event_sender sender; /* of the signal that is being handled */
    struct event_timer *timers; /* the running ones, the next first */
    uint64_t timer_round;
    pthread_mutex_t post_lock;
    struct post *posts; /* guarded by post_lock; first to run first */
    struct post **posts_end;
};

static struct registration *find_registration(struct event_loop *loop, int fd)
{
    struct registration *found = loop->registrations;

    while (found != NULL && (found->fd != fd || found->dead))
        found = found->next;
    return found;
}

static void free_dead_registrations(struct event_loop *loop)
{
    for (struct registration **link = &loop->registrations; *link != NULL;) {
        struct registration *registration = *link;
        if (!registration->dead) {
            link = &registration->next;
            continue;
        }
        *link = registration->next;
        free(registration);
    }
}

int event_loop_add_fd(struct event_loop *loop, int fd, uint32_t epoll_events,
                      event_fd_handler *handler, void *user)
{
    struct registration *registration = calloc(1, sizeof *registration);
    if (registration == NULL)
        return -ENOMEM;
    *registration = (struct registration){.fd = fd, .handler = handler, .user = user};

    struct epoll_event event = {.events = epoll_events, .data.ptr = registration};
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
        int error = -errno;
        free(registration);
        return error;
    }
    registration->next = loop->registrations;
    loop->registrations = registration;
    return 0;
}

int event_loop_change_fd(struct event_loop *loop, int fd, uint32_t epoll_events)
{
    struct registration *registration = find_registration(loop, fd);
    if (registration == NULL)
        return -ENOENT;
    struct epoll_event event = {.events = epoll_events, .data.ptr = registration};
    return epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, fd, &event) < 0 ? -errno : 0;
}

void event_loop_remove_fd(struct event_loop *loop, int fd)
{
    struct registration *registration = find_registration(loop, fd);
    if (registration == NULL)
        return;
    (void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    registration->dead = true;
}

int event_timer_new(struct event_loop *loop, event_timer_handler *handler, void *user,
                    struct event_timer **ret_timer)
{
    struct event_timer *timer = calloc(1, sizeof *timer);
    if (timer == NULL)
        return -ENOMEM;
    *timer = (struct event_timer){.loop = loop, .handler = handler, .user = user};
    *ret_timer = timer;
    return 0;
}

void event_timer_stop(struct event_timer *timer)
{
    if (!timer->running)
        return;
    struct event_timer **link = &timer->loop->timers;
    while (*link != timer)
        link = &(*link)->next;
    *link = timer->next;
    timer->running = false;
}

struct event_timer *event_timer_free(struct event_timer *timer)
{
    if (timer != NULL)
        event_timer_stop(timer);
    free(timer);
    return NULL;
}

static void timer_insert(struct event_timer *timer)
{
    struct event_timer **link = &timer->loop->timers;

    while (*link != NULL && (*link)->deadline_ns <= timer->deadline_ns)
        link = &(*link)->next;
    timer->next = *link;
    *link = timer;
    timer->running = true;
    timer->started_round = timer->loop->timer_round;
}

void event_timer_start(struct event_timer *timer, uint64_t delay_ns, uint64_t interval_ns)
{
    event_timer_stop(timer);
    if (__builtin_add_overflow(clock_monotonic_ns(), delay_ns, &timer->deadline_ns))
        timer->deadline_ns = UINT64_MAX;
    timer->interval_ns = interval_ns;
    timer_insert(timer);
}

/* Timers due now run once each. What their handlers start comes behind them in the list, and waits
 * for the next turn even when it is due at once. */
static int run_timers(struct event_loop *loop)
{
    uint64_t now = clock_monotonic_ns();
    uint64_t round = ++loop->timer_round;
    int count = 0;

    while (loop->timers != NULL && loop->timers->deadline_ns <= now &&
           loop->timers->started_round != round) {
        struct event_timer *timer = loop->timers;
        event_timer_stop(timer);
        if (timer->interval_ns > 0) {
            if (__builtin_add_overflow(timer->deadline_ns, timer->interval_ns, &timer->deadline_ns))
                timer->deadline_ns = UINT64_MAX;
            timer->deadline_ns = MAX(timer->deadline_ns, now + 1);
            timer_insert(timer);
        }
        timer->handler(timer->user); /* may free the timer */
        count++;
    }
    return count;
}

static void handle_signals(void *user, int fd, uint32_t epoll_events UNUSED)
{
    struct event_loop *loop = user;
    struct signalfd_siginfo info;

    while (read(fd, &info, sizeof info) == (ssize_t)sizeof info) {
        loop->sender = (struct event_sender){.pid = (pid_t)info.ssi_pid, .user = info.ssi_uid};
        for (struct signal_watch *watch = loop->signal_watches, *next; watch != NULL;
             watch = next) {
            next = watch->next;
            if (watch->number == (int)info.ssi_signo)
                watch->handler(watch->user, watch->number);
        }
    }
}

struct event_sender event_loop_signal_sender(const struct event_loop *loop)
{
    return loop->sender;
}

/* Makes the one signalfd take set; it is watched from the first signal on. */
static int update_signal_fd(struct event_loop *loop, const sigset_t *set)
{
    bool first = loop->signal_fd < 0;
    int fd = signalfd(loop->signal_fd, set, SFD_CLOEXEC | SFD_NONBLOCK);

    if (fd < 0)
        return -errno;
    int r = first ? event_loop_add_fd(loop, fd, EPOLLIN, handle_signals, loop) : 0;
    if (r < 0) {
        (void)close(fd);
        return r;
    }
    loop->signal_fd = fd;
    return 0;
}

int event_loop_add_signal(struct event_loop *loop, int signal_number, event_signal_handler *handler,
                          void *user)
{
    sigset_t signals = loop->signals;

    if (sigaddset(&signals, signal_number) < 0)
        return -errno;
    struct signal_watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL)
        return -ENOMEM;
    *watch = (struct signal_watch){
        .next = loop->signal_watches, .number = signal_number, .handler = handler, .user = user};
    int r = -pthread_sigmask(SIG_BLOCK, &signals, NULL);
    if (r == 0)
        r = update_signal_fd(loop, &signals);
    if (r < 0) {
        free(watch);
        return r;
    }
    loop->signals = signals;
    loop->signal_watches = watch;
    return 0;
}

static void wake(struct event_loop *loop)
{
    uint64_t one = 1;

    /* A full counter wakes the loop just as well. */
    (void)!write(loop->wake_fd, &one, sizeof one);
}

int event_loop_post(struct event_loop *loop, event_post_handler *handler, void *user)
{
    struct post *post = calloc(1, sizeof *post);
    if (post == NULL)
        return -ENOMEM;
    *post = (struct post){.handler = handler, .user = user};

    (void)pthread_mutex_lock(&loop->post_lock);
    bool first = loop->posts == NULL;
    *loop->posts_end = post;
    loop->posts_end = &post->next;
    (void)pthread_mutex_unlock(&loop->post_lock);
    if (first)
        wake(loop);
    return 0;
}

static void handle_wake(void *user, int fd, uint32_t epoll_events UNUSED)
{
    struct event_loop *loop = user;
    uint64_t count;

    (void)!read(fd, &count, sizeof count);
    (void)pthread_mutex_lock(&loop->post_lock);
    struct post *posts = loop->posts;
    loop->posts = NULL;
    loop->posts_end = &loop->posts;
    (void)pthread_mutex_unlock(&loop->post_lock);

    while (posts != NULL) {
        struct post *post = posts;
        posts = post->next;
        post->handler(post->user);
        free(post);
    }
}

int event_loop_new(struct event_loop **ret_loop)
{
    struct event_loop *loop = calloc(1, sizeof *loop);
    if (loop == NULL)
        return -ENOMEM;
    loop->signal_fd = -1;
    loop->posts_end = &loop->posts;
    (void)sigemptyset(&loop->signals);
    (void)pthread_mutex_init(&loop->post_lock, NULL);
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int r = loop->epoll_fd < 0 || loop->wake_fd < 0
                ? -errno
                : event_loop_add_fd(loop, loop->wake_fd, EPOLLIN, handle_wake, loop);
    if (r < 0) {
        (void)event_loop_free(loop);
        return r;
    }
    *ret_loop = loop;
    return 0;
}

#define FREE_LIST(list)        \
    while ((list) != NULL) {   \
        void *first_ = (list); \
        (list) = (list)->next; \
        free(first_);          \
    }

struct event_loop *event_loop_free(struct event_loop *loop)
{
    if (loop == NULL)
        return NULL;
    FREE_LIST(loop->registrations);
    FREE_LIST(loop->signal_watches);
    FREE_LIST(loop->posts);
    cleanup_close(&loop->epoll_fd);
    cleanup_close(&loop->wake_fd);
    cleanup_close(&loop->signal_fd);
    (void)pthread_mutex_destroy(&loop->post_lock);
    free(loop);
    return NULL;
}

static int next_timeout_ms(const struct event_loop *loop, uint64_t timeout_ns)
{
    if (loop->timers != NULL) {
        uint64_t now = clock_monotonic_ns();
        uint64_t deadline = loop->timers->deadline_ns;
        timeout_ns = MIN(timeout_ns, deadline > now ? deadline - now : 0);
    }
    if (timeout_ns == UINT64_MAX)
        return -1;
    uint64_t ms = timeout_ns / NS_PER_MS + (timeout_ns % NS_PER_MS != 0);
    return (int)MIN(ms, (uint64_t)INT32_MAX);
}

int event_loop_turn(struct event_loop *loop, uint64_t timeout_ns)
{
    struct epoll_event events[EVENTS_PER_TURN];

    int ready =
        epoll_wait(loop->epoll_fd, events, EVENTS_PER_TURN, next_timeout_ms(loop, timeout_ns));
    if (ready < 0)
        return errno == EINTR ? 0 : -errno;
    int count = 0;
    for (int i = 0; i < ready; i++) {
        struct registration *registration = events[i].data.ptr;
        if (registration->dead)
            continue;
        registration->handler(registration->user, registration->fd, events[i].events);
        count++;
    }
    free_dead_registrations(loop);
    return count + run_timers(loop);
}

int event_loop_run(struct event_loop *loop)
{
    while (!atomic_load(&loop->stopping)) {
        int r = event_loop_turn(loop, UINT64_MAX);
        if (r < 0)
            return r;
    }
    return 0;
}

void event_loop_stop(struct event_loop *loop)
{
    atomic_store(&loop->stopping, true);
    wake(loop);
}
