/* log_round.c: what a failing inspector costs. Of the inspector there is what it answers; files are
 * real ones. */
#include "agent/logs/logs_private.h"

#include "common/files/file.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define NO_POISON UINT64_MAX

static char folder[64];
static struct logs logs;
static struct logs_settings settings;
static struct log_source sources[2];
static size_t kinds; /* of events */
static char last_kind[64], last_detail[512];
static uint64_t now_ns;

/* The inspector. */
static int state_answer, read_answer, file_error, journal_answer;
static uint64_t starts, poison, reads, failures, journal_asked, bytes_read;
static uint64_t read_of[2]; /* bytes of each source */
static unsigned said;
static bool alive, all_poisoned[2];

uint64_t __wrap_clock_monotonic_ns(void);
uint64_t __wrap_clock_monotonic_ns(void)
{
    return now_ns;
}

int __wrap_log_question_state(struct log_question *question, struct log_reader_state *ret_state);
int __wrap_log_question_state(struct log_question *question UNUSED,
                              struct log_reader_state *ret_state)
{
    if (state_answer < 0)
        return state_answer;
    starts++;
    alive = true;
    *ret_state = (struct log_reader_state){.rules = 1, .journal = true};
    return 0;
}

int __wrap_log_question_read(struct log_question *question, int fd, const char *path,
                             uint64_t offset, uint32_t most, bool final, struct log_answer *answer);
int __wrap_log_question_read(struct log_question *question UNUSED, int fd, const char *path,
                             uint64_t offset, uint32_t most, bool final UNUSED,
                             struct log_answer *answer)
{
    struct stat status;
    size_t which = text_equal(path, sources[1].path);

    reads++;
    *answer = (struct log_answer){.offset = offset};
    assert_int_equal(fstat(fd, &status), 0);
    uint64_t end = MIN(offset + most, (uint64_t)status.st_size);
    if (read_answer < 0 || all_poisoned[which] || (poison >= offset && poison < end)) {
        failures++;
        answer->error = file_error;
        alive = file_error < 0;
        return file_error < 0 ? 0 : read_answer < 0 ? read_answer : -EPIPE;
    }
    bytes_read += end - offset;
    read_of[which] += end - offset;
    answer->offset = end;
    answer->more = end < (uint64_t)status.st_size;
    return 0;
}

int __wrap_log_question_journal(struct log_question *question, const char *cursor,
                                struct log_answer *answer);
int __wrap_log_question_journal(struct log_question *question UNUSED, const char *cursor UNUSED,
                                struct log_answer *answer UNUSED)
{
    journal_asked++;
    alive = alive && journal_answer == 0;
    return journal_answer;
}

void __wrap_log_question_restart(struct log_question *question);
void __wrap_log_question_restart(struct log_question *question UNUSED)
{
    alive = false;
}

uint64_t __wrap_log_question_starts(const struct log_question *question);
uint64_t __wrap_log_question_starts(const struct log_question *question UNUSED)
{
    return starts;
}

pid_t __wrap_log_question_pid(const struct log_question *question);
pid_t __wrap_log_question_pid(const struct log_question *question UNUSED)
{
    return alive ? 1 : 0;
}

/* The store. */
int __wrap_logs_commit(struct logs *all);
int __wrap_logs_commit(struct logs *all)
{
    for (size_t i = 0; i < all->batch.count; i++) {
        (void)text_copy(last_kind, sizeof last_kind, all->batch.drafts[i].kind);
        (void)text_copy(last_detail, sizeof last_detail, all->batch.drafts[i].detail);
    }
    kinds += all->batch.count;
    log_batch_clear(&all->batch);
    return 0;
}

int __wrap_logs_position(struct logs *all, const char *source, char **ret_position);
int __wrap_logs_position(struct logs *all UNUSED, const char *source UNUSED, char **ret_position)
{
    *ret_position = NULL;
    return 0;
}

int __wrap_logs_read_folds(struct logs *all);
int __wrap_logs_read_folds(struct logs *all UNUSED)
{
    return 0;
}

void __wrap_log_event(enum log_level level, const char *event, ...);
void __wrap_log_event(enum log_level level UNUSED, const char *event, ...)
{
    said += text_equal(event, "log_inspector_failed");
}

static void append(size_t which, size_t length)
{
    AUTO_FREE char *text = malloc(length);
    AUTO_CLOSE int fd = open(sources[which].path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

    assert_non_null(text);
    memset(text, '\n', length);
    assert_int_equal(file_write(fd, text, length), 0);
}

static bool go_round(void)
{
    bool more;

    logs_round(&logs, &more);
    return more;
}

static int set_up(void **state UNUSED)
{
    char path[128];

    (void)text_copy(folder, sizeof folder, "/tmp/log-round-XXXXXX");
    assert_non_null(mkdtemp(folder));
    settings = (struct logs_settings){.enabled = true, .journal_directory = folder};
    logs = (struct logs){.now = &settings, .sources = sources, .source_count = 2};
    assert_int_equal(log_folds_new(&logs.folds), 0);
    state_answer = read_answer = file_error = journal_answer = 0;
    starts = reads = failures = journal_asked = bytes_read = said = 0;
    memset(read_of, 0, sizeof read_of);
    memset(all_poisoned, 0, sizeof all_poisoned);
    now_ns = 1000 * NS_PER_SECOND;
    poison = NO_POISON;
    alive = false;
    kinds = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(sources); i++) {
        (void)text_format(path, sizeof path, "%s/%zu.log", folder, i);
        assert_int_equal(log_source_init(&sources[i], path), 0);
        append(i, 1);
    }
    assert_false(go_round());
    assert_int_equal(reads, 0);
    return 0;
}

static int tear_down(void **state UNUSED)
{
    for (size_t i = 0; i < ARRAY_LENGTH(sources); i++)
        log_source_done(&sources[i]);
    logs.folds = log_folds_free(logs.folds);
    log_batch_done(&logs.batch);
    log_answer_done(&logs.answer);
    return file_remove_tree(AT_FDCWD, folder);
}

/* Its caller would ask for the next round at once if there were more. */
static void a_failed_inspector_is_waited_for(void **state UNUSED)
{
    append(0, 10);
    append(1, 10);
    read_answer = -EPIPE;
    assert_false(go_round());
    assert_true(logs.inspector_failed);
    assert_int_equal(reads, 1);
    assert_non_null(strstr(logs.problem, sources[0].path));
    state_answer = -EAGAIN;
    for (int i = 0; i < 10; i++)
        assert_false(go_round());
    assert_int_equal(reads, 1);
    assert_int_equal(said, 1);
    state_answer = read_answer = 0;
    assert_false(go_round());
    assert_int_equal(bytes_read, 20);
    assert_string_equal(logs.problem, "");
    read_answer = -EPIPE;
    append(0, 10);
    assert_false(go_round());
    assert_int_equal(said, 2); /* it had worked in between */
}

/* Its program is being replaced, its rules' file is gone: no line is to blame. */
static void one_that_never_starts_costs_no_line(void **state UNUSED)
{
    append(0, 10);
    alive = false;
    state_answer = -ENOENT;
    for (int i = 0; i < 20; i++)
        assert_false(go_round());
    assert_int_equal(reads, 0);
    assert_int_equal(said, 1);
    assert_int_equal(kinds, 0);
    state_answer = 0;
    assert_false(go_round());
    assert_int_equal(bytes_read, 10);
}

static void a_poisonous_place_is_left_out(void **state UNUSED)
{
    enum { LENGTH = 20 * LIMIT_LOG_INSPECTED_BYTES };

    append(0, LENGTH);
    append(1, 10);
    poison = 10 * LIMIT_LOG_INSPECTED_BYTES + 5;
    for (int i = 0; i < 100; i++)
        (void)go_round();
    assert_int_equal(log_source_lag(&sources[0]), 0);
    assert_int_equal(kinds, 1);
    assert_string_equal(last_kind, "log_skipped");
    assert_int_equal(bytes_read, LENGTH - LIMIT_LOG_INSPECTED_BYTES + 10);
    assert_true(failures <= 5);
}

static void a_lack_of_memory_costs_no_line(void **state UNUSED)
{
    settings.journal = true;
    append(0, 10);
    read_answer = journal_answer = -ENOMEM;
    for (int i = 0; i < 20; i++) {
        assert_false(go_round());
        assert_non_null(strstr(logs.problem, log_error_text(-ENOMEM)));
    }
    assert_true(failures > 5 && journal_asked > 5);
    assert_int_equal(kinds, 0);
    read_answer = journal_answer = 0;
    (void)go_round();
    assert_int_equal(bytes_read, 10);
    assert_int_equal(logs.counted.lost, 0);
}

/* It is the inspector's answer about a file: there may be too little for this place for ever. */
static void memory_that_the_inspector_lacks_costs_the_place(void **state UNUSED)
{
    file_error = -ENOMEM;
    all_poisoned[0] = true;
    append(0, LIMIT_LOG_INSPECTED_BYTES);
    for (int i = 0; i < 5; i++)
        (void)go_round();
    assert_int_equal(log_source_lag(&sources[0]), 0);
    assert_string_equal(last_kind, "log_skipped");
}

static void a_journal_that_is_not_read_holds_up_no_file(void **state UNUSED)
{
    settings.journal = true;
    journal_answer = -EPIPE;
    append(0, 10);
    assert_false(go_round());
    assert_int_equal(bytes_read, 0);
    assert_false(go_round());
    assert_int_equal(bytes_read, 10);
    assert_int_equal(journal_asked, 2);
    assert_int_equal(kinds, 0);
    assert_false(go_round());
    assert_false(go_round());
    assert_int_equal(kinds, 1);
    assert_string_equal(last_kind, "log_gap");
}

/* Whatever it fails at, and wherever. */
static void a_log_that_fails_everywhere_holds_up_no_other(void **state UNUSED)
{
    all_poisoned[0] = true;
    append(0, 20 * LIMIT_LOG_INSPECTED_BYTES);
    append(1, 10);
    assert_false(go_round());
    for (uint64_t i = 1; i < 20; i++) {
        (void)go_round();
        assert_int_equal(read_of[1], 10 * i);
        append(1, 10);
    }
    assert_true(logs.counted.lost >= 5);
}

static void two_logs_that_fail_everywhere_take_turns(void **state UNUSED)
{
    all_poisoned[0] = all_poisoned[1] = true;
    append(0, 20 * LIMIT_LOG_INSPECTED_BYTES);
    append(1, 20 * LIMIT_LOG_INSPECTED_BYTES);
    for (int i = 0; i < 60; i++)
        (void)go_round();
    assert_int_equal(log_source_lag(&sources[0]), 10 * LIMIT_LOG_INSPECTED_BYTES);
    assert_int_equal(log_source_lag(&sources[1]), 10 * LIMIT_LOG_INSPECTED_BYTES);
}

static void a_log_and_a_journal_that_fail_take_turns(void **state UNUSED)
{
    settings.journal = true;
    journal_answer = -EPIPE;
    all_poisoned[0] = true;
    append(0, 20 * LIMIT_LOG_INSPECTED_BYTES);
    append(1, 10);
    for (int i = 0; i < 20; i++)
        (void)go_round();
    assert_int_equal(read_of[1], 10);
    assert_int_equal(journal_asked, 10);
    assert_int_equal(failures, 10);
}

/* An unreadable region of a disk, a stale handle: no inspector ends, and no other log waits. */
static void a_file_that_cannot_be_read_costs_its_own_lines(void **state UNUSED)
{
    file_error = -EIO;
    all_poisoned[0] = true;
    append(0, 2 * LIMIT_LOG_INSPECTED_BYTES);
    append(1, 10);
    assert_false(go_round());
    assert_int_equal(read_of[1], 10);
    assert_false(logs.inspector_failed);
    assert_non_null(strstr(logs.problem, sources[0].path));
    for (int i = 0; i < 5; i++)
        (void)go_round();
    assert_int_equal(log_source_lag(&sources[0]), 0);
    assert_int_equal(starts, 1);
    assert_string_equal(last_kind, "log_skipped");
    assert_non_null(strstr(last_detail, log_error_text(-EIO)));
}

static void many_places_are_told_once_a_minute(void **state UNUSED)
{
    all_poisoned[0] = true;
    append(0, 4 * LIMIT_LOG_INSPECTED_BYTES);
    for (int i = 0; i < 20; i++)
        (void)go_round();
    assert_int_equal(log_source_lag(&sources[0]), 0);
    assert_int_equal(kinds, 1);
    assert_non_null(strstr(last_detail, "8192 bytes"));
    now_ns += 60 * NS_PER_SECOND;
    (void)go_round();
    assert_int_equal(kinds, 2);
    assert_non_null(strstr(last_detail, "24576 bytes"));
    now_ns += 60 * NS_PER_SECOND;
    (void)go_round();
    assert_int_equal(kinds, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_failed_inspector_is_waited_for),
        TEST(one_that_never_starts_costs_no_line),
        TEST(a_poisonous_place_is_left_out),
        TEST(a_lack_of_memory_costs_no_line),
        TEST(memory_that_the_inspector_lacks_costs_the_place),
        TEST(a_journal_that_is_not_read_holds_up_no_file),
        TEST(a_log_that_fails_everywhere_holds_up_no_other),
        TEST(two_logs_that_fail_everywhere_take_turns),
        TEST(a_log_and_a_journal_that_fail_take_turns),
        TEST(a_file_that_cannot_be_read_costs_its_own_lines),
        TEST(many_places_are_told_once_a_minute),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
