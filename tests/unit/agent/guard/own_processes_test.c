/* Which control group is the agent's, and that nobody is exempt where it has none. */
#include "agent/guard/own_processes.h"

#include "common/text/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

static void expect(const char *group, const char *service)
{
    char text[256];

    (void)text_copy(text, sizeof text, group);
    own_processes_cut_service(text);
    assert_string_equal(text, service);
}

static void the_unit_is_found_in_whatever_slice(void **state)
{
    (void)state;
    expect("/yagura.slice/yagura-agent.service/agent", "/yagura.slice/yagura-agent.service");
    expect("/yagura.slice/yagura-agent.service", "/yagura.slice/yagura-agent.service");
    expect("/system.slice/yagura-agent.service/a/b", "/system.slice/yagura-agent.service");
    expect("/a/yagura-agent.service.d/yagura-agent.service/b",
           "/a/yagura-agent.service.d/yagura-agent.service");
}

static void a_group_of_others_is_none(void **state)
{
    (void)state;
    expect("/", "");
    expect("", "");
    expect("/user.slice/user-1000.slice/user@1000.service/app.slice", "");
    expect("/yagura.slice/yagura-agent.service.d", "");
    expect("/yagura.slice/not-yagura-agent.service", "");
}

/* These tests run in no unit of the agent: its group, "", must not hold everybody. */
static void without_a_unit_only_descendants_are_ours(void **state)
{
    struct own_processes own;

    (void)state;
    own_processes_init(&own);
    assert_string_equal(own.service, "");
    assert_true(own_processes_include(&own, getpid())); /* the child of whoever began it */
    own.agent = getpid();
    assert_false(own_processes_include(&own, getpid()));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_unit_is_found_in_whatever_slice),
        cmocka_unit_test(a_group_of_others_is_none),
        cmocka_unit_test(without_a_unit_only_descendants_are_ours),
    };

    return cmocka_run_group_tests_name("agent/guard/own_processes", tests, NULL, NULL);
}
