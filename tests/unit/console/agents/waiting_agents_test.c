/* Who is told, when, and how many at once: with a clock of the test's own. */
#include "common/text/text.h"
#include "common/time/clock.h"
#include "console/agents/waiting_agents.h"
#include "console/signatures/signature_sets.h"
#include "console/store/agent_news.h"
#include "tests/unit/console/computer_row.h"
#include "tests/unit/console/store_place.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#define MANY 700

#define SECOND (MANY + 1) /* another request of the first computer */
#define THIRD  (MANY + 2) /* … of the third */

static struct waiting_agent agents[MANY + 3]; /* by computer, from 1 on */
static atomic_uint finished;
static atomic_bool over[MANY + 3];
static uint64_t now_ns;

void __wrap_http_request_finish(struct http_request *request, http_handler *answer, void *user);
void __wrap_http_request_finish(struct http_request *request UNUSED, http_handler *answer UNUSED,
                                void *user)
{
    const struct waiting_agent *agent = user;
    atomic_store(&over[agent - agents], true);
    atomic_fetch_add(&finished, 1);
}

static atomic_uint slow_reads; /* that follow */

int __real_console_store_read(struct console_store *store, console_store_work *work, void *user);
int __wrap_console_store_read(struct console_store *store, console_store_work *work, void *user);

static void pass(uint64_t ns)
{
    now_ns += ns;
    clock_set_fake(now_ns, clock_realtime_ns());
}

/* Two that are slow take nearly as long as a request waits. */
int __wrap_console_store_read(struct console_store *store, console_store_work *work, void *user)
{
    int r = __real_console_store_read(store, work, user);
    if (atomic_load(&slow_reads) > 0) {
        pass(WAITING_SECONDS * NS_PER_SECOND / 2 - 50 * NS_PER_MS);
        atomic_fetch_sub(&slow_reads, 1);
    }
    return r;
}

/* Whoever waits longer than the test may is a failure. */
static void until_finished(unsigned count)
{
    while (atomic_load(&finished) < count)
        (void)usleep(1000);
    assert_int_equal(atomic_load(&finished), count);
}

/* At least so many, and no more than a second's beside them: those of before the clock went on. */
static void until_told(unsigned count)
{
    while (atomic_load(&finished) < count)
        (void)usleep(1000);
    assert_true(atomic_load(&finished) <= count + WAITING_WAKES_A_SECOND);
}

static int add_computers(struct sql *sql, void *user UNUSED)
{
    int r = 0;
    for (int64_t i = 1; r == 0 && i <= MANY; i++) {
        const struct computer_row row = {.number = i, .policy_digest = "digest"};
        r = computer_row_add(sql, &row);
    }
    return r;
}

static int change_all(struct sql *sql, void *user UNUSED)
{
    int r = sql_run(sql, "UPDATE computers SET policy_digest = 'another'", NULL, "");
    return r == 0 ? agent_news_note(sql) : r;
}

static int remove_first(struct sql *sql, void *user UNUSED)
{
    int r = sql_run(sql, "DELETE FROM computers WHERE number = 1", NULL, "");
    if (r == 0)
        r = sql_run(sql, "UPDATE computers SET state = 'deactivated' WHERE number = 2", NULL, "");
    return r == 0 ? agent_news_note(sql) : r;
}

static int command_last(struct sql *sql, void *user)
{
    const int64_t *number = user;
    return sql_run(sql,
                   "INSERT INTO commands (id, org_id, computer, type, arguments, state, created_ms,"
                   " created_by, expires_ms, delivered_ms, finished_ms, output, changed)"
                   " VALUES ('id', 1, $1, 'scan', '{}', 'queued', 0, '', 0, 0, 0, '', $2)",
                   NULL, "nn", (int64_t)MANY, *number);
}

static int add_set(struct sql *sql, void *user UNUSED)
{
    return sql_run(sql,
                   "INSERT INTO signature_sets (scope, digest, content) VALUES ('', 'digest', '')",
                   NULL, "");
}

struct world {
    struct store_place *place;
    struct signature_sets *sets;
    struct waiting_agents *waiting;
};

static void begin(struct world *world, void **state, size_t most)
{
    world->place = *state;
    atomic_store(&finished, 0);
    now_ns = NS_PER_SECOND;
    pass(0);
    assert_int_equal(console_store_write(world->place->store, add_computers, NULL), 0);
    assert_int_equal(signature_sets_new(&world->sets), 0);
    const struct waiting_agents_options options = {.store = world->place->store,
                                                   .signatures = world->sets,
                                                   .most = most};
    assert_int_equal(waiting_agents_start(&options, &world->waiting), 0);
}

static int join_again(struct world *world, size_t place, size_t computer)
{
    struct waiting_agent *agent = &agents[place];
    *agent = (struct waiting_agent){.computer = (int64_t)computer};
    (void)text_copy(agent->told.policy_digest, sizeof(agent->told.policy_digest), "digest");
    atomic_store(&over[place], false);
    return waiting_agents_join(world->waiting, agent, 0);
}

static int join(struct world *world, size_t computer)
{
    return join_again(world, computer, computer);
}

static void end(struct world *world)
{
    waiting_agents_close(world->waiting);
    world->waiting = waiting_agents_free(world->waiting);
    world->sets = signature_sets_free(world->sets);
    clock_set_fake(0, 0);
}

static void test_many_are_told_in_turn(void **state)
{
    struct world world;
    begin(&world, state, MANY);
    for (size_t i = 1; i <= MANY; i++)
        assert_int_equal(join(&world, i), 0);
    int64_t number = console_store_new_number();
    assert_int_equal(console_store_write(world.place->store, command_last, &number), 0);
    assert_int_equal(console_store_write(world.place->store, change_all, NULL), 0);
    pass(NS_PER_SECOND);
    until_told(WAITING_WAKES_A_SECOND);
    assert_true(atomic_load(&over[MANY])); /* who has a command goes before the others */
    for (unsigned i = 2; atomic_load(&finished) < MANY; i++) {
        pass(NS_PER_SECOND);
        until_told(MIN(i * WAITING_WAKES_A_SECOND, (unsigned)MANY));
    }
    assert_int_equal(atomic_load(&finished), MANY);
    for (size_t i = 1; i <= MANY; i++)
        assert_int_equal(agents[i].outcome, WAIT_NEWS);
    end(&world);
}

static void test_the_time_of_all_is_over(void **state)
{
    struct world world;
    begin(&world, state, MANY);
    for (size_t i = 1; i <= MANY; i++)
        assert_int_equal(join(&world, i), 0);
    pass((WAITING_SECONDS - 2) * NS_PER_SECOND);
    assert_int_equal(join_again(&world, SECOND, 1), 0);
    until_finished(1);
    assert_int_equal(agents[1].outcome, WAIT_REPLACED);
    assert_int_equal(console_store_write(world.place->store, remove_first, NULL), 0);
    pass(NS_PER_SECOND);
    until_finished(3); /* the one that is replaced, one deleted, one deactivated */
    assert_int_equal(agents[SECOND].outcome, WAIT_NEWS);
    assert_int_equal(agents[2].outcome, WAIT_NEWS);
    assert_int_equal(join_again(&world, THIRD, 3), 0); /* its time begins anew */
    pass(NS_PER_SECOND);
    until_finished(MANY + 1); /* all but the third */
    assert_int_equal(agents[4].outcome, WAIT_NOTHING);
    assert_int_equal(agents[MANY].outcome, WAIT_NOTHING);
    end(&world);
    assert_int_equal(agents[THIRD].outcome, WAIT_ENDING);
    assert_int_equal(atomic_load(&finished), MANY + 2);
}

/* Of a node whose clock is behind, or of a transaction that took long. */
static void test_a_command_that_becomes_visible_late(void **state)
{
    struct world world;
    begin(&world, state, MANY);
    assert_int_equal(join(&world, MANY), 0);
    int64_t number = console_store_number_at(console_store_now_ms() - WAITING_SECONDS * 1000LL);
    assert_int_equal(console_store_write(world.place->store, command_last, &number), 0);
    pass(NS_PER_SECOND);
    until_finished(1);
    assert_int_equal(agents[MANY].outcome, WAIT_NEWS);
    end(&world);
}

static void test_a_slow_look_ends_no_wait_late(void **state)
{
    struct world world;
    begin(&world, state, MANY);
    atomic_store(&slow_reads, 2);
    assert_int_equal(join(&world, 1), 0);
    while (atomic_load(&slow_reads) > 0)
        (void)usleep(1000);
    (void)usleep(50000); /* it rests: only then the test can fail */
    pass(NS_PER_SECOND);
    until_finished(1);
    assert_int_equal(agents[1].outcome, WAIT_NOTHING);
    end(&world);
}

/* The copy of what sets there are became another one after it was looked at, before it waits. */
static void test_a_set_that_came_in_between(void **state)
{
    struct world world;
    begin(&world, state, MANY);
    assert_int_equal(console_store_write(world.place->store, add_set, NULL), 0);
    assert_int_equal(signature_sets_refresh(world.sets, world.place->store), 0);
    assert_int_equal(join(&world, 1), 0);
    pass(NS_PER_SECOND);
    until_finished(1);
    assert_int_equal(agents[1].outcome, WAIT_NEWS);
    end(&world);
}

static void test_no_more_than_may(void **state)
{
    struct waiting_agents_status status;
    struct world world;
    begin(&world, state, 2);
    assert_int_equal(join(&world, 1), 0);
    assert_int_equal(join(&world, 2), 0);
    assert_int_equal(join(&world, 3), -EUSERS);
    waiting_agents_wake(world.waiting, 3);
    waiting_agents_wake(world.waiting, 1);
    until_finished(1);
    assert_int_equal(join(&world, 3), 0);
    waiting_agents_status(world.waiting, &status);
    assert_int_equal(status.waiting, 2);
    assert_int_equal(status.woken, 1);
    assert_int_equal(status.refused, 1);
    waiting_agents_close(world.waiting);
    assert_int_equal(atomic_load(&finished), 3);
    assert_int_equal(waiting_agents_join(world.waiting, &agents[1], 0), -ESHUTDOWN);
    world.waiting = waiting_agents_free(world.waiting);
    world.sets = signature_sets_free(world.sets);
    clock_set_fake(0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_many_are_told_in_turn, store_place_open,
                                        store_place_close),
        cmocka_unit_test_setup_teardown(test_the_time_of_all_is_over, store_place_open,
                                        store_place_close),
        cmocka_unit_test_setup_teardown(test_a_command_that_becomes_visible_late, store_place_open,
                                        store_place_close),
        cmocka_unit_test_setup_teardown(test_a_slow_look_ends_no_wait_late, store_place_open,
                                        store_place_close),
        cmocka_unit_test_setup_teardown(test_a_set_that_came_in_between, store_place_open,
                                        store_place_close),
        cmocka_unit_test_setup_teardown(test_no_more_than_may, store_place_open, store_place_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
