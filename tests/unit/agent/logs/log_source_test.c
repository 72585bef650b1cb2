/* log_source.c: every byte of a log is handed out once, whatever becomes of the file's name. The
 * test reads what it is handed, as the inspector does. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "agent/logs/log_source.h"
#include "common/text/text.h"
#include "common/time/clock.h"

struct fixture {
    char folder[64], log[128];
    struct log_source source;
    uint64_t now_ns;
    char read[4096];
    size_t length;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    assert_non_null(fixture);
    (void)text_copy(fixture->folder, sizeof fixture->folder, "/tmp/log-source-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    (void)text_format(fixture->log, sizeof fixture->log, "%s/a.log", fixture->folder);
    fixture->now_ns = 1000 * NS_PER_SECOND;
    assert_int_equal(log_source_init(&fixture->source, fixture->log), 0);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    static const char *const endings[] = {"", ".1", ".2", ".3", ".1.gz", "-20260102", ".old"};

    log_source_done(&fixture->source);
    for (size_t i = 0; i < ARRAY_LENGTH(endings); i++) {
        char path[160];
        (void)text_format(path, sizeof path, "%s%s", fixture->log, endings[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(fixture->folder), 0);
    free(fixture);
    return 0;
}

static void append(struct fixture *fixture, const char *ending, const char *text)
{
    char path[160];

    (void)text_format(path, sizeof path, "%s%s", fixture->log, ending);
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    (void)close(fd);
}

static void move(struct fixture *fixture, const char *from, const char *to)
{
    char before[160], after[160];

    (void)text_format(before, sizeof before, "%s%s", fixture->log, from);
    (void)text_format(after, sizeof after, "%s%s", fixture->log, to);
    assert_int_equal(rename(before, after), 0);
}

static void age(struct fixture *fixture, const char *ending)
{
    static const struct timespec times[] = {{.tv_sec = 1}, {.tv_sec = 1}};
    char path[160];

    (void)text_format(path, sizeof path, "%s%s", fixture->log, ending);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* Looks, and reads all there is; whole lines only unless it is final. */
static enum log_notice look(struct fixture *fixture)
{
    enum log_notice notice;
    struct log_generation *generation;
    bool final;

    fixture->now_ns += NS_PER_SECOND;
    assert_int_equal(log_source_look(&fixture->source, fixture->now_ns, &notice), 0);
    while ((generation = log_source_next(&fixture->source, fixture->now_ns, &final)) != NULL) {
        char *at = fixture->read + fixture->length;
        ssize_t got = pread(generation->fd, at, sizeof fixture->read - fixture->length - 1,
                            (off_t)generation->offset);
        assert_true(got >= 0);
        const char *end = final ? at + got : memrchr(at, '\n', (size_t)got);
        size_t taken = end == NULL ? 0 : (size_t)(end - at) + !final;
        fixture->length += taken;
        fixture->read[fixture->length] = '\0';
        log_source_advance(&fixture->source, generation, generation->offset + taken, final);
    }
    return notice;
}

static void begin(struct fixture *fixture, const char *position, enum log_notice expected)
{
    enum log_notice notice;

    assert_int_equal(log_source_begin(&fixture->source, position, fixture->now_ns, &notice), 0);
    assert_int_equal(notice, expected);
}

/* As after a restart. */
static void begin_again(struct fixture *fixture, enum log_notice expected,
                        void (*meanwhile)(struct fixture *fixture))
{
    AUTO_FREE char *position = log_source_position(&fixture->source);

    assert_non_null(position);
    log_source_done(&fixture->source);
    meanwhile(fixture);
    assert_int_equal(log_source_init(&fixture->source, fixture->log), 0);
    begin(fixture, position, expected);
}

static void test_growth(void **state)
{
    struct fixture *fixture = *state;

    append(fixture, "", "old\n");
    begin(fixture, NULL, LOG_NOTICE_NONE);
    (void)look(fixture);
    assert_string_equal(fixture->read, "");
    append(fixture, "", "a\nb");
    (void)look(fixture);
    assert_string_equal(fixture->read, "a\n");
    append(fixture, "", "c\n");
    (void)look(fixture);
    assert_string_equal(fixture->read, "a\nbc\n");
    assert_int_equal(log_source_lag(&fixture->source), 0);
}

static void test_renamed(void **state)
{
    struct fixture *fixture = *state;

    begin(fixture, NULL, LOG_NOTICE_NONE);
    append(fixture, "", "a\n");
    (void)look(fixture);
    append(fixture, "", "b\n");
    move(fixture, "", ".1");
    append(fixture, ".1", "c\n");
    append(fixture, "", "d\n");
    assert_int_equal(look(fixture), LOG_NOTICE_NONE);
    append(fixture, ".1", "e\npart");
    (void)look(fixture);
    assert_string_equal(fixture->read, "a\nb\nc\nd\ne\n");
    fixture->now_ns += 60 * NS_PER_SECOND; /* nobody writes to it any more */
    (void)look(fixture);
    (void)look(fixture);
    assert_string_equal(fixture->read, "a\nb\nc\nd\ne\npart");
    assert_int_equal(fixture->source.count, 1);
}

/* Two rotations between two looks: the one in the middle is found by its name and time. */
static void test_renamed_twice(void **state)
{
    struct fixture *fixture = *state;

    append(fixture, ".3", "of last week\n");
    age(fixture, ".3");
    begin(fixture, NULL, LOG_NOTICE_NONE);
    append(fixture, "", "a\n");
    (void)look(fixture);
    move(fixture, "", ".2");
    append(fixture, ".1", "b\n");
    append(fixture, ".old", "no rotation\n");
    append(fixture, "", "c\n");
    (void)look(fixture);
    assert_string_equal(fixture->read, "a\nb\nc\n");
}

static void empty(struct fixture *fixture)
{
    assert_int_equal(truncate(fixture->log, 0), 0);
}

static void test_copied_and_emptied(void **state)
{
    struct fixture *fixture = *state;

    begin(fixture, NULL, LOG_NOTICE_NONE);
    append(fixture, "", "first\n");
    (void)look(fixture);
    append(fixture, "", "second\n");
    append(fixture, ".1", "first\nsecond\n");
    empty(fixture);
    append(fixture, "", "3\n");
    assert_int_equal(look(fixture), LOG_NOTICE_NONE);
    assert_string_equal(fixture->read, "first\nsecond\n3\n");
    empty(fixture);
    append(fixture, "", "4\n5\n6\n"); /* longer than it was: known by its beginning */
    assert_int_equal(look(fixture), LOG_NOTICE_EMPTIED);
    assert_string_equal(fixture->read, "first\nsecond\n3\n4\n5\n6\n");
}

static void rotate_meanwhile(struct fixture *fixture)
{
    append(fixture, "", "b\n");
    move(fixture, "", "-20260102");
    append(fixture, "", "c\n");
}

static void lose_meanwhile(struct fixture *fixture)
{
    append(fixture, "", "lost\n");
    move(fixture, "", ".1.gz");
    append(fixture, "", "d\n");
}

static void nothing_meanwhile(struct fixture *fixture)
{
    append(fixture, "", "e\n");
}

static void copy_and_empty_meanwhile(struct fixture *fixture)
{
    append(fixture, "", "b\n");
    append(fixture, ".1", "a\nb\n");
    empty(fixture);
    append(fixture, "", "c\n");
}

/* The copy is another file than the one that was followed, and is not read once more as one that
 * stood there in between. */
static void test_copied_and_emptied_meanwhile(void **state)
{
    struct fixture *fixture = *state;

    begin(fixture, NULL, LOG_NOTICE_NONE);
    append(fixture, "", "a\n");
    (void)look(fixture);
    begin_again(fixture, LOG_NOTICE_NONE, copy_and_empty_meanwhile);
    assert_int_equal(look(fixture), LOG_NOTICE_NONE);
    assert_string_equal(fixture->read, "a\nb\nc\n");
    append(fixture, "", "d\n");
    begin_again(fixture, LOG_NOTICE_NONE, nothing_meanwhile);
    (void)look(fixture);
    assert_string_equal(fixture->read, "a\nb\nc\nd\ne\n");
}

static void test_restarts(void **state)
{
    struct fixture *fixture = *state;

    begin(fixture, NULL, LOG_NOTICE_NONE);
    append(fixture, "", "a\n");
    (void)look(fixture);
    begin_again(fixture, LOG_NOTICE_NONE, rotate_meanwhile);
    (void)look(fixture);
    assert_string_equal(fixture->read, "a\nb\nc\n");
    fixture->now_ns += 60 * NS_PER_SECOND;
    (void)look(fixture);
    begin_again(fixture, LOG_NOTICE_LOST, lose_meanwhile);
    (void)look(fixture);
    assert_string_equal(fixture->read, "a\nb\nc\nd\n");
    begin_again(fixture, LOG_NOTICE_NONE, nothing_meanwhile);
    (void)look(fixture);
    assert_string_equal(fixture->read, "a\nb\nc\nd\ne\n");
}

/* A link might lead anywhere, and a FIFO would hold us. */
static void test_no_regular_file(void **state)
{
    struct fixture *fixture = *state;
    enum log_notice notice;

    begin(fixture, NULL, LOG_NOTICE_NONE);
    assert_int_equal(symlink("/etc/passwd", fixture->log), 0);
    assert_int_equal(log_source_look(&fixture->source, fixture->now_ns, &notice), -ELOOP);
    assert_int_equal(unlink(fixture->log), 0);
    assert_int_equal(mkfifo(fixture->log, 0600), 0);
    assert_int_equal(log_source_look(&fixture->source, fixture->now_ns, &notice), -ENXIO);
}

static void test_broken_position(void **state)
{
    struct fixture *fixture = *state;

    append(fixture, "", "a\n");
    begin(fixture, "1:2:3:4:xyz;", LOG_NOTICE_NONE);
    (void)look(fixture);
    assert_string_equal(fixture->read, "a\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_growth, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_renamed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_renamed_twice, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_copied_and_emptied, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_restarts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_copied_and_emptied_meanwhile, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_regular_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_broken_position, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
