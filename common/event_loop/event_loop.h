/* epoll with descriptors, timers, signals and posts from other threads. One thread runs a loop;
 * only event_loop_post() and event_loop_stop() may be called from elsewhere. Handlers must not
 * block. */
#ifndef COMMON_EVENT_LOOP_EVENT_LOOP_H
#define COMMON_EVENT_LOOP_EVENT_LOOP_H

#include "common/attributes.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct event_loop;
struct event_timer;

typedef void event_fd_handler(void *user, int fd, uint32_t epoll_events);
typedef void event_timer_handler(void *user);
typedef void event_signal_handler(void *user, int signal_number);
typedef void event_post_handler(void *user);

int event_loop_new(struct event_loop **ret_loop) MUST_USE;
/* Free its timers first. Does not close the descriptors it watched. NULL is legal. */
struct event_loop *event_loop_free(struct event_loop *loop);

/* Watches fd for epoll_events (EPOLLIN, ...; level-triggered). One handler per fd. The handler may
 * remove its own or any other fd, even while events for it are pending. -EEXIST, -ENOMEM, -errno.
 */
int event_loop_add_fd(struct event_loop *loop, int fd, uint32_t epoll_events,
                      event_fd_handler *handler, void *user) MUST_USE;
int event_loop_change_fd(struct event_loop *loop, int fd, uint32_t epoll_events) MUST_USE;
/* Call before closing fd. Unknown fds are ignored. */
void event_loop_remove_fd(struct event_loop *loop, int fd);

/* A timer, not running; freed with event_timer_free before its loop. */
int event_timer_new(struct event_loop *loop, event_timer_handler *handler, void *user,
                    struct event_timer **ret_timer) MUST_USE;
struct event_timer *event_timer_free(struct event_timer *timer);
/* Fires once after delay_ns (0 = at the next turn), and then every interval_ns when that is not 0.
 * Starting a running timer re-arms it. */
void event_timer_start(struct event_timer *timer, uint64_t delay_ns, uint64_t interval_ns);
void event_timer_stop(struct event_timer *timer);

/* Blocks the signal in the calling thread (call before other threads start, so that all inherit it)
 * and delivers it to handler. */
int event_loop_add_signal(struct event_loop *loop, int signal_number, event_signal_handler *handler,
                          void *user) MUST_USE;

/* For a handler of signals: the process that sent the one it is called for, 0: the kernel; and
 * whose it was, by its real user. */
struct event_sender {
    pid_t pid;
    uint32_t user;
};
struct event_sender event_loop_signal_sender(const struct event_loop *loop);

/* Thread-safe: runs handler(user) in the loop's thread, in the order of the posts. -ENOMEM. */
int event_loop_post(struct event_loop *loop, event_post_handler *handler, void *user) MUST_USE;

/* Runs until event_loop_stop(). 0 or -errno. */
int event_loop_run(struct event_loop *loop) MUST_USE;
/* One turn: waits at most timeout_ns (UINT64_MAX = for ever), runs what is ready. Number of
 * handlers run, or -errno. */
int event_loop_turn(struct event_loop *loop, uint64_t timeout_ns) MUST_USE;
void event_loop_stop(struct event_loop *loop);

#endif
