/* What an event filter takes and matches. */
#include "common/text/text.h"
#include "console/alerts/alert_rules.h"
#include "console/events/event_match.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define EAST "11111111-1111-4111-8111-111111111111"

static bool matches(const char *filter, unsigned severity, const char *module, const char *kind,
                    const char *group, const char *detail)
{
    struct event_match match;
    assert_int_equal(event_match_parse(filter, &match), 0);
    struct event_facts event = {severity, module, kind, group, detail};
    return event_matches(&match, &event);
}

static void matching(void **state UNUSED)
{
    assert_true(matches("{}", 0, "watch", "gap", "", "{}"));
    assert_false(matches("{\"severity\":\"high\"}", 2, "watch", "gap", "", "{}"));
    assert_true(matches("{\"severity\":\"high\"}", 3, "watch", "gap", "", "{}"));
    assert_false(matches("{\"modules\":[\"malware\"]}", 4, "watch", "gap", "", "{}"));
    assert_true(matches("{\"modules\":[\"malware\",\"watch\"]}", 0, "watch", "gap", "", "{}"));
    assert_false(matches("{\"kinds\":[\"gap\"],\"modules\":[\"x\"]}", 0, "watch", "gap", "", "{}"));
    assert_true(matches("{\"groups\":[\"" EAST "\"]}", 0, "watch", "gap", EAST, "{}"));
    assert_false(matches("{\"groups\":[\"" EAST "\"]}", 0, "watch", "gap", "", "{}"));
    assert_true(matches("{\"signature\":\"Eicar\"}", 0, "malware", "found", "",
                        "{\"signature\":\"Eicar-Test\"}"));
    assert_false(matches("{\"signature\":\"Eicar\"}", 0, "malware", "found", "",
                         "{\"signature\":\"Not-Eicar\"}"));
    assert_false(matches("{\"signature\":\"Eicar\"}", 0, "malware", "found", "", "{broken"));
    assert_false(
        matches("{\"signature\":\"Eicar\"}", 0, "malware", "found", "", "{\"signature\":1}"));
}

static void bad_filters(void **state UNUSED)
{
    static const char *const bad[] = {"[]",
                                      "{\"severity\":\"worst\"}",
                                      "{\"severity\":1}",
                                      "{\"modules\":\"malware\"}",
                                      "{\"modules\":[\"\"]}",
                                      "{\"modules\":[1]}",
                                      "{\"groups\":[\"east\"]}",
                                      "{\"signature\":[]}",
                                      "{\"severity\":\"low\",\"severity\":\"low\"}"};
    struct event_match match;
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
        assert_int_equal(event_match_parse(bad[i], &match), -EBADMSG);
}

static void conditions(void **state UNUSED)
{
    struct alert_condition condition;
    assert_int_equal(alert_condition_parse("{\"type\":\"event\",\"by\":\"signature\","
                                           "\"modules\":[\"malware\"]}",
                                           &condition),
                     0);
    assert_true(condition.by_signature);
    assert_int_equal(alert_condition_parse("{\"type\":\"offline\",\"seconds\":900}", &condition),
                     0);
    assert_int_equal(condition.ms, 900000);
    assert_int_equal(
        alert_condition_parse("{\"type\":\"degraded\",\"groups\":[\"" EAST "\"]}", &condition), 0);
    static const char *const bad[] = {"{}",
                                      "{\"type\":\"storm\"}",
                                      "{\"type\":\"offline\"}",
                                      "{\"type\":\"offline\",\"seconds\":59}",
                                      "{\"type\":\"offline\",\"seconds\":31536001}",
                                      "{\"type\":\"degraded\",\"seconds\":60}",
                                      "{\"type\":\"event\",\"seconds\":60}",
                                      "{\"type\":\"event\",\"by\":\"day\"}",
                                      "{\"type\":\"signatures_old\",\"seconds\":-1}"};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
        assert_int_equal(alert_condition_parse(bad[i], &condition), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matching),
        cmocka_unit_test(bad_filters),
        cmocka_unit_test(conditions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
