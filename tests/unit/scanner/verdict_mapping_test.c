#include "scanner/verdict_mapping.h"

#include "common/attributes.h"

#include <clamav.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct scan_result map(struct libclamav_answer answer)
{
    struct scan_result result;
    memset(&result, 0xff, sizeof(result));
    verdict_map(&answer, &result);
    return result;
}

static void expect(struct libclamav_answer answer, enum scan_verdict verdict,
                   enum scan_reason reason, const char *signature)
{
    struct scan_result result = map(answer);
    assert_string_equal(scan_verdict_name(result.verdict), scan_verdict_name(verdict));
    assert_string_equal(scan_reason_name(result.reason), scan_reason_name(reason));
    assert_string_equal(result.signature, signature);
}

static void test_plain_answers(void **state)
{
    (void)state;
    expect((struct libclamav_answer){.code = CL_CLEAN}, SCAN_CLEAN, SCAN_REASON_NONE, "");
    expect((struct libclamav_answer){.code = CL_VIRUS, .signature = "Eicar"}, SCAN_INFECTED,
           SCAN_REASON_NONE, "Eicar");
    expect((struct libclamav_answer){.code = CL_VIRUS, .signature = "Heuristics.Phishing.Email"},
           SCAN_INFECTED, SCAN_REASON_NONE, "Heuristics.Phishing.Email");
}

static void test_limits_are_incomplete(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum scan_reason reason;
    } cases[] = {
        {"Heuristics.Limits.Exceeded.MaxFileSize", SCAN_REASON_FILE_SIZE},
        {"Heuristics.Limits.Exceeded.MaxScanSize", SCAN_REASON_SCAN_SIZE},
        {"Heuristics.Limits.Exceeded.MaxFiles", SCAN_REASON_FILE_COUNT},
        {"Heuristics.Limits.Exceeded.MaxRecursion", SCAN_REASON_RECURSION},
        {"Heuristics.Limits.Exceeded.MaxScanTime", SCAN_REASON_TIME},
        {"Heuristics.Limits.Exceeded.EmailHeaders", SCAN_REASON_LIMIT},
        {"Heuristics.Limits.Exceeded", SCAN_REASON_LIMIT},
        {"Heuristics.Encrypted.Zip", SCAN_REASON_ENCRYPTED},
        {"Heuristics.Encrypted.PDF", SCAN_REASON_ENCRYPTED},
        {NULL, SCAN_REASON_FILE_SIZE}, /* what libclamav does for a file above MaxFileSize */
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        expect((struct libclamav_answer){.code = CL_VIRUS, .signature = cases[i].name},
               SCAN_INCOMPLETE, cases[i].reason, "");
}

/* Every code libclamav has or will have: none but the known one is clean. */
static void test_no_error_is_clean(void **state)
{
    (void)state;
    for (int code = -1; code < 200; code++) {
        struct scan_result result = map((struct libclamav_answer){.code = code});
        if (code != CL_CLEAN)
            assert_true(result.verdict == SCAN_ERROR || result.verdict == SCAN_INCOMPLETE);
        assert_true(result.verdict == SCAN_CLEAN || result.reason != SCAN_REASON_NONE);
    }
    expect((struct libclamav_answer){.code = CL_ETIMEOUT}, SCAN_INCOMPLETE, SCAN_REASON_TIME, "");
    expect((struct libclamav_answer){.code = CL_EREAD}, SCAN_ERROR, SCAN_REASON_READ, "");
    expect((struct libclamav_answer){.code = CL_EMEM}, SCAN_ERROR, SCAN_REASON_INTERNAL, "");
}

static void test_failing_reads_are_never_clean(void **state)
{
    (void)state;
    expect((struct libclamav_answer){.code = CL_CLEAN, .read_failed = true}, SCAN_ERROR,
           SCAN_REASON_READ, "");
    expect((struct libclamav_answer){.code = CL_CLEAN, .shrank = true}, SCAN_ERROR,
           SCAN_REASON_CHANGED, "");
    expect((struct libclamav_answer){.code = CL_VIRUS, .signature = "A", .read_failed = true},
           SCAN_INFECTED, SCAN_REASON_NONE, "A");
}

static void test_parts_left_out_are_never_clean(void **state)
{
    (void)state;
    expect((struct libclamav_answer){.code = CL_CLEAN, .left_out = SCAN_REASON_UNSUPPORTED},
           SCAN_INCOMPLETE, SCAN_REASON_UNSUPPORTED, "");
    expect((struct libclamav_answer){.code = CL_VIRUS,
                                     .signature = "A",
                                     .left_out = SCAN_REASON_FILE_SIZE},
           SCAN_INFECTED, SCAN_REASON_NONE, "A");
}

static void test_names_are_made_printable(void **state)
{
    (void)state;
    char longest[400];
    memset(longest, 'x', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    struct scan_result result =
        map((struct libclamav_answer){.code = CL_VIRUS, .signature = longest});
    assert_int_equal(strlen(result.signature), LIMIT_SIGNATURE_NAME_BYTES - 1);
    expect((struct libclamav_answer){.code = CL_VIRUS, .signature = "a\nb\x1b[2J\xe3\x81"},
           SCAN_INFECTED, SCAN_REASON_NONE, "a?b?[2J??");
    expect((struct libclamav_answer){.code = CL_VIRUS, .signature = ""}, SCAN_INFECTED,
           SCAN_REASON_NONE, "unnamed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_answers),
        cmocka_unit_test(test_limits_are_incomplete),
        cmocka_unit_test(test_no_error_is_clean),
        cmocka_unit_test(test_failing_reads_are_never_clean),
        cmocka_unit_test(test_parts_left_out_are_never_clean),
        cmocka_unit_test(test_names_are_made_printable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
