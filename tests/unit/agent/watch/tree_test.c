#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/watch/tree.h"

static struct tree tree;

static int set_up(void **state)
{
    (void)state;
    return tree_init(&tree, 7, 300000);
}

static int tear_down(void **state)
{
    (void)state;
    tree_done(&tree);
    return 0;
}

static uint32_t add(uint32_t parent, const char *name)
{
    uint32_t index = 0;

    assert_int_equal(tree_add(&tree, parent, name, strlen(name), &index), 0);
    return index;
}

static void assert_path(uint32_t index, const char *expected)
{
    char path[1024];
    size_t length;

    assert_int_equal(tree_path(&tree, index, path, sizeof(path), &length), 0);
    assert_string_equal(path, expected);
    assert_int_equal(length, strlen(expected));
}

static void builds_and_finds_paths(void **state)
{
    static const char longer[] = "a-name-that-is-longer-than-the-room-within-a-node";
    uint32_t a = add(TREE_ROOT, "a");
    uint32_t b = add(a, longer);
    uint32_t c = add(b, "c");
    char path[8];
    size_t length;

    (void)state;
    assert_path(TREE_ROOT, "/");
    assert_path(a, "/a");
    assert_path(c, "/a/a-name-that-is-longer-than-the-room-within-a-node/c");
    assert_int_equal(tree_find(&tree, "/a/a-name-that-is-longer-than-the-room-within-a-node/c"), c);
    assert_int_equal(tree_find(&tree, "/"), TREE_ROOT);
    assert_int_equal(tree_find(&tree, "/a/x"), TREE_NONE);
    assert_int_equal(tree_child(&tree, a, longer, strlen(longer)), b);
    assert_int_equal(tree_add(&tree, TREE_ROOT, "a", 1, &a), -EEXIST);
    assert_int_equal(tree_path(&tree, c, path, sizeof(path), &length), -ENAMETOOLONG);
    assert_true(tree_below(&tree, c, a));
    assert_false(tree_below(&tree, a, c));
}

static void moves_whole_subtrees(void **state)
{
    uint32_t a = add(TREE_ROOT, "a");
    uint32_t b = add(a, "b");
    uint32_t c = add(b, "c");
    uint32_t d = add(TREE_ROOT, "d");
    char path[64];
    size_t length;

    (void)state;
    tree_detach(&tree, b, TREE_LIMBO);
    assert_int_equal(tree_child(&tree, a, "b", 1), TREE_NONE);
    assert_int_equal(tree_path(&tree, c, path, sizeof(path), &length), -ESTALE);
    assert_true(tree_below(&tree, c, TREE_LIMBO));
    assert_int_equal(tree_attach(&tree, b, d, "new-name-which-needs-much-room", 30), 0);
    assert_path(c, "/d/new-name-which-needs-much-room/c");
    tree_detach(&tree, b, TREE_LIMBO);
    assert_int_equal(add(d, "b") > 0, 1);
    assert_int_equal(tree_attach(&tree, b, d, "b", 1), -EEXIST);
    assert_int_equal(tree_attach(&tree, b, a, "b", 1), 0);
    assert_path(c, "/a/b/c");
}

static void one_key_may_stand_for_several_nodes(void **state)
{
    uint32_t a = add(TREE_ROOT, "a");
    uint32_t b = add(TREE_ROOT, "b");
    uint32_t first, second;

    (void)state;
    tree_bind(&tree, a, 17);
    tree_bind(&tree, b, 17);
    first = tree_first_by_key(&tree, 17);
    second = tree_next_by_key(&tree, first);
    assert_true((first == a && second == b) || (first == b && second == a));
    assert_int_equal(tree_next_by_key(&tree, second), TREE_NONE);
    assert_int_equal(tree_first_by_key(&tree, 18), TREE_NONE);
    assert_false(tree_unbind(&tree, a));
    assert_true(tree_unbind(&tree, b));
    assert_int_equal(tree_first_by_key(&tree, 17), TREE_NONE);
}

static void freed_numbers_are_told_apart(void **state)
{
    uint32_t a = add(TREE_ROOT, "a");
    uint16_t generation = tree_at(&tree, a)->generation;
    uint32_t again;

    (void)state;
    assert_non_null(tree_at_generation(&tree, a, generation));
    tree_free(&tree, a);
    assert_null(tree_at_generation(&tree, a, generation));
    again = add(TREE_ROOT, "b");
    assert_int_equal(again, a);
    assert_null(tree_at_generation(&tree, a, generation));
    assert_non_null(tree_at_generation(&tree, a, tree_at(&tree, a)->generation));
    assert_null(tree_at_generation(&tree, 250000, 0));
    assert_null(tree_at_generation(&tree, TREE_NONE, 0));
}

/* Random operations against the plainest model there is: an array of paths. */
static void agrees_with_a_simple_model(void **state)
{
    enum { NODES = 400, STEPS = 20000 };
    static uint32_t nodes[NODES], parents[NODES];
    static char names[NODES][40];
    unsigned int seed = 12345;

    (void)state;
    for (int step = 0; step < STEPS; step++) {
        unsigned int i = (unsigned int)rand_r(&seed) % NODES;
        unsigned int j = (unsigned int)rand_r(&seed) % NODES;
        uint32_t parent = nodes[j] != 0 && i != j ? nodes[j] : TREE_ROOT;

        if (nodes[i] == 0) {
            (void)snprintf(names[i], sizeof(names[i]), "%s-%d",
                           i % 2 == 0 ? "n" : "a-name-beyond-the-inline-room", step);
            parents[i] = parent;
            nodes[i] = add(parent, names[i]);
            tree_bind(&tree, nodes[i], step + 1);
        } else if (tree_at(&tree, nodes[i])->first_child == TREE_NONE && step % 3 == 0) {
            tree_free(&tree, nodes[i]);
            nodes[i] = 0;
        } else if (!tree_below(&tree, parent, nodes[i])) {
            tree_detach(&tree, nodes[i], TREE_LIMBO);
            (void)snprintf(names[i], sizeof(names[i]), "m%d", step);
            parents[i] = parent;
            assert_int_equal(tree_attach(&tree, nodes[i], parent, names[i], strlen(names[i])), 0);
        }
        if (nodes[i] != 0)
            assert_int_equal(tree_child(&tree, parents[i], names[i], strlen(names[i])), nodes[i]);
    }
    for (unsigned int i = 0; i < NODES; i++) {
        if (nodes[i] == 0)
            continue;
        assert_int_equal(tree_child(&tree, parents[i], names[i], strlen(names[i])), nodes[i]);
        assert_int_equal(tree_first_by_key(&tree, tree_at(&tree, nodes[i])->key), nodes[i]);
    }
}

static void a_hundred_thousand_take_about_100_bytes_each(void **state)
{
    char name[32];
    uint32_t parent = TREE_ROOT;
    size_t bytes;

    (void)state;
    for (int i = 0; i < 100000; i++) {
        (void)snprintf(name, sizeof(name), "directory-%d", i);
        if (i % 100 == 0)
            parent = add(TREE_ROOT, name);
        else
            tree_bind(&tree, add(parent, name), i);
    }
    bytes =
        (size_t)tree.chunk_count * 1024 * sizeof(struct tree_node) + (size_t)tree.bucket_count * 8;
    assert_true(bytes / 100000 <= 100);
}

static void has_a_limit(void **state)
{
    struct tree small;
    uint32_t index;

    (void)state;
    assert_int_equal(tree_init(&small, 1, 6), 0);
    assert_int_equal(tree_add(&small, TREE_ROOT, "a", 1, &index), 0);
    assert_int_equal(tree_add(&small, TREE_ROOT, "b", 1, &index), 0);
    assert_int_equal(tree_add(&small, TREE_ROOT, "c", 1, &index), -ENOSPC);
    tree_free(&small, tree_child(&small, TREE_ROOT, "a", 1));
    assert_int_equal(tree_add(&small, TREE_ROOT, "c", 1, &index), 0);
    tree_done(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(builds_and_finds_paths, set_up, tear_down),
        cmocka_unit_test_setup_teardown(moves_whole_subtrees, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_key_may_stand_for_several_nodes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(freed_numbers_are_told_apart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(agrees_with_a_simple_model, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_hundred_thousand_take_about_100_bytes_each, set_up,
                                        tear_down),
        cmocka_unit_test(has_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
