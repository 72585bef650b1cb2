/* The form that CloudWatch takes metrics in. */
#include "storage/scan/scanner_metric.h"

#include "common/json/json_tree.h"
#include "common/time/clock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct json_node *member(const struct json_node *object, const char *key)
{
    const struct json_node *found = json_node_find(object, key);

    assert_non_null(found);
    return found;
}

static void test_form(void **state UNUSED)
{
    AUTO_BUFFER struct buffer json = BUFFER_WITH_MAXIMUM(1024);
    struct json_tree *tree;
    char problem[128];

    assert_int_equal(scanner_metric_write("a \"b\"", 90 * NS_PER_SECOND + 1,
                                          "user,seccomp; missing: namespaces,tmpfs,landlock",
                                          1700000000123 * NS_PER_MS + 456, &json),
                     0);
    assert_null(strchr(buffer_text(&json), '\n'));
    assert_int_equal(json_tree_parse(buffer_text(&json), json.length, &tree, problem), 0);
    const struct json_node *root = json_tree_root(tree), *aws = member(root, "_aws");
    assert_string_equal(member(root, "Scanner")->text, "a \"b\"");
    assert_string_equal(json_tree_text(tree, member(aws, "Timestamp")), "1700000000123");
    assert_string_equal(json_tree_text(tree, member(root, "SignatureAge")), "90");
    const struct json_node *of = json_node_first(member(aws, "CloudWatchMetrics"));
    assert_string_equal(member(of, "Namespace")->text, "Yagura/Storage");
    const struct json_node *dimensions = json_node_first(member(of, "Dimensions"));
    assert_string_equal(json_node_first(dimensions)->text, "Scanner");
    const struct json_node *metric = json_node_first(member(of, "Metrics"));
    assert_string_equal(member(metric, "Name")->text, "SignatureAge");
    assert_string_equal(member(metric, "Unit")->text, "Seconds");
    metric = json_node_next(metric);
    assert_string_equal(member(metric, "Name")->text, "SandboxStepsMissing");
    assert_string_equal(json_tree_text(tree, member(root, "SandboxStepsMissing")), "3");
    assert_string_equal(member(root, "Sandbox")->text,
                        "user,seccomp; missing: namespaces,tmpfs,landlock");
    (void)json_tree_free(tree);
}

static void test_a_name_that_is_too_long(void **state UNUSED)
{
    AUTO_BUFFER struct buffer json = BUFFER_WITH_MAXIMUM(64);

    assert_int_equal(scanner_metric_write("name", 0, "", 0, &json), -EMSGSIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_form),
        cmocka_unit_test(test_a_name_that_is_too_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
