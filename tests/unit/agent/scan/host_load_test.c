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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(load_is_of_a_core_and_less_our_own),
        cmocka_unit_test(what_cannot_be_read_is_no_load),
    };

    int fd = mkstemp(path);
    return fd < 0 || close(fd) < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
