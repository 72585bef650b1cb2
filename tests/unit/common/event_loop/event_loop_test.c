/* common/event_loop: descriptors, timers, signals and posts, and what handlers do to each other. */
#include "common/event_loop/event_loop.h"

#include "common/time/clock.h"
#include "tests/unit/support/failing_allocator.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/epoll.h>

#include <cmocka.h>

static struct event_loop *loop;

static int setup(void **state UNUSED)
{
    return event_loop_new(&loop);
}

static int teardown(void **state UNUSED)
{
    clock_set_fake(0, 0);
    loop = event_loop_free(loop);
    return 0;
}

struct channel {
    int reader, writer;
    unsigned calls;
    struct channel *removes; /* what its handler takes out of the loop */
};

static void read_one(void *user, int fd, uint32_t epoll_events)
{
    struct channel *channel = user;
    char byte;

    assert_int_equal(fd, channel->reader);
    assert_true(epoll_events & EPOLLIN);
    assert_int_equal(read(fd, &byte, 1), 1);
    channel->calls++;
    if (channel->removes != NULL)
        event_loop_remove_fd(loop, channel->removes->reader);
}

static void channel_open(struct channel *channel)
{
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    *channel = (struct channel){.reader = ends[0], .writer = ends[1]};
    assert_int_equal(event_loop_add_fd(loop, channel->reader, EPOLLIN, read_one, channel), 0);
}

static void channel_close(struct channel *channel)
{
    event_loop_remove_fd(loop, channel->reader);
    (void)close(channel->reader);
    (void)close(channel->writer);
}

static void test_a_readable_fd_calls_its_handler(void **state UNUSED)
{
    struct channel channel;

    channel_open(&channel);
    assert_int_equal(event_loop_turn(loop, 0), 0);
    assert_int_equal(write(channel.writer, "ab", 2), 2);
    assert_int_equal(event_loop_turn(loop, UINT64_MAX), 1);
    assert_int_equal(event_loop_turn(loop, UINT64_MAX), 1); /* level-triggered: one byte is left */
    assert_int_equal(event_loop_turn(loop, 0), 0);
    assert_int_equal(channel.calls, 2);
    channel_close(&channel);
}

static void test_one_handler_an_fd(void **state UNUSED)
{
    struct channel channel;

    channel_open(&channel);
    assert_int_equal(event_loop_add_fd(loop, channel.reader, EPOLLIN, read_one, &channel), -EEXIST);
    assert_int_equal(event_loop_add_fd(loop, -1, EPOLLIN, read_one, &channel), -EBADF);
    assert_int_equal(event_loop_change_fd(loop, channel.reader, 0), 0);
    assert_int_equal(write(channel.writer, "a", 1), 1);
    assert_int_equal(event_loop_turn(loop, 0), 0);
    assert_int_equal(event_loop_change_fd(loop, channel.reader, EPOLLIN), 0);
    assert_int_equal(event_loop_turn(loop, 0), 1);
    event_loop_remove_fd(loop, channel.reader);
    assert_int_equal(event_loop_change_fd(loop, channel.reader, EPOLLIN), -ENOENT);
    event_loop_remove_fd(loop, channel.reader);
    assert_int_equal(event_loop_add_fd(loop, channel.reader, EPOLLIN, read_one, &channel), 0);
    channel_close(&channel);
}

static void test_a_removed_fd_is_silent_even_in_the_same_batch(void **state UNUSED)
{
    struct channel first, second;

    channel_open(&first);
    channel_open(&second);
    first.removes = &second;
    second.removes = &first;
    assert_int_equal(write(first.writer, "a", 1), 1);
    assert_int_equal(write(second.writer, "a", 1), 1);
    assert_int_equal(event_loop_turn(loop, UINT64_MAX), 1);
    assert_int_equal(first.calls + second.calls, 1);
    struct channel *removed = first.calls == 1 ? &second : &first;
    assert_int_equal(event_loop_add_fd(loop, removed->reader, EPOLLIN, read_one, removed), 0);
    assert_int_equal(event_loop_turn(loop, UINT64_MAX), 1);
    channel_close(&first);
    channel_close(&second);
}

static void test_a_handler_may_remove_itself(void **state UNUSED)
{
    struct channel channel;

    channel_open(&channel);
    channel.removes = &channel;
    assert_int_equal(write(channel.writer, "ab", 2), 2);
    assert_int_equal(event_loop_turn(loop, UINT64_MAX), 1);
    assert_int_equal(event_loop_turn(loop, 0), 0);
    channel_close(&channel);
}

struct ticker {
    struct event_timer *timer;
    unsigned calls;
    bool starts_again, frees_itself;
    unsigned *order;
    unsigned called_at;
};

static void tick(void *user)
{
    struct ticker *ticker = user;

    ticker->calls++;
    if (ticker->order != NULL)
        ticker->called_at = ++*ticker->order;
    if (ticker->starts_again)
        event_timer_start(ticker->timer, 0, 0);
    if (ticker->frees_itself)
        ticker->timer = event_timer_free(ticker->timer);
}

static void ticker_new(struct ticker *ticker)
{
    *ticker = (struct ticker){.calls = 0};
    assert_int_equal(event_timer_new(loop, tick, ticker, &ticker->timer), 0);
}

static void test_timers_fire_in_order_of_deadline(void **state UNUSED)
{
    struct ticker late, early, same;
    unsigned order = 0;

    clock_set_fake(1000, 1);
    ticker_new(&late);
    ticker_new(&early);
    ticker_new(&same);
    late.order = early.order = same.order = &order;
    event_timer_start(late.timer, 300, 0);
    event_timer_start(early.timer, 100, 0);
    event_timer_start(same.timer, 300, 0);
    assert_int_equal(event_loop_turn(loop, 0), 0);
    clock_set_fake(1100, 1);
    assert_int_equal(event_loop_turn(loop, 0), 1);
    clock_set_fake(1300, 1);
    assert_int_equal(event_loop_turn(loop, UINT64_MAX), 2);
    assert_int_equal(early.called_at, 1);
    assert_int_equal(late.called_at, 2);
    assert_int_equal(same.called_at, 3);
    assert_int_equal(event_loop_turn(loop, 0), 0);
    (void)event_timer_free(late.timer);
    (void)event_timer_free(early.timer);
    (void)event_timer_free(same.timer);
}

static void test_an_interval_repeats_without_a_burst(void **state UNUSED)
{
    struct ticker ticker;

    clock_set_fake(1000, 1);
    ticker_new(&ticker);
    event_timer_start(ticker.timer, 10, 100);
    clock_set_fake(1010, 1);
    assert_int_equal(event_loop_turn(loop, 0), 1);
    clock_set_fake(1109, 1);
    assert_int_equal(event_loop_turn(loop, 0), 0);
    clock_set_fake(1110, 1);
    assert_int_equal(event_loop_turn(loop, 0), 1);
    clock_set_fake(9999, 1); /* many intervals late: fires once, and goes on from here */
    assert_int_equal(event_loop_turn(loop, 0), 1);
    assert_int_equal(event_loop_turn(loop, 0), 0);
    clock_set_fake(10000, 1);
    assert_int_equal(event_loop_turn(loop, 0), 1);
    clock_set_fake(10099, 1);
    assert_int_equal(event_loop_turn(loop, 0), 0);
    event_timer_stop(ticker.timer);
    clock_set_fake(20000, 1);
    assert_int_equal(event_loop_turn(loop, 0), 0);
    event_timer_stop(ticker.timer);
    (void)event_timer_free(ticker.timer);
}

static void test_starting_again_re_arms(void **state UNUSED)
{
    struct ticker ticker;

    clock_set_fake(1000, 1);
    ticker_new(&ticker);
    event_timer_start(ticker.timer, 10, 0);
    event_timer_start(ticker.timer, 50, 0);
    clock_set_fake(1020, 1);
    assert_int_equal(event_loop_turn(loop, 0), 0);
    clock_set_fake(1050, 1);
    assert_int_equal(event_loop_turn(loop, 0), 1);
    event_timer_start(ticker.timer, UINT64_MAX, 0);
    assert_int_equal(event_loop_turn(loop, 0), 0);
    (void)event_timer_free(ticker.timer);
}

static void test_a_timer_that_starts_itself_runs_once_a_turn(void **state UNUSED)
{
    struct ticker ticker;

    clock_set_fake(1000, 1); /* a clock that stands still: a careless loop would never end */
    ticker_new(&ticker);
    ticker.starts_again = true;
    event_timer_start(ticker.timer, 0, 0);
    assert_int_equal(event_loop_turn(loop, UINT64_MAX), 1);
    assert_int_equal(event_loop_turn(loop, UINT64_MAX), 1);
    assert_int_equal(ticker.calls, 2);
    (void)event_timer_free(ticker.timer);
}

static void test_a_timer_may_free_itself(void **state UNUSED)
{
    struct ticker once, repeating;

    clock_set_fake(1000, 1);
    ticker_new(&once);
    ticker_new(&repeating);
    once.frees_itself = repeating.frees_itself = true;
    event_timer_start(once.timer, 0, 0);
    event_timer_start(repeating.timer, 0, 5);
    assert_int_equal(event_loop_turn(loop, 0), 2);
    assert_null(once.timer);
    assert_null(repeating.timer);
    clock_set_fake(2000, 1);
    assert_int_equal(event_loop_turn(loop, 0), 0);
    assert_null(event_timer_free(NULL));
}

static void test_a_real_timer_does_not_fire_early(void **state UNUSED)
{
    struct ticker ticker;
    uint64_t begun = clock_monotonic_ns();

    ticker_new(&ticker);
    event_timer_start(ticker.timer, 3 * NS_PER_MS + 1, 0);
    while (ticker.calls == 0)
        assert_true(event_loop_turn(loop, UINT64_MAX) >= 0);
    assert_true(clock_monotonic_ns() - begun > 3 * NS_PER_MS);
    (void)event_timer_free(ticker.timer);
}

static void count_signal(void *user, int signal_number)
{
    unsigned *counts = user;

    counts[signal_number == SIGUSR1 ? 0 : 1]++;
}

static void test_signals_arrive_at_their_handlers(void **state UNUSED)
{
    unsigned counts[2] = {0, 0};
    sigset_t before;

    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &before), 0);
    assert_int_equal(event_loop_add_signal(loop, 9999, count_signal, counts), -EINVAL);
    assert_int_equal(event_loop_add_signal(loop, SIGUSR1, count_signal, counts), 0);
    assert_int_equal(event_loop_add_signal(loop, SIGUSR2, count_signal, counts), 0);
    assert_int_equal(event_loop_add_signal(loop, SIGUSR2, count_signal, counts), 0);
    assert_int_equal(kill(getpid(), SIGUSR1), 0);
    assert_int_equal(kill(getpid(), SIGUSR2), 0);
    while (counts[0] + counts[1] < 3)
        assert_true(event_loop_turn(loop, UINT64_MAX) >= 0);
    assert_int_equal(counts[0], 1);
    assert_int_equal(counts[1], 2);
    assert_int_equal(event_loop_signal_sender(loop).pid, getpid());
    assert_int_equal(event_loop_signal_sender(loop).user, getuid());
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
}

enum { POSTS = 10000, POSTERS = 4 };

struct posted {
    unsigned poster, number;
};

static unsigned next_number[POSTERS];
static unsigned posts_left;

static void take_post(void *user)
{
    struct posted *posted = user;

    assert_int_equal(posted->number, next_number[posted->poster]);
    next_number[posted->poster]++;
    free(posted);
    if (--posts_left == 0)
        event_loop_stop(loop);
}

static void *post_many(void *user)
{
    unsigned poster = *(unsigned *)user;

    for (unsigned i = 0; i < POSTS; i++) {
        struct posted *posted = malloc(sizeof *posted);
        if (posted == NULL)
            abort();
        *posted = (struct posted){.poster = poster, .number = i};
        if (event_loop_post(loop, take_post, posted) < 0)
            abort();
    }
    return NULL;
}

static void test_posts_of_many_threads_come_whole_and_in_order(void **state UNUSED)
{
    pthread_t threads[POSTERS];
    unsigned numbers[POSTERS];

    posts_left = POSTS * POSTERS;
    for (unsigned i = 0; i < POSTERS; i++) {
        numbers[i] = i;
        next_number[i] = 0;
        assert_int_equal(pthread_create(&threads[i], NULL, post_many, &numbers[i]), 0);
    }
    assert_int_equal(event_loop_run(loop), 0);
    for (unsigned i = 0; i < POSTERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(next_number[i], POSTS);
    }
}

static unsigned reposts;

static void post_again(void *user)
{
    if (++reposts < 3)
        assert_int_equal(event_loop_post(loop, post_again, user), 0);
}

static void test_a_post_may_post(void **state UNUSED)
{
    reposts = 0;
    assert_int_equal(event_loop_post(loop, post_again, NULL), 0);
    while (reposts < 3)
        assert_int_equal(event_loop_turn(loop, UINT64_MAX), 1);
    assert_int_equal(event_loop_turn(loop, 0), 0);
}

static void *stop_from_elsewhere(void *user)
{
    event_loop_stop(user);
    return NULL;
}

static void test_stop_from_another_thread_ends_the_run(void **state UNUSED)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, stop_from_elsewhere, loop), 0);
    assert_int_equal(event_loop_run(loop), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void ignore_post(void *user UNUSED) {}

static void test_freeing_a_loop_with_work_waiting(void **state UNUSED)
{
    struct channel channel;

    channel_open(&channel);
    assert_int_equal(event_loop_post(loop, ignore_post, NULL), 0);
    assert_int_equal(write(channel.writer, "a", 1), 1);
    loop = event_loop_free(loop);
    assert_int_equal(fcntl(channel.reader, F_GETFD), FD_CLOEXEC); /* ours, and still open */
    (void)close(channel.reader);
    (void)close(channel.writer);
    assert_null(event_loop_free(NULL));
}

static void ignore_fd(void *user UNUSED, int fd UNUSED, uint32_t epoll_events UNUSED) {}

static int attempt_everything(void *user)
{
    const int *fd = user;
    struct event_loop *attempted = NULL;
    struct event_timer *timer = NULL;

    int r = event_loop_new(&attempted);
    if (r < 0)
        return r;
    r = event_loop_add_fd(attempted, *fd, EPOLLIN, ignore_fd, NULL);
    if (r == 0)
        r = event_timer_new(attempted, tick, NULL, &timer);
    if (r == 0)
        r = event_loop_add_signal(attempted, SIGUSR1, count_signal, NULL);
    if (r == 0)
        r = event_loop_post(attempted, ignore_post, NULL);
    (void)event_timer_free(timer);
    (void)event_loop_free(attempted);
    return r;
}

static void test_out_of_memory_is_an_error_each_time(void **state UNUSED)
{
    int ends[2];
    sigset_t before;

    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &before), 0);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_true(failing_allocator_each(attempt_everything, &ends[0]) >= 6);
    (void)close(ends[0]);
    (void)close(ends[1]);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
}

static void test_a_signal_can_be_added_after_a_failure(void **state UNUSED)
{
    unsigned counts[2] = {0, 0};
    sigset_t before;

    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &before), 0);
    failing_allocator_arm(2, false); /* the watch is there, the registration of the signalfd not */
    int r = event_loop_add_signal(loop, SIGUSR1, count_signal, counts);
    assert_int_equal(failing_allocator_disarm(), 1);
    assert_int_equal(r, -ENOMEM);
    assert_int_equal(event_loop_add_signal(loop, SIGUSR1, count_signal, counts), 0);
    assert_int_equal(kill(getpid(), SIGUSR1), 0);
    assert_int_equal(event_loop_turn(loop, 1000 * NS_PER_MS), 1);
    assert_int_equal(counts[0], 1);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
}

#define LOOP_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOOP_TEST(test_a_readable_fd_calls_its_handler),
        LOOP_TEST(test_one_handler_an_fd),
        LOOP_TEST(test_a_removed_fd_is_silent_even_in_the_same_batch),
        LOOP_TEST(test_a_handler_may_remove_itself),
        LOOP_TEST(test_timers_fire_in_order_of_deadline),
        LOOP_TEST(test_an_interval_repeats_without_a_burst),
        LOOP_TEST(test_starting_again_re_arms),
        LOOP_TEST(test_a_timer_that_starts_itself_runs_once_a_turn),
        LOOP_TEST(test_a_timer_may_free_itself),
        LOOP_TEST(test_a_real_timer_does_not_fire_early),
        LOOP_TEST(test_signals_arrive_at_their_handlers),
        LOOP_TEST(test_posts_of_many_threads_come_whole_and_in_order),
        LOOP_TEST(test_a_post_may_post),
        LOOP_TEST(test_stop_from_another_thread_ends_the_run),
        LOOP_TEST(test_freeing_a_loop_with_work_waiting),
        LOOP_TEST(test_out_of_memory_is_an_error_each_time),
        LOOP_TEST(test_a_signal_can_be_added_after_a_failure),
    };

    return cmocka_run_group_tests_name("event_loop", tests, NULL, NULL);
}
