/* log_folds.c: what is told at once, what is counted, and what a crash leaves behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/logs/log_folds.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#define WINDOW (60 * NS_PER_SECOND)

static const uint64_t start_ns = 1000 * NS_PER_SECOND;

struct fixture {
    struct log_folds *folds;
    struct log_batch batch;
};

static int take(struct fixture *fixture, uint32_t rule, const char *key, uint64_t now_ns)
{
    struct log_told told = {.rule = rule,
                            .severity = EVENT_LOW,
                            .kind = "log_other",
                            .subject = (char *)"s",
                            .head = (char *)"{\"rule\":1",
                            .time_ns = now_ns};

    (void)text_copy(told.key, sizeof told.key, key);
    return log_folds_take(fixture->folds, &told, now_ns, &fixture->batch);
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    assert_non_null(fixture);
    assert_int_equal(log_folds_new(&fixture->folds), 0);
    log_folds_set(fixture->folds, WINDOW, 30);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    (void)log_folds_free(fixture->folds);
    log_batch_done(&fixture->batch);
    free(fixture);
    return 0;
}

static void test_equal_ones_become_one(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(take(fixture, 1, "a", start_ns), LOG_TOLD);
    assert_int_equal(take(fixture, 1, "a", start_ns + 1), LOG_FOLDED);
    assert_int_equal(take(fixture, 1, "b", start_ns + 2), LOG_TOLD);
    assert_int_equal(take(fixture, 1, "a", start_ns + 3), LOG_FOLDED);
    assert_int_equal(fixture->batch.count, 2);
    assert_int_equal(log_folds_end(fixture->folds, start_ns + WINDOW - 1, &fixture->batch), 0);
    assert_int_equal(fixture->batch.count, 2);
    assert_int_equal(log_folds_end(fixture->folds, start_ns + WINDOW, &fixture->batch), 0);
    assert_int_equal(fixture->batch.count, 3);
    assert_non_null(
        strstr(fixture->batch.drafts[2].detail, "{\"rule\":1,\"count\":2,\"first\":\""));
    /* It went on: the next window begins. What did not is new when it comes again. */
    assert_int_equal(take(fixture, 1, "a", start_ns + WINDOW + 1), LOG_FOLDED);
    assert_int_equal(log_folds_end(fixture->folds, start_ns + WINDOW + 3, &fixture->batch), 0);
    assert_int_equal(take(fixture, 1, "b", start_ns + WINDOW + 4), LOG_TOLD);
}

static void test_budget_of_a_rule(void **state)
{
    struct fixture *fixture = *state;
    char key[16];

    for (int i = 0; i < 100; i++) {
        (void)text_format(key, sizeof key, "k%d", i);
        assert_int_equal(take(fixture, 1, key, start_ns), i < 30 ? LOG_TOLD : LOG_LIMITED);
    }
    assert_int_equal(take(fixture, 2, "other", start_ns), LOG_TOLD);
    assert_int_equal(log_folds_end(fixture->folds, start_ns + WINDOW, &fixture->batch), 0);
    assert_int_equal(fixture->batch.count, 32);
    assert_string_equal(fixture->batch.drafts[31].kind, "log_rule_limited");
    assert_non_null(strstr(fixture->batch.drafts[31].detail, "\"count\":70,"));
    /* Two seconds are one event of thirty a minute. */
    log_batch_clear(&fixture->batch);
    assert_int_equal(take(fixture, 1, "x", start_ns + 1 * NS_PER_SECOND), LOG_LIMITED);
    assert_int_equal(take(fixture, 1, "y", start_ns + 2 * NS_PER_SECOND), LOG_TOLD);
}

/* More kinds than places: the oldest is told early, and none is lost. */
static void test_more_than_places(void **state)
{
    struct fixture *fixture = *state;
    uint64_t repeats = 0;
    char key[16];

    log_folds_set(fixture->folds, WINDOW, 10000);
    for (int i = 0; i < 2 * LIMIT_LOG_FOLDS; i++) {
        (void)text_format(key, sizeof key, "k%d", i);
        assert_int_equal(take(fixture, 1, key, start_ns + (uint64_t)i), LOG_TOLD);
        assert_int_equal(take(fixture, 1, key, start_ns + (uint64_t)i), LOG_FOLDED);
    }
    assert_int_equal(log_folds_end(fixture->folds, UINT64_MAX, &fixture->batch), 0);
    for (size_t i = 0; i < fixture->batch.count; i++)
        repeats += strstr(fixture->batch.drafts[i].detail, "\"count\":1,") != NULL;
    assert_int_equal(repeats, 2 * LIMIT_LOG_FOLDS);
}

static sqlite3 *open_table(void)
{
    sqlite3 *database;

    assert_int_equal(sqlite3_open(":memory:", &database), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(database,
                     "CREATE TABLE log_fold(key TEXT PRIMARY KEY, severity INTEGER NOT NULL, kind "
                     "TEXT NOT NULL, subject TEXT NOT NULL, head TEXT NOT NULL, repeats INTEGER "
                     "NOT NULL, first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL) WITHOUT ROWID",
                     NULL, NULL, NULL),
        SQLITE_OK);
    return database;
}

static int count_rows(sqlite3 *database)
{
    sqlite3_stmt *statement;

    assert_int_equal(sqlite3_prepare_v2(database, "SELECT count(*) FROM log_fold", -1, &statement,
                                        NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int count = sqlite3_column_int(statement, 0);
    (void)sqlite3_finalize(statement);
    return count;
}

static void test_counts_survive(void **state)
{
    struct fixture *fixture = *state;
    sqlite3 *database = open_table();

    assert_int_equal(take(fixture, 1, "a", start_ns), LOG_TOLD);
    assert_false(log_folds_changed(fixture->folds));
    for (int i = 0; i < 5; i++)
        assert_int_equal(take(fixture, 1, "a", start_ns), LOG_FOLDED);
    assert_true(log_folds_changed(fixture->folds));
    assert_int_equal(log_folds_write(fixture->folds, database), 0);
    assert_int_equal(log_folds_write(fixture->folds, database), 0);
    log_folds_written(fixture->folds);
    assert_int_equal(count_rows(database), 1);
    (void)log_folds_free(fixture->folds);
    assert_int_equal(log_folds_new(&fixture->folds), 0);
    assert_int_equal(log_folds_read(fixture->folds, start_ns, database), 0);
    assert_int_equal(take(fixture, 1, "a", start_ns), LOG_FOLDED);
    log_batch_clear(&fixture->batch);
    assert_int_equal(log_folds_end(fixture->folds, UINT64_MAX, &fixture->batch), 0);
    assert_int_equal(fixture->batch.count, 1);
    assert_string_equal(fixture->batch.drafts[0].kind, "log_other");
    assert_non_null(strstr(fixture->batch.drafts[0].detail, "\"count\":6,"));
    assert_int_equal(log_folds_write(fixture->folds, database), 0);
    log_folds_written(fixture->folds);
    assert_int_equal(count_rows(database), 0);
    (void)sqlite3_close(database);
}

/* Every place has a count that waits, in memory and in the store: what a rule may not tell is told
 * nevertheless, and survives. */
static void test_limited_without_a_place(void **state)
{
    struct fixture *fixture = *state;
    sqlite3 *database = open_table();
    size_t limited = 0;
    char key[16];

    log_folds_set(fixture->folds, WINDOW, 10000);
    for (int i = 0; i < 2 * LIMIT_LOG_FOLDS; i++) {
        (void)text_format(key, sizeof key, "k%d", i / 2);
        assert_true(take(fixture, 1, key, start_ns) >= 0);
    }
    assert_int_equal(log_folds_write(fixture->folds, database), 0);
    log_folds_written(fixture->folds);
    assert_int_equal(count_rows(database), LIMIT_LOG_FOLDS);
    log_folds_set(fixture->folds, WINDOW, 0);
    for (int i = 0; i < 5; i++) {
        (void)text_format(key, sizeof key, "other%d", i);
        assert_int_equal(take(fixture, 2, key, start_ns), LOG_LIMITED);
    }
    assert_int_equal(log_folds_write(fixture->folds, database), 0);
    (void)log_folds_free(fixture->folds);
    assert_int_equal(log_folds_new(&fixture->folds), 0);
    assert_int_equal(log_folds_read(fixture->folds, start_ns, database), 0);
    log_batch_clear(&fixture->batch);
    assert_int_equal(log_folds_end(fixture->folds, UINT64_MAX, &fixture->batch), 0);
    assert_int_equal(fixture->batch.count, LIMIT_LOG_FOLDS + 1);
    for (size_t i = 0; i < fixture->batch.count; i++)
        limited += text_equal(fixture->batch.drafts[i].kind, "log_rule_limited") &&
                   strstr(fixture->batch.drafts[i].detail, "\"count\":5,") != NULL;
    assert_int_equal(limited, 1);
    (void)sqlite3_close(database);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_equal_ones_become_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_budget_of_a_rule, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_more_than_places, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_counts_survive, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_limited_without_a_place, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
