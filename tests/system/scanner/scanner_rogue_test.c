/* A scanner taken over by what it scanned: nothing it says against the protocol is believed, and
 * nobody but the file's verdict suffers. */
#include "tests/system/scanner/scanner_fixture.h"

#include "common/text/text.h"
#include "common/time/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void start_rogue(struct scan_fixture *fixture, const char *mode)
{
    static char program[160];
    scan_fixture_prepare(fixture);
    assert_non_null(getenv("YAGURA_ROGUE"));
    (void)text_format(program, sizeof(program), "%s/%s", fixture->folder, mode);
    assert_int_equal(symlink(getenv("YAGURA_ROGUE"), program), 0);
    fixture->options.program = program;
    fixture->options.user = NULL;
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_impossible_answers_are_no_verdicts),
        cmocka_unit_test(test_a_loader_that_breaks_the_protocol_is_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
