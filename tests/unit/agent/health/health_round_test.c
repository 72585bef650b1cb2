/* health_round.c: how long a round waits for a scanner that has to load first. The scanner is what
 * its status says at each look; a patience is over as soon as it is waited for. */
#include "agent/health/health_private.h"
#include "agent/store/store.h"
#include "common/event_loop/event_loop.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "tests/unit/agent/health/watched_folder.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[64];
static struct health health;

static const enum scanner_state *looks; /* what each finds; the last one stays */
static size_t look_count, looked;
static unsigned patiences, verdict_in; /* the patience within which it comes; 0: never */
static unsigned scan_silent;

void scan_pipeline_set_own_file(struct scan_pipeline *scanned UNUSED,
                                scan_own_file *own_file UNUSED, void *user UNUSED)
{
}

void scan_pipeline_status(struct scan_pipeline *scanned UNUSED,
                          struct scan_pipeline_status *ret_status)
{
    enum scanner_state state = looks[MIN(looked, look_count - 1)];

    looked++;
    *ret_status = (struct scan_pipeline_status){.scanner = {.state = state, .generation = 1}};
}

int store_append(struct store *store UNUSED, const struct event_draft *draft,
                 store_work *work UNUSED, store_committed *committed UNUSED, void *user UNUSED)
{
    scan_silent += text_equal(draft->kind, "scan_silent");
    return 0;
}

int event_loop_post(struct event_loop *loop UNUSED, event_post_handler *handler UNUSED,
                    void *user UNUSED)
{
    return 0;
}

int __wrap_pthread_cond_clockwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
                                  clockid_t clock, const struct timespec *until);
int __wrap_pthread_cond_clockwait(pthread_cond_t *condition UNUSED, pthread_mutex_t *mutex UNUSED,
                                  clockid_t clock UNUSED, const struct timespec *until UNUSED)
{
    struct health_place *place = &health.markers[0].place;

    assert_int_equal(health.marker_count, 1);
    if (++patiences == verdict_in) {
        place->outcome = HEALTH_PASSED;
        return 0;
    }
    place->outcome = HEALTH_SEEN;
    return ETIMEDOUT;
}

static int set_up(void **state UNUSED)
{
    const char *const paths[] = {directory, NULL};
    const struct watch_options watch = watched_folder(paths);

    (void)text_copy(directory, sizeof directory, "/tmp/yagura-health-round-XXXXXX");
    assert_non_null(mkdtemp(directory));
    health = (struct health){.patience_ns = NS_PER_SECOND};
    looked = 0;
    patiences = verdict_in = scan_silent = 0;
    (void)pthread_mutex_init(&health.watch_lock, NULL);
    (void)pthread_mutex_init(&health.lock, NULL);
    (void)pthread_cond_init(&health.changed, NULL);
    return scope_new(&watch, &health.scope);
}

static int tear_down(void **state UNUSED)
{
    for (size_t i = 0; i < health.marker_count; i++)
        marker_done(&health.markers[i]);
    (void)scope_unref(health.scope);
    (void)pthread_cond_destroy(&health.changed);
    (void)pthread_mutex_destroy(&health.lock);
    (void)pthread_mutex_destroy(&health.watch_lock);
    return rmdir(directory);
}

static void go_round(const enum scanner_state *states, size_t count)
{
    looks = states;
    look_count = count;
    health_round(&health, 1);
}

static void a_ready_scanner_has_one_patience(void **state UNUSED)
{
    static const enum scanner_state states[] = {SCANNER_READY};

    go_round(states, ARRAY_LENGTH(states));
    assert_int_equal(patiences, 1);
    assert_int_equal(scan_silent, 1);
}

/* The files have waited for it, and it has only just begun with what waits. */
static void a_load_that_ended_just_before_a_look_is_no_silence(void **state UNUSED)
{
    static const enum scanner_state states[] = {SCANNER_RESTING, SCANNER_LOADING, SCANNER_READY};

    verdict_in = 3;
    go_round(states, ARRAY_LENGTH(states));
    assert_int_equal(patiences, 3);
    assert_int_equal(scan_silent, 0);
    assert_int_equal(health.status.unscanned, 0);
}

static void a_load_within_the_first_patience_is_no_silence(void **state UNUSED)
{
    static const enum scanner_state states[] = {SCANNER_RESTING, SCANNER_READY};

    verdict_in = 2;
    go_round(states, ARRAY_LENGTH(states));
    assert_int_equal(patiences, 2);
    assert_int_equal(scan_silent, 0);
}

static void a_scanner_that_is_silent_after_its_load_is_told(void **state UNUSED)
{
    static const enum scanner_state states[] = {SCANNER_RESTING, SCANNER_LOADING, SCANNER_READY};

    go_round(states, ARRAY_LENGTH(states));
    assert_int_equal(patiences, 3);
    assert_int_equal(scan_silent, 1);
}

static void a_load_without_an_end_is_told(void **state UNUSED)
{
    static const enum scanner_state states[] = {SCANNER_LOADING};

    go_round(states, ARRAY_LENGTH(states));
    assert_int_equal(patiences, 10);
    assert_int_equal(scan_silent, 1);
}

/* Whose file lies at the path cannot be told then: nothing is left unscanned for that. */
static void without_a_descriptor_what_lies_there_is_scanned(void **state UNUSED)
{
    struct marker *marker = &health.markers[0];
    struct rlimit before, none;
    int fd;

    assert_int_equal(marker_init(marker, directory), 0);
    assert_int_equal(marker_open(marker), 0);
    assert_int_equal(marker_create(marker, &fd), 0);
    assert_int_equal(marker_fill(marker, fd), 0);
    health.marker_count = 1;
    const struct watch_event event = {.kind = WATCH_FILE_CHANGED,
                                      .path = marker->path,
                                      .path_length = strlen(marker->path)};
    assert_int_equal(health_take_event(&health, &event), HEALTH_FOR_NOBODY);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 3;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    enum health_share share = health_take_event(&health, &event);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(share, HEALTH_FOR_SCAN);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_ready_scanner_has_one_patience),
        TEST(a_load_that_ended_just_before_a_look_is_no_silence),
        TEST(a_load_within_the_first_patience_is_no_silence),
        TEST(a_scanner_that_is_silent_after_its_load_is_told),
        TEST(a_load_without_an_end_is_told),
        TEST(without_a_descriptor_what_lies_there_is_scanned),
    };

    return cmocka_run_group_tests_name("agent/health/round", tests, NULL, NULL);
}
