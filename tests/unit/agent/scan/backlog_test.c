#include "agent/scan/backlog.h"

#include "common/text/text.h"
#include "tests/unit/support/failing_allocator.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct backlog_limits small = {
    .files = 256,
    .bytes = 1 << 20,
    .folds = 8,
    .fold_bytes = 1 << 16,
};

static struct backlog *new_backlog(const struct backlog_limits *limits)
{
    struct backlog *backlog;

    assert_int_equal(backlog_new(limits, &backlog), 0);
    return backlog;
}

static void tell(struct backlog *backlog, enum backlog_class class, const char *path)
{
    backlog_tell(backlog, class, path, strlen(path), 1000);
}

static struct backlog_item take(struct backlog *backlog, enum backlog_class class)
{
    struct backlog_item item;

    assert_int_equal(backlog_take(backlog, class, &item), 0);
    return item;
}

static void finish(struct backlog *backlog, struct backlog_item *item)
{
    backlog_scanned(backlog, item);
    backlog_release(backlog, item->mark);
    free(item->path);
}

static void expect_path(struct backlog *backlog, enum backlog_class class, const char *path)
{
    struct backlog_item item = take(backlog, class);

    assert_string_equal(item.path, path);
    assert_int_equal(item.path_length, strlen(path));
    finish(backlog, &item);
}

static void expect_empty(struct backlog *backlog)
{
    struct backlog_item item;
    struct backlog_fold *fold;
    struct backlog_counts counts;

    for (int class = 0; class < BACKLOG_CLASSES; class ++)
        assert_int_equal(backlog_take(backlog, class, &item), -ENOENT);
    assert_int_equal(backlog_take_fold(backlog, &fold), -ENOENT);
    backlog_count(backlog, &counts);
    assert_int_equal(counts.bytes, 0);
    assert_int_equal(counts.oldest_ns, 0);
}

static void count_call(void *user)
{
    ++*(unsigned *)user;
}

static unsigned call_drained(struct backlog *backlog)
{
    backlog_drained *done;
    void *user;
    unsigned calls = 0;

    while (backlog_take_drained(backlog, &done, &user)) {
        done(user);
        calls++;
    }
    return calls;
}

static void test_a_path_waits_once_in_its_best_class(void **state)
{
    struct backlog *backlog = new_backlog(&small);

    (void)state;
    tell(backlog, BACKLOG_FOUND, "/a/one");
    tell(backlog, BACKLOG_WRITTEN, "/a/two");
    tell(backlog, BACKLOG_WRITTEN, "/a/one");
    tell(backlog, BACKLOG_ARRIVED, "/a/one");
    tell(backlog, BACKLOG_FOUND, "/top");
    expect_path(backlog, BACKLOG_WRITTEN, "/a/two");
    expect_path(backlog, BACKLOG_WRITTEN, "/a/one");
    expect_path(backlog, BACKLOG_FOUND, "/top");
    expect_empty(backlog);
    backlog_free(backlog);
}

static void test_news_during_a_scan_wait_for_its_end(void **state)
{
    struct backlog *backlog = new_backlog(&small);
    struct backlog_item item, none;

    (void)state;
    tell(backlog, BACKLOG_WRITTEN, "/a/one");
    item = take(backlog, BACKLOG_WRITTEN);
    tell(backlog, BACKLOG_FOUND, "/a/one");
    tell(backlog, BACKLOG_ARRIVED, "/a/one");
    assert_int_equal(backlog_take(backlog, BACKLOG_ARRIVED, &none), -ENOENT);
    finish(backlog, &item);
    expect_path(backlog, BACKLOG_ARRIVED, "/a/one");
    expect_empty(backlog);
    backlog_free(backlog);
}

static void test_what_is_returned_comes_first_again(void **state)
{
    struct backlog *backlog = new_backlog(&small);
    struct backlog_item item;

    (void)state;
    tell(backlog, BACKLOG_ARRIVED, "/a/one");
    tell(backlog, BACKLOG_ARRIVED, "/a/two");
    item = take(backlog, BACKLOG_ARRIVED);
    backlog_return(backlog, &item);
    assert_null(item.path);
    expect_path(backlog, BACKLOG_ARRIVED, "/a/one");
    item = take(backlog, BACKLOG_ARRIVED);
    tell(backlog, BACKLOG_WRITTEN, "/a/two");
    backlog_return(backlog, &item);
    expect_path(backlog, BACKLOG_WRITTEN, "/a/two");
    expect_empty(backlog);
    backlog_free(backlog);
}

static void test_removed_files_are_forgotten_unless_in_hand(void **state)
{
    struct backlog *backlog = new_backlog(&small);
    struct backlog_item item;
    unsigned drained = 0;

    (void)state;
    tell(backlog, BACKLOG_WRITTEN, "/a/one");
    tell(backlog, BACKLOG_WRITTEN, "/a/two");
    item = take(backlog, BACKLOG_WRITTEN);
    assert_int_equal(backlog_mark_drain(backlog, count_call, &drained), 0);
    backlog_forget(backlog, "/a/two", 6);
    backlog_forget(backlog, "/a/one", 6);
    backlog_forget(backlog, "/b/none", 7);
    assert_int_equal(call_drained(backlog), 0);
    finish(backlog, &item);
    assert_int_equal(call_drained(backlog), 1);
    assert_int_equal(drained, 1);
    expect_empty(backlog);
    backlog_free(backlog);
}

static void test_drains_wait_for_what_was_told_before_them_only(void **state)
{
    struct backlog *backlog = new_backlog(&small);
    unsigned first = 0, second = 0;

    (void)state;
    assert_int_equal(backlog_mark_drain(backlog, count_call, &first), 0);
    assert_int_equal(call_drained(backlog), 1);
    tell(backlog, BACKLOG_WRITTEN, "/a/one");
    struct backlog_item one = take(backlog, BACKLOG_WRITTEN);
    assert_int_equal(backlog_mark_drain(backlog, count_call, &first), 0);
    tell(backlog, BACKLOG_WRITTEN, "/a/one"); /* again: belongs to the second */
    tell(backlog, BACKLOG_WRITTEN, "/a/two");
    assert_int_equal(backlog_mark_drain(backlog, count_call, &second), 0);
    struct backlog_item two = take(backlog, BACKLOG_WRITTEN);
    finish(backlog, &two);
    assert_int_equal(call_drained(backlog), 0);
    finish(backlog, &one);
    assert_int_equal(call_drained(backlog), 1);
    assert_int_equal(first, 2);
    one = take(backlog, BACKLOG_WRITTEN);
    assert_int_equal(call_drained(backlog), 0);
    finish(backlog, &one);
    assert_int_equal(call_drained(backlog), 1);
    assert_int_equal(second, 1);
    backlog_free(backlog);
}

/* Whether one of the folds covers path. */
static bool is_covered(char **folds, const bool *recursive, size_t count, const char *path)
{
    for (size_t i = 0; i < count; i++) {
        size_t length = strcmp(folds[i], "/") == 0 ? 0 : strlen(folds[i]);
        if (strncmp(path, folds[i], length) == 0 && path[length] == '/' &&
            (recursive[i] || strchr(path + length + 1, '/') == NULL))
            return true;
    }
    return false;
}

enum shape { ONE_DIRECTORY, WIDE, DEEP, FAR, ROOT, LONG_NAMES };

static void format_path(char *path, size_t size, enum shape shape, int row, int column)
{
    switch (shape) {
    case ONE_DIRECTORY:
        (void)text_format(path, size, "/one/%d-%d", row, column);
        break;
    case WIDE:
        (void)text_format(path, size, "/wide/%d/f%d", row, column);
        break;
    case DEEP:
        (void)text_format(path, size, "/deep/d%d/e%d/file", row, column);
        break;
    case FAR:
        (void)text_format(path, size, "/a%d/b/c/d/e/f/g%d/file", row, column);
        break;
    case ROOT:
        (void)text_format(path, size, "/%d-%d", row, column);
        break;
    case LONG_NAMES:
        (void)text_format(path, size, "/x/%d/some-longer-name-of-a-file-%d", row, column);
        break;
    }
}

/* The two numbers in a path. */
static void parse_path(const char *path, int *ret_row, int *ret_column)
{
    const char *digits = "0123456789";
    char *end;

    *ret_row = (int)strtol(path + strcspn(path, digits), &end, 10);
    *ret_column = (int)strtol(end + strcspn(end, digits), NULL, 10);
}

/* Tells many paths; each must come out singly or by a fold. */
static void flood_failing(const struct backlog_limits *limits, enum shape shape, int rows,
                          int columns, size_t failing)
{
    struct backlog *backlog = new_backlog(limits);
    char path[256], **folds = calloc((size_t)rows * columns + 1, sizeof *folds);
    bool *recursive = calloc((size_t)rows * columns + 1, sizeof *recursive);
    size_t fold_count = 0, single = 0, covered = 0;
    unsigned drained = 0;
    struct backlog_fold *fold;
    struct backlog_item item;

    if (failing > 0)
        failing_allocator_arm(failing, true);
    for (int row = 0; row < rows; row++)
        for (int column = 0; column < columns; column++) {
            format_path(path, sizeof path, shape, row, column);
            tell(backlog, (enum backlog_class)(column % BACKLOG_CLASSES), path);
            struct backlog_counts counts;
            backlog_count(backlog, &counts);
            assert_true(counts.waiting[0] + counts.waiting[1] + counts.waiting[2] <= limits->files);
            assert_true(counts.folds <= limits->folds + 1);
            assert_true(counts.bytes <= limits->bytes + limits->fold_bytes + 4096);
        }
    if (failing > 0)
        (void)failing_allocator_disarm();
    assert_int_equal(backlog_mark_drain(backlog, count_call, &drained), 0);
    while (backlog_take_fold(backlog, &fold) == 0) {
        folds[fold_count] = strdup(fold->path);
        recursive[fold_count++] = fold->recursive;
        assert_non_null(fold->mark);
        backlog_release(backlog, fold->mark);
        backlog_fold_free(fold);
    }
    char *waiting = calloc((size_t)rows * columns, 1);
    for (int class = 0; class < BACKLOG_CLASSES; class ++)
        while (backlog_take(backlog, class, &item) == 0) {
            int row, column;
            parse_path(item.path, &row, &column);
            waiting[row * columns + column] = 1;
            single++;
            finish(backlog, &item);
        }
    for (int row = 0; row < rows; row++)
        for (int column = 0; column < columns; column++) {
            format_path(path, sizeof path, shape, row, column);
            if (is_covered(folds, recursive, fold_count, path))
                covered++;
            else
                assert_true(waiting[row * columns + column]);
        }
    assert_true(failing > 0 || (single > 0 && covered > 0));
    assert_int_equal(call_drained(backlog), 1);
    assert_int_equal(drained, 1);
    expect_empty(backlog);
    for (size_t i = 0; i < fold_count; i++)
        free(folds[i]);
    free(folds);
    free(recursive);
    free(waiting);
    backlog_free(backlog);
}

static void flood(const struct backlog_limits *limits, enum shape shape, int rows, int columns)
{
    flood_failing(limits, shape, rows, columns, 0);
}

static void test_nothing_is_lost_without_memory(void **state)
{
    (void)state;
    for (size_t failing = 1; failing < 60; failing++) {
        flood_failing(&small, DEEP, 10, 3, failing);
        flood_failing(&small, WIDE, 4, 100, failing);
    }
}

static void test_nothing_is_lost_when_it_is_full(void **state)
{
    const struct backlog_limits few_bytes = {
        .files = 1 << 20,
        .bytes = 16384,
        .folds = 4,
        .fold_bytes = 512,
    };

    (void)state;
    flood(&small, ONE_DIRECTORY, 1, 5000);
    flood(&small, WIDE, 40, 100);
    flood(&small, DEEP, 100, 40);
    flood(&small, FAR, 2000, 1);
    flood(&small, ROOT, 1000, 2);
    flood(&few_bytes, LONG_NAMES, 100, 30);
}

static void test_a_fold_remembers_the_first_write(void **state)
{
    struct backlog *backlog = new_backlog(&small);
    struct backlog_fold *fold;
    char path[64];

    (void)state;
    for (int i = 0; i <= 256; i++) {
        (void)text_format(path, sizeof path, "/d/%d", i);
        tell(backlog, BACKLOG_FOUND, path);
    }
    backlog_tell(backlog, BACKLOG_WRITTEN, "/d/new", 6, 5000);
    backlog_tell(backlog, BACKLOG_WRITTEN, "/d/newer", 8, 4000);
    assert_int_equal(backlog_take_fold(backlog, &fold), 0);
    assert_string_equal(fold->path, "/d");
    assert_false(fold->recursive);
    assert_int_equal(fold->written_since_ns, 4000);
    backlog_release(backlog, fold->mark);
    backlog_fold_free(fold);
    /* Once it is handed out, news wait singly again. */
    tell(backlog, BACKLOG_WRITTEN, "/d/new");
    expect_path(backlog, BACKLOG_WRITTEN, "/d/new");
    backlog_free(backlog);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_path_waits_once_in_its_best_class),
        cmocka_unit_test(test_news_during_a_scan_wait_for_its_end),
        cmocka_unit_test(test_what_is_returned_comes_first_again),
        cmocka_unit_test(test_removed_files_are_forgotten_unless_in_hand),
        cmocka_unit_test(test_drains_wait_for_what_was_told_before_them_only),
        cmocka_unit_test(test_nothing_is_lost_when_it_is_full),
        cmocka_unit_test(test_nothing_is_lost_without_memory),
        cmocka_unit_test(test_a_fold_remembers_the_first_write),
    };

    return cmocka_run_group_tests_name("agent/scan/backlog", tests, NULL, NULL);
}
