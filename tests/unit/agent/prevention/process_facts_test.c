/* Who a process is. */
#include "agent/prevention/process_facts.h"

#include "common/json/json_writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void assert_container(const char *groups, const char *wanted)
{
    char container[PROCESS_CONTAINER_BYTES];

    process_facts_find_container(groups, container);
    assert_string_equal(container, wanted);
}

static void control_groups_tell_the_container(void **state)
{
    (void)state;
    assert_container("0::/system.slice/docker-" ID ".scope\n", ID);
    assert_container("12:cpu:/docker/" ID "\n0::/docker/" ID "\n", ID);
    assert_container("0::/kubepods.slice/cri-containerd-" ID ".scope", ID);
    assert_container("0::/machine.slice/libpod-" ID ".scope/container", ID);
    assert_container("0::/system.slice/cron.service\n", "");
    assert_container("0::/x/a" ID "\n", ""); /* 65 digits are something else */
    assert_container("", "");
}

static void our_own_facts_are_known(void **state)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(65536);
    struct process_facts facts;
    struct json_writer json;
    char self[PATH_MAX] = "";

    (void)state;
    process_facts_read(getpid(), &facts);
    assert_true(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    assert_string_equal(facts.executable, self);
    assert_int_equal(facts.user, geteuid());
    json_writer_init(&json, &text);
    json_write_object_begin(&json);
    process_facts_write(&facts, &json);
    json_write_object_end(&json);
    assert_non_null(strstr(buffer_text(&text), "\"executable\":\""));
    assert_non_null(strstr(buffer_text(&text), "\"uid\":"));
    if (geteuid() == 0)
        assert_non_null(strstr(buffer_text(&text), "\"user\":\"root\""));
}

static void who_has_gone_has_no_facts(void **state)
{
    struct process_facts facts;

    (void)state;
    process_facts_read(0, &facts);
    assert_string_equal(facts.executable, "");
    assert_int_equal(facts.user, PROCESS_NO_USER);
    assert_int_equal(facts.login_user, PROCESS_NO_USER);
    assert_string_equal(facts.container, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_groups_tell_the_container),
        cmocka_unit_test(our_own_facts_are_known),
        cmocka_unit_test(who_has_gone_has_no_facts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
