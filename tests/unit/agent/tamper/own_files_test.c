/* own_files.c: which names are the agent's own, and what they are; and that no number of some hides
 * those whose names are fixed. */
#include "agent/tamper/own_files.h"

#include "common/files/file.h"
#include "common/text/text.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOT_OURS (-1)
#define ETC      "/etc/systemd/system/"
#define USR      "/usr/lib/systemd/system/"

static const struct {
    const char *path;
    int kind;
} table[] = {
    {"/sbin/yagura-agent", OWN_PROGRAM},
    {"/libexec/yagura-scanner", OWN_PROGRAM},
    {"/etc/yagura/agent.conf", OWN_CONFIGURATION},
    {"/etc/yagura/policy.conf", OWN_CONFIGURATION},
    {"/etc/ld.so.preload", OWN_PRELOAD},
    {"/var/events.db", OWN_DATABASE},
    {USR "yagura-agent.service", OWN_UNIT},
    {USR "yagura.slice", OWN_UNIT},
    {ETC "yagura-agent.service", OWN_OVERRIDE},
    {"/run/systemd/system/yagura.slice", OWN_OVERRIDE},
    {"/etc/systemd/system.control/yagura-agent.service", OWN_OVERRIDE},
    {ETC "yagura-agent.service.d/a.conf", OWN_OVERRIDE},
    {USR "yagura-agent.service.d/a.conf", OWN_OVERRIDE},
    {ETC "yagura.slice.d/a.conf", OWN_OVERRIDE},
    {ETC "yagura-.service.d/a.conf", OWN_OVERRIDE},
    {ETC "service.d/a.conf", OWN_OVERRIDE},
    {"/run/systemd/system/service.d/a.conf", OWN_OVERRIDE},
    {"/usr/local/lib/systemd/system/slice.d/a.conf", OWN_OVERRIDE},
    {ETC "slice.d/a.conf", OWN_OVERRIDE},
    {USR "service.d/a.conf", OWN_UNIT},
    {USR "slice.d/a.conf", OWN_UNIT},
    {USR "yagura-.service.d/a.conf", OWN_UNIT},
    {ETC "yagura-agent.service.d/folder/a.conf", NOT_OURS},
    {ETC "yagura-console.service.d/a.conf", NOT_OURS},
    {ETC "yagura-console.service", NOT_OURS},
    {ETC "timer.d/a.conf", NOT_OURS},
    {ETC "yagura-.slice.d/a.conf", NOT_OURS},
    {"/etc/yagura/other.conf", NOT_OURS},
};

static char root[64], texts[5][256];
static struct tamper_options options;
static struct {
    const char *path; /* without the root */
    enum own_kind kind;
} found[OWN_FILES_MAXIMUM + 1];
static char paths[OWN_FILES_MAXIMUM + 1][256], left_out[PATH_MAX];
static size_t count;

static const char *in_root(size_t place, const char *name)
{
    (void)text_format(texts[place], sizeof texts[place], "%s%s", root, name);
    return texts[place];
}

static void put(const char *name)
{
    char path[256], directory[256];

    (void)text_format(path, sizeof path, "%s%s", root, name);
    (void)text_copy(directory, sizeof directory, path);
    *strrchr(directory, '/') = '\0';
    assert_int_equal(file_make_directories(directory, 0755), 0);
    assert_int_equal(file_replace(path, "x", 1, 0644), 0);
}

static int set_up(void **state UNUSED)
{
    (void)text_copy(root, sizeof root, "/tmp/yagura-own-files-XXXXXX");
    assert_non_null(mkdtemp(root));
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++)
        put(table[i].path);
    options = (struct tamper_options){.root = root,
                                      .program = in_root(0, "/sbin/yagura-agent"),
                                      .program_directory = in_root(1, "/libexec"),
                                      .configuration = in_root(2, "/etc/yagura/agent.conf"),
                                      .policy = in_root(3, "/etc/yagura/policy.conf"),
                                      .database = in_root(4, "/var/events.db")};
    return 0;
}

static int tear_down(void **state UNUSED)
{
    return file_remove_tree(AT_FDCWD, root);
}

static int visit(void *user UNUSED, const char *path, enum own_kind kind)
{
    assert_true(count < OWN_FILES_MAXIMUM);
    (void)text_copy(paths[count], sizeof paths[count], path + strlen(root));
    found[count].path = paths[count];
    found[count++].kind = kind;
    return 0;
}

static void list(void)
{
    count = 0;
    assert_int_equal(own_files_list(&options, visit, NULL, left_out), 0);
}

static int kind_of(const char *path)
{
    int kind = NOT_OURS;

    for (size_t i = 0; i < count; i++)
        if (text_equal(found[i].path, path)) {
            assert_int_equal(kind, NOT_OURS); /* once */
            kind = (int)found[i].kind;
        }
    return kind;
}

static void each_name_is_what_it_is(void **state UNUSED)
{
    list();
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++)
        if (kind_of(table[i].path) != table[i].kind)
            fail_msg("%s is %d", table[i].path, kind_of(table[i].path));
    assert_string_equal(left_out, "");
}

static void the_fixed_ones_come_first(void **state UNUSED)
{
    char name[128];

    for (unsigned i = 0; i < 2 * OWN_FILES_MAXIMUM; i++) {
        (void)text_format(name, sizeof name, "/libexec/%u", i);
        put(name);
    }
    list();
    assert_int_equal(count, OWN_FILES_MAXIMUM);
    assert_int_equal(strncmp(left_out, root, strlen(root)), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++)
        if (table[i].kind != NOT_OURS && table[i].kind != OWN_PROGRAM &&
            strstr(table[i].path, ".d/") == NULL)
            assert_int_equal(kind_of(table[i].path), table[i].kind);
    assert_int_equal(kind_of("/sbin/yagura-agent"), OWN_PROGRAM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_name_is_what_it_is, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_fixed_ones_come_first, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
