/* A scanner taken over by what it scanned: nothing it says against the protocol is believed, and
 * nobody but the file's verdict suffers. */
#include "tests/system/scanner/scanner_fixture.h"

#include "common/event_loop/event_loop.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void use_rogue(struct scan_fixture *fixture, const char *mode)
{
    static char program[160];
    const char *rogue = getenv("YAGURA_ROGUE");
    assert_non_null(rogue);
    if (rogue == NULL) /* for the analyzer */
        return;
    (void)text_format(program, sizeof(program), "%s/%s", fixture->folder, mode);
    assert_int_equal(symlink(rogue, program), 0);
    fixture->options.program = program;
    fixture->options.user = NULL;
}

static void start_rogue(struct scan_fixture *fixture, const char *mode)
{
    scan_fixture_prepare(fixture);
    use_rogue(fixture, mode);
    fixture->options.workers = 1;
    scan_fixture_start(fixture);
}

static bool has_worker(const struct scan_fixture *fixture)
{
    return fixture->status.state == SCANNER_READY && fixture->status.workers == 1;
}

static void test_impossible_answers_are_no_verdicts(void **state)
{
    (void)state;
    static const char *const modes[] = {"wrong-job",      "bare-infection",  "control-characters",
                                        "long-signature", "not-the-reserve", "unknown-type",
                                        "loaders-message"};
    for (size_t i = 0; i < ARRAY_LENGTH(modes); i++) {
        struct scan_fixture fixture;
        start_rogue(&fixture, modes[i]);
        scan_fixture_until(&fixture, has_worker, modes[i]);
        struct scan_result result = scan_fixture_scan_bytes(&fixture, "x", 1);
        assert_string_equal(scan_verdict_name(result.verdict), "error");
        assert_string_equal(scan_reason_name(result.reason), "crashed");
        scanner_client_status(fixture.client, &fixture.status);
        assert_true(fixture.status.crashed >= 2);
        assert_int_equal(fixture.status.scanned, 0);
        scan_fixture_stop(&fixture);
    }
}

static bool has_failed(const struct scan_fixture *fixture)
{
    return fixture->status.state == SCANNER_FAILED && fixture->status.problem[0] != '\0';
}

static void test_a_loader_that_breaks_the_protocol_is_ended(void **state)
{
    (void)state;
    static const char *const modes[] = {"early-fork", "garbage"};
    for (size_t i = 0; i < ARRAY_LENGTH(modes); i++) {
        struct scan_fixture fixture;
        start_rogue(&fixture, modes[i]);
        scan_fixture_until(&fixture, has_failed, modes[i]);
        assert_int_equal(scanner_client_room(fixture.client), 0);
        scan_fixture_stop(&fixture);
    }
}

static bool is_reloading(const struct scan_fixture *fixture)
{
    return fixture->status.state == SCANNER_RELOADING;
}

/* Turns the loop until the client has ended the load. Its time stands still but for these steps. */
static void pass_load_limit(struct scan_fixture *fixture)
{
    uint64_t now_ns = clock_monotonic_ns() + (LIMIT_SCANNER_LOAD_SECONDS + 1) * NS_PER_SECOND;
    for (int turns = 0; turns < 1000; turns++) {
        clock_set_fake(now_ns += NS_PER_MS, clock_realtime_ns());
        assert_true(event_loop_turn(fixture->loop, NS_PER_MS) >= 0);
        scanner_client_status(fixture->client, &fixture->status);
        if (fixture->status.problem[0] != '\0')
            return;
    }
    fail_msg("the load was not ended");
}

static void test_a_loader_that_hangs_is_ended_and_the_old_engine_stays(void **state)
{
    (void)state;
    struct scan_fixture fixture;
    scan_fixture_prepare(&fixture);
    fixture.options.reload = SCANNER_RELOAD_OVERLAP;
    scan_fixture_start(&fixture);
    scan_fixture_until(&fixture, scan_fixture_is_ready, "engine");
    pid_t loader = fixture.status.loader_pid;
    use_rogue(&fixture, "never-loads");
    assert_int_equal(scanner_client_reconfigure(fixture.client, &fixture.options), 0);
    scan_fixture_until(&fixture, is_reloading, "second loader");
    pass_load_limit(&fixture);
    print_message("%s\n", fixture.status.problem);
    assert_int_equal(fixture.status.state, SCANNER_READY);
    assert_int_equal(fixture.status.loader_pid, loader);
    struct scan_result result = scan_fixture_scan_bytes(&fixture, eicar_text, strlen(eicar_text));
    clock_set_fake(0, 0);
    assert_int_equal(result.verdict, SCAN_INFECTED);
    scan_fixture_stop(&fixture);
}

static void test_the_first_loader_that_hangs_is_ended_too(void **state)
{
    (void)state;
    struct scan_fixture fixture;
    start_rogue(&fixture, "never-loads");
    assert_true(event_loop_turn(fixture.loop, NS_PER_MS) >= 0);
    pass_load_limit(&fixture);
    assert_int_equal(fixture.status.state, SCANNER_FAILED);
    clock_set_fake(0, 0);
    scan_fixture_stop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_impossible_answers_are_no_verdicts),
        cmocka_unit_test(test_a_loader_that_breaks_the_protocol_is_ended),
        cmocka_unit_test(test_a_loader_that_hangs_is_ended_and_the_old_engine_stays),
        cmocka_unit_test(test_the_first_loader_that_hangs_is_ended_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
