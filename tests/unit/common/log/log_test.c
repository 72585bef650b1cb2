/* common/log: one line an event, nothing hostile in it, never blocking, no loss unsaid. Standard
 * error is a pipe or socket during each test. */
#include "common/log/log.h"

#include "common/limits.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cmocka.h>

struct capture {
    int saved;  /* the real standard error */
    int reader; /* what was logged; non-blocking */
};

static void capture_descriptors(struct capture *capture, int ends[2])
{
    capture->saved = dup(STDERR_FILENO);
    capture->reader = ends[0];
    assert_true(capture->saved >= 0);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    assert_int_equal(close(ends[1]), 0);
    clock_set_fake(1, 1795309323 * NS_PER_SECOND + 456 * NS_PER_MS);
    log_open("yagura-test", LOG_LEVEL_INFO);
    /* What an earlier test dropped is told now, and forgotten. */
    char told[1024];
    log_info("begin", NULL);
    assert_true(read(ends[0], told, sizeof told) > 0);
}

static void capture_begin(struct capture *capture)
{
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    capture_descriptors(capture, ends);
}

static void capture_end(struct capture *capture)
{
    clock_set_fake(0, 0);
    (void)dup2(capture->saved, STDERR_FILENO);
    (void)close(capture->saved);
    (void)close(capture->reader);
}

/* What was logged since the last call. */
static size_t capture_read(struct capture *capture, char *text, size_t size)
{
    size_t length = 0;
    ssize_t n;

    while (length + 1 < size && (n = read(capture->reader, text + length, size - 1 - length)) > 0)
        length += (size_t)n;
    text[length] = '\0';
    return length;
}

#define START "2026-11-22T01:02:03.456Z "

static void test_a_line_is_time_level_program_event_pairs(void **state UNUSED)
{
    struct capture capture;
    char text[1024];

    capture_begin(&capture);
    log_warning("watch_limit_reached", "watched", log_number(-42), "cure", "sysctl -w", "empty", "",
                "none", (const char *)NULL, "why", log_error_text(-ENOSPC), NULL);
    (void)capture_read(&capture, text, sizeof text);
    capture_end(&capture);
    assert_string_equal(text, START "warning yagura-test watch_limit_reached watched=-42 "
                                    "cure=\"sysctl -w\" empty=\"\" "
                                    "why=\"No space left on device\"\n");
}

static void test_hostile_values_stay_one_line(void **state UNUSED)
{
    struct capture capture;
    char text[1024];

    capture_begin(&capture);
    log_info("event", "path", "a\nerror yagura-test forged", "quote", "say \"x\" = y", "bidi",
             "\xE2\x80\xAE", NULL);
    (void)capture_read(&capture, text, sizeof text);
    capture_end(&capture);
    assert_string_equal(text,
                        START "info yagura-test event path=\"a\\x0aerror yagura-test forged\" "
                              "quote=\"say \\x22x\\x22 = y\" bidi=\\xe2\\x80\\xae\n");
}

static void test_levels_below_the_lowest_are_silent(void **state UNUSED)
{
    struct capture capture;
    char text[1024];

    capture_begin(&capture);
    log_debug("hidden", NULL);
    log_set_level(LOG_LEVEL_ERROR);
    log_warning("hidden", NULL);
    log_set_level(LOG_LEVEL_DEBUG);
    log_debug("shown", NULL);
    (void)capture_read(&capture, text, sizeof text);
    capture_end(&capture);
    assert_string_equal(text, START "debug yagura-test shown\n");
}

static void test_a_long_line_is_cut_and_marked(void **state UNUSED)
{
    static char value[3 * LIMIT_LOG_LINE_BYTES];
    static char text[4 * LIMIT_LOG_LINE_BYTES];
    struct capture capture;

    capture_begin(&capture);
    for (size_t shift = 0; shift < 3; shift++) {
        /* Characters of three bytes, so that one of the cuts meets the middle of one. */
        memset(value, 'a', shift);
        for (size_t i = shift; i + 3 < sizeof value; i += 3)
            memcpy(value + i, "\xE6\xAB\x93", 4);
        log_info("long", "value", value, "after", "lost", NULL);
        size_t length = capture_read(&capture, text, sizeof text);
        assert_true(length > LIMIT_LOG_LINE_BYTES - 8 && length <= LIMIT_LOG_LINE_BYTES);
        assert_true(text_ends_with(text, "\xE6\xAB\x93...\n"));
    }
    capture_end(&capture);
}

static void test_errno_survives(void **state UNUSED)
{
    struct capture capture;

    capture_begin(&capture);
    (void)close(STDERR_FILENO);
    errno = EXDEV;
    log_info("event", NULL);
    int after = errno;
    capture_end(&capture);
    assert_int_equal(after, EXDEV);
}

static void test_many_texts_in_one_line(void **state UNUSED)
{
    struct capture capture;
    char text[1024];

    capture_begin(&capture);
    log_info("event", "a", log_number(INT64_MIN), "b", log_number(INT64_MAX), "c",
             log_error_text(-ENOENT), "d", log_error_text(-99999), "e", log_number(0), NULL);
    (void)capture_read(&capture, text, sizeof text);
    capture_end(&capture);
    assert_string_equal(text, START "info yagura-test event a=-9223372036854775808 "
                                    "b=9223372036854775807 c=\"No such file or directory\" "
                                    "d=\"unknown error\" e=0\n");
}

/* Logs until lines are dropped; returns how many were. Would hang if logging blocked. */
static uint64_t fill(void)
{
    uint64_t before = log_dropped();

    for (int i = 0; i < 100000 && log_dropped() < before + 3; i++)
        log_info("filling", "with", "some words that take place", NULL);
    return log_dropped() - before;
}

static void test_a_full_pipe_drops_counts_and_says_so(void **state UNUSED)
{
    static char text[1 << 21];
    struct capture capture;

    capture_begin(&capture);
    assert_int_equal(fill(), 3);
    (void)capture_read(&capture, text, sizeof text);
    assert_null(strstr(text, "log_lines_dropped"));
    log_info("after", NULL);
    log_info("later", NULL);
    (void)capture_read(&capture, text, sizeof text);
    capture_end(&capture);
    assert_string_equal(text, START "warning yagura-test log_lines_dropped lines=3\n" START
                                    "info yagura-test after\n" START "info yagura-test later\n");
}

static void test_the_journal_gets_its_form_and_never_blocks(void **state UNUSED)
{
    static char text[1 << 21];
    struct capture capture;
    struct stat status;
    char stream[64];
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(fstat(ends[1], &status), 0);
    (void)text_format(stream, sizeof stream, "%llu:%llu", (unsigned long long)status.st_dev,
                      (unsigned long long)status.st_ino);
    assert_int_equal(setenv("JOURNAL_STREAM", stream, 1), 0);
    capture_descriptors(&capture, ends);
    assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);
    log_error("event", "key", "value", NULL);
    (void)capture_read(&capture, text, sizeof text);
    uint64_t dropped = fill();
    capture_end(&capture);
    assert_string_equal(text, "<3>yagura-test event key=value\n");
    assert_int_equal(dropped, 3);
}

static void test_a_stream_that_is_not_ours_means_no_journal(void **state UNUSED)
{
    struct capture capture;
    char text[1024];

    assert_int_equal(setenv("JOURNAL_STREAM", "1:1", 1), 0);
    capture_begin(&capture);
    assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);
    log_info("event", NULL);
    (void)capture_read(&capture, text, sizeof text);
    capture_end(&capture);
    assert_string_equal(text, START "info yagura-test event\n");
}

static void test_a_reader_that_is_gone_kills_nobody(void **state UNUSED)
{
    struct capture capture;
    uint64_t before = log_dropped();

    capture_begin(&capture);
    (void)close(capture.reader);
    log_info("event", NULL);
    uint64_t dropped = log_dropped() - before;
    capture.reader = -1;
    capture_end(&capture);
    assert_int_equal(dropped, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_line_is_time_level_program_event_pairs),
        cmocka_unit_test(test_hostile_values_stay_one_line),
        cmocka_unit_test(test_levels_below_the_lowest_are_silent),
        cmocka_unit_test(test_a_long_line_is_cut_and_marked),
        cmocka_unit_test(test_errno_survives),
        cmocka_unit_test(test_many_texts_in_one_line),
        cmocka_unit_test(test_a_full_pipe_drops_counts_and_says_so),
        cmocka_unit_test(test_the_journal_gets_its_form_and_never_blocks),
        cmocka_unit_test(test_a_stream_that_is_not_ours_means_no_journal),
        cmocka_unit_test(test_a_reader_that_is_gone_kills_nobody),
    };

    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
