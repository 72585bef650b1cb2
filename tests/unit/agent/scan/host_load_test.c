/* The load of others: what the scanner itself adds is no reason to pause. */
#include "agent/scan/host_load.h"

#include "agent/scan/scan_pipeline.h"
#include "common/files/file.h"
#include "common/text/text.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static char path[] = "/tmp/yagura-host-load-XXXXXX";

static uint64_t load_of(const char *text, uint64_t workers, uint64_t in_flight)
{
    const struct scan_pipeline_status own = {.scanner = {.workers = workers},
                                             .in_flight = in_flight};

    assert_int_equal(file_replace(path, text, strlen(text), 0600), 0);
    return host_load(path, &own);
}

static void load_is_of_a_core_and_less_our_own(void **state UNUSED)
{
    uint64_t cores = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN);
    char text[64];

    (void)text_format(text, sizeof text, "%llu.50 1.00 1.00 1/99 7\n", (unsigned long long)cores);
    assert_int_equal(load_of(text, 0, 0), (cores * 100 + 50) / cores);
    assert_int_equal(load_of(text, 1, 9), ((cores - 1) * 100 + 50) / cores);
    assert_int_equal(load_of(text, 9, 1), ((cores - 1) * 100 + 50) / cores);
    assert_int_equal(load_of(text, 999, 999), 0);
}

static void what_cannot_be_read_is_no_load(void **state UNUSED)
{
    assert_int_equal(load_of("", 0, 0), 0);
    assert_int_equal(load_of("much\n", 0, 0), 0);
    assert_int_equal(load_of("9\n", 0, 0), 0);
    assert_int_equal(load_of("9.1", 0, 0), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(host_load(path, &(struct scan_pipeline_status){.in_flight = 0}), 0);
}

static void stolen_time_is_counted_between_two_looks(void **state UNUSED)
{
    struct host_steal steal = {.all = 0};

    assert_int_equal(host_steal(&steal, "cpu  100 0 100 800 0 0 0 50 9 9\ncpu0 1\n"), 0);
    assert_int_equal(host_steal(&steal, "cpu  110 0 110 860 0 0 0 70 9 9\n"), 20);
    assert_int_equal(host_steal(&steal, "cpu  120 0 120 940 0 0 0 70 9 9\n"), 0);
    assert_int_equal(host_steal(&steal, "cpu  1 0 1 1 0 0 0 1 0 0\n"), 0); /* it went back */
    assert_int_equal(host_steal(&steal, "cpu  1 0\n"), 0);
    assert_int_equal(host_steal(&steal, ""), 0);
}

static void a_host_without_its_time_is_busy(void **state UNUSED)
{
    const struct scan_pipeline_status own = {.in_flight = 0};
    struct host_steal steal = {.all = 0};
    char folder[] = "/tmp/yagura-host-busy-XXXXXX", load[64], stat[64];
    const char *const looks[] = {"cpu  0 0 0 100 0 0 0 0", "cpu  0 0 0 150 0 0 0 50",
                                 "cpu  0 0 0 250 0 0 0 50"};

    assert_non_null(mkdtemp(folder));
    (void)text_format(load, sizeof load, "%s/loadavg", folder);
    (void)text_format(stat, sizeof stat, "%s/stat", folder);
    assert_int_equal(file_replace(load, "0.00 0 0 1/1 1\n", 15, 0600), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(looks); i++) {
        assert_int_equal(file_replace(stat, looks[i], strlen(looks[i]), 0600), 0);
        assert_int_equal(host_is_busy(&steal, load, 80, &own), i == 1);
        assert_false(host_is_busy(&steal, load, 0, &own));
    }
    assert_int_equal(file_remove_tree(AT_FDCWD, folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(load_is_of_a_core_and_less_our_own),
        cmocka_unit_test(what_cannot_be_read_is_no_load),
        cmocka_unit_test(stolen_time_is_counted_between_two_looks),
        cmocka_unit_test(a_host_without_its_time_is_busy),
    };

    int fd = mkstemp(path);
    return fd < 0 || close(fd) < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
