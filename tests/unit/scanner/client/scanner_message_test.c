#include "scanner/client/scanner_message.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct message message_of(const void *payload, size_t length)
{
    return (struct message){.payload = payload, .length = length, .fds = {-1, -1}};
}

static struct message message_of_writer(const struct message_writer *writer)
{
    assert_false(writer->failed);
    return message_of(writer->data, writer->length);
}

static struct message_writer writer;

static int clear_writer(void **state)
{
    (void)state;
    memset(&writer, 0, sizeof(writer));
    return 0;
}

static const struct scanner_configuration sample = {
    .user = "yagura-scanner",
    .directory = "/run/yagura/scanner-1-abcdef",
    .databases = {"/var/lib/clamav", "/etc/yagura/signatures"},
    .database_count = 2,
    .temporary_bytes = 1ULL << 28,
    .slots = 8,
    .skip_broken = true,
    .accept_unconfined = true,
    .limits = {.max_file_size = 1,
               .max_scan_size = 2,
               .max_files = 3,
               .max_recursion = 4,
               .max_time_ns = 5,
               .heuristics = true,
               .detect_macros = true},
};

static void test_configuration_travels(void **state)
{
    (void)state;
    static struct scanner_configuration got;
    scanner_configuration_write(&sample, &writer);
    struct message message = message_of_writer(&writer);
    assert_int_equal(scanner_configuration_read(&message, &got), 0);
    assert_string_equal(got.user, sample.user);
    assert_string_equal(got.directory, sample.directory);
    assert_int_equal(got.database_count, 2);
    assert_string_equal(got.databases[0], "/var/lib/clamav");
    assert_string_equal(got.databases[1], "/etc/yagura/signatures");
    assert_true(got.temporary_bytes == sample.temporary_bytes);
    assert_int_equal(got.slots, 8);
    assert_true(got.skip_broken && got.accept_unconfined);
    assert_false(got.seccomp_debug);
    assert_memory_equal(&got.limits, &sample.limits, offsetof(struct scanner_limits, heuristics));
    assert_true(got.limits.heuristics && got.limits.detect_macros);
    assert_false(got.limits.report_encrypted || got.limits.detect_broken ||
                 got.limits.unwanted_applications);
}

static void test_a_cut_or_lengthened_configuration_is_refused(void **state)
{
    (void)state;
    static struct scanner_configuration got;
    scanner_configuration_write(&sample, &writer);
    for (size_t length = 0; length <= writer.length + 1; length++) {
        struct message message = message_of(writer.data, length);
        int expected = length == writer.length ? 0 : -EBADMSG;
        assert_int_equal(scanner_configuration_read(&message, &got), expected);
    }
}

static void test_too_many_databases_or_slots_are_refused(void **state)
{
    (void)state;
    static struct scanner_configuration many;
    static struct scanner_configuration got;
    many = sample;
    many.slots = 4 * LIMIT_SCANNER_WORKERS + 1;
    scanner_configuration_write(&many, &writer);
    struct message message = message_of_writer(&writer);
    assert_int_equal(scanner_configuration_read(&message, &got), -EBADMSG);
    many.slots = 0;
    (void)clear_writer(NULL);
    scanner_configuration_write(&many, &writer);
    message = message_of_writer(&writer);
    assert_int_equal(scanner_configuration_read(&message, &got), -EBADMSG);
}

static void test_loaded_and_refused_travel(void **state)
{
    (void)state;
    struct scanner_loaded loaded = {.generation = 7,
                                    .signatures = 8,
                                    .database_time_ns = 9,
                                    .sandbox = SCANNER_SANDBOX_USER,
                                    .engine_version = "1.4.6",
                                    .user = "nobody",
                                    .problem = "none"};
    struct scanner_loaded got;
    scanner_loaded_write(&loaded, &writer);
    struct message message = message_of_writer(&writer);
    assert_int_equal(scanner_loaded_read(&message, &got), 0);
    assert_string_equal(got.engine_version, "1.4.6");
    assert_true(got.generation == 7 && got.signatures == 8 && got.database_time_ns == 9);
    loaded.sandbox = ~0U;
    (void)clear_writer(NULL);
    scanner_loaded_write(&loaded, &writer);
    message = message_of_writer(&writer);
    assert_int_equal(scanner_loaded_read(&message, &got), -EBADMSG);

    struct scanner_refused refused = {.refusal = SCANNER_REFUSAL_BROKEN, .problem = "why"};
    struct scanner_refused got_refused;
    (void)clear_writer(NULL);
    scanner_refused_write(&refused, &writer);
    message = message_of_writer(&writer);
    assert_int_equal(scanner_refused_read(&message, &got_refused), 0);
    assert_string_equal(got_refused.problem, "why");
    refused.refusal = (enum scanner_refusal)9;
    (void)clear_writer(NULL);
    scanner_refused_write(&refused, &writer);
    message = message_of_writer(&writer);
    assert_int_equal(scanner_refused_read(&message, &got_refused), -EBADMSG);
}

static struct scanner_verdict verdict_of(enum scan_verdict verdict, enum scan_reason reason,
                                         const char *signature)
{
    struct scanner_verdict made = {.job = 1,
                                   .verdict = (uint32_t)verdict,
                                   .reason = (uint32_t)reason,
                                   .signature_length = (uint32_t)strlen(signature)};
    memcpy(made.signature, signature, strlen(signature));
    return made;
}

static int read_back(const struct scanner_verdict *verdict)
{
    struct scanner_verdict got;
    struct message message = message_of(verdict, scanner_verdict_length(verdict));
    return scanner_verdict_read(&message, &got);
}

static void test_only_possible_verdicts_are_believed(void **state)
{
    (void)state;
    struct scanner_verdict verdict = verdict_of(SCAN_CLEAN, SCAN_REASON_NONE, "");
    assert_int_equal(read_back(&verdict), 0);
    verdict = verdict_of(SCAN_INFECTED, SCAN_REASON_NONE, "Eicar-Test");
    assert_int_equal(read_back(&verdict), 0);
    verdict = verdict_of(SCAN_INCOMPLETE, SCAN_REASON_TIME, "");
    assert_int_equal(read_back(&verdict), 0);
    verdict = verdict_of(SCAN_ERROR, SCAN_REASON_INTERNAL, "");
    assert_int_equal(read_back(&verdict), 0);

    verdict = verdict_of(SCAN_CLEAN, SCAN_REASON_NONE, "Eicar-Test");
    assert_int_equal(read_back(&verdict), -EBADMSG);
    verdict = verdict_of(SCAN_INFECTED, SCAN_REASON_NONE, "");
    assert_int_equal(read_back(&verdict), -EBADMSG);
    verdict = verdict_of(SCAN_CLEAN, SCAN_REASON_TIME, "");
    assert_int_equal(read_back(&verdict), -EBADMSG);
    verdict = verdict_of(SCAN_ERROR, SCAN_REASON_NONE, "");
    assert_int_equal(read_back(&verdict), -EBADMSG);
    verdict = verdict_of((enum scan_verdict)4, SCAN_REASON_TIME, "");
    assert_int_equal(read_back(&verdict), -EBADMSG);
    verdict = verdict_of(SCAN_ERROR, (enum scan_reason)99, "");
    assert_int_equal(read_back(&verdict), -EBADMSG);
    verdict = verdict_of(SCAN_INFECTED, SCAN_REASON_NONE, "new\nline");
    assert_int_equal(read_back(&verdict), -EBADMSG);
    verdict = verdict_of(SCAN_CLEAN, SCAN_REASON_NONE, "");
    verdict.grown = 2;
    assert_int_equal(read_back(&verdict), -EBADMSG);
}

static void test_verdict_lengths_must_agree(void **state)
{
    (void)state;
    struct scanner_verdict verdict = verdict_of(SCAN_INFECTED, SCAN_REASON_NONE, "Eicar");
    struct scanner_verdict got;
    size_t right = scanner_verdict_length(&verdict);
    for (size_t length = 0; length <= sizeof(verdict); length++) {
        struct message message = message_of(&verdict, length);
        assert_int_equal(scanner_verdict_read(&message, &got), length == right ? 0 : -EBADMSG);
    }
    verdict.signature_length = LIMIT_SIGNATURE_NAME_BYTES;
    struct message message = message_of(&verdict, sizeof(verdict));
    assert_int_equal(scanner_verdict_read(&message, &got), -EBADMSG);
    verdict.signature_length = UINT32_MAX;
    assert_int_equal(scanner_verdict_read(&message, &got), -EBADMSG);
}

static void test_sandbox_is_described(void **state)
{
    (void)state;
    char text[128];
    scanner_sandbox_describe(SCANNER_SANDBOX_ALL_BITS & ~SCANNER_SANDBOX_SANITIZER, text,
                             sizeof(text));
    assert_string_equal(text, "user,namespaces,tmpfs,landlock,seccomp");
    scanner_sandbox_describe(SCANNER_SANDBOX_SECCOMP | SCANNER_SANDBOX_LANDLOCK, text,
                             sizeof(text));
    assert_string_equal(text, "landlock,seccomp; missing: user,namespaces,tmpfs");
    scanner_sandbox_describe(0, text, sizeof(text));
    assert_string_equal(text, "missing: user,namespaces,tmpfs,landlock,seccomp");
}

int main(void)
{
#define MESSAGE_TEST(test) cmocka_unit_test_setup(test, clear_writer)
    const struct CMUnitTest tests[] = {
        MESSAGE_TEST(test_configuration_travels),
        MESSAGE_TEST(test_a_cut_or_lengthened_configuration_is_refused),
        MESSAGE_TEST(test_too_many_databases_or_slots_are_refused),
        MESSAGE_TEST(test_loaded_and_refused_travel),
        MESSAGE_TEST(test_only_possible_verdicts_are_believed),
        MESSAGE_TEST(test_verdict_lengths_must_agree),
        MESSAGE_TEST(test_sandbox_is_described),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
