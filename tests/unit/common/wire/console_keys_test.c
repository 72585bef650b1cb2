/* From the pinned key to its successors: only the current key announces another, the one before
 * serves until it retires, and nothing leads back. */
#include "common/wire/console_keys.h"

#include "common/buffers/buffer.h"
#include "common/crypto/keys.h"
#include "common/text/text.h"
#include "common/wire/wire.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define KEYS  4
#define NOW   1000000ULL
#define AGENT "01a20110-8b87-741b-b374-275c67b8f792"
#define OTHER "01a20110-8b87-741b-b374-000000000000"

struct chain {
    EVP_PKEY *keys[KEYS];
    char texts[KEYS][KEY_PUBLIC_TEXT_BYTES];
};

static int set_up(void **state)
{
    struct chain *chain = calloc(1, sizeof *chain);

    assert_non_null(chain);
    for (size_t i = 0; i < KEYS; i++) {
        assert_int_equal(key_new_ed25519(&chain->keys[i]), 0);
        assert_int_equal(key_public_text(chain->keys[i], chain->texts[i]), 0);
    }
    *state = chain;
    return 0;
}

static int tear_down(void **state)
{
    struct chain *chain = *state;

    for (size_t i = 0; i < KEYS; i++)
        EVP_PKEY_free(chain->keys[i]);
    free(chain);
    return 0;
}

/* "from announces to", signed by signer, as JSON. */
static void add_link(struct buffer *links, EVP_PKEY *signer, const char *to, uint64_t retires_ms)
{
    AUTO_BUFFER struct buffer document = BUFFER_WITH_MAXIMUM(4096);
    AUTO_BUFFER struct buffer link = BUFFER_WITH_MAXIMUM(4096);
    const struct wire_successor successor = {.key = to,
                                             .issued_ms = NOW - 1,
                                             .retires_ms = retires_ms};

    assert_int_equal(wire_successor_encode(&successor, &document), 0);
    assert_int_equal(wire_signed_encode(buffer_text(&document), signer, &link), 0);
    assert_int_equal(buffer_append_text(links, links->length == 0 ? "[" : ","), 0);
    assert_int_equal(buffer_append_text(links, buffer_text(&link)), 0);
}

/* The verdict over a document of signer with links ("[..." without its end; empty: none). */
static int judge(struct console_keys *keys, struct buffer *links, EVP_PKEY *signer,
                 bool *ret_changed)
{
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(65536);
    AUTO_KEY EVP_PKEY *key = NULL;
    struct wire_problem problem;
    const char *text;
    json_t *root = NULL;

    if (links->length > 0)
        assert_int_equal(buffer_append_text(links, "]"), 0);
    assert_int_equal(wire_signed_encode_linked(
                         "{}", signer, links->length > 0 ? buffer_text(links) : NULL, &body),
                     0);
    buffer_clear(links);
    int r = console_keys_judge(keys, buffer_text(&body), body.length, NOW, &key, ret_changed);
    if (r == 0)
        r = wire_signed_decode(buffer_text(&body), body.length, key, &root, &text, &problem);
    json_decref(root);
    return r;
}

static struct console_keys pinned(const struct chain *chain)
{
    struct console_keys keys = {.previous = ""};

    (void)text_copy(keys.current, sizeof keys.current, chain->texts[0]);
    return keys;
}

static void knows_its_key(void **state)
{
    const struct chain *chain = *state;
    AUTO_BUFFER struct buffer links = BUFFER_WITH_MAXIMUM(65536);
    struct console_keys keys = pinned(chain);
    bool changed = true;

    assert_int_equal(judge(&keys, &links, chain->keys[0], &changed), 0);
    assert_false(changed);
    assert_int_equal(judge(&keys, &links, chain->keys[1], &changed), -EACCES);
}

static void follows_two_at_once(void **state)
{
    const struct chain *chain = *state;
    AUTO_BUFFER struct buffer links = BUFFER_WITH_MAXIMUM(65536);
    struct console_keys keys = pinned(chain);
    bool changed;

    add_link(&links, chain->keys[0], chain->texts[1], NOW + 10);
    add_link(&links, chain->keys[1], chain->texts[2], NOW + 10);
    assert_int_equal(judge(&keys, &links, chain->keys[2], &changed), 0);
    assert_true(changed);
    assert_string_equal(keys.current, chain->texts[2]);
    assert_string_equal(keys.previous, chain->texts[1]);
    /* The same links again lead nowhere. */
    add_link(&links, chain->keys[0], chain->texts[1], NOW + 10);
    add_link(&links, chain->keys[1], chain->texts[2], NOW + 10);
    assert_int_equal(judge(&keys, &links, chain->keys[2], &changed), 0);
    assert_false(changed);
    /* The first is forgotten. */
    assert_int_equal(judge(&keys, &links, chain->keys[0], &changed), -EACCES);
}

static void the_one_before_serves_until_it_retires(void **state)
{
    const struct chain *chain = *state;
    AUTO_BUFFER struct buffer links = BUFFER_WITH_MAXIMUM(65536);
    struct console_keys keys = pinned(chain);
    bool changed;

    add_link(&links, chain->keys[0], chain->texts[1], NOW + 1);
    assert_int_equal(judge(&keys, &links, chain->keys[1], &changed), 0);
    assert_int_equal(judge(&keys, &links, chain->keys[0], &changed), 0);
    keys.previous_until_ms = NOW;
    assert_int_equal(judge(&keys, &links, chain->keys[0], &changed), -EACCES);
    assert_int_equal(judge(&keys, &links, chain->keys[1], &changed), 0);
}

static void a_replaced_key_announces_nobody(void **state)
{
    const struct chain *chain = *state;
    AUTO_BUFFER struct buffer links = BUFFER_WITH_MAXIMUM(65536);
    struct console_keys keys = pinned(chain);
    bool changed;

    add_link(&links, chain->keys[0], chain->texts[1], NOW + 10);
    assert_int_equal(judge(&keys, &links, chain->keys[1], &changed), 0);
    add_link(&links, chain->keys[0], chain->texts[3], NOW + 10);
    assert_int_equal(judge(&keys, &links, chain->keys[3], &changed), -EACCES);
    assert_string_equal(keys.current, chain->texts[1]);
}

static void refuses_forged_links(void **state)
{
    const struct chain *chain = *state;
    AUTO_BUFFER struct buffer links = BUFFER_WITH_MAXIMUM(65536);
    AUTO_BUFFER struct buffer forged = BUFFER_WITH_MAXIMUM(65536);
    struct console_keys keys = pinned(chain);
    char id[KEY_ID_BYTES], other[KEY_ID_BYTES];
    bool changed;

    /* Signed by another, with our key's name on it. */
    add_link(&links, chain->keys[3], chain->texts[3], NOW + 10);
    assert_int_equal(key_id(chain->keys[0], id), 0);
    assert_int_equal(key_id(chain->keys[3], other), 0);
    char *at = strstr(buffer_text(&links), other);
    assert_non_null(at);
    memcpy(at, id, strlen(id));
    assert_int_equal(judge(&keys, &links, chain->keys[3], &changed), -EACCES);
    assert_string_equal(keys.current, chain->texts[0]);
    /* A link to what is no key. */
    add_link(&forged, chain->keys[0], "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", NOW + 10);
    assert_true(judge(&keys, &forged, chain->keys[0], &changed) < 0);
    assert_string_equal(keys.current, chain->texts[0]);
    /* Something else that our key signed. */
    assert_int_equal(buffer_append_text(&links, "["), 0);
    assert_int_equal(wire_signed_encode("{\"purpose\":\"policy\"}", chain->keys[0], &forged), 0);
    assert_int_equal(buffer_append_text(&links, buffer_text(&forged)), 0);
    assert_true(judge(&keys, &links, chain->keys[0], &changed) < 0);
    assert_string_equal(keys.current, chain->texts[0]);
}

static int move(const struct chain *chain, EVP_PKEY *signer, const char *agent, uint64_t expires_ms,
                char successor[static 40])
{
    AUTO_BUFFER struct buffer document = BUFFER_WITH_MAXIMUM(4096);
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(4096);
    const struct wire_move wire = {
        .agent_id = agent, .successor_id = OTHER, .issued_ms = NOW, .expires_ms = expires_ms};

    assert_int_equal(wire_move_encode(&wire, &document), 0);
    assert_int_equal(wire_signed_encode(buffer_text(&document), signer, &body), 0);
    return console_keys_take_move(buffer_text(&body), body.length, chain->keys[0], AGENT, NOW,
                                  successor);
}

static void moves_on_the_consoles_word_only(void **state)
{
    const struct chain *chain = *state;
    char successor[40] = "";

    assert_int_equal(move(chain, chain->keys[1], AGENT, NOW + 10, successor), -EACCES);
    assert_int_equal(move(chain, chain->keys[0], OTHER, NOW + 10, successor), -EACCES);
    assert_int_equal(move(chain, chain->keys[0], AGENT, NOW - 1, successor), -ETIME);
    assert_string_equal(successor, "");
    assert_int_equal(move(chain, chain->keys[0], AGENT, NOW + 10, successor), 0);
    assert_string_equal(successor, OTHER);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(knows_its_key),
        CASE(follows_two_at_once),
        CASE(the_one_before_serves_until_it_retires),
        CASE(a_replaced_key_announces_nobody),
        CASE(refuses_forged_links),
        CASE(moves_on_the_consoles_word_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
