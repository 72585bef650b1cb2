/* The policies we ship are valid, say what they are for, and every key is documented: in
 * policies/README.md and in the manual pages. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/policy/agent_config.h"
#include "agent/policy/policy.h"
#include "common/buffers/buffer.h"
#include "common/files/file.h"
#include "common/text/text.h"

#define POLICIES SOURCE_DIRECTORY "/policies"
#define MANUALS  SOURCE_DIRECTORY "/packaging/man"

static struct policy *load(const char *name)
{
    struct settings_error error;
    struct policy *policy = NULL;
    char path[4096];
    assert_true(text_format(path, sizeof(path), POLICIES "/%s", name) > 0);
    if (policy_load(path, POLICIES, &policy, &error) < 0)
        fail_msg("%s", error.text);
    return policy;
}

static void test_every_policy_is_valid(void **state)
{
    (void)state;
    DIR *folder = opendir(POLICIES);
    struct dirent *entry;
    unsigned count = 0;
    assert_non_null(folder);
    while ((entry = readdir(folder)) != NULL) {
        if (!text_ends_with(entry->d_name, ".conf"))
            continue;
        struct policy *policy = load(entry->d_name);
        if (policy_description(policy)[0] == '\0')
            fail_msg("%s has no description", entry->d_name);
        policy_unref(policy);
        count++;
    }
    (void)closedir(folder);
    assert_true(count >= 3);
}

static bool holds(const char *const *list, const char *text)
{
    for (; *list != NULL; list++) {
        if (text_equal(*list, text))
            return true;
    }
    return false;
}

static void test_web_server_inherits_through_two_parents(void **state)
{
    (void)state;
    struct policy *policy = load("web-server.conf");
    const char *const *directories = policy_list(policy, POLICY_WATCH_EXCLUDE_DIRECTORIES);
    assert_true(holds(directories, "/proc/"));               /* base */
    assert_true(holds(directories, "/var/lib/postgresql/")); /* linux-server */
    assert_true(holds(directories, "/var/cache/nginx/"));    /* its own */
    assert_string_equal(policy_text(policy, POLICY_RESPOND_ACTION), "quarantine");
    assert_int_equal(policy_number(policy, POLICY_RESPOND_BRAKE), 1000);
    policy_unref(policy);
}

static char *content_of(const char *path)
{
    struct buffer text = BUFFER_WITH_MAXIMUM(1 << 20);
    if (file_read_all(path, &text) < 0)
        fail_msg("%s cannot be read", path);
    return buffer_take(&text);
}

static void test_readme_has_every_key(void **state)
{
    (void)state;
    char *readme = content_of(POLICIES "/README.md");
    for (int key = 0; key < POLICY_KEY_COUNT; key++) {
        const struct settings_rule *rule = policy_key_rule((enum policy_key)key);
        struct settings_value value;
        assert_int_equal(settings_fallback(rule, &value), 0);
        char *fallback = settings_value_show(rule, &value);
        char *row = text_format_new("| `%s` | `%s` |", rule->key, fallback);
        char *found = strstr(readme, row);
        if (found == NULL)
            fail_msg("policies/README.md lacks: %s", row);
        char *end = strchr(found, '\n');
        *end = '\0';
        if (strstr(found, rule->meaning) == NULL)
            fail_msg("policies/README.md, %s: the meaning is now: %s", rule->key, rule->meaning);
        *end = '\n';
        free(row);
        free(fallback);
        settings_value_done(&value);
    }
    free(readme);
}

/* A manual names a key as roff's  .B key  line or  .TP  entry. */
static void assert_named(const char *manual, const char *text, const char *key)
{
    char *line = text_format_new("\n.B %s\n", key);
    if (strstr(text, line) == NULL)
        fail_msg("%s does not describe %s", manual, key);
    free(line);
}

static void test_manuals_have_every_key(void **state)
{
    (void)state;
    char *manual = content_of(MANUALS "/yagura-policy.5");
    for (int key = 0; key < POLICY_KEY_COUNT; key++)
        assert_named("yagura-policy.5", manual, policy_key_rule((enum policy_key)key)->key);
    free(manual);
    size_t count = 0;
    const struct settings_rule *rules = agent_config_rules(&count);
    manual = content_of(MANUALS "/yagura-agent.conf.5");
    for (size_t i = 0; i < count; i++)
        assert_named("yagura-agent.conf.5", manual, rules[i].key);
    free(manual);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_policy_is_valid),
        cmocka_unit_test(test_web_server_inherits_through_two_parents),
        cmocka_unit_test(test_readme_has_every_key),
        cmocka_unit_test(test_manuals_have_every_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
