/* Whose turn it is: nobody waits for more than one of another user's programs. */
#include "agent/application_control/application_control_private.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { ASKS = 8 };

static struct application_ask asks[ASKS];
static struct application_queue queue;

static void put(size_t number, uid_t user, uint64_t due_ns)
{
    asks[number] = (struct application_ask){.question.user = user, .due_ns = due_ns};
    application_queue_add(&queue, &asks[number]);
}

static int take(uint64_t now_ns)
{
    uint64_t wait_ns;
    struct application_ask *ask = application_queue_take(&queue, now_ns, &wait_ns);

    return ask != NULL ? (int)(ask - asks) : -1;
}

static int empty(void **state UNUSED)
{
    queue = (struct application_queue){.last_user = 0};
    return 0;
}

static void users_take_turns(void **state UNUSED)
{
    static const int expected[] = {0, 3, 1, 4, 2, -1};

    queue.last_user = 7;
    for (size_t i = 0; i < 3; i++)
        put(i, 1000, 0);
    for (size_t i = 3; i < 5; i++)
        put(i, 1001, 0);
    for (size_t i = 0; i < ARRAY_LENGTH(expected); i++)
        assert_int_equal(take(0), expected[i]);
    assert_null(queue.first);
    assert_null(queue.last);
}

static void what_is_not_due_holds_up_nobody(void **state UNUSED)
{
    uint64_t wait_ns = 0;

    put(0, 1000, 50);
    put(1, 1001, 0);
    put(2, 1002, 30);
    assert_int_equal(take(0), 1);
    assert_null(application_queue_take(&queue, 10, &wait_ns));
    assert_int_equal(wait_ns, 20);
    assert_int_equal(take(30), 2);
    assert_int_equal(take(49), -1);
    assert_int_equal(take(50), 0);
    put(3, 1000, 0);
    assert_int_equal(take(0), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(users_take_turns, empty),
        cmocka_unit_test_setup(what_is_not_due_holds_up_nobody, empty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
