/* What is written into control groups, and which group a child goes to. The groups are folders with
 * plain files. */
#include "agent/resources/resources.h"

#include "agent/resources/control_group.h"
#include "common/buffers/buffer.h"
#include "common/files/file.h"
#include "common/sandbox/spawn.h"
#include "common/text/text.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

static const char *const names[] = {"agent", "scanner", "messenger", "helpers"};
static const char *const files[] = {"cgroup.procs", "cpu.weight",     "cpu.max",  "memory.high",
                                    "memory.max",   "memory.current", "cpu.stat", "memory.events"};

static char folder[64];

static void put(const char *group, const char *file, const char *text)
{
    char path[256];

    (void)text_format(path, sizeof path, "%s%s%s/%s", folder, group[0] != '\0' ? "/" : "", group,
                      file);
    assert_int_equal(file_replace(path, text, strlen(text), 0600), 0);
}

static void expect(const char *group, const char *file, const char *wanted)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(4096);
    char path[256];

    (void)text_format(path, sizeof path, "%s/%s/%s", folder, group, file);
    assert_int_equal(file_read_all(path, &text), 0);
    assert_string_equal(buffer_text(&text), wanted);
}

static int set_up(void **state UNUSED)
{
    (void)text_copy(folder, sizeof folder, "/tmp/yagura-resources-XXXXXX");
    assert_non_null(mkdtemp(folder));
    put("", "cgroup.subtree_control", "");
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        char path[256];
        (void)text_format(path, sizeof path, "%s/%s", folder, names[i]);
        assert_int_equal(mkdir(path, 0700), 0);
        for (size_t k = 0; k < ARRAY_LENGTH(files); k++)
            put(names[i], files[k], "");
    }
    return 0;
}

static int tear_down(void **state UNUSED)
{
    return file_remove_tree(AT_FDCWD, folder);
}

static struct resources *start(uint64_t quota, uint64_t memory)
{
    const struct resources_options options = {.directory = folder,
                                              .scanner_weight = 20,
                                              .scanner_quota = quota,
                                              .scanner_memory = memory};
    struct resources *resources;

    assert_int_equal(resources_start(&options, &resources), 0);
    return resources;
}

static void limits_are_written_as_the_kernel_reads_them(void **state UNUSED)
{
    uint64_t cores = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) / 100 * 60;
    struct resources *resources = start(50, 60);
    struct resources_status status;
    char text[64];

    resources_status(resources, &status);
    assert_string_equal(status.problem, "");
    assert_int_equal(status.groups[RESOURCE_SCANNER].memory_max, bytes);
    expect("scanner", "cpu.weight", "20");
    (void)text_format(text, sizeof text, "%llu 100000", (unsigned long long)(cores * 50000));
    expect("scanner", "cpu.max", text);
    (void)text_format(text, sizeof text, "%llu", (unsigned long long)bytes);
    expect("scanner", "memory.max", text);
    (void)text_format(text, sizeof text, "%llu", (unsigned long long)(bytes / 10 * 9));
    expect("scanner", "memory.high", text);
    expect("agent", "memory.max", "");
    expect("messenger", "memory.max", "268435456");
    (void)text_format(text, sizeof text, "%d", getpid());
    expect("agent", "cgroup.procs", text);
    assert_null(resources_stop(resources));
}

static void no_limit_is_max(void **state UNUSED)
{
    struct resources *resources = start(80, 80);
    const struct resources_options none = {.directory = folder, .scanner_weight = 1};

    put("scanner", "cpu.max", "");
    put("scanner", "memory.max", "");
    put("scanner", "memory.high", "");
    resources_reconfigure(resources, &none);
    expect("scanner", "cpu.max", "max");
    expect("scanner", "memory.max", "max");
    expect("scanner", "memory.high", "max");
    assert_null(resources_stop(resources));
}

static void a_child_goes_to_its_group(void **state UNUSED)
{
    struct resources *resources = start(0, 0);
    char program[] = "true";
    char *const argv[] = {program, NULL};
    char text[64];
    pid_t pid;

    assert_int_equal(spawn_program("/bin/true", argv, NULL, 0, &pid, NULL), 0);
    (void)waitpid(pid, NULL, 0);
    (void)text_format(text, sizeof text, "%d", pid);
    expect("helpers", "cgroup.procs", text);
    expect("scanner", "cgroup.procs", "");
    assert_null(resources_stop(resources));
    assert_int_equal(spawn_program("/bin/true", argv, NULL, 0, &pid, NULL), 0); /* nobody looks */
    (void)waitpid(pid, NULL, 0);
    expect("helpers", "cgroup.procs", text);
}

static void use_is_read_by_key(void **state UNUSED)
{
    struct resources *resources = start(0, 0);
    struct resources_status status;

    put("scanner", "memory.current", "4096\n");
    put("scanner", "cpu.stat", "usage_usec 77\nuser_usec 1\nnr_periods 9\nnr_throttled 3\n");
    put("scanner", "memory.events", "low 0\nhigh 5\nmax 1\noom 2\noom_kill 4\n");
    resources_status(resources, &status);
    const struct resource_use *use = &status.groups[RESOURCE_SCANNER];
    assert_int_equal(use->memory_now, 4096);
    assert_int_equal(use->cpu_us, 77);
    assert_int_equal(use->throttled, 3);
    assert_int_equal(use->memory_met, 5);
    assert_int_equal(use->memory_killed, 4);
    assert_int_equal(status.groups[RESOURCE_AGENT].throttled, 0);
    assert_null(resources_stop(resources));
}

static void what_is_missing_is_said(void **state UNUSED)
{
    const struct resources_options nowhere = {.directory = "/nowhere", .scanner_weight = 1};
    struct resources *resources;
    struct resources_status status;
    char path[256];

    assert_int_equal(resources_start(&nowhere, &resources), 0);
    resources_status(resources, &status);
    assert_string_not_equal(status.problem, "");
    assert_int_equal(status.groups[RESOURCE_SCANNER].weight, 0);
    assert_null(resources_stop(resources));

    (void)text_format(path, sizeof path, "%s/scanner/memory.max", folder);
    assert_int_equal(unlink(path), 0);
    resources = start(0, 50);
    resources_status(resources, &status);
    assert_non_null(strstr(status.problem, "memory.max"));
    assert_int_equal(status.groups[RESOURCE_SCANNER].memory_max, 0);
    assert_int_equal(status.groups[RESOURCE_SCANNER].weight, 20);
    assert_null(resources_stop(resources));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(limits_are_written_as_the_kernel_reads_them),
        TEST(no_limit_is_max),
        TEST(a_child_goes_to_its_group),
        TEST(use_is_read_by_key),
        TEST(what_is_missing_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
