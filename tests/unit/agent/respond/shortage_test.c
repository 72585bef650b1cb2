/* Descriptors, or memory, are lacking in the middle of it: what was found is told, and is dealt
 * with as soon as they are there. */
#include "agent/respond/holding.h"
#include "agent/respond/respond_step.h"
#include "common/crypto/hash.h"
#include "common/database/database.h"

#include "tests/unit/agent/respond/respond_fixture.h"

#include <errno.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* How often what stands beside it fails. */
static atomic_uint no_holding, no_digest, no_sealed, sealed_opened;
static sem_t forgotten; /* posted when an intent is */
static struct respond_fixture fixture;
static unsigned intents; /* that stood in the store when the file was moved */

static bool fails(atomic_uint *times)
{
    return atomic_load(times) > 0 && atomic_fetch_sub(times, 1) > 0;
}

int __real_holdings_find(struct holdings *holdings, int parent_fd, const char *parent_path,
                         int *ret_fd, const char **ret_path);
int __wrap_holdings_find(struct holdings *holdings, int parent_fd, const char *parent_path,
                         int *ret_fd, const char **ret_path);
int __wrap_holdings_find(struct holdings *holdings, int parent_fd, const char *parent_path,
                         int *ret_fd, const char **ret_path)
{
    return fails(&no_holding)
               ? -EMFILE
               : __real_holdings_find(holdings, parent_fd, parent_path, ret_fd, ret_path);
}

int __real_hash_sha256_fd(int fd, uint64_t maximum, uint8_t ret_digest[static SHA256_BYTES]);
int __wrap_hash_sha256_fd(int fd, uint64_t maximum, uint8_t ret_digest[static SHA256_BYTES]);
int __wrap_hash_sha256_fd(int fd, uint64_t maximum, uint8_t ret_digest[static SHA256_BYTES])
{
    return fails(&no_digest) ? -ENOMEM : __real_hash_sha256_fd(fd, maximum, ret_digest);
}

int __real_quarantine_open_file(struct quarantine *quarantine, const char *id, int *ret_fd);
int __wrap_quarantine_open_file(struct quarantine *quarantine, const char *id, int *ret_fd);
int __wrap_quarantine_open_file(struct quarantine *quarantine, const char *id, int *ret_fd)
{
    atomic_fetch_add(&sealed_opened, 1);
    return fails(&no_sealed) ? -EMFILE : __real_quarantine_open_file(quarantine, id, ret_fd);
}

static int count_intents(void *user UNUSED, sqlite3 *database)
{
    sqlite3_stmt *statement;

    assert_int_equal(sqlite3_prepare_v2(database, "SELECT count(*) FROM intent", -1, &statement,
                                        NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    intents = (unsigned)sqlite3_column_int(statement, 0);
    return database_errno(sqlite3_finalize(statement));
}

void __wrap_respond_step(enum respond_step step);
void __wrap_respond_step(enum respond_step step)
{
    if (step == RESPOND_STEP_MOVED)
        assert_int_equal(store_read(fixture.store, count_intents, NULL), 0);
    if (step == RESPOND_STEP_FORGOTTEN)
        (void)sem_post(&forgotten);
}

static int set_up(void **state UNUSED)
{
    assert_int_equal(sem_init(&forgotten, 0, 0), 0);
    intents = 0;
    atomic_store(&sealed_opened, 0);
    fixture_open(&fixture, "/tmp");
    fixture_start(&fixture);
    fixture_make(&fixture, "bad", "content");
    return 0;
}

static int tear_down(void **state UNUSED)
{
    fixture_close(&fixture);
    return sem_destroy(&forgotten);
}

static void expect_quarantined(unsigned delayed)
{
    assert_false(fixture_exists(&fixture, "bad"));
    assert_int_equal(fixture_rows(&fixture, NULL), 1);
    assert_int_equal(fixture_events(&fixture, "malware_found"), 1);
    assert_int_equal(fixture_events(&fixture, "malware_action_delayed"), delayed);
    assert_int_equal(fixture_events(&fixture, "malware_quarantined"), 1);
    assert_int_equal(intents, 1);
}

static void a_place_that_could_not_be_chosen_is_chosen_when_it_is_acted_on(void **state UNUSED)
{
    atomic_store(&no_holding, 1);
    assert_int_equal(fixture_detect(&fixture, "bad", "Test.Virus"), 0);
    expect_quarantined(0);
}

static void or_later(void **state UNUSED)
{
    atomic_store(&no_holding, 2);
    assert_int_equal(fixture_detect(&fixture, "bad", "Test.Virus"), 0);
    expect_quarantined(1);
}

static void what_could_not_be_looked_at_is_decided_later(void **state UNUSED)
{
    atomic_store(&no_digest, 1);
    assert_int_equal(fixture_detect(&fixture, "bad", "Test.Virus"), 0);
    expect_quarantined(1);
}

static void what_was_told_is_finished_later(void **state UNUSED)
{
    atomic_store(&no_sealed, 1);
    assert_int_equal(fixture_detect(&fixture, "bad", "Test.Virus"), 0);
    assert_int_equal(sem_wait(&forgotten), 0);
    assert_int_equal(atomic_load(&sealed_opened), 2);
    expect_quarantined(0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_place_that_could_not_be_chosen_is_chosen_when_it_is_acted_on),
        TEST(or_later),
        TEST(what_could_not_be_looked_at_is_decided_later),
        TEST(what_was_told_is_finished_later),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
