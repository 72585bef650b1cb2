/* policy.c, policy_chain.c, agent_config.c: every allocation of ours may fail; a policy is loaded
 * whole or not at all, and nothing leaks. */
#include "agent/policy/agent_config.h"
#include "agent/policy/policy.h"
#include "common/files/file.h"
#include "common/text/text.h"
#include "tests/unit/support/failing_allocator.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static char folder[] = "/tmp/yagura-policy-memory-XXXXXX";
static char child[256], config[256];

static void write_text(const char *path, const char *text)
{
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(file_write(fd, text, strlen(text)), 0);
}

static int make_folder(void **state UNUSED)
{
    char path[256], text[512];

    assert_non_null(mkdtemp(folder));
    (void)text_format(path, sizeof path, "%s/base.conf", folder);
    write_text(path, "watch = { paths = (\"/srv\"); exclude_extensions = (\"log\"); };\n");
    (void)text_format(child, sizeof child, "%s/child.conf", folder);
    write_text(child, "parent = \"base\";\nwatch = { exclude_extensions_add = (\"tmp\"); };\n");
    (void)text_format(config, sizeof config, "%s/agent.conf", folder);
    (void)text_format(text, sizeof text, "state_directory = \"%s\";\npolicy = \"%s\";\n", folder,
                      child);
    write_text(config, text);
    return 0;
}

static int remove_folder(void **state UNUSED)
{
    AUTO_CLOSE int fd = -1;

    assert_int_equal(file_open_directory("/tmp", true, &fd), 0);
    return file_remove_tree(fd, folder + strlen("/tmp/"));
}

static int attempt_load(void *user UNUSED)
{
    struct policy *policy = NULL;
    struct settings_error error;

    int r = policy_load(child, folder, &policy, &error);
    if (r < 0) {
        assert_null(policy);
        return r;
    }
    const char *const *extensions = policy_list(policy, POLICY_WATCH_EXCLUDE_EXTENSIONS);
    assert_string_equal(extensions[0], "log");
    assert_string_equal(extensions[1], "tmp");
    AUTO_FREE char *value = policy_value_text(policy, POLICY_WATCH_PATHS);
    (void)policy_unref(policy);
    return value == NULL ? -ENOMEM : 0;
}

static int attempt_default(void *user UNUSED)
{
    struct policy *policy = NULL;

    int r = policy_new_default(&policy);
    (void)policy_unref(policy);
    return r;
}

static int attempt_config(void *user UNUSED)
{
    struct agent_config *loaded = NULL;
    struct settings_error error;
    struct policy *policy = NULL;

    int r = agent_config_load(config, &loaded, &error);
    if (r == 0)
        r = agent_config_load_policy(loaded, &policy, &error);
    (void)policy_unref(policy);
    (void)agent_config_free(loaded);
    return r;
}

static void test_loading_a_chain(void **state UNUSED)
{
    assert_true(failing_allocator_each(attempt_load, NULL) > 20);
}

static void test_the_default_policy(void **state UNUSED)
{
    assert_true(failing_allocator_each(attempt_default, NULL) > 5);
}

static void test_the_configuration(void **state UNUSED)
{
    assert_true(failing_allocator_each(attempt_config, NULL) > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loading_a_chain),
        cmocka_unit_test(test_the_default_policy),
        cmocka_unit_test(test_the_configuration),
    };

    return cmocka_run_group_tests_name("policy_memory", tests, make_folder, remove_folder);
}
