/* The thread of integrity monitoring: it rests when there is nothing to do, ends what is called
 * off and nothing else, and does not wait for a disk that is full. The store is a fake. */
#include "agent/integrity/integrity.h"

#include "agent/store/store.h"
#include "common/files/file.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum { MOST_WAITING = 16 };

/* ---- the store ---- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stuck; /* nothing is committed */
    store_committed *waiting[MOST_WAITING];
    void *users[MOST_WAITING];
    size_t count;
    unsigned told, updates; /* events; of files that changed */
} fake = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

int __wrap_store_append(struct store *store, const struct event_draft *draft, store_work *work,
                        store_committed *committed, void *user);
int __wrap_store_append(struct store *store UNUSED, const struct event_draft *draft,
                        store_work *work UNUSED, store_committed *committed, void *user)
{
    (void)pthread_mutex_lock(&fake.lock);
    bool stuck = fake.stuck;
    if (draft != NULL) {
        fake.told++;
        fake.updates += text_equal(draft->kind, "integrity_updated");
    }
    if (stuck && committed != NULL) {
        assert_true(fake.count < MOST_WAITING);
        fake.waiting[fake.count] = committed;
        fake.users[fake.count++] = user;
    }
    (void)pthread_cond_broadcast(&fake.changed);
    (void)pthread_mutex_unlock(&fake.lock);
    if (!stuck && committed != NULL)
        committed(user, 0, 1);
    return 0;
}

static void set_stuck(bool stuck)
{
    (void)pthread_mutex_lock(&fake.lock);
    fake.stuck = stuck;
    while (!stuck && fake.count > 0) {
        fake.count--;
        fake.waiting[fake.count](fake.users[fake.count], 0, 1);
    }
    (void)pthread_mutex_unlock(&fake.lock);
}

static void wait_until_it_hangs(void)
{
    (void)pthread_mutex_lock(&fake.lock);
    while (fake.count == 0)
        (void)pthread_cond_wait(&fake.changed, &fake.lock);
    (void)pthread_mutex_unlock(&fake.lock);
}

static void wait_for_updates(unsigned wanted)
{
    (void)pthread_mutex_lock(&fake.lock);
    while (fake.updates < wanted)
        (void)pthread_cond_wait(&fake.changed, &fake.lock);
    (void)pthread_mutex_unlock(&fake.lock);
}

/* ---- how often the thread looks what there is to do: it asks the time then ---- */

static atomic_uint looks;

uint64_t __real_clock_realtime_ns(void);
uint64_t __wrap_clock_realtime_ns(void);
uint64_t __wrap_clock_realtime_ns(void)
{
    (void)atomic_fetch_add(&looks, 1);
    return __real_clock_realtime_ns();
}

/* ---- the fixture ---- */

static char folder[64], state_folder[96], watched[96], file[128];
static const char *const watched_paths[] = {watched, NULL};

struct asked {
    bool ended;
    int result;
};

static void note_end(void *user, int result, const struct integrity_totals *totals UNUSED)
{
    struct asked *asked = user;

    (void)pthread_mutex_lock(&fake.lock);
    *asked = (struct asked){true, result};
    (void)pthread_cond_broadcast(&fake.changed);
    (void)pthread_mutex_unlock(&fake.lock);
}

static void ask(struct integrity *integrity, enum integrity_request request, struct asked *asked)
{
    const struct integrity_order order = {request, "test", note_end, asked};

    *asked = (struct asked){.ended = false};
    assert_int_equal(integrity_ask(integrity, &order), 0);
}

static int end_of(const struct asked *asked)
{
    (void)pthread_mutex_lock(&fake.lock);
    while (!asked->ended)
        (void)pthread_cond_wait(&fake.changed, &fake.lock);
    (void)pthread_mutex_unlock(&fake.lock);
    return asked->result;
}

static void write_file(const char *text)
{
    assert_int_equal(file_replace(file, text, strlen(text), 0644), 0);
}

static int set_up(void **state UNUSED)
{
    (void)text_copy(folder, sizeof folder, "/tmp/yagura-turns-XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)text_format(state_folder, sizeof state_folder, "%s/state", folder);
    (void)text_format(watched, sizeof watched, "%s/watched", folder);
    (void)text_format(file, sizeof file, "%s/file", watched);
    assert_int_equal(mkdir(state_folder, 0700), 0);
    assert_int_equal(mkdir(watched, 0700), 0);
    write_file("before\n");
    fake.stuck = false;
    fake.count = 0;
    fake.told = fake.updates = 0;
    return 0;
}

static int tear_down(void **state UNUSED)
{
    set_stuck(false);
    return file_remove_tree(AT_FDCWD, folder);
}

static struct integrity_options options_of(bool enabled)
{
    return (struct integrity_options){.enabled = enabled,
                                      .state_directory = state_folder,
                                      .lists = {.paths = watched_paths},
                                      .most_bytes = 1 << 20};
}

static struct integrity *start(void)
{
    const struct integrity_options options = options_of(true);
    struct integrity *integrity;

    assert_int_equal(integrity_start(&options, NULL, &integrity), 0);
    return integrity;
}

/* Between two looks, or because only time shows that nothing is done in it. */
static void pass(uint64_t time_ns)
{
    const struct timespec time = timespec_from_ns(time_ns);

    (void)nanosleep(&time, NULL);
}

static struct integrity_status wait_for_state(struct integrity *integrity,
                                              enum integrity_state state)
{
    struct integrity_status status;

    for (integrity_status(integrity, &status); status.state != state;
         integrity_status(integrity, &status))
        pass(NS_PER_MS);
    return status;
}

static void tell(struct integrity *integrity, enum watch_event_kind kind)
{
    const struct watch_event event = {
        .kind = kind, .path = file, .path_length = strlen(file), .time_ns = clock_realtime_ns()};

    integrity_take_event(integrity, &event);
}

/* ---- cases ---- */

static void switched_off_it_forgets_what_waits(void **state UNUSED)
{
    const struct integrity_options off = options_of(false);
    struct integrity *integrity = start();

    (void)wait_for_state(integrity, INTEGRITY_WATCHING);
    tell(integrity, WATCH_FILE_WRITTEN);
    assert_int_equal(integrity_reconfigure(integrity, &off), 0);
    assert_int_equal(wait_for_state(integrity, INTEGRITY_OFF).waiting, 0);
    (void)integrity_stop(integrity);
}

static void without_a_baseline_it_rests_between_tries(void **state UNUSED)
{
    assert_int_equal(rmdir(state_folder), 0);
    struct integrity *integrity = start();
    (void)wait_for_state(integrity, INTEGRITY_FAILED);
    tell(integrity, WATCH_FILE_WRITTEN);
    pass(700 * NS_PER_MS); /* then it is due */
    unsigned before = atomic_load(&looks);
    pass(300 * NS_PER_MS);
    unsigned after = atomic_load(&looks);
    (void)integrity_stop(integrity);
    assert_in_range(after - before, 0, 10);
}

static void switched_off_it_does_not_try_again(void **state UNUSED)
{
    const struct integrity_options off = options_of(false);

    assert_int_equal(rmdir(state_folder), 0);
    struct integrity *integrity = start();
    (void)wait_for_state(integrity, INTEGRITY_FAILED);
    assert_int_equal(integrity_reconfigure(integrity, &off), 0);
    (void)wait_for_state(integrity, INTEGRITY_OFF);
    /* When it would. */
    clock_set_fake(clock_monotonic_ns() + 11 * NS_PER_SECOND, clock_realtime_ns());
    assert_int_equal(integrity_reconfigure(integrity, &off), 0);
    pass(50 * NS_PER_MS);
    unsigned before = atomic_load(&looks);
    pass(300 * NS_PER_MS);
    unsigned after = atomic_load(&looks);
    (void)integrity_stop(integrity);
    clock_set_fake(0, 0);
    assert_in_range(after - before, 0, 10);
}

static void one_is_called_off_and_the_others_go_on(void **state UNUSED)
{
    struct asked first, second;

    set_stuck(true);
    struct integrity *integrity = start();
    wait_until_it_hangs(); /* in the check at the start */
    ask(integrity, INTEGRITY_REBUILD, &first);
    ask(integrity, INTEGRITY_CHECK, &second);
    integrity_cancel(integrity, &first);
    assert_int_equal(end_of(&first), -ECANCELED);
    assert_false(second.ended);
    set_stuck(false);
    assert_int_equal(end_of(&second), 0);
    (void)integrity_stop(integrity);
}

static void a_full_disk_does_not_hold_what_is_called_off(void **state UNUSED)
{
    struct asked asked;
    struct integrity *integrity = start();

    (void)wait_for_state(integrity, INTEGRITY_WATCHING);
    set_stuck(true);
    write_file("after\n");
    ask(integrity, INTEGRITY_CHECK, &asked);
    wait_until_it_hangs();
    integrity_cancel(integrity, &asked);
    assert_int_equal(end_of(&asked), -ECANCELED);
    set_stuck(false);
    wait_for_updates(2); /* not committed when it was told first: told again */
    (void)integrity_stop(integrity);
}

static void a_full_disk_does_not_hold_the_end(void **state UNUSED)
{
    struct asked asked;
    struct integrity *integrity = start();

    (void)wait_for_state(integrity, INTEGRITY_WATCHING);
    set_stuck(true);
    write_file("after\n");
    ask(integrity, INTEGRITY_CHECK, &asked);
    wait_until_it_hangs();
    (void)integrity_stop(integrity);
    assert_int_equal(end_of(&asked), -ECANCELED);
}

static void what_changed_before_the_watch_stood_is_told(void **state UNUSED)
{
    struct integrity *integrity = start();

    (void)wait_for_state(integrity, INTEGRITY_WATCHING);
    write_file("after\n");
    tell(integrity, WATCH_FILE_FOUND);
    tell(integrity, WATCH_WALKED);
    wait_for_updates(1);
    (void)integrity_stop(integrity);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(switched_off_it_forgets_what_waits),
        CASE(without_a_baseline_it_rests_between_tries),
        CASE(switched_off_it_does_not_try_again),
        CASE(one_is_called_off_and_the_others_go_on),
        CASE(a_full_disk_does_not_hold_what_is_called_off),
        CASE(a_full_disk_does_not_hold_the_end),
        CASE(what_changed_before_the_watch_stood_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
