/* The room for lists: a share for all computers, and one for each group. */
#include "console/signatures/signature_list.h"

#include "common/limits.h"
#include "common/text/text.h"
#include "console/signatures/signature_set.h"
#include "tests/unit/console/store_place.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GROUP_A "01890a5d-ac96-774b-bcce-b302099a8051"
#define GROUP_B "01890a5d-ac96-774b-bcce-b302099a8052"

static int put(struct sql *sql, void *user)
{
    const struct signature_list *list = user;
    struct signature_list_row row;
    int64_t revision;
    int r = signature_list_find(sql, list->name, &row);

    return r < 0 ? r : signature_list_put(sql, list, &row, &revision);
}

static int put_list(const struct store_place *place, const char *name, const char *group_id,
                    const char *type, const char *text)
{
    struct signature_list list = {.name = name,
                                  .type = type,
                                  .text = text,
                                  .author = "test",
                                  .group_id = group_id,
                                  .entries = 1};

    return console_store_write(place->store, put, &list);
}

static int delete (struct sql *sql, void *user)
{
    struct signature_list_row row;
    int r = signature_list_find(sql, user, &row);

    return r < 0 ? r : signature_list_delete(sql, user, &row);
}

struct read {
    const char *group_id;
    char *content;
};

static int read_set(struct sql *sql, void *user)
{
    struct read *read = user;
    char digest[65];

    return signature_set_read(sql, read->group_id, digest, &read->content);
}

static bool set_has(const struct store_place *place, const char *group_id, const char *what)
{
    struct read read = {.group_id = group_id};

    assert_int_equal(console_store_read(place->store, read_set, &read), 1);
    bool has = strstr(read.content, what) != NULL;
    free(read.content);
    return has;
}

/* As large as one list may be. */
static char *large_text(void)
{
    char *text = malloc(LIMIT_SIGNATURE_LIST_BYTES + 1);

    assert_non_null(text);
    memset(text, '#', LIMIT_SIGNATURE_LIST_BYTES);
    text[LIMIT_SIGNATURE_LIST_BYTES] = '\0';
    return text;
}

static void test_bytes(void **state)
{
    const struct store_place *place = *state;
    char *text = large_text(), name[16];
    int r = 0;

    for (unsigned i = 0; r == 0 && i < 16; i++) {
        (void)text_format(name, sizeof name, "a%u", i);
        r = put_list(place, name, GROUP_A, "ndb", text);
    }
    assert_int_equal(r, -EXFULL);
    /* Group A's trouble alone. */
    assert_int_equal(put_list(place, "small", NULL, "ndb", "For.All:0:*:616263\n"), 0);
    assert_int_equal(put_list(place, "b", GROUP_B, "ndb", text), 0);
    for (unsigned i = 0; i < LIMIT_SIGNATURE_SET_BYTES / 2 / LIMIT_SIGNATURE_LIST_BYTES - 1; i++) {
        (void)text_format(name, sizeof name, "all%u", i);
        assert_int_equal(put_list(place, name, NULL, "ndb", text), 0);
    }
    assert_int_equal(put_list(place, "more", NULL, "ndb", text), -EXFULL);
    assert_true(set_has(place, GROUP_A, "For.All") && set_has(place, GROUP_A, "-a0.ndb"));
    assert_false(set_has(place, GROUP_A, "-b.ndb"));
    assert_true(set_has(place, GROUP_B, "For.All") && set_has(place, GROUP_B, "-b.ndb"));
    assert_true(set_has(place, "", "For.All"));
    /* And it ends when something goes. */
    assert_int_equal(put_list(place, "a-more", GROUP_A, "ndb", text), -EXFULL);
    assert_int_equal(console_store_write(place->store, delete, (void *)(uintptr_t) "a0"), 0);
    assert_int_equal(put_list(place, "a-more", GROUP_A, "ndb", text), 0);
    free(text);
}

static void test_count(void **state)
{
    const struct store_place *place = *state;
    char name[16];
    unsigned count = 0;
    int r = 0;

    for (; r == 0 && count < LIMIT_SIGNATURE_LISTS; count++) {
        (void)text_format(name, sizeof name, "a%u", count);
        r = put_list(place, name, GROUP_A, "deny", "");
    }
    assert_int_equal(r, -EXFULL);
    assert_int_equal(count - 1, LIMIT_SIGNATURE_LISTS / 2 - 4); /* four are made out of hashes */
    assert_int_equal(put_list(place, "for-all", NULL, "ndb", "For.All:0:*:616263\n"), 0);
    assert_int_equal(put_list(place, "b", GROUP_B, "deny", ""), 0);
}

static int spoil(struct sql *sql, void *user UNUSED)
{
    return sql_run(sql, "UPDATE signature_sets SET content = 'spoilt'", NULL, "");
}

/* What a change does not reach stays as it was made. */
static void test_only_what_changed_is_made(void **state)
{
    const struct store_place *place = *state;
    struct signature_list moved = {
        .name = "a", .type = "ndb", .text = "A.Two:0:*:616263\n", .author = "t", .entries = 1};

    assert_int_equal(put_list(place, "a", GROUP_A, "ndb", "A.One:0:*:616263\n"), 0);
    assert_int_equal(put_list(place, "b", GROUP_B, "ndb", "B.One:0:*:616263\n"), 0);
    assert_true(set_has(place, "", "{")); /* for who leaves a group */
    assert_int_equal(console_store_write(place->store, spoil, NULL), 0);
    assert_int_equal(put_list(place, "a2", GROUP_A, "ndb", "A.Too:0:*:616263\n"), 0);
    assert_true(set_has(place, GROUP_A, "A.One") && set_has(place, GROUP_A, "A.Too"));
    assert_true(set_has(place, "", "spoilt") && set_has(place, GROUP_B, "spoilt"));
    /* From group to group: both. */
    moved.group_id = GROUP_B;
    assert_int_equal(console_store_write(place->store, put, &moved), 0);
    assert_true(set_has(place, GROUP_B, "A.Two") && set_has(place, GROUP_B, "B.One"));
    assert_false(set_has(place, GROUP_A, "A.One"));
    assert_true(set_has(place, "", "spoilt"));
    /* The last one goes: the group has what all have. */
    assert_int_equal(console_store_write(place->store, delete, (void *)(uintptr_t) "a2"), 0);
    assert_true(set_has(place, GROUP_A, "spoilt"));
    /* For all: all of them. */
    assert_int_equal(put_list(place, "c", NULL, "ndb", "For.All:0:*:616263\n"), 0);
    assert_true(set_has(place, GROUP_A, "For.All") && set_has(place, GROUP_B, "For.All"));
    assert_true(set_has(place, GROUP_B, "B.One"));
}

struct slow_put {
    const struct store_place *place;
    sem_t written;
};

/* Commits once the other node's transaction waits for this one. */
static int put_slowly(struct sql *sql, void *user)
{
    struct slow_put *slow = user;
    struct signature_list list = {
        .name = "slow", .type = "ndb", .text = "S.Low:0:*:616263\n", .author = "t", .entries = 1};
    int r = put(sql, &list);

    (void)sem_post(&slow->written);
    while (r == 0)
        r = sql_run(sql,
                    "SELECT 1 FROM pg_locks WHERE NOT granted AND pg_backend_pid() ="
                    " ANY(pg_blocking_pids(pid)) LIMIT 1",
                    NULL, "");
    return r < 0 ? r : 0;
}

static void *write_slowly(void *user)
{
    struct slow_put *slow = user;

    return (void *)(intptr_t)console_store_write(slow->place->store, put_slowly, slow);
}

static void test_two_nodes_lose_no_list(void **state)
{
    struct slow_put slow = {.place = *state};
    struct store_place other = *slow.place;
    char notice[512];
    pthread_t thread;
    void *result;

    if (!slow.place->postgres)
        skip(); /* SQLite has one writer */
    assert_int_equal(console_store_open(other.path, &other.store, notice), 0);
    assert_int_equal(sem_init(&slow.written, 0, 0), 0);
    assert_int_equal(pthread_create(&thread, NULL, write_slowly, &slow), 0);
    while (sem_wait(&slow.written) < 0)
        continue;
    assert_int_equal(put_list(&other, "fast", NULL, "ndb", "F.Ast:0:*:616263\n"), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_int_equal((intptr_t)result, 0);
    assert_true(set_has(&other, "", "F.Ast") && set_has(&other, "", "S.Low"));
    (void)console_store_close(other.store);
    (void)sem_destroy(&slow.written);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_bytes, store_place_open, store_place_close),
        cmocka_unit_test_setup_teardown(test_count, store_place_open, store_place_close),
        cmocka_unit_test_setup_teardown(test_only_what_changed_is_made, store_place_open,
                                        store_place_close),
        cmocka_unit_test_setup_teardown(test_two_nodes_lose_no_list, store_place_open,
                                        store_place_close)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
