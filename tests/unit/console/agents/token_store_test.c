/* Tokens as they are kept: who may use one, from where, how often, until when. */
#include "console/agents/tokens.h"

#include "common/text/text.h"
#include "tests/unit/console/store_place.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

struct trial {
    struct token_draft draft;
    const char *address;
    char id[UUID_TEXT_BYTES], text[SECRET_TEXT_BYTES];
    struct token token;
    const char *reason;
    int result;
};

static int create(struct sql *sql, void *user)
{
    struct trial *trial = user;
    return token_create(sql, &trial->draft, trial->id, trial->text);
}

static int check(struct sql *sql, void *user)
{
    struct trial *trial = user;
    trial->result = token_check(sql, trial->text, trial->address, &trial->token, &trial->reason);
    return 0;
}

static int spend(struct sql *sql, void *user)
{
    struct trial *trial = user;
    trial->result = token_spend(sql, &trial->token);
    return 0;
}

static int take_back(struct sql *sql, void *user)
{
    struct trial *trial = user;
    trial->result = token_revoke(sql, trial->id);
    return 0;
}

static int check_vouched(struct sql *sql, void *user)
{
    struct trial *trial = user;
    trial->result = token_check_vouched(sql, 7, trial->address, &trial->token, &trial->reason);
    return 0;
}

static struct trial new_trial(const struct store_place *place, const char *cidrs,
                              int64_t expires_ms, int64_t uses)
{
    struct trial trial = {.draft = {.name = "name",
                                    .tags = "[\"a\"]",
                                    .cidrs = cidrs,
                                    .expires_ms = expires_ms,
                                    .uses = uses,
                                    .created_by = "ann"},
                          .address = "10.1.2.3"};
    assert_int_equal(console_store_write(place->store, create, &trial), 0);
    return trial;
}

static void expect(const struct store_place *place, struct trial *trial, const char *reason)
{
    trial->reason = "not asked";
    assert_int_equal(console_store_read(place->store, check, trial), 0);
    assert_int_equal(trial->result, reason == NULL ? 0 : -EACCES);
    if (reason == NULL)
        assert_null(trial->reason);
    else
        assert_string_equal(trial->reason, reason);
}

static void a_token_is_what_it_was_made_for(void **state)
{
    const struct store_place *place = *state;
    struct trial trial = new_trial(place, "[\"10.0.0.0/8\",7]", INT64_MAX, 2);

    expect(place, &trial, NULL);
    assert_string_equal(trial.token.id, trial.id);
    assert_string_equal(trial.token.name, "name");
    assert_string_equal(trial.token.tags, "[\"a\"]");
    assert_string_equal(trial.token.group_id, "");
    trial.address = "192.0.2.1";
    expect(place, &trial, "address");
    trial.text[10] ^= 1;
    expect(place, &trial, "unknown");
}

static void uses_come_to_an_end(void **state)
{
    const struct store_place *place = *state;
    struct trial trial = new_trial(place, "[]", INT64_MAX, 1);
    struct trial endless = new_trial(place, "[]", INT64_MAX, -1);

    expect(place, &trial, NULL);
    assert_int_equal(console_store_write(place->store, spend, &trial), 0);
    assert_int_equal(trial.result, 0);
    assert_int_equal(console_store_write(place->store, spend, &trial), 0); /* two came at once */
    assert_int_equal(trial.result, -EACCES);
    expect(place, &trial, "used_up");
    for (int i = 0; i < 3; i++) {
        expect(place, &endless, NULL);
        assert_int_equal(console_store_write(place->store, spend, &endless), 0);
        assert_int_equal(endless.result, 0);
    }
}

static void an_end_can_be_set(void **state)
{
    const struct store_place *place = *state;
    struct trial late = new_trial(place, "[]", 1, -1),
                 taken = new_trial(place, "[]", INT64_MAX, -1);

    expect(place, &late, "expired");
    assert_int_equal(console_store_write(place->store, take_back, &taken), 0);
    assert_int_equal(taken.result, 1);
    expect(place, &taken, "revoked");
    (void)text_copy(taken.id, sizeof(taken.id), "01a20110-8b87-741b-b374-275c67b8f792");
    assert_int_equal(console_store_write(place->store, take_back, &taken), 0);
    assert_int_equal(taken.result, 0);
}

static void what_is_kept_is_believed_only_as_a_list(void **state)
{
    const struct store_place *place = *state;
    struct trial trial = new_trial(place, "{\"10.0.0.0/8\":1}", INT64_MAX, -1);

    expect(place, &trial, "address");
    assert_int_equal(console_store_read(place->store, check_vouched, &trial), 0);
    assert_int_equal(trial.result, -EACCES); /* there is no such computer */
    assert_string_equal(trial.reason, "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_token_is_what_it_was_made_for, store_place_open,
                                        store_place_close),
        cmocka_unit_test_setup_teardown(uses_come_to_an_end, store_place_open, store_place_close),
        cmocka_unit_test_setup_teardown(an_end_can_be_set, store_place_open, store_place_close),
        cmocka_unit_test_setup_teardown(what_is_kept_is_believed_only_as_a_list, store_place_open,
                                        store_place_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
