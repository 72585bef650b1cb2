/* Archives that take long do not hold up small files, and a running worker is as confined as it
 * says. */
#include "tests/system/scanner/scanner_fixture.h"

#include "common/buffers/buffer.h"
#include "common/files/file.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define ARCHIVES 6

static struct scan_fixture fixture;

static int start(void **state)
{
    (void)state;
    scan_fixture_prepare(&fixture);
    scan_fixture_start(&fixture);
    scan_fixture_until(&fixture, scan_fixture_is_ready, "engine");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    scan_fixture_stop(&fixture);
    return 0;
}

/* Workers that a test stops stand for workers in an archive of thousands of files: the time a scan
 * takes would depend on the machine. The file is known for a container by its first bytes. */
static void test_small_files_pass_while_archives_are_scanned(void **state)
{
    (void)state;
    static const char archive[] = "PK\x03\x04 and so on, as a container";
    struct scan_request archives[ARCHIVES];
    struct scan_request small[20];
    pid_t pids[MOST_FIXTURE_WORKERS];
    AUTO_CLOSE int archive_fd = scan_fixture_file(archive, sizeof(archive) - 1);
    AUTO_CLOSE int small_fd = scan_fixture_file(eicar_text, strlen(eicar_text));

    /* The first two children are the workers, the last one is the reserve. */
    assert_int_equal(scan_fixture_worker_pids(&fixture, pids), 3);
    (void)kill(pids[0], SIGSTOP);
    (void)kill(pids[1], SIGSTOP);
    for (size_t i = 0; i < ARCHIVES; i++)
        scan_fixture_submit(&fixture, archive_fd, &archives[i]);
    for (size_t i = 0; i < ARRAY_LENGTH(small); i++) {
        scan_fixture_submit(&fixture, small_fd, &small[i]);
        scan_fixture_await(&fixture, &small[i]);
        assert_int_equal(small[i].result.verdict, SCAN_INFECTED);
    }
    for (size_t i = 0; i < ARCHIVES; i++)
        assert_false(archives[i].done); /* none went through the reserve */
    (void)kill(pids[0], SIGCONT);
    (void)kill(pids[1], SIGCONT);
    for (size_t i = 0; i < ARCHIVES; i++) {
        scan_fixture_await(&fixture, &archives[i]);
        assert_int_not_equal(archives[i].result.verdict, SCAN_ERROR);
    }
    scanner_client_status(fixture.client, &fixture.status);
    assert_int_equal(fixture.status.crashed + fixture.status.timed_out, 0);
}

static void read_status(pid_t pid, struct buffer *text)
{
    char path[64];
    (void)text_format(path, sizeof(path), "/proc/%d/status", pid);
    assert_int_equal(file_read_all(path, text), 0);
}

static void expect_line(const struct buffer *status, const char *line)
{
    if (strstr(buffer_text(status), line) == NULL)
        fail_msg("no \"%s\" in:\n%s", line, buffer_text(status));
}

static bool all_are_confined(const struct scan_fixture *watched)
{
    pid_t pids[MOST_FIXTURE_WORKERS];
    size_t count = scan_fixture_worker_pids(watched, pids);
    for (size_t i = 0; i < count; i++) {
        AUTO_BUFFER struct buffer status = BUFFER_WITH_MAXIMUM(16384);
        read_status(pids[i], &status);
        if (strstr(buffer_text(&status), "\nSeccomp:\t2\n") == NULL)
            return false;
    }
    return count == 3;
}

static void test_a_running_worker_is_confined(void **state)
{
    (void)state;
    pid_t pids[MOST_FIXTURE_WORKERS];
    /* The reserve may still be on its way. */
    scan_fixture_until(&fixture, all_are_confined, "confinement of all workers");
    size_t count = scan_fixture_worker_pids(&fixture, pids);
    print_message("%s\n", fixture.status.sandbox);
    for (size_t i = 0; i < count; i++) {
        AUTO_BUFFER struct buffer status = BUFFER_WITH_MAXIMUM(16384);
        read_status(pids[i], &status);
        expect_line(&status, "\nCapEff:\t0000000000000000\n");
        expect_line(&status, "\nCapPrm:\t0000000000000000\n");
        expect_line(&status, "\nNoNewPrivs:\t1\n");
        expect_line(&status, "\nThreads:\t1\n");
        if (geteuid() == 0) {
            expect_line(&status, "\nUid:\t65534\t65534\t65534\t65534\n");
            expect_line(&status, "\nCapBnd:\t0000000000000000\n");
        }
    }
    AUTO_BUFFER struct buffer loader = BUFFER_WITH_MAXIMUM(16384);
    read_status(fixture.status.loader_pid, &loader);
    expect_line(&loader, "\nCapEff:\t0000000000000000\n");
    expect_line(&loader, "\nNoNewPrivs:\t1\n");
}

static void test_a_worker_has_no_network_of_ours(void **state)
{
    (void)state;
    pid_t pids[MOST_FIXTURE_WORKERS];
    char path[64];
    char ours[64];
    char theirs[64];
    assert_int_equal(scan_fixture_worker_pids(&fixture, pids), 3);
    if (strstr(fixture.status.sandbox, "missing: namespaces") != NULL)
        skip();
    static const char *const kinds[] = {"net", "mnt"};
    for (size_t i = 0; i < ARRAY_LENGTH(kinds); i++) {
        (void)text_format(path, sizeof(path), "/proc/self/ns/%s", kinds[i]);
        ssize_t ours_length = readlink(path, ours, sizeof(ours));
        (void)text_format(path, sizeof(path), "/proc/%d/ns/%s", pids[0], kinds[i]);
        ssize_t theirs_length = readlink(path, theirs, sizeof(theirs));
        if (theirs_length < 0)
            skip(); /* not ours to look at without root */
        assert_true(ours_length > 0);
        assert_false(ours_length == theirs_length &&
                     memcmp(ours, theirs, (size_t)ours_length) == 0);
    }
}

int main(void)
{
#define STALL_TEST(test) cmocka_unit_test_setup_teardown(test, start, stop)
    const struct CMUnitTest tests[] = {
        STALL_TEST(test_small_files_pass_while_archives_are_scanned),
        STALL_TEST(test_a_running_worker_is_confined),
        STALL_TEST(test_a_worker_has_no_network_of_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
