/* Programs are kept over restarts; what our key did not seal is none, and what is missing is
 * noticed. */
#include "agent/application_control/digest_table.h"
#include "agent/application_control/inventory.h"
#include "common/crypto/seals.h"
#include "common/crypto/signatures.h"
#include "common/text/text.h"

#include <errno.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    char folder[64], path[96], key[96];
    struct inventory *inventory;
};

static void open_it(struct fixture *fixture)
{
    char notice[512];

    assert_int_equal(inventory_open(fixture->path, fixture->key, &fixture->inventory, notice), 0);
    assert_string_equal(notice, "");
}

static void open_again(struct fixture *fixture)
{
    fixture->inventory = inventory_close(fixture->inventory);
    open_it(fixture);
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    assert_non_null(fixture);
    (void)text_copy(fixture->folder, sizeof fixture->folder, "/tmp/yagura-inventory-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    (void)text_format(fixture->path, sizeof fixture->path, "%s/programs.db", fixture->folder);
    (void)text_format(fixture->key, sizeof fixture->key, "%s/programs.key", fixture->folder);
    open_it(fixture);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    static const char *const names[] = {"programs.db", "programs.db-wal", "programs.db-shm",
                                        "programs.db.v1", "programs.key"};
    struct fixture *fixture = *state;
    char path[128];

    (void)inventory_close(fixture->inventory);
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        (void)text_format(path, sizeof path, "%s/%s", fixture->folder, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(fixture->folder);
    free(fixture);
    return 0;
}

static void digest(uint8_t ret_digest[static SHA256_BYTES], unsigned number)
{
    assert_int_equal(hash_sha256(&number, sizeof number, ret_digest), 0);
}

static int add(struct fixture *fixture, unsigned number)
{
    struct inventory_program program = {
        .size = number,
        .path = "/usr/bin/program",
        .origin = INVENTORY_PACKAGE,
        .package = "package",
    };

    digest(program.sha256, number);
    return inventory_add(fixture->inventory, &program);
}

static bool has(struct fixture *fixture, unsigned number)
{
    uint8_t sha256[SHA256_BYTES];

    digest(sha256, number);
    return inventory_has(fixture->inventory, sha256);
}

static void change(struct fixture *fixture, const char *sql)
{
    sqlite3 *database;

    fixture->inventory = inventory_close(fixture->inventory);
    assert_int_equal(sqlite3_open(fixture->path, &database), SQLITE_OK);
    assert_int_equal(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
    open_it(fixture);
}

static void programs_and_marks_are_kept(void **state)
{
    enum { MANY = 3000 };
    struct fixture *fixture = *state;
    const struct inventory_marks marks = {.complete_ns = 5,
                                          .maintenance_from_ns = 6,
                                          .maintenance_until_ns = 9,
                                          .gap_from_ns = 7,
                                          .gap_until_ns = 8};

    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(add(fixture, i), 1);
    assert_int_equal(add(fixture, 0), 0);
    inventory_set_marks(fixture->inventory, &marks);
    assert_true(has(fixture, 1));
    assert_int_equal(inventory_commit(fixture->inventory), 0);
    assert_int_equal(add(fixture, MANY), 1);
    open_again(fixture);
    assert_int_equal(inventory_count(fixture->inventory), MANY);
    for (unsigned i = 0; i < MANY; i++)
        assert_true(has(fixture, i));
    assert_false(has(fixture, MANY)); /* it was never written */
    struct inventory_marks read = inventory_marks(fixture->inventory);
    assert_memory_equal(&read, &marks, sizeof marks);
    assert_false(inventory_is_tampered(fixture->inventory));
    assert_int_equal(inventory_clear(fixture->inventory), 0);
    assert_false(has(fixture, 1));
    open_again(fixture);
    assert_int_equal(inventory_count(fixture->inventory), 0);
    assert_false(inventory_is_tampered(fixture->inventory));
}

static void fill(struct fixture *fixture)
{
    const struct inventory_marks marks = {.complete_ns = 5};

    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(add(fixture, i), 1);
    inventory_set_marks(fixture->inventory, &marks);
    assert_int_equal(inventory_commit(fixture->inventory), 0);
}

static void what_others_write_is_noticed(void **state)
{
    static const char *const changes[] = {
        "DELETE FROM program WHERE size = 1",
        "UPDATE program SET sha256 = randomblob(32) WHERE size = 1",
        "UPDATE program SET path = x'2f' WHERE size = 1",
        ("INSERT INTO program SELECT randomblob(32), size, path, origin, package, added_ns, seal"
         " FROM program WHERE size = 1"),
        "UPDATE header SET maintenance_until_ns = 99",
        "UPDATE header SET complete_ns = 0",
        "UPDATE header SET gap_until_ns = 99",
        "DELETE FROM header",
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < ARRAY_LENGTH(changes); i++) {
        fill(fixture);
        change(fixture, changes[i]);
        assert_true(inventory_is_tampered(fixture->inventory));
        assert_true(has(fixture, 0));
        /* Nothing that the header says is believed, but that it is complete: learning anew would
         * take what is there by now. */
        struct inventory_marks marks = inventory_marks(fixture->inventory);
        assert_int_not_equal(marks.complete_ns, 0);
        assert_int_equal(marks.maintenance_until_ns, 0);
        assert_int_equal(marks.gap_until_ns, 0);
        /* It stays so until it is made anew. */
        inventory_set_marks(fixture->inventory, &marks);
        assert_int_equal(inventory_commit(fixture->inventory), 0);
        open_again(fixture);
        assert_true(inventory_is_tampered(fixture->inventory));
        assert_int_equal(inventory_clear(fixture->inventory), 0);
        assert_false(inventory_is_tampered(fixture->inventory));
    }
}

/* As it was signed then. */
static void sign_without_gaps(struct fixture *fixture, sqlite3 *database)
{
    struct sealer *sealer = NULL;
    char signature[SIGNATURE_TEXT_BYTES], change[256];
    sqlite3_stmt *row;

    assert_int_equal(sqlite3_prepare_v2(database,
                                        "SELECT 'yagura programs 1' || char(10) || 'programs ' || "
                                        "programs || char(10) || 'sum ' || lower(hex(sum)) || "
                                        "char(10) || 'complete 5' || char(10) || "
                                        "'maintenance 0 0' || char(10) || 'tampered 0' || char(10) "
                                        "FROM header",
                                        -1, &row, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(row), SQLITE_ROW);
    assert_int_equal(
        sealer_open(fixture->key, "yagura inventory of programs: key of the seals, 1", &sealer), 0);
    assert_int_equal(signature_make(sealer_key(sealer), sqlite3_column_text(row, 0),
                                    (size_t)sqlite3_column_bytes(row, 0), signature),
                     0);
    (void)sealer_close(sealer);
    assert_int_equal(sqlite3_finalize(row), SQLITE_OK);
    (void)text_format(change, sizeof change, "UPDATE header SET signature = '%s'", signature);
    assert_int_equal(sqlite3_exec(database, change, NULL, NULL, NULL), SQLITE_OK);
}

static void one_of_before_there_were_gaps_is_ours(void **state)
{
    struct fixture *fixture = *state;
    sqlite3 *database;

    fill(fixture);
    fixture->inventory = inventory_close(fixture->inventory);
    assert_int_equal(sqlite3_open(fixture->path, &database), SQLITE_OK);
    sign_without_gaps(fixture, database);
    assert_int_equal(sqlite3_exec(database,
                                  "ALTER TABLE header DROP COLUMN gap_from_ns;"
                                  "ALTER TABLE header DROP COLUMN gap_until_ns;"
                                  "PRAGMA user_version = 1",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
    open_it(fixture);
    assert_false(inventory_is_tampered(fixture->inventory));
    assert_int_equal(inventory_count(fixture->inventory), 3);
    assert_int_equal(inventory_marks(fixture->inventory).complete_ns, 5);
}

static void another_key_seals_nothing(void **state)
{
    struct fixture *fixture = *state;

    fill(fixture);
    assert_int_equal(unlink(fixture->key), 0);
    open_again(fixture);
    assert_int_equal(inventory_count(fixture->inventory), 0);
    assert_true(inventory_is_tampered(fixture->inventory));
    assert_int_equal(inventory_marks(fixture->inventory).complete_ns, 0);
}

static void hashes_of_the_policy_are_read(void **state UNUSED)
{
    struct digest_table table = {.slots = NULL};
    uint8_t sha256[SHA256_BYTES];
    char hex[SHA256_HEX_BYTES];

    digest(sha256, 1);
    assert_false(digest_table_has(&table, sha256));
    text_hex(hex, sha256, sizeof sha256);
    assert_int_equal(digest_table_add_hex(&table, hex), 0);
    assert_true(digest_table_has(&table, sha256));
    assert_int_equal(digest_table_add_hex(&table, "abc"), -EINVAL);
    digest_table_done(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(programs_and_marks_are_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_others_write_is_noticed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_of_before_there_were_gaps_is_ours, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_key_seals_nothing, set_up, tear_down),
        cmocka_unit_test(hashes_of_the_policy_are_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
