/* agent_config.c: defaults, derived values, refusals. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/policy/agent_config.h"
#include "common/files/file.h"
#include "common/text/text.h"
#include "tests/unit/support/failing_allocator.h"

static char folder[] = "/tmp/yagura-config-XXXXXX";
static char path[128];

static int make_folder(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    return text_format(path, sizeof(path), "%s/agent.conf", folder) < 0;
}

static int remove_folder(void **state)
{
    (void)state;
    AUTO_CLOSE int fd = -1;
    assert_int_equal(file_open_directory("/tmp", true, &fd), 0);
    return file_remove_tree(fd, folder + strlen("/tmp/"));
}

static int load(const char *text, struct agent_config **ret_config, struct settings_error *error)
{
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(file_write(fd, text, strlen(text)), 0);
    return agent_config_load(path, ret_config, error);
}

static void test_defaults(void **state)
{
    (void)state;
    struct agent_config *config = NULL;
    struct settings_error error;
    assert_int_equal(load("", &config, &error), 0);
    assert_string_equal(config->state_directory, "/var/lib/yagura");
    assert_string_equal(config->runtime_directory, "/run/yagura");
    assert_string_equal(config->control_socket, "/run/yagura/control.sock");
    assert_string_equal(config->database_directories[0], "/var/lib/clamav");
    assert_string_equal(config->database_directories[1], "/etc/yagura/signatures");
    assert_null(config->database_directories[2]);
    assert_string_equal(config->scanner_user, "yagura-scanner");
    assert_string_equal(config->log_level, "policy");
    assert_int_equal(config->policy_directory[0], '/');
    assert_int_equal(config->program_directory[0], '/');
    agent_config_free(config);
    assert_null(agent_config_free(NULL));
}

static void test_values(void **state)
{
    (void)state;
    struct agent_config *config = NULL;
    struct settings_error error;
    assert_int_equal(load("runtime_directory = \"/tmp/x/\"; scanner_user = \"nobody\";\n"
                          "database_directories = (\"/db\"); program_directory = \"/p\";"
                          "policy = \"/tmp/p.conf\"; log_level = \"debug\";",
                          &config, &error),
                     0);
    assert_string_equal(config->control_socket, "/tmp/x/control.sock");
    assert_string_equal(config->scanner_user, "nobody");
    assert_string_equal(config->database_directories[0], "/db");
    assert_null(config->database_directories[1]);
    assert_string_equal(config->program_directory, "/p");
    assert_string_equal(config->log_level, "debug");
    agent_config_free(config);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"\nstate_dir = \"/x\";", "agent.conf:2: state_dir"},
        {"state_directory = \"x\";", "state_directory: \"x\" must be an absolute path"},
        {"log_level = \"loud\";", "must be one of policy|error|warning|info|debug"},
        {"scanner_user = \"a b\";", "letters, digits"},
        {"database_directories_add = (\"/x\");", "is not a known key"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct agent_config *config = NULL;
        struct settings_error error;
        assert_int_equal(load(cases[i].text, &config, &error), -EINVAL);
        assert_null(config);
        if (strstr(error.text, cases[i].expected) == NULL)
            fail_msg("says: %s\nwanted: %s", error.text, cases[i].expected);
    }
    struct agent_config *config = NULL;
    struct settings_error error;
    assert_int_equal(agent_config_load("/nonexistent/agent.conf", &config, &error), -ENOENT);
    assert_non_null(strstr(error.text, "/nonexistent/agent.conf: cannot be read"));
}

static void test_policy_of_the_configuration(void **state)
{
    (void)state;
    struct agent_config *config = NULL;
    struct policy *policy = NULL;
    struct settings_error error;
    char text[256];
    (void)text_format(text, sizeof(text), "policy = \"%s/missing.conf\";", folder);
    assert_int_equal(load(text, &config, &error), 0);
    assert_int_equal(agent_config_load_policy(config, &policy, &error), -ENOENT);
    assert_null(policy);
    free(config->policy);
    config->policy = strdup("");
    assert_int_equal(agent_config_load_policy(config, &policy, &error), 0);
    assert_string_equal(policy_name(policy), "default");
    policy_unref(policy);
    agent_config_free(config);
}

static int attempt_load(void *user)
{
    (void)user;
    struct agent_config *config = NULL;
    struct settings_error error;
    int r = agent_config_load(path, &config, &error);
    if (r < 0)
        assert_null(config);
    agent_config_free(config);
    return r;
}

static void test_each_allocation_may_fail(void **state)
{
    (void)state;
    struct agent_config *config = NULL;
    struct settings_error error;
    assert_int_equal(load("database_directories = (\"/a\", \"/b\");", &config, &error), 0);
    agent_config_free(config);
    assert_true(failing_allocator_each(attempt_load, NULL) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_policy_of_the_configuration),
        cmocka_unit_test(test_each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
