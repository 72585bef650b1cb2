/* instance_lock.c: one holder; the lock dies with it. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "agent/control/instance_lock.h"
#include "common/text/text.h"

static void test_one_holder(void **state)
{
    (void)state;
    char directory[] = "/tmp/yagura-lock-XXXXXX", path[64];
    assert_non_null(mkdtemp(directory));
    (void)text_format(path, sizeof(path), "%s/agent.lock", directory);
    struct instance_lock *first = NULL, *second = NULL;
    assert_int_equal(instance_lock_holder(directory), 0);
    assert_int_equal(instance_lock_take(directory, &first), 0);
    assert_int_equal(instance_lock_take(directory, &second), -EBUSY);
    assert_null(second);
    assert_int_equal(instance_lock_holder(directory), getpid());
    assert_null(instance_lock_release(first));
    assert_int_equal(instance_lock_take(directory, &second), 0);
    assert_null(instance_lock_release(second));
    assert_null(instance_lock_release(NULL));
    assert_int_equal(instance_lock_take("/nonexistent", &first), -ENOENT);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(directory), 0);
}

static void test_lock_dies_with_its_holder(void **state)
{
    (void)state;
    char directory[] = "/tmp/yagura-lock-XXXXXX", path[64];
    assert_non_null(mkdtemp(directory));
    (void)text_format(path, sizeof(path), "%s/agent.lock", directory);
    pid_t child = fork();
    if (child == 0) {
        struct instance_lock *held = NULL;
        _exit(instance_lock_take(directory, &held) == 0 ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    struct instance_lock *lock = NULL;
    assert_int_equal(instance_lock_take(directory, &lock), 0);
    (void)instance_lock_release(lock);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(directory), 0);
}

/* A child that was being started when its agent was killed: it has the descriptor for a moment. */
static void test_a_dead_holders_child_is_waited_for(void **state)
{
    (void)state;
    char directory[] = "/tmp/yagura-lock-XXXXXX", path[64];
    assert_non_null(mkdtemp(directory));
    (void)text_format(path, sizeof(path), "%s/agent.lock", directory);
    pid_t child = fork();
    if (child == 0) {
        struct instance_lock *held = NULL;
        if (instance_lock_take(directory, &held) < 0)
            _exit(1);
        if (fork() == 0)
            (void)poll(NULL, 0, 200);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    struct instance_lock *lock = NULL;
    assert_int_equal(instance_lock_take(directory, &lock), 0);
    (void)instance_lock_release(lock);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(directory), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_holder),
        cmocka_unit_test(test_lock_dies_with_its_holder),
        cmocka_unit_test(test_a_dead_holders_child_is_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
