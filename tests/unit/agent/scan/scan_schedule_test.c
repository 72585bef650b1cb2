/* Scheduled scans: they begin when they are due, pause while the host is busy, can be cancelled,
 * and go on after a restart. The pipeline is a fake, the clock stands. */
#include "agent/scan/scan_schedule.h"

#include "agent/store/store.h"
#include "common/files/file.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define HOUR (3600 * NS_PER_SECOND)
#define NOW  (1000000 * HOUR)

/* ---- the fakes ---- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct scan_job_callbacks callbacks;
    void *user;
    int started, paused, resumed, cancelled, events, refused;
    bool refuses;
    char last_kind[32];
} fake = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void count(int *counter)
{
    (void)pthread_mutex_lock(&fake.lock);
    (*counter)++;
    (void)pthread_cond_broadcast(&fake.changed);
    (void)pthread_mutex_unlock(&fake.lock);
}

static void wait_for(const int *counter, int wanted)
{
    (void)pthread_mutex_lock(&fake.lock);
    while (*counter < wanted)
        (void)pthread_cond_wait(&fake.changed, &fake.lock);
    (void)pthread_mutex_unlock(&fake.lock);
}

int scan_job_start(struct scan_pipeline *pipeline UNUSED, const struct scan_job_options *options,
                   const struct scan_job_callbacks *callbacks, void *user,
                   struct scan_job **ret_job)
{
    assert_int_equal(options->cause, SCAN_CAUSE_SCHEDULED);
    assert_string_equal(options->paths[0], "/srv");
    if (fake.refuses) {
        count(&fake.refused);
        return -EBUSY;
    }
    fake.callbacks = *callbacks;
    fake.user = user;
    *ret_job = (struct scan_job *)(void *)&fake;
    count(&fake.started);
    return 0;
}

void scan_pipeline_status(struct scan_pipeline *pipeline UNUSED,
                          struct scan_pipeline_status *ret_status)
{
    *ret_status = (struct scan_pipeline_status){.in_flight = 0};
}

void scan_job_pause(struct scan_job *job UNUSED, bool pause)
{
    count(pause ? &fake.paused : &fake.resumed);
}

static void *tell_cancelled(void *user UNUSED)
{
    const struct scan_job_totals totals = {.files_seen = 7};

    fake.callbacks.done(fake.user, -ECANCELED, &totals);
    return NULL;
}

/* As the dispatcher does it: from another thread. */
void scan_job_cancel(struct scan_job *job UNUSED)
{
    pthread_t thread;

    count(&fake.cancelled);
    (void)pthread_create(&thread, NULL, tell_cancelled, NULL);
    (void)pthread_detach(thread);
}

int store_append(struct store *store UNUSED, const struct event_draft *draft,
                 store_work *work UNUSED, store_committed *committed UNUSED, void *user UNUSED)
{
    (void)pthread_mutex_lock(&fake.lock);
    (void)text_copy(fake.last_kind, sizeof fake.last_kind, draft->kind);
    (void)pthread_mutex_unlock(&fake.lock);
    count(&fake.events);
    return 0;
}

/* ---- the fixture ---- */

static char folder[64], state_path[128], load_path[128];
static const char *const paths[] = {"/srv", NULL};

static struct scan_schedule_options options_of(uint64_t interval_ns)
{
    return (struct scan_schedule_options){
        .schedule = {.interval_ns = interval_ns},
        .paths = paths,
        .most_load = 80,
        .state_path = state_path,
        .load_path = load_path,
    };
}

static void set_load(const char *text)
{
    assert_int_equal(file_replace(load_path, text, strlen(text), 0600), 0);
}

static int set_up(void **state UNUSED)
{
    (void)text_copy(folder, sizeof folder, "/tmp/yagura-schedule-XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)text_format(state_path, sizeof state_path, "%s/state", folder);
    (void)text_format(load_path, sizeof load_path, "%s/load", folder);
    set_load("0.00 0.00 0.00 1/1 1\n");
    fake.started = fake.paused = fake.resumed = fake.cancelled = fake.events = 0;
    fake.refused = 0;
    fake.refuses = false;
    clock_set_fake(NOW, NOW);
    return 0;
}

static int tear_down(void **state UNUSED)
{
    clock_set_fake(0, 0);
    return file_remove_tree(AT_FDCWD, folder);
}

static struct scan_schedule *start(uint64_t interval_ns)
{
    struct scan_schedule_options options = options_of(interval_ns);
    struct scan_schedule *schedule;

    assert_int_equal(scan_schedule_start(&options, NULL, NULL, &schedule), 0);
    return schedule;
}

static void wake(struct scan_schedule *schedule, uint64_t interval_ns)
{
    struct scan_schedule_options options = options_of(interval_ns);

    assert_int_equal(scan_schedule_reconfigure(schedule, &options), 0);
}

static enum scan_schedule_state state_of(struct scan_schedule *schedule)
{
    struct scan_schedule_status status;

    scan_schedule_status(schedule, &status);
    return status.state;
}

/* ---- cases ---- */

static void the_first_is_due_at_once_the_next_in_time(void **state UNUSED)
{
    const struct scan_job_totals totals = {.files_seen = 3};
    struct scan_schedule_status status;
    struct scan_schedule *schedule = start(24 * HOUR);

    wait_for(&fake.events, 1);
    wait_for(&fake.resumed, 1);
    fake.callbacks.done(fake.user, 0, &totals);
    wait_for(&fake.events, 2);
    assert_string_equal(fake.last_kind, "scan_finished");
    do
        scan_schedule_status(schedule, &status);
    while (status.state != SCHEDULE_WAITING);
    assert_int_equal(status.last_ns, NOW);
    assert_int_equal(status.next_ns, NOW + 24 * HOUR);
    assert_int_equal(status.totals.files_seen, 3);
    clock_set_fake(NOW + 24 * HOUR, NOW + 24 * HOUR);
    wake(schedule, 24 * HOUR);
    wait_for(&fake.started, 2);
    (void)scan_schedule_stop(schedule);
}

static void a_busy_host_pauses_it(void **state UNUSED)
{
    set_load("400.00 0.00 0.00 1/1 1\n");
    struct scan_schedule *schedule = start(24 * HOUR);

    wait_for(&fake.paused, 1);
    while (state_of(schedule) != SCHEDULE_BUSY)
        continue;
    set_load("0.10 0.00 0.00 1/1 1\n");
    wake(schedule, 24 * HOUR);
    wait_for(&fake.resumed, 1);
    (void)scan_schedule_stop(schedule);
}

static void cancelled_it_waits_for_the_next_time(void **state UNUSED)
{
    struct scan_schedule *schedule = start(24 * HOUR);

    wait_for(&fake.events, 1);
    scan_schedule_cancel(schedule);
    wait_for(&fake.events, 2);
    (void)scan_schedule_stop(schedule);
    schedule = start(24 * HOUR);
    while (state_of(schedule) != SCHEDULE_WAITING)
        continue;
    assert_int_equal(fake.started, 1);
    (void)scan_schedule_stop(schedule);
}

static void stopped_it_goes_on_at_the_next_start(void **state UNUSED)
{
    struct scan_schedule_status status;
    struct scan_schedule *schedule = start(24 * HOUR);

    wait_for(&fake.events, 1);
    (void)scan_schedule_stop(schedule);
    assert_int_equal(fake.cancelled, 1);
    clock_set_fake(NOW + HOUR, NOW + HOUR);
    schedule = start(24 * HOUR);
    wait_for(&fake.started, 2);
    scan_schedule_status(schedule, &status);
    assert_int_equal(status.last_ns, NOW); /* still the one that began then */
    (void)scan_schedule_stop(schedule);
}

static struct scan_schedule_options delayed_options(void)
{
    struct scan_schedule_options options = options_of(24 * HOUR);

    options.schedule.jitter_ns = HOUR;
    options.schedule.seed = 7;
    return options;
}

static void the_first_begins_after_its_delay(void **state UNUSED)
{
    const struct scan_schedule_options options = delayed_options();
    struct scan_schedule_status status;
    struct scan_schedule *schedule;

    assert_int_equal(scan_schedule_start(&options, NULL, NULL, &schedule), 0);
    do
        scan_schedule_status(schedule, &status);
    while (status.state != SCHEDULE_WAITING);
    assert_true(status.next_ns > NOW && status.next_ns < NOW + HOUR);
    clock_set_fake(status.next_ns, status.next_ns);
    assert_int_equal(scan_schedule_reconfigure(schedule, &options), 0);
    wait_for(&fake.started, 1);
    (void)scan_schedule_stop(schedule);
}

static void what_could_not_start_is_still_due(void **state UNUSED)
{
    struct scan_schedule_status status;

    fake.refuses = true;
    struct scan_schedule *schedule = start(24 * HOUR);
    wait_for(&fake.refused, 1);
    scan_schedule_status(schedule, &status);
    assert_int_equal(status.last_ns, 0);
    (void)pthread_mutex_lock(&fake.lock);
    fake.refuses = false;
    (void)pthread_mutex_unlock(&fake.lock);
    wake(schedule, 24 * HOUR);
    wait_for(&fake.started, 1);
    (void)scan_schedule_stop(schedule);
}

static void without_an_interval_there_is_none(void **state UNUSED)
{
    struct scan_schedule *schedule = start(0);

    wake(schedule, 0);
    (void)scan_schedule_stop(schedule);
    assert_int_equal(fake.started, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_first_is_due_at_once_the_next_in_time), CASE(a_busy_host_pauses_it),
        CASE(cancelled_it_waits_for_the_next_time),      CASE(stopped_it_goes_on_at_the_next_start),
        CASE(the_first_begins_after_its_delay),          CASE(what_could_not_start_is_still_due),
        CASE(without_an_interval_there_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
