/* Owns the walk from the pinned key to the one in use. Must not keep anything: its callers do. */
#include "common/wire/console_keys.h"

#include "common/crypto/keys.h"
#include "common/text/text.h"
#include "common/wire/wire.h"

#include <errno.h>
#include <string.h>

static bool is_named(const char *public_text, const char *id)
{
    AUTO_KEY EVP_PKEY *key = NULL;
    char own[KEY_ID_BYTES];

    return public_text[0] != '\0' && key_from_public_text(public_text, &key) == 0 &&
           key_id(key, own) == 0 && text_equal(own, id);
}

static int check_with(const struct wire_envelope *envelope, const char *public_text)
{
    AUTO_KEY EVP_PKEY *key = NULL;

    int r = key_from_public_text(public_text, &key);
    return r < 0 ? r : wire_envelope_check(envelope, key);
}

static int follow(struct console_keys *keys, const struct wire_envelope *link)
{
    struct wire_successor successor = {.root = NULL};
    struct wire_problem problem;
    AUTO_KEY EVP_PKEY *key = NULL;

    int r = check_with(link, keys->current);
    if (r == 0)
        r = wire_successor_decode(link->document, &successor, &problem);
    if (r < 0)
        return r;
    r = key_from_public_text(successor.key, &key);
    if (r == 0) {
        (void)text_copy(keys->previous, sizeof keys->previous, keys->current);
        (void)text_copy(keys->current, sizeof keys->current, successor.key);
        keys->previous_until_ms = successor.retires_ms;
    }
    wire_successor_done(&successor);
    return r;
}

/* Links older than our key are of no interest, and end where ours begins. */
static int follow_all(struct console_keys *keys, const json_t *links, bool *ret_changed)
{
    struct wire_envelope link;
    struct wire_problem problem;
    const json_t *object;
    size_t i;
    int r = 0;

    json_array_foreach(links, i, object)
    {
        r = wire_envelope_read(object, &link, &problem);
        if (r == 0 && is_named(keys->current, link.key_id)) {
            r = follow(keys, &link);
            *ret_changed = *ret_changed || r == 0;
        }
        if (r < 0)
            return r;
    }
    return 0;
}

int console_keys_judge(struct console_keys *keys, const char *document, size_t length,
                       uint64_t now_ms, EVP_PKEY **ret_key, bool *ret_changed)
{
    struct console_keys followed = *keys;
    struct wire_envelope envelope;
    struct wire_problem problem;

    *ret_changed = false;
    int r = wire_envelope_decode(document, length, &envelope, &problem);
    if (r < 0)
        return r;
    r = follow_all(&followed, envelope.successors, ret_changed);
    bool old = r == 0 && is_named(followed.previous, envelope.key_id);
    wire_envelope_done(&envelope);
    if (r == 0 && old && now_ms >= followed.previous_until_ms)
        r = -EACCES;
    if (r == 0)
        r = key_from_public_text(old ? followed.previous : followed.current, ret_key);
    if (r == 0)
        *keys = followed;
    return r;
}

int console_keys_take_move(const char *document, size_t length, EVP_PKEY *key, const char *agent_id,
                           uint64_t now_ms, char ret_successor[static 40])
{
    struct wire_problem problem;
    struct wire_move move;
    const char *text = NULL;
    json_t *root = NULL;

    int r = wire_signed_decode(document, length, key, &root, &text, &problem);
    if (r == 0)
        r = wire_move_decode(text, &move, &problem);
    if (r == 0) {
        r = !text_equal(move.agent_id, agent_id) ? -EACCES : move.expires_ms < now_ms ? -ETIME : 0;
        if (r == 0)
            r = text_copy(ret_successor, 40, move.successor_id) < 0 ? -EBADMSG : 0;
        wire_move_done(&move);
    }
    json_decref(root);
    return r;
}
