/* The copy of what sets there are, while several threads make it. */
#include "console/signatures/signature_sets.h"

#include "console/store/console_store.h"
#include "tests/unit/console/store_place.h"

#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static _Thread_local bool is_slow; /* between reading and what follows */
static sem_t has_read, may_go_on;

int __real_console_store_read(struct console_store *store, console_store_work *work, void *user);
int __wrap_console_store_read(struct console_store *store, console_store_work *work, void *user);
int __wrap_console_store_read(struct console_store *store, console_store_work *work, void *user)
{
    int r = __real_console_store_read(store, work, user);
    if (is_slow) {
        (void)sem_post(&has_read);
        (void)sem_wait(&may_go_on);
    }
    return r;
}

struct world {
    struct console_store *store;
    struct signature_sets *sets;
};

static int put_set(struct sql *sql, void *digest)
{
    return sql_run(sql,
                   "INSERT INTO signature_sets (scope, digest, content) VALUES ('', $1, '')"
                   " ON CONFLICT (scope) DO UPDATE SET digest = excluded.digest",
                   NULL, "t", digest);
}

static void put(const struct world *world, const char *digest)
{
    assert_int_equal(console_store_write(world->store, put_set, (void *)(uintptr_t)digest), 0);
}

static void *refresh_slowly(void *user)
{
    const struct world *world = user;
    is_slow = true;
    return signature_sets_refresh(world->sets, world->store) == 0 ? user : NULL;
}

static void assert_digest(const struct world *world, const char *digest)
{
    char found[65];
    signature_sets_digest(world->sets, "", found);
    assert_string_equal(found, digest);
}

static void test_an_older_reading_replaces_no_newer_one(void **state)
{
    const struct store_place *place = *state;
    struct world world = {.store = place->store};
    pthread_t thread;
    void *result;

    assert_int_equal(sem_init(&has_read, 0, 0) | sem_init(&may_go_on, 0, 0), 0);
    assert_int_equal(signature_sets_new(&world.sets), 0);
    put(&world, "old");
    assert_int_equal(pthread_create(&thread, NULL, refresh_slowly, &world), 0);
    assert_int_equal(sem_wait(&has_read), 0);
    put(&world, "new");
    assert_int_equal(signature_sets_refresh(world.sets, world.store), 0);
    assert_digest(&world, "new");
    assert_int_equal(sem_post(&may_go_on), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_ptr_equal(result, &world);
    assert_digest(&world, "new");
    put(&world, "newest");
    assert_int_equal(signature_sets_refresh(world.sets, world.store), 0);
    assert_digest(&world, "newest");
    world.sets = signature_sets_free(world.sets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_an_older_reading_replaces_no_newer_one,
                                        store_place_open, store_place_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
