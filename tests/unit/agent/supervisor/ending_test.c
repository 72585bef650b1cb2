/* What is told of an end, whether or not it is known who asked for it. */
#include "agent/protection/protection.h"
#include "agent/supervisor/agent.h"
#include "agent/supervisor/ending.h"

#include "common/text/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static bool is_protected;
static enum event_severity told_severity;
static char told_kind[32], told_detail[512];

bool protection_is_on(struct protection *protection UNUSED)
{
    return is_protected;
}

void agent_record(struct agent *agent UNUSED, const char *kind, enum event_severity severity,
                  const char *subject UNUSED, const char *detail)
{
    (void)text_copy(told_kind, sizeof told_kind, kind);
    (void)text_copy(told_detail, sizeof told_detail, detail != NULL ? detail : "");
    told_severity = severity;
}

static void an_end_by_itself_says_whether_it_was_protected(void **state UNUSED)
{
    struct agent agent = {.stop_detail = NULL};

    is_protected = true;
    ending_tell_stop(&agent);
    assert_string_equal(told_kind, "agent_stopped");
    assert_string_equal(told_detail, "{\"protected\":true}");
    assert_int_equal(told_severity, EVENT_HIGH);
    is_protected = false;
    ending_tell_stop(&agent);
    assert_string_equal(told_detail, "{\"protected\":false}");
    assert_int_equal(told_severity, EVENT_INFO);
}

static void who_stopped_it_is_told(void **state UNUSED)
{
    char detail[] = "{\"protected\":true,\"signal\":\"Terminated\"}";
    struct agent agent = {.stop_detail = detail};

    ending_tell_stop(&agent);
    assert_string_equal(told_detail, detail);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_end_by_itself_says_whether_it_was_protected),
        cmocka_unit_test(who_stopped_it_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
