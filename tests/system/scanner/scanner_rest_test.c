/* An engine that is given up and comes back for the next file. */
#include "tests/system/scanner/scanner_fixture.h"

#include "common/event_loop/event_loop.h"
#include "common/time/clock.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct scan_fixture fixture;
static int eicar_fd;
static pid_t loader;

static int start(void **state)
{
    (void)state;
    scan_fixture_prepare(&fixture);
    eicar_fd = scan_fixture_file(eicar_text, strlen(eicar_text));
    scan_fixture_start(&fixture);
    scan_fixture_until(&fixture, scan_fixture_is_ready, "engine");
    loader = fixture.status.loader_pid;
    return 0;
}

static int stop(void **state)
{
    (void)state;
    close(eicar_fd);
    scan_fixture_stop(&fixture);
    return 0;
}

static bool rests_without_loader(const struct scan_fixture *watched)
{
    return watched->status.state == SCANNER_RESTING && kill(loader, 0) < 0;
}

static void rest(void)
{
    assert_int_equal(scanner_client_rest(fixture.client), 0);
    scan_fixture_until(&fixture, rests_without_loader, "rest");
}

static void test_the_next_file_brings_it_back(void **state)
{
    (void)state;
    uint64_t generation = fixture.status.generation;
    rest();
    assert_true(fixture.status.generation == generation);
    assert_int_equal(fixture.status.workers, 0);
    assert_string_not_equal(fixture.status.sandbox, "");
    assert_int_equal(scanner_client_room(fixture.client), 1);
    assert_true(scanner_client_has_urgent_room(fixture.client));
    assert_int_equal(scanner_client_submit(fixture.client, eicar_fd, NULL), -EAGAIN);
    scan_fixture_until(&fixture, scan_fixture_is_ready, "engine");
    assert_int_equal(scan_fixture_scan_fd(&fixture, eicar_fd).verdict, SCAN_INFECTED);
    assert_true(fixture.status.generation == generation);
    assert_int_equal(fixture.answered, 1);
}

/* No file that was taken loses its verdict. */
static void test_it_stays_while_a_file_is_in_flight(void **state)
{
    (void)state;
    struct scan_request request;
    scan_fixture_signal_workers(&fixture, SIGSTOP);
    scan_fixture_submit(&fixture, eicar_fd, &request);
    assert_int_equal(scanner_client_rest(fixture.client), -EBUSY);
    scan_fixture_signal_workers(&fixture, SIGCONT);
    scan_fixture_await(&fixture, &request);
    assert_int_equal(request.result.verdict, SCAN_INFECTED);
}

static void test_it_stays_while_another_loads(void **state)
{
    (void)state;
    assert_int_equal(scanner_client_reload(fixture.client), 0);
    assert_int_equal(scanner_client_rest(fixture.client), -EBUSY);
}

static bool refuses_the_newer(const struct scan_fixture *watched)
{
    return watched->status.problem[0] != '\0' && watched->status.state == SCANNER_READY;
}

static bool is_reloaded(const struct scan_fixture *watched)
{
    return watched->status.reloads > 0 && scan_fixture_is_ready(watched);
}

/* The client ticks until loaders that it gave up have ended. */
static bool is_settled(const struct scan_fixture *watched)
{
    return event_loop_turn(watched->loop, 200 * NS_PER_MS) == 0;
}

/* What it was made of is gone: it could not come back. */
static void test_it_stays_while_newer_signatures_are_broken(void **state)
{
    (void)state;
    scan_fixture_write_database(&fixture, "eicar.ndb", "This is:not a signature\n");
    scan_fixture_until(&fixture, refuses_the_newer, "problem");
    scan_fixture_until(&fixture, is_settled, "end of the loader that refused");
    assert_int_equal(scanner_client_rest(fixture.client), -EBUSY);
    assert_int_equal(scan_fixture_scan_fd(&fixture, eicar_fd).verdict, SCAN_INFECTED);
    scan_fixture_write_database(&fixture, "eicar.ndb", eicar_database);
    scan_fixture_until(&fixture, is_reloaded, "reload");
    scan_fixture_until(&fixture, is_settled, "end of the engine before");
    loader = fixture.status.loader_pid;
    rest();
}

static void test_changed_signatures_end_the_rest(void **state)
{
    (void)state;
    rest();
    scan_fixture_write_database(&fixture, "custom.ndb",
                                "Custom.Hello:0:0:68656c6c6f20776f726c64\n");
    scan_fixture_until(&fixture, scan_fixture_is_ready, "engine");
    assert_int_equal(scan_fixture_scan_bytes(&fixture, "hello world", 11).verdict, SCAN_INFECTED);
}

static bool has_no_signatures(const struct scan_fixture *watched)
{
    return watched->status.state == SCANNER_NO_SIGNATURES;
}

static void test_signatures_that_went_at_rest_are_told(void **state)
{
    (void)state;
    rest();
    scan_fixture_write_database(&fixture, "eicar.ndb", NULL);
    scan_fixture_write_database(&fixture, "clamav.hdb", NULL);
    (void)!scanner_client_submit(fixture.client, eicar_fd, NULL);
    scan_fixture_until(&fixture, has_no_signatures, "state without signatures");
    assert_int_equal(scanner_client_submit(fixture.client, eicar_fd, NULL), -EAGAIN);
    assert_int_equal(scanner_client_room(fixture.client), 0);
    assert_int_equal(fixture.answered, 0);
}

int main(void)
{
#define REST_TEST(test) cmocka_unit_test_setup_teardown(test, start, stop)
    const struct CMUnitTest tests[] = {
        REST_TEST(test_the_next_file_brings_it_back),
        REST_TEST(test_it_stays_while_a_file_is_in_flight),
        REST_TEST(test_it_stays_while_another_loads),
        REST_TEST(test_it_stays_while_newer_signatures_are_broken),
        REST_TEST(test_changed_signatures_end_the_rest),
        REST_TEST(test_signatures_that_went_at_rest_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
