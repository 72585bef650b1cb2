/* A limit binds wherever it stands above the scanner's group. */
#include "scanner/client/memory_room.h"

#include "common/files/file.h"
#include "common/text/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char root[64];

static int set_up(void **state)
{
    char path[128];

    (void)state;
    (void)text_copy(root, sizeof root, "/tmp/memory-room-XXXXXX");
    assert_non_null(mkdtemp(root));
    (void)text_format(path, sizeof path, "%s/yagura.slice/agent.service/scanner", root);
    return file_make_directories(path, 0700);
}

static int tear_down(void **state)
{
    int parent;

    (void)state;
    assert_int_equal(file_open_directory("/tmp", true, &parent), 0);
    assert_int_equal(file_remove_tree(parent, root + 5), 0);
    (void)close(parent);
    return 0;
}

static void put(const char *group, const char *name, const char *text)
{
    char path[256];

    (void)text_format(path, sizeof path, "%s%s/%s", root, group, name);
    assert_int_equal(file_replace(path, text, strlen(text), 0600), 0);
}

static void limit(const char *group, const char *most, const char *used)
{
    put(group, "memory.max", most);
    put(group, "memory.current", used);
}

static void the_least_of_all_levels_counts(void **state)
{
    static const char scanner[] = "/yagura.slice/agent.service/scanner";

    (void)state;
    assert_true(memory_room_of_group(root, scanner) == UINT64_MAX);
    limit(scanner, "max\n", "100\n");
    assert_true(memory_room_of_group(root, scanner) == UINT64_MAX);
    limit("/yagura.slice/agent.service", "1000\n", "400\n");
    assert_int_equal(memory_room_of_group(root, scanner), 600);
    limit(scanner, "900\n", "100\n");
    assert_int_equal(memory_room_of_group(root, scanner), 600);
    limit("/yagura.slice", "800\n", "500\n");
    assert_int_equal(memory_room_of_group(root, scanner), 300);
    limit("/yagura.slice", "800\n", "801\n");
    assert_int_equal(memory_room_of_group(root, scanner), 0);
}

/* In a container its own group is the root, with a limit of its own. */
static void the_root_may_have_a_limit(void **state)
{
    (void)state;
    limit("", "700\n", "200\n");
    assert_int_equal(memory_room_of_group(root, "/"), 500);
    assert_int_equal(memory_room_of_group(root, "/yagura.slice"), 500);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_least_of_all_levels_counts),
        TEST(the_root_may_have_a_limit),
    };

    return cmocka_run_group_tests_name("scanner/client/memory_room", tests, NULL, NULL);
}
