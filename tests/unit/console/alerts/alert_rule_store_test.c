/* Rules as they are kept: those that are enabled and understood. */
#include "console/alerts/alert_rules.h"

#include "tests/unit/console/store_place.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static int put(struct sql *sql, const char *id, int64_t enabled, const char *condition)
{
    return sql_run(sql,
                   "INSERT INTO alert_rules (id, org_id, name, severity, enabled, condition,"
                   " created_ms, created_by) VALUES ($1, $2, $1, $3, $4, $5, $6, 'ann')",
                   NULL, "tnnntn", id, (int64_t)1, (int64_t)3, enabled, condition, (int64_t)7);
}

static int fill(struct sql *sql, void *user)
{
    (void)user;
    int r = sql_run(sql, "DELETE FROM alert_rules", NULL, "");
    if (r >= 0)
        r = put(sql, "a", 1, "{\"type\":\"offline\",\"seconds\":60}");
    if (r >= 0)
        r = put(sql, "b", 0, "{\"type\":\"degraded\"}");
    if (r >= 0)
        r = put(sql, "c", 1, "{\"type\":\"of a newer version\"}");
    if (r >= 0)
        r = put(sql, "d", 1, "no JSON");
    return r < 0 ? r : put(sql, "e", 1, "{\"type\":\"event\",\"by\":\"signature\"}");
}

static int load(struct sql *sql, void *user)
{
    static struct alert_rule rules[ALERT_RULES_MAXIMUM];
    size_t count = 0;
    (void)user;
    int r = alert_rules_load(sql, rules, &count);
    if (r < 0)
        return r;
    assert_int_equal(count, 2);
    assert_string_equal(rules[0].id, "a");
    assert_string_equal(rules[0].name, "a");
    assert_int_equal(rules[0].severity, 3);
    assert_int_equal(rules[0].condition.type, ALERT_OFFLINE);
    assert_int_equal(rules[0].condition.ms, 60000);
    assert_string_equal(rules[1].id, "e");
    assert_true(rules[1].condition.by_signature);
    return 0;
}

static void what_is_not_understood_is_left_out(void **state)
{
    const struct store_place *place = *state;
    assert_int_equal(console_store_write(place->store, fill, NULL), 0);
    assert_int_equal(console_store_read(place->store, load, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_not_understood_is_left_out, store_place_open,
                                        store_place_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
