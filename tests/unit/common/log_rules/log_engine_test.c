/* log_engine.c, log_counters.c: which rule a line is of, and what is counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/limits.h"
#include "common/log_rules/log_engine.h"
#include "common/text/text.h"
#include "common/time/clock.h"

static const char text[] =
    "decoders = (\n"
    "  { name = \"bad\"; program = \"p\"; contains = \"bad\"; regex = \"^bad (?<user>\\\\w+) (?<source_address>\\\\S+)\"; },\n"
    "  { name = \"good\"; program = \"p\"; contains = \"good\"; regex = \"^good (?<user>\\\\w+) (?<source_address>\\\\S+)\"; },\n"
    "  { name = \"slow\"; program = \"p\"; regex = \"^(a+)+$\"; } );\n"
    "rules = (\n"
    "  { id = 1; decoder = \"bad\"; severity = \"ignore\"; fields = { user = \"^monitor$\"; }; description = \"x\"; },\n"
    "  { id = 2; decoder = \"bad\"; severity = \"low\"; group = \"authentication_failure\"; description = \"x\"; },\n"
    "  { id = 3; decoder = \"good\"; severity = \"high\"; if_matched_group = \"authentication_failure\";\n"
    "    frequency = 2; timeframe = 60; same = [\"source_address\"]; description = \"x\"; },\n"
    "  { id = 4; decoder = \"good\"; severity = \"info\"; quiet = true; description = \"x\"; },\n"
    "  { id = 5; severity = \"high\"; if_matched_group = \"authentication_failure\"; frequency = 3;\n"
    "    timeframe = 60; ignore = 100; same = [\"source_address\"]; description = \"x\"; } );\n";

struct fixture {
    struct log_rules *rules;
    struct log_engine *engine;
    uint64_t now_ns;
    uint32_t ids[8];
    size_t count;
};

static int note(void *user, const struct log_line *line, const struct log_match *match)
{
    struct fixture *fixture = user;

    (void)line;
    assert_true(fixture->count < ARRAY_LENGTH(fixture->ids));
    fixture->ids[fixture->count++] = match->rule->id;
    return 0;
}

/* ids: those of the rules that match, 0 at the end. */
static void check(struct fixture *fixture, uint64_t after_s, const char *message,
                  const uint32_t *ids)
{
    fixture->now_ns += after_s * NS_PER_SECOND;
    const struct log_line line = {.time_ns = fixture->now_ns,
                                  .program = "p",
                                  .program_length = 1,
                                  .message = message,
                                  .message_length = strlen(message)};
    size_t count = 0;

    fixture->count = 0;
    assert_int_equal(log_engine_take(fixture->engine, &line, note, fixture), 0);
    while (ids[count] != 0)
        count++;
    assert_int_equal(fixture->count, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(fixture->ids[i], ids[i]);
}
#define CHECK(after_s, message, ...) \
    check(*state, after_s, message, (const uint32_t[]){__VA_ARGS__})

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct settings_error error;

    assert_non_null(fixture);
    fixture->now_ns = 1767323045ULL * NS_PER_SECOND;
    assert_int_equal(log_rules_new(&fixture->rules), 0);
    if (log_rules_add_text(fixture->rules, "t", text, false, &error) < 0 ||
        log_rules_seal(fixture->rules, &error) < 0)
        fail_msg("%s", error.text);
    assert_int_equal(log_engine_new(fixture->rules, &fixture->engine), 0);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    (void)log_engine_free(fixture->engine);
    (void)log_rules_free(fixture->rules);
    free(fixture);
    return 0;
}

static void test_first_rule_wins(void **state)
{
    CHECK(0, "bad monitor 1.1.1.1", 1, 0);
    CHECK(0, "bad bob 1.1.1.1", 2, 0);
    CHECK(0, "good bob 1.1.1.1", 4, 0);
    CHECK(0, "neither", 0);
}

/* The third of one address within a minute; then silence of 100 s, then again. */
static void test_frequency(void **state)
{
    CHECK(0, "bad a 1.1.1.1", 2, 0);
    CHECK(1, "bad b 1.1.1.1", 2, 0);
    CHECK(1, "bad b 2.2.2.2", 2, 0);
    CHECK(1, "bad c 1.1.1.1", 2, 5, 0);
    for (int i = 0; i < 6; i++)
        CHECK(10, "bad d 1.1.1.1", 2, 0);
    CHECK(50, "bad d 1.1.1.1", 2, 5, 0);
    CHECK(1, "bad d 1.1.1.1", 2, 0);
    CHECK(1, "bad d 1.1.1.1", 2, 0);
}

static void test_too_slow_is_not_counted(void **state)
{
    CHECK(0, "bad a 1.1.1.1", 2, 0);
    CHECK(40, "bad a 1.1.1.1", 2, 0);
    CHECK(40, "bad a 1.1.1.1", 2, 0);
    CHECK(15, "bad a 1.1.1.1", 2, 5, 0);
}

/* Ignored lines do not count either. */
static void test_after_failures(void **state)
{
    CHECK(0, "bad monitor 1.1.1.1", 1, 0);
    CHECK(0, "bad a 1.1.1.1", 2, 0);
    CHECK(1, "good a 1.1.1.1", 4, 0);
    CHECK(1, "bad a 1.1.1.1", 2, 0);
    CHECK(1, "good a 2.2.2.2", 4, 0);
    CHECK(1, "good a 1.1.1.1", 3, 0);
    CHECK(1, "good a 1.1.1.1", 4, 0);
}

/* An expression that would need longer than the universe has. */
static void test_steps_are_bounded(void **state)
{
    struct fixture *fixture = *state;

    CHECK(0, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", 0);
    assert_int_equal(log_engine_exhausted(fixture->engine), 1);
}

/* More addresses than counters: the memory stays, and the newest are counted. */
static void test_many_addresses(void **state)
{
    char message[64];

    for (int i = 0; i < 3 * LIMIT_LOG_COUNTERS; i++) {
        (void)text_format(message, sizeof message, "bad a 10.%d.%d.%d", i >> 16, i >> 8 & 255,
                          i & 255);
        CHECK(0, message, 2, 0);
    }
    CHECK(0, "bad a 9.9.9.9", 2, 0);
    CHECK(0, "bad a 9.9.9.9", 2, 0);
    CHECK(0, "bad a 9.9.9.9", 2, 5, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_first_rule_wins, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_frequency, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_too_slow_is_not_counted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_after_failures, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_steps_are_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many_addresses, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
