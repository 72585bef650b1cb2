/* A policy is taken when the console signed it for this host and it is newer than the last;
 * whatever is wrong, nothing stays behind. */
#include "agent/delivery/signed_policy.h"

#include "agent/policy/policy.h"
#include "common/buffers/buffer.h"
#include "common/crypto/keys.h"
#include "common/files/file.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "common/wire/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define AGENT   "01a20110-8b87-741b-b374-275c67b8f792"
#define OTHER   "01a20110-8b87-741b-b374-000000000000"
#define HOUR_MS 3600000ULL
#define GOOD    "respond = { action = \"pass\"; };\n"

struct place {
    char directory[64];
    EVP_PKEY *key, *foreign;
    struct console_orders orders;
    struct delivered_policy delivered;
    struct settings_error error;
};

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof *place);

    (void)text_copy(place->directory, sizeof place->directory, "/tmp/signed_policy_XXXXXX");
    assert_non_null(mkdtemp(place->directory));
    assert_int_equal(key_new_ed25519(&place->key), 0);
    assert_int_equal(key_new_ed25519(&place->foreign), 0);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;

    EVP_PKEY_free(place->key);
    EVP_PKEY_free(place->foreign);
    assert_int_equal(file_remove_tree(AT_FDCWD, place->directory), 0);
    free(place);
    return 0;
}

static int take_signed(struct place *place, struct wire_policy *policy,
                       const struct wire_policy_text *texts, size_t count, EVP_PKEY *signer)
{
    AUTO_BUFFER struct buffer texts_json = BUFFER_WITH_MAXIMUM(65536);
    AUTO_BUFFER struct buffer document = BUFFER_WITH_MAXIMUM(65536);
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(65536);
    char digest[65];

    assert_int_equal(wire_policy_body(texts, count, &texts_json, digest), 0);
    policy->body = buffer_text(&texts_json);
    policy->digest = digest;
    assert_int_equal(wire_policy_encode(policy, &document), 0);
    assert_int_equal(wire_signed_encode(buffer_text(&document), signer, &body), 0);
    return signed_policy_take(buffer_text(&body), body.length, place->key, AGENT, &place->orders,
                              place->directory, &place->delivered, &place->error);
}

static struct wire_policy policy_of(uint64_t revision)
{
    uint64_t now_ms = clock_realtime_ns() / NS_PER_MS;

    return (struct wire_policy){.agent_id = AGENT,
                                .revision = revision,
                                .issued_ms = now_ms,
                                .expires_ms = now_ms + HOUR_MS};
}

static int take(struct place *place, uint64_t revision, const char *name, const char *text)
{
    const struct wire_policy_text texts[] = {{.name = name, .text = text}};
    struct wire_policy policy = policy_of(revision);

    return take_signed(place, &policy, texts, 1, place->key);
}

static size_t folders(struct place *place)
{
    struct stat status;

    assert_int_equal(stat(place->directory, &status), 0);
    return (size_t)status.st_nlink - 2;
}

static void test_a_chain_is_taken(void **state)
{
    struct place *place = *state;
    const struct wire_policy_text texts[] = {{.name = "base",
                                              .text = "scan = { heuristics = false; };\n"},
                                             {.name = "web", .text = "parent = \"base\";\n" GOOD}};
    struct wire_policy policy = policy_of(7);

    assert_int_equal(take_signed(place, &policy, texts, 2, place->key), 0);
    assert_int_equal(place->delivered.revision, 7);
    assert_non_null(strstr(place->delivered.path, "-7/web.conf"));
    assert_int_equal(access(place->delivered.path, F_OK), 0);
    signed_policy_discard(place->directory, place->delivered.path);
    assert_int_equal(folders(place), 0);
}

static void test_only_the_consoles_word_counts(void **state)
{
    struct place *place = *state;
    const struct wire_policy_text texts[] = {{.name = "web", .text = GOOD}};
    struct wire_policy policy = policy_of(7);

    assert_int_equal(take_signed(place, &policy, texts, 1, place->foreign), -EACCES);
    policy.agent_id = OTHER;
    assert_int_equal(take_signed(place, &policy, texts, 1, place->key), -EACCES);
    assert_int_equal(place->delivered.revision, 0);
    policy = policy_of(7);
    policy.expires_ms = clock_realtime_ns() / NS_PER_MS - 1;
    assert_int_equal(take_signed(place, &policy, texts, 1, place->key), -ETIME);
    place->orders.policy_revision = 7;
    assert_int_equal(take(place, 7, "web", GOOD), -EALREADY);
    assert_int_equal(take(place, 6, "web", GOOD), -EALREADY);
    assert_int_equal(take(place, 8, "web", GOOD), 0);
    assert_int_equal(folders(place), 1);
}

static void test_a_name_is_no_path(void **state)
{
    struct place *place = *state;
    static const char *const names[] = {"../web", "/etc/x", ".hidden", "..", "a/b", "a b", "a\\b"};

    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        int r = take(place, 7, names[i], GOOD);
        assert_true(r == -EINVAL || r == -EBADMSG);
    }
    assert_int_equal(folders(place), 0);
}

static void test_a_wrong_policy_is_told_with_line_and_key(void **state)
{
    struct place *place = *state;

    assert_int_equal(take(place, 7, "web", "scan = {\n  nonsense = 1;\n};\n"), -EINVAL);
    assert_non_null(strstr(place->error.text, "web.conf:2"));
    assert_non_null(strstr(place->error.text, "nonsense"));
    assert_int_equal(place->delivered.revision, 7); /* not to be asked for again */
    assert_int_equal(folders(place), 0);
    assert_int_equal(take(place, 8, "web", "parent = \"absent\";\n"), -EINVAL);
    assert_int_equal(folders(place), 0);
}

/* What reading it back answers; 0: what it does. */
static int short_of;

int __real_policy_load(const char *path, const char *shared_directory, struct policy **ret_policy,
                       struct settings_error *ret_error);
int __wrap_policy_load(const char *path, const char *shared_directory, struct policy **ret_policy,
                       struct settings_error *ret_error);
int __wrap_policy_load(const char *path, const char *shared_directory, struct policy **ret_policy,
                       struct settings_error *ret_error)
{
    return short_of < 0 ? short_of
                        : __real_policy_load(path, shared_directory, ret_policy, ret_error);
}

static void test_a_shortage_says_nothing_about_the_policy(void **state)
{
    struct place *place = *state;

    short_of = -EMFILE;
    assert_int_equal(take(place, 7, "web", GOOD), -EMFILE);
    short_of = -EACCES;
    assert_int_equal(take(place, 7, "web", GOOD), -EINVAL);
    short_of = 0;
    assert_int_equal(folders(place), 0);
    assert_int_equal(take(place, 7, "web", GOOD), 0);
}

static void test_remains_are_swept(void **state)
{
    struct place *place = *state;
    char kept[LINK_TEXT_BYTES];

    assert_int_equal(take(place, 7, "web", GOOD), 0);
    (void)text_copy(kept, sizeof kept, place->delivered.path);
    assert_int_equal(take(place, 70, "web", GOOD), 0);
    assert_int_equal(folders(place), 2);
    signed_policy_sweep(place->directory, kept);
    assert_int_equal(folders(place), 1);
    assert_int_equal(access(kept, F_OK), 0);
    signed_policy_sweep(place->directory, "");
    assert_int_equal(folders(place), 0);
}

static void test_nothing_outside_is_discarded(void **state)
{
    struct place *place = *state;
    char path[LINK_TEXT_BYTES];

    assert_int_equal(take(place, 7, "web", GOOD), 0);
    signed_policy_discard(place->directory, "");
    signed_policy_discard(place->directory, "/etc/yagura/policy-7/web.conf");
    assert_true(text_format(path, sizeof path, "%s/../policy-7/x", place->directory) > 0);
    signed_policy_discard(place->directory, path);
    assert_int_equal(folders(place), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_chain_is_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_only_the_consoles_word_counts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_name_is_no_path, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_wrong_policy_is_told_with_line_and_key, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_shortage_says_nothing_about_the_policy, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_remains_are_swept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nothing_outside_is_discarded, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
