#include "agent/signatures/console_lists.h"

#include "common/files/file.h"
#include "common/text/text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char state_directory[64];

static int set_up(void **state)
{
    (void)state;
    (void)text_copy(state_directory, sizeof state_directory, "/tmp/yagura-lists-XXXXXX");
    return mkdtemp(state_directory) != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    AUTO_CLOSE int fd = -1;

    return file_open_directory("/tmp", true, &fd) < 0
               ? -1
               : file_remove_tree(fd, strrchr(state_directory, '/') + 1);
}

#define DOCUMENT                                                            \
    "{\"purpose\":\"signatures\",\"agent_id\":"                             \
    "\"01a20110-8b87-741b-b374-275c67b8f792\",\"digest\":"                  \
    "\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"," \
    "\"issued_ms\":1,\"expires_ms\":2,\"content\":{\"lists\":[{\"name\":"   \
    "\"%s\",\"text\":\"text\"}],\"allowed\":[],\"files\":[]}}"

static int put(const char *name)
{
    AUTO_FREE char *document = text_format_new(DOCUMENT, name);
    struct wire_signatures signatures;
    struct wire_problem problem;

    assert_int_equal(wire_signatures_decode(document, &signatures, &problem), 0);
    int r = console_lists_put(state_directory, &signatures, document);
    wire_signatures_done(&signatures);
    return r;
}

static bool stands(const char *name)
{
    AUTO_FREE char *path = text_format_new("%s/" SIGNATURES_FOLDER "/%s", state_directory, name);

    return access(path, F_OK) == 0;
}

static void test_lists_come_and_go(void **state)
{
    (void)state;
    struct wire_signatures signatures;

    assert_int_equal(console_lists_read(state_directory, &signatures), -ENOENT);
    assert_int_equal(put("yagura-console-a.ndb"), 0);
    assert_true(stands("yagura-console-a.ndb"));
    AUTO_FREE char *policy =
        text_format_new("%s/" SIGNATURES_FOLDER "/yagura-policy.hsb", state_directory);
    assert_int_equal(file_replace(policy, "x", 1, 0600), 0);
    assert_int_equal(put("yagura-console-b.yara"), 0);
    assert_false(stands("yagura-console-a.ndb"));
    assert_true(stands("yagura-console-b.yara"));
    assert_int_equal(console_lists_read(state_directory, &signatures), 0);
    assert_string_equal(signatures.lists[0].name, "yagura-console-b.yara");
    wire_signatures_done(&signatures);
    console_lists_remove(state_directory);
    assert_false(stands("yagura-console-b.yara"));
    assert_int_equal(console_lists_read(state_directory, &signatures), -ENOENT);
    assert_true(stands("yagura-policy.hsb")); /* is not the console's */
}

/* Also a console that is in the wrong hands writes no other file. */
static void test_names_that_are_none(void **state)
{
    (void)state;
    static const char *const refused[] = {
        "yagura-policy.hsb",    "daily.ndb", "set.json", "yagura-console-a", "yagura-console-a.cbc",
        "yagura-console-a.pwdb"};

    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        assert_int_equal(put(refused[i]), -EINVAL);
        assert_false(stands(refused[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_lists_come_and_go, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_names_that_are_none, set_up, tear_down)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
