/* JSON read and written while memory runs out: an error, and nothing that leaks. */
#include "common/json/json_tree.h"
#include "common/json/json_writer.h"
#include "tests/unit/support/failing_allocator.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char text[] =
    "{\"name\":\"\\u00e9t\\u00e9\",\"list\":[1,-2,3.5,true,null],\"more\":{\"a\":{}}}";

static int read_tree(void *user UNUSED)
{
    struct json_tree *tree = NULL;
    char problem[128];
    int r = json_tree_parse(text, sizeof text - 1, &tree, problem);

    assert_true(r == 0 || r == -ENOMEM);
    if (r < 0)
        return r;
    const struct json_node *list = json_node_find(json_tree_root(tree), "list");
    assert_non_null(list);
    assert_string_equal(json_tree_text(tree, list), "[1,-2,3.5,true,null]");
    (void)json_tree_free(tree);
    return 0;
}

static int write_all(void *user UNUSED)
{
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(65536);
    struct json_writer json;

    json_writer_init(&json, &body);
    json_write_object_begin(&json);
    json_write_field_string(&json, "subject", "/srv/\xff\x01\"");
    json_write_field_number(&json, "number", -1);
    json_write_field_hex(&json, "inode", UINT64_MAX);
    json_write_key(&json, "list");
    json_write_array_begin(&json);
    for (size_t i = 0; i < 500; i++)
        json_write_string(&json, "a text that makes the buffer grow");
    json_write_array_end(&json);
    json_write_object_end(&json);
    return buffer_failed(&body);
}

static void reading(void **state UNUSED)
{
    assert_true(failing_allocator_each(read_tree, NULL) > 0);
}

static void writing(void **state UNUSED)
{
    assert_true(failing_allocator_each(write_all, NULL) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(reading), cmocka_unit_test(writing)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
