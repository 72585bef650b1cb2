/* policy.c, policy_chain.c: inheritance with origins, refusals with file, line and key, snapshots.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "agent/policy/policy.h"
#include "common/files/file.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "tests/unit/support/failing_allocator.h"

static char folder[] = "/tmp/yagura-policy-XXXXXX";
static char shared[128];

static const char *path_of(const char *name)
{
    static char path[4][256];
    static unsigned turn;
    turn = (turn + 1) % ARRAY_LENGTH(path);
    (void)text_format(path[turn], sizeof(path[turn]), "%s/%s", folder, name);
    return path[turn];
}

static void write_policy(const char *name, const char *text)
{
    AUTO_CLOSE int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(file_write(fd, text, strlen(text)), 0);
}

static int make_folder(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)text_format(shared, sizeof(shared), "%s/shared", folder);
    return mkdir(shared, 0755);
}

static int remove_folder(void **state)
{
    (void)state;
    AUTO_CLOSE int fd = -1;
    assert_int_equal(file_open_directory("/tmp", true, &fd), 0);
    return file_remove_tree(fd, folder + strlen("/tmp/"));
}

static struct policy *load(const char *name)
{
    struct policy *policy = NULL;
    struct settings_error error;
    if (policy_load(path_of(name), shared, &policy, &error) != 0)
        fail_msg("%s", error.text);
    return policy;
}

static void assert_load_fails(const char *name, int expected_error, const char *expected)
{
    struct policy *policy = NULL;
    struct settings_error error;
    assert_int_equal(policy_load(path_of(name), shared, &policy, &error), expected_error);
    assert_null(policy);
    if (strstr(error.text, expected) == NULL)
        fail_msg("says: %s\nwanted: %s", error.text, expected);
}

static void assert_origin(const struct policy *policy, enum policy_key key, const char *expected)
{
    assert_string_equal(policy_origin(policy, key), expected);
}

static void test_defaults(void **state)
{
    (void)state;
    struct policy *policy = NULL;
    assert_int_equal(policy_new_default(&policy), 0);
    assert_string_equal(policy_name(policy), "default");
    assert_true(policy_bool(policy, POLICY_WATCH_ENABLED));
    assert_int_equal(policy_number(policy, POLICY_SCAN_MAX_FILE_SIZE), 100 << 20);
    assert_int_equal(policy_number(policy, POLICY_SCAN_MAX_TIME), 60 * 1000000000ULL);
    assert_string_equal(policy_text(policy, POLICY_RESPOND_ACTION), "quarantine");
    assert_string_equal(policy_list(policy, POLICY_WATCH_PATHS)[0], "/");
    assert_null(policy_list(policy, POLICY_RESPOND_ALLOW_HASHES)[0]);
    assert_null(policy_sources(policy)[0]);
    for (int i = 0; i < POLICY_KEY_COUNT; i++) {
        enum policy_key found;
        assert_origin(policy, (enum policy_key)i, "built-in default");
        assert_int_equal(policy_key_find(policy_key_rule((enum policy_key)i)->key, &found), 0);
        assert_int_equal(found, i);
    }
    policy_unref(policy);
}

static void test_every_key_is_explained_in_japanese(void **state)
{
    (void)state;
    for (int i = 0; i < POLICY_KEY_COUNT; i++) {
        const char *meaning = policy_key_meaning_ja((enum policy_key)i);
        bool japanese = false;
        for (const char *at = meaning; *at != '\0'; at++)
            japanese = japanese || (unsigned char)*at >= 0xe3;
        if (!japanese)
            fail_msg("%s is missing in policy_keys_ja.h", policy_key_rule((enum policy_key)i)->key);
    }
}

static void test_chain_with_origins(void **state)
{
    (void)state;
    write_policy("shared/base.conf", "description = \"for all\";\n"
                                     "watch = { paths = (\"/srv\", \"/home\"); budget = 10; };\n"
                                     "scan = { workers = 1; };\n");
    write_policy("role.conf",
                 "parent = \"base\";\nwatch = {\n  paths_add = (\"/var/www\", \"/srv\");\n"
                 "};\nscan = { workers = 2; };\n");
    write_policy("host.conf", "parent = \"role\";\nscan = { workers = 3; };\n");
    struct policy *policy = load("host.conf");
    assert_string_equal(policy_name(policy), "host");
    assert_string_equal(policy_description(policy), "for all");
    assert_int_equal(policy_number(policy, POLICY_SCAN_WORKERS), 3);
    assert_int_equal(policy_number(policy, POLICY_WATCH_BUDGET), 10);
    char *paths = policy_value_text(policy, POLICY_WATCH_PATHS);
    assert_string_equal(paths, "(\"/srv\", \"/home\", \"/var/www\")");
    free(paths);
    char expected[512];
    (void)text_format(expected, sizeof(expected), "%s/shared/base.conf:2 + %s/role.conf:3", folder,
                      folder);
    assert_origin(policy, POLICY_WATCH_PATHS, expected);
    (void)text_format(expected, sizeof(expected), "%s/host.conf:2", folder);
    assert_origin(policy, POLICY_SCAN_WORKERS, expected);
    (void)text_format(expected, sizeof(expected), "%s/shared/base.conf:2", folder);
    assert_origin(policy, POLICY_WATCH_BUDGET, expected);
    assert_origin(policy, POLICY_SCAN_MAX_FILES, "built-in default");
    (void)text_format(expected, sizeof(expected), "%s/shared/base.conf", folder);
    assert_string_equal(policy_sources(policy)[0], expected);
    assert_string_equal(policy_sources(policy)[2], path_of("host.conf"));
    assert_null(policy_sources(policy)[3]);
    policy_unref(policy);
}

static void test_parent_beside_wins_over_shared(void **state)
{
    (void)state;
    write_policy("shared/twice.conf", "scan = { workers = 1; };");
    write_policy("twice.conf", "scan = { workers = 2; };");
    write_policy("child.conf", "parent = \"twice\";");
    struct policy *policy = load("child.conf");
    assert_int_equal(policy_number(policy, POLICY_SCAN_WORKERS), 2);
    policy_unref(policy);
}

static void test_broken_chains(void **state)
{
    (void)state;
    write_policy("self.conf", "\nparent = \"self\";");
    assert_load_fails("self.conf", -EINVAL,
                      "self.conf:2: parent: \"self\" is one of its own ancestors");
    write_policy("a.conf", "parent = \"b\";");
    write_policy("b.conf", "parent = \"c\";");
    write_policy("c.conf", "\n\nparent = \"a\";");
    assert_load_fails("a.conf", -EINVAL, "c.conf:3: parent: \"a\" is one of its own ancestors");
    write_policy("orphan.conf", "parent = \"nobody\";");
    assert_load_fails("orphan.conf", -EINVAL, "orphan.conf:1: parent: no policy nobody.conf in ");
    write_policy("climber.conf", "parent = \"../../etc/passwd\";");
    assert_load_fails("climber.conf", -EINVAL,
                      "climber.conf:1: parent: \"../../etc/passwd\" must begin");
    assert_load_fails("missing.conf", -ENOENT, "missing.conf: cannot be read: No such file");
    for (unsigned i = 0; i <= LIMIT_POLICY_PARENTS + 1; i++) {
        char name[32], text[64];
        (void)text_format(name, sizeof(name), "level%u.conf", i);
        (void)text_format(text, sizeof(text), i > 0 ? "parent = \"level%u\";" : "# %u\n", i - 1);
        write_policy(name, text);
    }
    policy_unref(load("level8.conf"));
    assert_load_fails("level9.conf", -EINVAL,
                      "level1.conf:1: parent: more than 8 parents in a row");
}

static void test_error_in_a_parent_names_the_parent(void **state)
{
    (void)state;
    write_policy("bad.conf", "scan = {\n workrs = 2; };");
    write_policy("good.conf", "parent = \"bad\";");
    assert_load_fails("good.conf", -EINVAL,
                      "bad.conf:2: scan.workrs: is not a known key; did you mean scan.workers?");
}

static void test_values_together(void **state)
{
    (void)state;
    static const char hash[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    char text[512];
    (void)text_format(text, sizeof(text),
                      "respond = { allow_hashes = (\"%s\");\n deny_hashes = (\"%s\"); };", hash,
                      hash);
    write_policy("both.conf", text);
    assert_load_fails("both.conf", -EINVAL, "both.conf:2: respond.deny_hashes: aaaa");
    write_policy("idle.conf",
                 "scan = { idle_exit = \"10m\"; };\nprevention = { enabled = true; };");
    assert_load_fails("idle.conf", -EINVAL, "idle.conf:1: scan.idle_exit: no open can wait");

    /* Two lists within the bounds that are too long together. */
    struct policy *policy = NULL;
    struct settings_error error;
    size_t size = 256 * 1024, length = 0;
    AUTO_FREE char *many = malloc(size);
    for (int level = 0; level < 2; level++) {
        length = (size_t)text_format(many, size, "%swatch = { paths_add = (",
                                     level > 0 ? "parent = \"many\";" : "");
        for (int i = 0; i < 3000; i++)
            length += (size_t)text_format(many + length, size - length, "%s\"/%d/%d\"",
                                          i > 0 ? "," : "", level, i);
        (void)text_format(many + length, size - length, "); };");
        if (level == 0)
            write_policy("shared/many.conf", many);
    }
    assert_int_equal(policy_parse("console", many, shared, &policy, &error), -EINVAL);
    assert_non_null(strstr(error.text, "console:1: watch.paths_add: too many entries together"));
}

static void test_parse_takes_parents_from_shared_only(void **state)
{
    (void)state;
    struct policy *policy = NULL;
    struct settings_error error;
    write_policy("shared/common.conf", "scan = { workers = 7; };");
    assert_int_equal(policy_parse("console", "parent = \"common\";", shared, &policy, &error), 0);
    assert_int_equal(policy_number(policy, POLICY_SCAN_WORKERS), 7);
    policy_unref(policy);
    policy = NULL;
    assert_int_equal(policy_parse("console", "parent = \"common\";", NULL, &policy, &error),
                     -EINVAL);
    assert_non_null(strstr(error.text, "console:1: parent: no policy common.conf"));
    assert_null(policy);
}

static void test_digest_is_of_the_values(void **state)
{
    (void)state;
    struct policy *policies[4] = {NULL};
    struct settings_error error;
    static const char *const texts[] = {
        "scan = { workers = 2; }; respond = { action = \"pass\"; };",
        "# the same\nrespond = { action = \"pass\"; };\nscan = { workers = 2; };",
        "scan = { workers = 3; }; respond = { action = \"pass\"; };", ""};
    char digests[4][65], plain[65];
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        assert_int_equal(policy_parse("p", texts[i], NULL, &policies[i], &error), 0);
        policy_digest(policies[i], digests[i]);
        assert_int_equal(strlen(digests[i]), 64);
        policy_unref(policies[i]);
    }
    assert_string_equal(digests[0], digests[1]);
    assert_string_not_equal(digests[0], digests[2]);
    struct policy *defaults = NULL;
    assert_int_equal(policy_new_default(&defaults), 0);
    policy_digest(defaults, plain);
    assert_string_equal(digests[3], plain);
    policy_unref(defaults);
}

static void test_owners(void **state)
{
    (void)state;
    struct settings_error error;
    write_policy("shared/open.conf", "");
    write_policy("closed.conf", "parent = \"open\";");
    struct policy *policy = load("closed.conf");
    assert_int_equal(policy_check_owners(policy, &error), 0);
    assert_int_equal(chmod(path_of("shared/open.conf"), 0666), 0);
    assert_int_equal(policy_check_owners(policy, &error), -EPERM);
    assert_non_null(
        strstr(error.text, "open.conf: can be changed by others (mode 666); chmod go-w it"));
    assert_int_equal(chmod(path_of("shared/open.conf"), 0644), 0);
    assert_int_equal(chmod(shared, 0777), 0);
    assert_int_equal(policy_check_owners(policy, &error), -EPERM);
    assert_int_equal(chmod(shared, 0755), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(path_of("closed.conf"), 12345, 0), 0);
        assert_int_equal(policy_check_owners(policy, &error), -EPERM);
        assert_non_null(strstr(error.text, "belongs to user 12345"));
    }
    policy_unref(policy);
}

static void test_names_are_escaped(void **state)
{
    (void)state;
    write_policy("e\x1b[2J.conf", "watch = { budget = 5; };");
    struct policy *policy = load("e\x1b[2J.conf");
    assert_string_equal(policy_name(policy), "e\\x1b[2J");
    assert_null(strchr(policy_origin(policy, POLICY_WATCH_BUDGET), '\x1b'));
    policy_unref(policy);
}

static void *use_snapshot(void *shared_policy)
{
    struct policy *policy = shared_policy;
    for (int i = 0; i < 10000; i++) {
        struct policy *own = policy_ref(policy);
        assert_int_equal(policy_number(own, POLICY_SCAN_WORKERS), 0);
        policy_unref(own);
    }
    return NULL;
}

static void test_snapshots_are_shared_between_threads(void **state)
{
    (void)state;
    struct policy *policy = NULL;
    assert_int_equal(policy_new_default(&policy), 0);
    pthread_t threads[2];
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_snapshot, policy), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    policy_unref(policy);
    assert_null(policy_unref(NULL));
}

static int attempt_load(void *user)
{
    (void)user;
    struct policy *policy = NULL;
    struct settings_error error;
    int r = policy_load(path_of("torture.conf"), shared, &policy, &error);
    if (r < 0) {
        assert_null(policy);
        assert_int_not_equal(error.text[0], '\0');
    }
    policy_unref(policy);
    return r;
}

static void test_each_allocation_may_fail(void **state)
{
    (void)state;
    /* The parent stands beside: one that is looked for twice allocates for a message nobody sees.
     */
    write_policy("torture_base.conf",
                 "description = \"d\"; watch = { paths = (\"/a\", \"/b\"); };");
    write_policy("torture.conf", "parent = \"torture_base\"; watch = { paths_add = (\"/c\"); };"
                                 "respond = { action = \"pass\"; };");
    assert_true(failing_allocator_each(attempt_load, NULL) > 100);
}

static void test_suggestion(void **state)
{
    (void)state;
    assert_string_equal(policy_key_suggest("scan.worker"), "scan.workers");
    assert_null(policy_key_suggest("nothing like it"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_every_key_is_explained_in_japanese),
        cmocka_unit_test(test_chain_with_origins),
        cmocka_unit_test(test_parent_beside_wins_over_shared),
        cmocka_unit_test(test_broken_chains),
        cmocka_unit_test(test_error_in_a_parent_names_the_parent),
        cmocka_unit_test(test_values_together),
        cmocka_unit_test(test_parse_takes_parents_from_shared_only),
        cmocka_unit_test(test_digest_is_of_the_values),
        cmocka_unit_test(test_owners),
        cmocka_unit_test(test_names_are_escaped),
        cmocka_unit_test(test_snapshots_are_shared_between_threads),
        cmocka_unit_test(test_each_allocation_may_fail),
        cmocka_unit_test(test_suggestion),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
