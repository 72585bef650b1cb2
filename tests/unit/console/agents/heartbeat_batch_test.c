/* Which heartbeats go together, and that those do what one alone would. */
#include "common/text/text.h"
#include "console/agents/heartbeat_internal.h"
#include "tests/unit/console/computer_row.h"
#include "tests/unit/console/store_place.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define EPOCH   "01890a5d-ac96-774b-bcce-b302099a8057"
#define SESSION "01890a5d-ac96-774b-bcce-b302099a8058"

static struct wire_event event(uint64_t number)
{
    return (struct wire_event){.number = number,
                               .id = EPOCH,
                               .module = "malware",
                               .kind = "malware_found",
                               .subject = "/srv",
                               .detail = "{}"};
}

/* Nothing is known of their deliveries. */
static int add_computers(struct sql *sql, void *user UNUSED)
{
    int r = 0;
    for (int64_t i = 1; r == 0 && i <= 4; i++) {
        const struct computer_row row = {.number = i,
                                         .session = SESSION,
                                         .policy_digest = "digest"};
        r = computer_row_add(sql, &row);
    }
    return r;
}

static struct heartbeat heartbeat(const char *certificate, const struct wire_event *events,
                                  size_t count)
{
    struct heartbeat made = {
        .wire = {
            .host = {.hostname = "h", .machine_id = "m", .instance_id = "", .agent_version = "1"},
            .session = SESSION,
            .policy_digest = "",
            .policy_problem = "",
            .epoch = EPOCH,
            .events = (struct wire_event *)(uintptr_t)events,
            .event_count = count}};
    (void)text_copy(made.certificate, sizeof(made.certificate), certificate);
    return made;
}

/* As the charts show them. */
static int64_t counted(struct sql *sql, const char *module)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    assert_int_equal(sql_run(sql,
                             "SELECT coalesce(sum(count), 0) FROM event_counts WHERE module = $1",
                             &row, "t", module),
                     1);
    return sql_number(row, 0);
}

static int64_t count_events(struct sql *sql)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    assert_int_equal(sql_run(sql, "SELECT count(*) FROM events", &row, ""), 1);
    return sql_number(row, 0);
}

static int count_by_module(struct sql *sql, void *user UNUSED)
{
    static const char *const modules[] = {"log", "tamper", "nonsense"};
    struct wire_event events[ARRAY_LENGTH(modules)];
    for (size_t i = 0; i < ARRAY_LENGTH(modules); i++) {
        events[i] = event(i + 1);
        events[i].module = modules[i];
    }
    struct heartbeat beat = heartbeat("c1", events, ARRAY_LENGTH(events));
    assert_int_equal(heartbeat_write_alone(sql, &beat), OUTCOME_SERVED);
    assert_int_equal(counted(sql, "log"), 1);
    assert_int_equal(counted(sql, "tamper"), 1);
    assert_int_equal(counted(sql, "nonsense"), 0);
    assert_int_equal(counted(sql, "other"), 1);
    free(beat.row);
    return 0;
}

static int try_them(struct sql *sql, void *user)
{
    const struct store_place *place = user;
    const struct wire_event events[] = {event(3), event(5)}, more[] = {event(5), event(6)};
    struct heartbeat first = heartbeat("c1", events, 2), second = heartbeat("c2", events, 2);
    struct heartbeat again = heartbeat("c1", more, 2), other = heartbeat("c3", events, 2);
    struct heartbeat lost = heartbeat("c4", events, 2);
    void *all[] = {&first, &second, &again, &other, &lost};
    int results[ARRAY_LENGTH(all)];
    /* The first of a store's epoch goes alone. */
    assert_int_equal(heartbeat_write_many(sql, all, results, ARRAY_LENGTH(all)), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(all); i++)
        assert_int_equal(results[i], CONSOLE_STORE_ALONE);
    for (size_t i = 0; i < ARRAY_LENGTH(all); i++)
        if (all[i] != &again)
            assert_int_equal(heartbeat_write_alone(sql, all[i]), OUTCOME_SERVED);
    assert_int_equal(count_events(sql), 8);
    /* Sent again; new; the same computer twice; of another machine; with lost events. */
    other.wire.host.machine_id = "another";
    lost.wire.dropped = 1;
    second.wire.events = (struct wire_event *)(uintptr_t)more;
    assert_int_equal(heartbeat_write_many(sql, all, results, ARRAY_LENGTH(all)), 0);
    assert_int_equal(results[0], OUTCOME_SERVED);
    assert_int_equal(first.acknowledged, 5);
    assert_string_equal(first.policy_digest, "digest");
    assert_int_equal(first.certificate_expires_ms, 99);
    assert_int_equal(results[1], OUTCOME_SERVED);
    assert_int_equal(second.acknowledged, 6);
    assert_int_equal(results[2], CONSOLE_STORE_ALONE);
    assert_int_equal(results[3], CONSOLE_STORE_ALONE);
    assert_int_equal(results[4], CONSOLE_STORE_ALONE);
    assert_int_equal(count_events(sql), 9);
    assert_int_equal(heartbeat_write_many(sql, all + 2, results, 1), 0);
    assert_int_equal(results[0], OUTCOME_SERVED);
    assert_int_equal(again.acknowledged, 6);
    assert_int_equal(count_events(sql), 10);
    AUTO_STATEMENT struct sql_statement *row = NULL;
    assert_int_equal(sql_run(sql, "SELECT sum(count) FROM event_counts", &row, ""), 1);
    assert_int_equal(sql_number(row, 0), 10);
    /* Who waits for a command goes alone. */
    assert_int_equal(sql_run(sql,
                             "INSERT INTO commands (id, org_id, computer, type, arguments, state,"
                             " created_ms, created_by, expires_ms, delivered_ms, finished_ms,"
                             " output) VALUES ('x', 1, 2, 't', '{}', 'queued', 0, '', 0, 0, 0, '')",
                             NULL, ""),
                     0);
    sql_disturb(sql, NULL);
    assert_int_equal(heartbeat_write_many(sql, all, results, 2), 0);
    assert_int_equal(results[0], OUTCOME_SERVED);
    assert_int_equal(results[1], CONSOLE_STORE_ALONE);
    /* What was read is remembered until somebody else has worked; not where other nodes may. */
    assert_int_equal(
        sql_run(sql, "UPDATE computers SET policy_digest = 'new' WHERE number = 1", NULL, ""), 0);
    assert_int_equal(heartbeat_write_many(sql, all, results, 1), 0);
    assert_int_equal(results[0], OUTCOME_SERVED);
    assert_string_equal(first.policy_digest, place->postgres ? "new" : "digest");
    sql_disturb(sql, NULL);
    assert_int_equal(heartbeat_write_many(sql, all, results, 1), 0);
    assert_string_equal(first.policy_digest, "new");
    /* Another run, another hostname: never by memory. */
    first.wire.session = EPOCH;
    assert_int_equal(heartbeat_write_many(sql, all, results, 1), 0);
    assert_int_equal(results[0], CONSOLE_STORE_ALONE);
    first.wire.session = SESSION;
    first.wire.host.hostname = "renamed";
    assert_int_equal(heartbeat_write_many(sql, all, results, 1), 0);
    assert_int_equal(results[0], CONSOLE_STORE_ALONE);
    for (size_t i = 0; i < ARRAY_LENGTH(all); i++)
        free(((struct heartbeat *)all[i])->row);
    return 0;
}

static void goes_together_when_only_events_are_new(void **state)
{
    const struct store_place *place = *state;
    assert_int_equal(console_store_write(place->store, add_computers, NULL), 0);
    assert_int_equal(console_store_write(place->store, try_them, *state), 0);
}

static void each_module_is_counted_by_its_name(void **state)
{
    const struct store_place *place = *state;
    assert_int_equal(console_store_write(place->store, add_computers, NULL), 0);
    assert_int_equal(console_store_write(place->store, count_by_module, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(goes_together_when_only_events_are_new, store_place_open,
                                        store_place_close),
        cmocka_unit_test_setup_teardown(each_module_is_counted_by_its_name, store_place_open,
                                        store_place_close)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
