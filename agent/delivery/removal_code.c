/* Owns the judgement of a removal code. Must not keep or change anything: a code counts until it
 * expires, for the identity that this host had when it was made. */
#include "agent/delivery/removal_code.h"

#include "agent/delivery/console_files.h"
#include "common/crypto/keys.h"
#include "common/json/json_writer.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "common/wire/console_keys.h"
#include "common/wire/wire.h"

#include <errno.h>
#include <openssl/crypto.h>

#define MOST_ENVELOPE_BYTES LIMIT_REMOVAL_CODE_BYTES

static const struct {
    const char *word, *text;
} refusals[] = {
    [REMOVAL_GRANTED] = {"granted", "granted"},
    [REMOVAL_NO_CODE] = {"no_code", "this is no removal code: hand over the whole text that the "
                                    "console gave"},
    [REMOVAL_NO_CONSOLE] = {"no_console",
                            "this host has joined no console, so that no code can be checked: "
                            "switch protection.enabled off in its local policy"},
    [REMOVAL_FOREIGN] = {"foreign", "the removal code was not signed by this host's console, or "
                                    "with a key that it has replaced: make another there"},
    [REMOVAL_OTHER_COMPUTER] = {"other_computer",
                                "the removal code is for another computer: make one for this one"},
    [REMOVAL_OTHER_GROUP] = {"other_group",
                             "the removal code is for a group that this host is not in, as far as "
                             "it was told: make one for its group, or for this computer"},
    [REMOVAL_EXPIRED] = {"expired", "the removal code has expired by this host's clock: make "
                                    "another"},
    [REMOVAL_EARLY] = {"early", "the removal code was made in the future by this host's clock: set "
                                "the clock"},
    [REMOVAL_STALE] = {"stale", "the removal code was made before this host joined its console: "
                                "make another"},
    [REMOVAL_FAILED] = {"failed", "the removal code could not be checked: look at memory and at "
                                  "the disk of the state directory, then try again"},
};

const char *removal_refusal_word(enum removal_refusal refusal)
{
    return refusals[refusal].word;
}

const char *removal_refusal_text(enum removal_refusal refusal)
{
    return refusals[refusal].text;
}

int removal_code_describe(const struct removal_code *code, struct buffer *detail)
{
    struct json_writer json;

    json_writer_init(&json, detail);
    json_write_object_begin(&json);
    json_write_field_string(&json, "by", "code");
    json_write_field_string(&json, "code", code->id);
    json_write_field_string(&json, "scope", code->scope);
    json_write_field_string(&json, "created_by", code->created_by);
    json_write_object_end(&json);
    return buffer_failed(detail);
}

/* Who this host is to its console, and what it was told. */
struct standing {
    struct link_identity identity;
    struct console_orders orders;
};

static enum removal_refusal read_standing(const char *state_directory, struct standing *standing)
{
    struct console_files *files = NULL;

    int r = console_files_open(state_directory, &files);
    if (r == 0)
        r = console_files_read_identity(files, &standing->identity);
    int orders = r == 0 ? console_files_read_orders(files, &standing->orders) : r;
    (void)console_files_close(files);
    explicit_bzero(standing->identity.key, sizeof standing->identity.key);
    if (r == -ENOENT || r == -EBADMSG)
        return REMOVAL_NO_CONSOLE;
    return r == 0 && orders == 0 ? REMOVAL_GRANTED : REMOVAL_FAILED;
}

static enum removal_refusal judge_subject(const struct wire_removal *removal,
                                          const struct standing *standing)
{
    const struct console_orders *orders = &standing->orders;

    if (text_equal(removal->scope, WIRE_REMOVAL_COMPUTER))
        return text_equal(removal->subject, standing->identity.agent_id) ? REMOVAL_GRANTED
                                                                         : REMOVAL_OTHER_COMPUTER;
    if (text_equal(removal->scope, WIRE_REMOVAL_GROUP) &&
        (orders->group_issued_ms == 0 || !text_equal(removal->subject, orders->group_id)))
        return REMOVAL_OTHER_GROUP;
    return REMOVAL_GRANTED;
}

static enum removal_refusal judge_times(const struct wire_removal *removal,
                                        const struct console_orders *orders)
{
    int64_t now_ms = (int64_t)(clock_realtime_ns() / NS_PER_MS);
    int64_t issued_ms = (int64_t)removal->issued_ms, expires_ms = (int64_t)removal->expires_ms;

    if (issued_ms - REMOVAL_CLOCK_MS > now_ms)
        return REMOVAL_EARLY;
    if (expires_ms <= now_ms - REMOVAL_CLOCK_MS ||
        expires_ms - issued_ms > LIMIT_REMOVAL_CODE_SECONDS * 1000LL)
        return REMOVAL_EXPIRED;
    return issued_ms + REMOVAL_CLOCK_MS < (int64_t)orders->begun_ms ? REMOVAL_STALE
                                                                    : REMOVAL_GRANTED;
}

static enum removal_refusal judge_document(const char *document, const struct standing *standing,
                                           struct removal_code *ret_code)
{
    struct wire_removal removal;
    struct wire_problem problem;

    int r = wire_removal_decode(document, &removal, &problem);
    if (r < 0)
        return r == -ENOMEM ? REMOVAL_FAILED : REMOVAL_NO_CODE;
    enum removal_refusal refusal = judge_subject(&removal, standing);
    if (refusal == REMOVAL_GRANTED)
        refusal = judge_times(&removal, &standing->orders);
    ret_code->expires_ms = removal.expires_ms;
    if (text_copy(ret_code->id, sizeof ret_code->id, removal.id) < 0 ||
        text_copy(ret_code->scope, sizeof ret_code->scope, removal.scope) < 0 ||
        text_copy(ret_code->created_by, sizeof ret_code->created_by, removal.created_by) < 0)
        refusal = REMOVAL_NO_CODE;
    wire_removal_done(&removal);
    return refusal;
}

/* The signature first: nothing of the document is looked at before. */
static enum removal_refusal judge_envelope(const struct buffer *envelope,
                                           const struct standing *standing,
                                           struct removal_code *ret_code)
{
    const char *text = buffer_text(envelope), *document = NULL;
    struct console_keys keys = {.previous_until_ms = standing->orders.previous_key_until_ms};
    AUTO_KEY EVP_PKEY *key = NULL;
    struct wire_problem problem;
    json_t *root = NULL;
    bool changed;

    (void)text_copy(keys.current, sizeof keys.current, standing->identity.signing_key);
    (void)text_copy(keys.previous, sizeof keys.previous, standing->orders.previous_key);
    int r = console_keys_judge(&keys, text, envelope->length, clock_realtime_ns() / NS_PER_MS, &key,
                               &changed);
    if (r == 0)
        r = wire_signed_decode(text, envelope->length, key, &root, &document, &problem);
    enum removal_refusal refusal = r == -ENOMEM   ? REMOVAL_FAILED
                                   : r == -EACCES ? REMOVAL_FOREIGN
                                   : r < 0        ? REMOVAL_NO_CODE
                                                  : judge_document(document, standing, ret_code);
    json_decref(root);
    return refusal;
}

enum removal_refusal removal_code_judge(const char *state_directory, const char *text,
                                        size_t length, struct removal_code *ret_code)
{
    AUTO_BUFFER struct buffer envelope = BUFFER_WITH_MAXIMUM(MOST_ENVELOPE_BYTES);
    AUTO_FREE struct standing *standing = calloc(1, sizeof *standing);

    if (standing == NULL)
        return REMOVAL_FAILED;
    enum removal_refusal refusal = read_standing(state_directory, standing);
    if (refusal != REMOVAL_GRANTED)
        return refusal;
    int r = wire_removal_code_decode(text, length, &envelope);
    if (r < 0)
        return r == -ENOMEM ? REMOVAL_FAILED : REMOVAL_NO_CODE;
    return judge_envelope(&envelope, standing, ret_code);
}
