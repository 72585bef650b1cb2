/* The room for lists: a share for all computers, and one for each group. */
#include "console/signatures/signature_list.h"

#include "common/limits.h"
#include "common/text/text.h"
#include "console/signatures/signature_set.h"
#include "tests/unit/console/store_place.h"

#include <errno.h>
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
    int64_t revision;

    return signature_list_put(sql, user, -1, &revision);
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
    return signature_list_delete(sql, user);
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
    int r = 0;

    for (unsigned i = 0; r == 0 && i < LIMIT_SIGNATURE_LISTS; i++) {
        (void)text_format(name, sizeof name, "a%u", i);
        r = put_list(place, name, GROUP_A, "deny", "");
    }
    assert_int_equal(r, -EXFULL);
    assert_int_equal(put_list(place, "for-all", NULL, "ndb", "For.All:0:*:616263\n"), 0);
    assert_int_equal(put_list(place, "b", GROUP_B, "deny", ""), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_bytes, store_place_open, store_place_close),
        cmocka_unit_test_setup_teardown(test_count, store_place_open, store_place_close)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
