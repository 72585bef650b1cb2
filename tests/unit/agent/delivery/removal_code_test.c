/* A removal code counts for whom it was made, while it is valid, by the console's word only; and
 * nothing but the files of the state directory is needed to say so. */
#include "agent/delivery/removal_code.h"

#include "agent/delivery/console_files.h"
#include "common/crypto/keys.h"
#include "common/files/file.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "common/wire/wire.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define AGENT   "01a20110-8b87-741b-b374-275c67b8f792"
#define OTHER   "01a20110-8b87-741b-b374-000000000000"
#define GROUP   "01a20110-8c8f-7be4-bdb3-843036f9649c"
#define HOUR_MS 3600000ULL

struct place {
    char directory[64];
    EVP_PKEY *key, *foreign;
    struct console_files *files;
    struct link_identity identity;
    struct console_orders orders;
};

static uint64_t now_ms(void)
{
    return clock_realtime_ns() / NS_PER_MS;
}

static void keep(struct place *place)
{
    assert_int_equal(console_files_write_identity(place->files, &place->identity), 0);
    assert_int_equal(console_files_write_orders(place->files, &place->orders), 0);
}

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof *place);

    (void)text_copy(place->directory, sizeof place->directory, "/tmp/removal_code_XXXXXX");
    assert_non_null(mkdtemp(place->directory));
    assert_int_equal(key_new_ed25519(&place->key), 0);
    assert_int_equal(key_new_ed25519(&place->foreign), 0);
    assert_int_equal(console_files_open(place->directory, &place->files), 0);
    (void)text_copy(place->identity.agent_id, sizeof place->identity.agent_id, AGENT);
    assert_int_equal(key_public_text(place->key, place->identity.signing_key), 0);
    (void)text_copy(place->orders.agent_id, sizeof place->orders.agent_id, AGENT);
    (void)text_copy(place->orders.group_id, sizeof place->orders.group_id, GROUP);
    place->orders.group_issued_ms = 1;
    place->orders.begun_ms = now_ms() - HOUR_MS;
    keep(place);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;

    EVP_PKEY_free(place->key);
    EVP_PKEY_free(place->foreign);
    (void)console_files_close(place->files);
    assert_int_equal(file_remove_tree(AT_FDCWD, place->directory), 0);
    free(place);
    return 0;
}

static struct wire_removal removal_of(const char *scope, const char *subject)
{
    return (struct wire_removal){.id = OTHER,
                                 .scope = scope,
                                 .subject = subject,
                                 .created_by = "user:admin",
                                 .issued_ms = now_ms(),
                                 .expires_ms = now_ms() + HOUR_MS};
}

static enum removal_refusal judge_text(const struct place *place, const char *text, size_t length)
{
    struct removal_code code = {.id = ""};

    enum removal_refusal refusal = removal_code_judge(place->directory, text, length, &code);
    if (refusal == REMOVAL_GRANTED) {
        assert_string_equal(code.id, OTHER);
        assert_string_equal(code.created_by, "user:admin");
    }
    return refusal;
}

static enum removal_refusal judge_document(const struct place *place, const char *document,
                                           EVP_PKEY *signer)
{
    AUTO_BUFFER struct buffer envelope = BUFFER_WITH_MAXIMUM(65536);
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(65536);

    assert_int_equal(wire_signed_encode(document, signer, &envelope), 0);
    assert_int_equal(wire_removal_code_encode(buffer_text(&envelope), envelope.length, &text), 0);
    assert_int_equal(buffer_append_text(&text, "\n"), 0);
    return judge_text(place, buffer_text(&text), text.length);
}

static enum removal_refusal judge(const struct place *place, const struct wire_removal *removal,
                                  EVP_PKEY *signer)
{
    AUTO_BUFFER struct buffer document = BUFFER_WITH_MAXIMUM(65536);

    assert_int_equal(wire_removal_encode(removal, &document), 0);
    return judge_document(place, buffer_text(&document), signer);
}

static void a_code_for_this_host_counts(void **state)
{
    const struct place *place = *state;
    const struct wire_removal own = removal_of(WIRE_REMOVAL_COMPUTER, AGENT);
    const struct wire_removal group = removal_of(WIRE_REMOVAL_GROUP, GROUP);
    const struct wire_removal all = removal_of(WIRE_REMOVAL_ALL, "");

    assert_int_equal(judge(place, &own, place->key), REMOVAL_GRANTED);
    assert_int_equal(judge(place, &group, place->key), REMOVAL_GRANTED);
    assert_int_equal(judge(place, &all, place->key), REMOVAL_GRANTED);
}

static void a_code_for_others_does_not(void **state)
{
    struct place *place = *state;
    const struct wire_removal other = removal_of(WIRE_REMOVAL_COMPUTER, OTHER);
    const struct wire_removal elsewhere = removal_of(WIRE_REMOVAL_GROUP, OTHER);
    const struct wire_removal group = removal_of(WIRE_REMOVAL_GROUP, GROUP);
    const struct wire_removal own = removal_of(WIRE_REMOVAL_COMPUTER, AGENT);

    assert_int_equal(judge(place, &other, place->key), REMOVAL_OTHER_COMPUTER);
    assert_int_equal(judge(place, &elsewhere, place->key), REMOVAL_OTHER_GROUP);
    assert_int_equal(judge(place, &own, place->foreign), REMOVAL_FOREIGN);
    place->orders.group_issued_ms = 0; /* nobody has said yet which one */
    keep(place);
    assert_int_equal(judge(place, &group, place->key), REMOVAL_OTHER_GROUP);
}

static void time_is_looked_at(void **state)
{
    struct place *place = *state;
    struct wire_removal code = removal_of(WIRE_REMOVAL_ALL, "");

    code.issued_ms = now_ms() - 2 * HOUR_MS;
    code.expires_ms = now_ms() - HOUR_MS;
    assert_int_equal(judge(place, &code, place->key), REMOVAL_EXPIRED);
    code.expires_ms = now_ms() - (uint64_t)REMOVAL_CLOCK_MS / 2; /* clocks differ */
    place->orders.begun_ms = 0;
    keep(place);
    assert_int_equal(judge(place, &code, place->key), REMOVAL_GRANTED);
    code.issued_ms = now_ms() + HOUR_MS;
    code.expires_ms = now_ms() + 2 * HOUR_MS;
    assert_int_equal(judge(place, &code, place->key), REMOVAL_EARLY);
    code.issued_ms = now_ms();
    code.expires_ms = now_ms() + (LIMIT_REMOVAL_CODE_SECONDS + 1) * 1000ULL;
    assert_int_equal(judge(place, &code, place->key), REMOVAL_EXPIRED);
    code.expires_ms = UINT64_MAX / 2; /* beyond what JSON may say */
    assert_int_not_equal(judge(place, &code, place->key), REMOVAL_GRANTED);
}

static void an_identity_begins_anew(void **state)
{
    struct place *place = *state;
    struct wire_removal code = removal_of(WIRE_REMOVAL_ALL, "");

    code.issued_ms = now_ms() - HOUR_MS / 2;
    assert_int_equal(judge(place, &code, place->key), REMOVAL_GRANTED);
    place->orders.begun_ms = now_ms();
    keep(place);
    assert_int_equal(judge(place, &code, place->key), REMOVAL_STALE);
}

static void a_replaced_key_counts_until_it_is_retired(void **state)
{
    struct place *place = *state;
    const struct wire_removal own = removal_of(WIRE_REMOVAL_COMPUTER, AGENT);

    assert_int_equal(key_public_text(place->key, place->orders.previous_key), 0);
    assert_int_equal(key_public_text(place->foreign, place->identity.signing_key), 0);
    place->orders.previous_key_until_ms = now_ms() + HOUR_MS;
    keep(place);
    assert_int_equal(judge(place, &own, place->key), REMOVAL_GRANTED);
    assert_int_equal(judge(place, &own, place->foreign), REMOVAL_GRANTED);
    place->orders.previous_key_until_ms = now_ms() - 1;
    keep(place);
    assert_int_equal(judge(place, &own, place->key), REMOVAL_FOREIGN);
}

static void what_is_no_code_is_refused(void **state)
{
    const struct place *place = *state;
    static char much[LIMIT_REMOVAL_CODE_BYTES + 2];
    static const char *const texts[] = {
        "", "\n", "yr1.", "yr1.AAAA", "yr1.!", "yt1.AAAA", "yr2.eyJ9", "arn:aws:kms:x", "yr1.e30",
    };
    /* Signed by the console, for another purpose or half said. */
    static const char *const documents[] = {
        "{}",
        "[]",
        "{\"purpose\":\"command\",\"agent_id\":\"" AGENT "\"}",
        "{\"purpose\":\"removal\",\"id\":\"" OTHER "\",\"scope\":\"computer\",\"subject\":\"\","
        "\"issued_ms\":1,\"expires_ms\":9007199254740991}",
        "{\"purpose\":\"removal\",\"id\":\"" OTHER "\",\"scope\":\"all\",\"subject\":\"" AGENT
        "\",\"issued_ms\":1,\"expires_ms\":9007199254740991}",
        "{\"purpose\":\"removal\",\"id\":\"" OTHER "\",\"scope\":\"everybody\",\"subject\":\"\","
        "\"issued_ms\":1,\"expires_ms\":9007199254740991}",
    };

    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
        assert_int_equal(judge_text(place, texts[i], strlen(texts[i])), REMOVAL_NO_CODE);
    for (size_t i = 0; i < ARRAY_LENGTH(documents); i++)
        assert_int_equal(judge_document(place, documents[i], place->key), REMOVAL_NO_CODE);
    assert_int_equal(judge_text(place, "yr1.\0AAA", 8), REMOVAL_NO_CODE);
    memset(much, 'A', sizeof much - 1);
    memcpy(much, "yr1.", 4);
    assert_int_equal(judge_text(place, much, sizeof much - 1), REMOVAL_NO_CODE);
}

static void without_a_console_nothing_can_be_checked(void **state)
{
    const struct place *place = *state;
    const struct wire_removal own = removal_of(WIRE_REMOVAL_COMPUTER, AGENT);

    console_files_remove_identity(place->files);
    assert_int_equal(judge(place, &own, place->key), REMOVAL_NO_CONSOLE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_code_for_this_host_counts),
        TEST(a_code_for_others_does_not),
        TEST(time_is_looked_at),
        TEST(an_identity_begins_anew),
        TEST(a_replaced_key_counts_until_it_is_retired),
        TEST(what_is_no_code_is_refused),
        TEST(without_a_console_nothing_can_be_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
