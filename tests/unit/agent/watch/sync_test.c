#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "agent/watch/sync.h"

static struct sync_request *mark(struct sync *sync, int32_t key, uint64_t deadline_ns)
{
    struct sync_request *request = sync_allocate(sync);

    assert_non_null(request);
    request->state = SYNC_MARKED;
    request->key = key;
    request->deadline_ns = deadline_ns;
    return request;
}

static void expect(struct sync *sync, uint64_t now_ns, int32_t key, int expected)
{
    struct sync_request request;
    int result = 1;

    if (key == 0) {
        assert_false(sync_take_done(sync, now_ns, &request, &result));
        return;
    }
    assert_true(sync_take_done(sync, now_ns, &request, &result));
    assert_int_equal(request.key, key);
    assert_int_equal(result, expected);
}

static void waits_for_earlier_work_only(void **state)
{
    struct sync *sync = calloc(1, sizeof(*sync));
    struct sync_request *request;
    uint32_t earlier, later;

    (void)state;
    sync_init(sync);
    earlier = sync_begin_work(sync);
    request = mark(sync, 5, 100);
    expect(sync, 0, 0, 0);
    assert_null(sync_find(sync, 6));
    assert_ptr_equal(sync_find(sync, 5), request);
    sync_start_waiting(sync, request);
    assert_null(sync_find(sync, 5));
    later = sync_begin_work(sync);
    assert_int_not_equal(earlier, later);
    /* Earlier work begets more work. */
    sync_continue_work(sync, earlier);
    assert_false(sync_end_work(sync, earlier));
    expect(sync, 0, 0, 0);
    assert_true(sync_end_work(sync, earlier));
    expect(sync, 0, 5, 0);
    expect(sync, 1000, 0, 0);
    (void)sync_end_work(sync, later);
    free(sync);
}

static void done_at_once_without_work(void **state)
{
    struct sync *sync = calloc(1, sizeof(*sync));

    (void)state;
    sync_init(sync);
    sync_start_waiting(sync, mark(sync, 5, 100));
    expect(sync, 0, 5, 0);
    free(sync);
}

static void times_out(void **state)
{
    struct sync *sync = calloc(1, sizeof(*sync));
    uint32_t epoch;

    (void)state;
    sync_init(sync);
    epoch = sync_begin_work(sync);
    sync_start_waiting(sync, mark(sync, 5, 100));
    (void)mark(sync, 6, 200);
    assert_int_equal(sync_deadline(sync), 100);
    expect(sync, 99, 0, 0);
    expect(sync, 100, 5, -ETIMEDOUT);
    assert_int_equal(sync_deadline(sync), 200);
    expect(sync, 200, 6, -ETIMEDOUT);
    assert_int_equal(sync_deadline(sync), UINT64_MAX);
    (void)sync_end_work(sync, epoch);
    free(sync);
}

static void more_markers_than_epochs(void **state)
{
    struct sync *sync = calloc(1, sizeof(*sync));
    uint32_t held;

    (void)state;
    sync_init(sync);
    held = sync_begin_work(sync);
    for (int i = 1; i < 1000; i++) {
        sync_start_waiting(sync, mark(sync, i, 10));
        expect(sync, 10, i, -ETIMEDOUT);
    }
    assert_true(sync->epoch - sync->oldest < SYNC_EPOCHS);
    sync_start_waiting(sync, mark(sync, 1000, 10));
    assert_true(sync_end_work(sync, held));
    expect(sync, 0, 1000, 0);
    free(sync);
}

static void requests_are_bounded(void **state)
{
    struct sync *sync = calloc(1, sizeof(*sync));

    (void)state;
    sync_init(sync);
    for (int i = 0; i < SYNC_REQUESTS; i++)
        (void)mark(sync, i + 1, 10);
    assert_null(sync_allocate(sync));
    free(sync);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_for_earlier_work_only),
        cmocka_unit_test(done_at_once_without_work),
        cmocka_unit_test(times_out),
        cmocka_unit_test(more_markers_than_epochs),
        cmocka_unit_test(requests_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
