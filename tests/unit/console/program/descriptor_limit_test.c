/* How far the limit is raised, and when the log says that it is too low. */
#include "console/program/descriptor_limit.h"

#include "common/log/log.h"
#include "common/text/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/resource.h>

#include <cmocka.h>

#define ALLOWED 600

static unsigned few;

void __wrap_log_event(enum log_level level, const char *event, ...);
void __wrap_log_event(enum log_level level UNUSED, const char *event, ...)
{
    assert_string_equal(event, "descriptors_few");
    few++;
}

static void assert_allowed(rlim_t count)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(limit.rlim_cur, count);
    assert_int_equal(limit.rlim_max, ALLOWED);
}

static void test_it_is_raised_as_far_as_it_may(void **state)
{
    (void)state;
    const struct rlimit limit = {.rlim_cur = 300, .rlim_max = ALLOWED};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    descriptor_limit_prepare(10);
    assert_allowed(300);
    descriptor_limit_prepare(100);
    assert_allowed(356);
    descriptor_limit_prepare(344);
    assert_allowed(ALLOWED);
    assert_int_equal(few, 0);
    descriptor_limit_prepare(345);
    assert_allowed(ALLOWED);
    assert_int_equal(few, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_it_is_raised_as_far_as_it_may)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
