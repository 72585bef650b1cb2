/* Offline, degraded, old signatures: raised when they are so, once, and resolved when they are so
 * no more; nobody is offline before the console has listened long enough. The rules it comes with.
 */
#include "common/text/text.h"
#include "console/alerts/alert_checks.h"
#include "console/alerts/alert_store.h"
#include "tests/unit/console/computer_row.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

struct world {
    struct console_store *store;
    char folder[64];
    struct alert_checks checks;
    struct alert_rule rule;
    const char *statement;
    int64_t number;
};

static int execute(struct sql *sql, void *user)
{
    const struct world *world = user;
    AUTO_STATEMENT struct sql_statement *statement = NULL;
    int r = sql_prepare_once(sql, world->statement, &statement);
    return r < 0 ? r : sql_step(statement);
}

static void run(struct world *world, const char *statement)
{
    world->statement = statement;
    assert_int_equal(console_store_write(world->store, execute, world), 0);
}

static int read_number(struct sql *sql, void *user)
{
    struct world *world = user;
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_prepare_once(sql, world->statement, &row);
    if (r == 0)
        r = sql_step(row);
    if (r == 1)
        world->number = sql_number(row, 0);
    return r < 0 ? r : 0;
}

static int64_t ask(struct world *world, const char *statement)
{
    world->statement = statement;
    world->number = -1;
    assert_int_equal(console_store_read(world->store, read_number, world), 0);
    return world->number;
}

#define OPEN     "SELECT count(*) FROM alerts WHERE state = 'open'"
#define RESOLVED "SELECT count(*) FROM alerts WHERE state = 'resolved'"

static int add_computers(struct sql *sql, void *user UNUSED)
{
    int r = 0;
    for (int64_t i = 1; r == 0 && i <= 3; i++) {
        const struct computer_row row = {.number = i, .last_seen_ms = console_store_now_ms()};
        r = computer_row_add(sql, &row);
    }
    return r;
}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    char path[96], notice[512];
    if (!world)
        return -1;
    (void)text_copy(world->folder, sizeof(world->folder), "/tmp/yagura-alerts-XXXXXX");
    assert_non_null(mkdtemp(world->folder));
    (void)text_format(path, sizeof(path), "%s/console.db", world->folder);
    assert_int_equal(console_store_open(path, &world->store, notice), 0);
    assert_int_equal(console_store_write(world->store, add_computers, NULL), 0);
    world->checks.since_ms = 1;
    world->checks.heard_ms = 3600000;
    (void)text_copy(world->rule.id, sizeof(world->rule.id), "r");
    (void)text_copy(world->rule.name, sizeof(world->rule.name), "Rule");
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    alert_checks_done(&world->checks);
    (void)console_store_close(world->store);
    DIR *folder = opendir(world->folder);
    for (const struct dirent *entry; folder && (entry = readdir(folder));)
        (void)unlinkat(dirfd(folder), entry->d_name, 0);
    if (folder)
        (void)closedir(folder);
    assert_int_equal(rmdir(world->folder), 0);
    free(world);
    return 0;
}

static uint64_t check(struct world *world, const char *condition)
{
    uint64_t raised = 0;
    assert_int_equal(alert_condition_parse(condition, &world->rule.condition), 0);
    assert_int_equal(alert_checks_run(&world->checks, world->store, &world->rule, 1, &raised), 0);
    return raised;
}

#define OFFLINE "{\"type\":\"offline\",\"seconds\":600}"

static void offline(void **state)
{
    struct world *world = *state;
    assert_int_equal(check(world, OFFLINE), 0);
    run(world, "UPDATE computers SET last_seen_ms = 5 WHERE number < 3");
    world->checks.since_ms = console_store_now_ms();
    assert_int_equal(check(world, OFFLINE), 0); /* nobody could be heard before */
    world->checks.since_ms = 1;
    assert_int_equal(check(world, OFFLINE), 2);
    assert_int_equal(check(world, OFFLINE), 0);
    assert_int_equal(ask(world, OPEN), 2);
    assert_int_equal(ask(world, "SELECT sum(count) FROM alerts"), 2);
    run(world, "UPDATE computers SET last_seen_ms = 9000000000000 WHERE number = 1");
    assert_int_equal(check(world, OFFLINE), 0);
    assert_int_equal(ask(world, OPEN), 1);
    assert_int_equal(ask(world, RESOLVED), 1);
    run(world, "DELETE FROM computers WHERE number = 2");
    assert_int_equal(check(world, OFFLINE), 0);
    assert_int_equal(ask(world, OPEN), 0);
    run(world, "UPDATE computers SET last_seen_ms = 5 WHERE number = 1");
    assert_int_equal(check(world, OFFLINE), 1); /* again: another alert */
    assert_int_equal(ask(world, "SELECT count(*) FROM alerts WHERE computer = 1"), 2);
}

#define OLD "{\"type\":\"signatures_old\",\"seconds\":86400}"

static void old_signatures(void **state)
{
    struct world *world = *state;
    run(world, "UPDATE computers SET facts = '{\"scanner\":{\"signatures_age\":86400}}'"
               " WHERE number = 1");
    run(world, "UPDATE computers SET facts = '{\"scanner\":{\"signatures_age\":86399}}'"
               " WHERE number = 2");
    run(world, "UPDATE computers SET facts = 'broken' WHERE number = 3");
    assert_int_equal(check(world, OLD), 1);
    assert_int_equal(ask(world, "SELECT computer FROM alerts"), 1);
    /* Who is not heard of any more keeps its alert: what it said is old. */
    run(world, "UPDATE computers SET last_seen_ms = 5, facts = '{}' WHERE number = 1");
    assert_int_equal(check(world, OLD), 0);
    assert_int_equal(ask(world, OPEN), 1);
    run(world, "UPDATE computers SET last_seen_ms = 9000000000000 WHERE number = 1");
    assert_int_equal(check(world, OLD), 0);
    assert_int_equal(ask(world, OPEN), 0);
}

static void degraded_for_two_looks(void **state)
{
    struct world *world = *state;
    static const char condition[] = "{\"type\":\"degraded\"}";
    run(world, "UPDATE computers SET facts = '{\"state\":\"degraded\",\"problems\":[{\"module\":"
               "\"watch\",\"problem\":\"p\",\"cure\":\"c\"}]}' WHERE number = 1");
    assert_int_equal(check(world, condition), 0);
    run(world, "UPDATE computers SET facts = '{\"state\":\"degraded\"}' WHERE number = 2");
    assert_int_equal(check(world, condition), 1);
    assert_int_equal(ask(world, "SELECT computer FROM alerts WHERE detail LIKE '%watch%'"), 1);
    run(world, "UPDATE computers SET facts = '{\"state\":\"protecting\"}'");
    assert_int_equal(check(world, condition), 0);
    assert_int_equal(ask(world, OPEN), 0);
}

static void only_in_its_groups(void **state)
{
    struct world *world = *state;
    run(world, "UPDATE computers SET last_seen_ms = 5, group_id ="
               " '11111111-1111-4111-8111-111111111111' WHERE number = 1");
    run(world, "UPDATE computers SET last_seen_ms = 5 WHERE number = 2");
    assert_int_equal(check(world, "{\"type\":\"offline\",\"seconds\":600,\"groups\":"
                                  "[\"11111111-1111-4111-8111-111111111111\"]}"),
                     1);
    assert_int_equal(ask(world, "SELECT computer FROM alerts"), 1);
    run(world, "UPDATE computers SET group_id = NULL");
    assert_int_equal(check(world, "{\"type\":\"offline\",\"seconds\":600,\"groups\":"
                                  "[\"11111111-1111-4111-8111-111111111111\"]}"),
                     0);
    assert_int_equal(ask(world, OPEN), 0);
}

static int ship(struct sql *sql, void *user UNUSED)
{
    return alert_rules_ship(sql);
}

/* A newer console brings its new rules, and none that was deleted. */
static void rules_are_shipped_once_each(void **state)
{
    struct world *world = *state;
    assert_int_equal(console_store_write(world->store, ship, NULL), 0);
    int64_t all = ask(world, "SELECT count(*) FROM alert_rules");
    run(world, "DELETE FROM alert_rules WHERE name = 'Agent degraded'");
    assert_int_equal(console_store_write(world->store, ship, NULL), 0);
    assert_int_equal(ask(world, "SELECT count(*) FROM alert_rules"), all - 1);
    run(world, "DELETE FROM alert_rules WHERE name IN ('Object not scanned',"
               " 'Attack on a function')");
    run(world, "UPDATE alert_rules SET id = 'ours' WHERE name = 'Malware in a bucket'");
    run(world, "UPDATE meta SET value = 'shipped' WHERE name = 'alert_rules'");
    assert_int_equal(console_store_write(world->store, ship, NULL), 0);
    assert_int_equal(ask(world, "SELECT count(*) FROM alert_rules"), all - 1);
    assert_int_equal(ask(world, "SELECT count(*) FROM alert_rules WHERE id = 'ours'"), 1);
    run(world, "DELETE FROM alert_rules WHERE name = 'Attack on a function'");
    assert_int_equal(console_store_write(world->store, ship, NULL), 0);
    assert_int_equal(ask(world, "SELECT count(*) FROM alert_rules"), all - 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(offline, set_up, tear_down),
        cmocka_unit_test_setup_teardown(old_signatures, set_up, tear_down),
        cmocka_unit_test_setup_teardown(degraded_for_two_looks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_in_its_groups, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rules_are_shipped_once_each, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
