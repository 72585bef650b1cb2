/* log_line.c: every form of a line, and what only looks like one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/log_rules/log_line.h"
#include "common/text/text.h"
#include "common/time/clock.h"

/* 2026-01-02 03:04:05 UTC */
#define NOW (1767323045ULL * NS_PER_SECOND)

static void check(const char *text, const char *program, uint32_t pid, const char *message,
                  uint64_t time_ns)
{
    struct log_line line;

    log_line_read(text, strlen(text), "auth.log", NOW, &line);
    assert_int_equal(line.program_length, strlen(program));
    assert_memory_equal(line.program, program, line.program_length);
    assert_int_equal(line.pid, pid);
    assert_int_equal(line.message_length, strlen(message));
    assert_memory_equal(line.message, message, line.message_length);
    assert_int_equal(line.time_ns, time_ns);
}

static void test_syslog(void **state)
{
    (void)state;
    check("2026-01-02T03:04:04.5+00:00 host sshd[77]: Failed password", "sshd", 77,
          "Failed password", NOW - NS_PER_SECOND / 2);
    check("2026-01-02T12:04:05+09:00 host sudo:   bob : TTY=x", "sudo", 0, "  bob : TTY=x", NOW);
    check("<38>Jan  2 03:04:05 host su: hello", "su", 0, "hello", NOW);
    check("Jan  2 03:04:05 host gdm-password][1931]: x", "gdm-password]", 1931, "x", NOW);
    check("Jan  2 03:04:05 host ][1]: x", "auth.log", 0, "][1]: x", NOW);
    check("Jan  2 03:04:05 host a]: x", "auth.log", 0, "a]: x", NOW);
    check("2026-01-02T03:04:05Z host kernel: [   12.345678] traps: x", "kernel", 0, "traps: x",
          NOW);
}

/* December read in January is of last year; without a year there is no other way to know. */
static void test_last_year(void **state)
{
    (void)state;
    check("Dec 31 23:59:59 host cron[1]: x", "cron", 1, "x", 1767225599ULL * NS_PER_SECOND);
}

static void test_other_forms(void **state)
{
    (void)state;
    check("2026-01-02 03:04:05 status installed a:amd64 1", "auth.log", 0,
          "status installed a:amd64 1", NOW);
    check("type=KERN_MODULE msg=audit(1767323044.250:7): name=\"x\"", "audit", 0,
          "type=KERN_MODULE msg=audit(1767323044.250:7): name=\"x\"", NOW - 750 * NS_PER_MS);
    check("nothing that is known", "auth.log", 0, "nothing that is known", NOW);
    check("", "auth.log", 0, "", NOW);
}

/* A line that lies about its time would reach into the counters of tomorrow. */
static void test_future(void **state)
{
    (void)state;
    check("2026-02-02T03:04:05Z host a: b", "a", 0, "b", NOW);
    check("2026-13-02T03:04:05Z host a: b", "auth.log", 0, "2026-13-02T03:04:05Z host a: b", NOW);
}

static void test_hostile_bytes(void **state)
{
    static const char text[] = "2026-01-02T03:04:05Z h \xff\0x[9999999999999]: \x80\0y";
    struct log_line line;

    (void)state;
    log_line_read(text, sizeof text - 1, "f", NOW, &line);
    assert_int_equal(line.program_length, 1);
    log_line_read(text, 22, "f", NOW, &line);
    assert_int_equal(line.message_length, 0);
}

/* The bytes end where the line does. */
static void test_short_line_behind_a_priority(void **state)
{
    static const char text[] = "<38>type";
    size_t length = sizeof text - 1;
    char *bytes = malloc(length);
    struct log_line line;

    (void)state;
    assert_non_null(bytes);
    memcpy(bytes, text, length);
    log_line_read(bytes, length, "f", NOW, &line);
    assert_int_equal(line.message_length, strlen("type"));
    assert_int_equal(line.program_length, 1);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_syslog),        cmocka_unit_test(test_last_year),
        cmocka_unit_test(test_other_forms),   cmocka_unit_test(test_future),
        cmocka_unit_test(test_hostile_bytes), cmocka_unit_test(test_short_line_behind_a_priority),
    };

    (void)setenv("TZ", "UTC", 1);
    tzset();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
