/* Workers and loaders that are killed, hang, or are asked for nonsense: every file still gets
 * exactly one verdict, and never a clean one that nobody gave. */
#include "tests/system/scanner/scanner_fixture.h"

#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct scan_fixture fixture;
static int eicar_fd;

static int start(void **state)
{
    (void)state;
    scan_fixture_prepare(&fixture);
    fixture.options.limits.max_time_ns = NS_PER_SECOND;
    scan_fixture_start(&fixture);
    scan_fixture_until(&fixture, scan_fixture_is_ready, "engine");
    eicar_fd = scan_fixture_file(eicar_text, strlen(eicar_text));
    return 0;
}

static int stop(void **state)
{
    (void)state;
    close(eicar_fd);
    scan_fixture_stop(&fixture);
    return 0;
}

static void expect(const struct scan_request *request, enum scan_verdict verdict,
                   enum scan_reason reason)
{
    assert_string_equal(scan_verdict_name(request->result.verdict), scan_verdict_name(verdict));
    assert_string_equal(scan_reason_name(request->result.reason), scan_reason_name(reason));
}

static void test_killed_while_scanning_is_tried_again(void **state)
{
    (void)state;
    struct scan_request requests[4];
    scan_fixture_signal_workers(&fixture, SIGSTOP);
    for (size_t i = 0; i < ARRAY_LENGTH(requests); i++)
        scan_fixture_submit(&fixture, eicar_fd, &requests[i]);
    pid_t pids[MOST_FIXTURE_WORKERS];
    assert_int_equal(scan_fixture_worker_pids(&fixture, pids), 3);
    uint64_t start_ns = clock_monotonic_ns();
    scan_fixture_signal_workers(&fixture, SIGKILL);
    for (size_t i = 0; i < ARRAY_LENGTH(requests); i++) {
        scan_fixture_await(&fixture, &requests[i]);
        expect(&requests[i], SCAN_INFECTED, SCAN_REASON_NONE);
        if (i == 0)
            print_message("first verdict %.1f ms after the kill\n",
                          (double)(clock_monotonic_ns() - start_ns) / 1e6);
    }
    scan_fixture_until(&fixture, scan_fixture_is_ready, "replaced workers");
    assert_true(fixture.status.crashed >= 2);
}

static bool kill_whoever_scans(const struct scan_fixture *kill_fixture)
{
    if (kill_fixture->answered >= 1)
        return true;
    scan_fixture_signal_workers(kill_fixture, SIGKILL);
    return false;
}

static void test_killed_again_and_again_is_an_error(void **state)
{
    (void)state;
    struct scan_request request;
    scan_fixture_signal_workers(&fixture, SIGSTOP);
    scan_fixture_submit(&fixture, eicar_fd, &request);
    /* A fresh worker may win the race and answer before it is killed: stop it at once. */
    for (int turn = 0; turn < 3000 && !request.done; turn++) {
        scan_fixture_signal_workers(&fixture, SIGKILL);
        assert_true(event_loop_turn(fixture.loop, 0) >= 0);
        scanner_client_status(fixture.client, &fixture.status);
    }
    (void)kill_whoever_scans;
    scan_fixture_await(&fixture, &request);
    if (request.result.verdict != SCAN_INFECTED)
        expect(&request, SCAN_ERROR, SCAN_REASON_CRASHED);
    scan_fixture_until(&fixture, scan_fixture_is_ready, "engine afterwards");
    assert_int_equal(scan_fixture_scan_fd(&fixture, eicar_fd).verdict, SCAN_INFECTED);
}

static void test_others_are_undisturbed(void **state)
{
    (void)state;
    struct scan_request requests[2];
    pid_t pids[MOST_FIXTURE_WORKERS];
    scan_fixture_signal_workers(&fixture, SIGSTOP);
    scan_fixture_submit(&fixture, eicar_fd, &requests[0]);
    scan_fixture_submit(&fixture, eicar_fd, &requests[1]);
    size_t count = scan_fixture_worker_pids(&fixture, pids);
    assert_int_equal(count, 3);
    (void)kill(pids[0], SIGKILL);
    for (size_t i = 1; i < count; i++)
        (void)kill(pids[i], SIGCONT);
    for (size_t i = 0; i < 2; i++) {
        scan_fixture_await(&fixture, &requests[i]);
        expect(&requests[i], SCAN_INFECTED, SCAN_REASON_NONE);
    }
    scanner_client_status(fixture.client, &fixture.status);
    assert_int_equal(fixture.status.crashed, 1);
}

static void test_a_hang_is_ended_by_time_and_tried_again(void **state)
{
    (void)state;
    struct scan_request requests[3];
    scan_fixture_signal_workers(&fixture, SIGSTOP);
    for (size_t i = 0; i < ARRAY_LENGTH(requests); i++)
        scan_fixture_submit(&fixture, eicar_fd, &requests[i]);
    for (size_t i = 0; i < ARRAY_LENGTH(requests); i++) {
        scan_fixture_await(&fixture, &requests[i]);
        expect(&requests[i], SCAN_INFECTED, SCAN_REASON_NONE);
    }
    scanner_client_status(fixture.client, &fixture.status);
    assert_true(fixture.status.timed_out >= 1);
    assert_int_equal(fixture.status.crashed, 0);
}

static void test_a_hang_that_comes_back_is_an_error(void **state)
{
    (void)state;
    struct scan_request request;
    scan_fixture_signal_workers(&fixture, SIGSTOP);
    scan_fixture_submit(&fixture, eicar_fd, &request);
    uint64_t end_ns = clock_monotonic_ns() + 20 * NS_PER_SECOND;
    while (!request.done && clock_monotonic_ns() < end_ns) {
        assert_true(event_loop_turn(fixture.loop, 0) >= 0);
        scan_fixture_signal_workers(&fixture, SIGSTOP); /* the fresh ones, too */
    }
    scan_fixture_signal_workers(&fixture, SIGCONT);
    assert_true(request.done);
    if (request.result.verdict != SCAN_INFECTED) /* a fresh worker was quicker than our signal */
        expect(&request, SCAN_ERROR, SCAN_REASON_TIME);
}

/* A slow file in front of it does not hold up the next one. */
static void test_waiting_file_is_moved_from_behind_a_long_scan(void **state)
{
    (void)state;
    struct scan_request requests[4];
    pid_t pids[MOST_FIXTURE_WORKERS];
    size_t count = scan_fixture_worker_pids(&fixture, pids);
    assert_int_equal(count, 3);
    (void)kill(pids[0], SIGSTOP);
    for (size_t i = 0; i < ARRAY_LENGTH(requests); i++)
        scan_fixture_submit(&fixture, eicar_fd, &requests[i]);
    uint64_t start_ns = clock_monotonic_ns();
    size_t done = 0;
    while (done < 3 && clock_monotonic_ns() - start_ns < NS_PER_SECOND) {
        assert_true(event_loop_turn(fixture.loop, 10 * NS_PER_MS) >= 0);
        done = 0;
        for (size_t i = 0; i < ARRAY_LENGTH(requests); i++)
            done += requests[i].done;
    }
    assert_true(done >= 3); /* all but the one in the stopped worker, before its time ran out */
    (void)kill(pids[0], SIGCONT);
    for (size_t i = 0; i < ARRAY_LENGTH(requests); i++) {
        scan_fixture_await(&fixture, &requests[i]);
        expect(&requests[i], SCAN_INFECTED, SCAN_REASON_NONE);
    }
    scanner_client_status(fixture.client, &fixture.status);
    assert_int_equal(fixture.status.crashed, 0);
}

static bool is_loader_new(const struct scan_fixture *changed)
{
    return changed->status.reloads >= 1 && scan_fixture_is_ready(changed);
}

static void test_three_crashes_bring_a_fresh_loader(void **state)
{
    (void)state;
    pid_t loader = fixture.status.loader_pid;
    scan_fixture_signal_workers(&fixture, SIGKILL); /* three: two and the reserve */
    scan_fixture_until(&fixture, is_loader_new, "fresh loader");
    assert_int_not_equal(fixture.status.loader_pid, loader);
    assert_int_equal(scan_fixture_scan_fd(&fixture, eicar_fd).verdict, SCAN_INFECTED);
}

static void test_a_killed_loader_loses_no_file(void **state)
{
    (void)state;
    struct scan_request requests[4];
    scan_fixture_signal_workers(&fixture, SIGSTOP);
    for (size_t i = 0; i < ARRAY_LENGTH(requests); i++)
        scan_fixture_submit(&fixture, eicar_fd, &requests[i]);
    (void)kill(fixture.status.loader_pid, SIGKILL);
    for (size_t i = 0; i < ARRAY_LENGTH(requests); i++) {
        scan_fixture_await(&fixture, &requests[i]);
        expect(&requests[i], SCAN_INFECTED, SCAN_REASON_NONE);
    }
}

static void test_stop_answers_what_is_in_flight(void **state)
{
    (void)state;
    struct scan_request requests[3];
    scan_fixture_signal_workers(&fixture, SIGSTOP);
    for (size_t i = 0; i < ARRAY_LENGTH(requests); i++)
        scan_fixture_submit(&fixture, eicar_fd, &requests[i]);
    fixture.client = scanner_client_stop(fixture.client);
    for (size_t i = 0; i < ARRAY_LENGTH(requests); i++) {
        assert_true(requests[i].done);
        assert_int_equal(requests[i].result.verdict, SCAN_ERROR);
    }
}

static void test_workers_are_recycled(void **state)
{
    (void)state;
    struct scanner_options options = fixture.options;
    options.recycle_files = 5;
    assert_int_equal(scanner_client_reconfigure(fixture.client, &options), 0);
    struct scan_request requests[60];
    for (size_t i = 0; i < ARRAY_LENGTH(requests); i++)
        scan_fixture_submit(&fixture, eicar_fd, &requests[i]);
    for (size_t i = 0; i < ARRAY_LENGTH(requests); i++) {
        scan_fixture_await(&fixture, &requests[i]);
        expect(&requests[i], SCAN_INFECTED, SCAN_REASON_NONE);
    }
    scanner_client_status(fixture.client, &fixture.status);
    assert_true(fixture.status.recycled >= 8);
    assert_int_equal(fixture.status.crashed, 0);
    assert_int_equal(fixture.status.reloads, 0);
}

static void test_a_program_that_is_none_is_reported(void **state)
{
    (void)state;
    struct scan_fixture other;
    scan_fixture_prepare(&other);
    other.options.program = "/bin/false";
    scan_fixture_start(&other);
    for (int turn = 0; turn < 100; turn++) {
        assert_true(event_loop_turn(other.loop, 10 * NS_PER_MS) >= 0);
        scanner_client_status(other.client, &other.status);
        if (other.status.state == SCANNER_FAILED && other.status.problem[0] != '\0')
            break;
    }
    assert_int_equal(other.status.state, SCANNER_FAILED);
    assert_string_not_equal(other.status.problem, "");
    assert_int_equal(scanner_client_submit(other.client, eicar_fd, NULL), -EAGAIN);
    scan_fixture_stop(&other);
}

int main(void)
{
#define SCANNER_TEST(test) cmocka_unit_test_setup_teardown(test, start, stop)
    const struct CMUnitTest tests[] = {
        SCANNER_TEST(test_killed_while_scanning_is_tried_again),
        SCANNER_TEST(test_killed_again_and_again_is_an_error),
        SCANNER_TEST(test_others_are_undisturbed),
        SCANNER_TEST(test_a_hang_is_ended_by_time_and_tried_again),
        SCANNER_TEST(test_a_hang_that_comes_back_is_an_error),
        SCANNER_TEST(test_waiting_file_is_moved_from_behind_a_long_scan),
        SCANNER_TEST(test_three_crashes_bring_a_fresh_loader),
        SCANNER_TEST(test_a_killed_loader_loses_no_file),
        SCANNER_TEST(test_stop_answers_what_is_in_flight),
        SCANNER_TEST(test_workers_are_recycled),
        SCANNER_TEST(test_a_program_that_is_none_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
