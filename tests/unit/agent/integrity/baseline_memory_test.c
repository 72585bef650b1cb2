/* The baseline while memory runs out, SQLite's too: what was not committed never happened, and want
 * of memory is never taken for tampering. */
#include "agent/integrity/baseline.h"
#include "common/files/file.h"
#include "common/text/text.h"
#include "tests/unit/support/failing_allocator.h"
#include "tests/unit/support/failing_sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define MOST_FAILURES 60

struct fixture {
    char folder[64], path[96], key[96];
    struct baseline *baseline;
};

static int open_baseline(struct fixture *fixture)
{
    char notice[512] = "";
    int r = baseline_open(fixture->path, fixture->key, &fixture->baseline, notice);

    if (r < 0)
        fixture->baseline = NULL;
    else
        assert_string_equal(notice, "");
    return r;
}

static void open_again(struct fixture *fixture)
{
    fixture->baseline = baseline_close(fixture->baseline);
    assert_int_equal(open_baseline(fixture), 0);
    assert_int_equal(baseline_verify(fixture->baseline), 0);
    assert_false(baseline_is_tampered(fixture->baseline));
}

static int put(struct fixture *fixture, const char *path, uint64_t size)
{
    struct file_facts facts = {.state = {.size = size, .mode = S_IFREG | 0644, .links = 1}};
    int r = baseline_begin(fixture->baseline);

    facts.state.content = FACTS_HASHED;
    facts.state.digest[0] = (uint8_t)size;
    if (r < 0)
        return r;
    r = baseline_put(fixture->baseline, path, strlen(path), &facts, BASELINE_APPROVED);
    if (r == 0)
        return baseline_commit(fixture->baseline);
    baseline_rollback(fixture->baseline);
    return r;
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    assert_non_null(fixture);
    (void)text_copy(fixture->folder, sizeof fixture->folder, "/tmp/yagura-baseline-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    (void)text_format(fixture->path, sizeof fixture->path, "%s/integrity.db", fixture->folder);
    (void)text_format(fixture->key, sizeof fixture->key, "%s/integrity.key", fixture->folder);
    assert_int_equal(open_baseline(fixture), 0);
    assert_int_equal(put(fixture, "/etc/a", 1), 0);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    (void)failing_allocator_disarm();
    (void)baseline_close(fixture->baseline);
    assert_int_equal(file_remove_tree(AT_FDCWD, fixture->folder), 0);
    free(fixture);
    return 0;
}

typedef int work(struct fixture *fixture);

/* Of the work's allocations one fails, then it and all after it; judge looks at what came of it. */
static void starve(struct fixture *fixture, work *attempt,
                   void (*judge)(struct fixture *fixture, int result))
{
    failing_allocator_arm(0, false);
    int r = attempt(fixture);
    size_t allocations = failing_allocator_count();

    (void)failing_allocator_disarm();
    judge(fixture, r);
    assert_int_equal(r, 0);
    assert_true(allocations > 0);
    for (size_t number = 1; number <= allocations; number += MAX(allocations / MOST_FAILURES, 1))
        for (int all_after = 0; all_after < 2; all_after++) {
            failing_allocator_arm(number, all_after != 0);
            r = attempt(fixture);
            (void)failing_allocator_disarm();
            judge(fixture, r);
        }
}

static int put_one_more(struct fixture *fixture)
{
    char path[64];

    (void)text_format(path, sizeof path, "/srv/%llu",
                      (unsigned long long)baseline_count(fixture->baseline));
    return put(fixture, path, 2);
}

static uint64_t stored;

static void expect_all_or_nothing(struct fixture *fixture, int result)
{
    stored += result == 0;
    assert_int_equal(baseline_count(fixture->baseline), stored);
    open_again(fixture);
    assert_int_equal(baseline_count(fixture->baseline), stored);
}

static void what_fails_never_happened(void **state)
{
    stored = 1;
    starve(*state, put_one_more, expect_all_or_nothing);
}

static int close_and_open(struct fixture *fixture)
{
    fixture->baseline = baseline_close(fixture->baseline);
    return open_baseline(fixture);
}

static void expect_it_opens(struct fixture *fixture, int result)
{
    assert_true(result == 0 || fixture->baseline == NULL);
    open_again(fixture);
    assert_int_equal(baseline_count(fixture->baseline), 1);
}

static void opening_changes_nothing(void **state)
{
    starve(*state, close_and_open, expect_it_opens);
}

static int verify(struct fixture *fixture)
{
    return baseline_verify(fixture->baseline);
}

static void expect_no_tampering(struct fixture *fixture, int result)
{
    assert_int_not_equal(result, -EBADMSG);
    assert_false(baseline_is_tampered(fixture->baseline));
}

static void want_is_no_tampering(void **state)
{
    starve(*state, verify, expect_no_tampering);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_fails_never_happened, set_up, tear_down),
        cmocka_unit_test_setup_teardown(opening_changes_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(want_is_no_tampering, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, failing_sqlite_begin, NULL);
}
