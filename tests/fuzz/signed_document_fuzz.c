/* What the messenger hands to root as signed by the console. The first byte chooses: the bytes as
 * the envelope, or signed with the right key as the document, which then is a hostile console's. */
#include "common/buffers/buffer.h"
#include "common/crypto/keys.h"
#include "common/text/text.h"
#include "common/wire/wire.h"

#include "agent/delivery/signed_command.h"
#include "common/wire/console_keys.h"

#include <stdlib.h>
#include <string.h>

#define AGENT "01a20110-8b87-741b-b374-275c67b8f792"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool condition)
{
    if (!condition)
        abort();
}

/* What is taken is for this agent, is noted, and is not taken again. */
static void take_command(const char *body, size_t length, EVP_PKEY *key)
{
    static struct console_orders orders;
    struct wire_command command;
    struct wire_problem problem;
    char *document = NULL;

    orders.seen_count = 0;
    if (signed_command_take(body, length, key, AGENT, &orders, &document) < 0)
        return;
    check(orders.seen_count == 1 && document != NULL);
    check(wire_command_decode(document, &command, &problem) == 0);
    check(strcmp(command.agent_id, AGENT) == 0 && wire_is_word(command.type));
    wire_command_done(&command);
    free(document);
    document = NULL;
    check(signed_command_take(body, length, key, AGENT, &orders, &document) < 0);
    free(document);
}

static void take_policy(const char *body, size_t length, EVP_PKEY *key)
{
    struct wire_policy policy;
    struct wire_problem problem;
    const char *text;
    json_t *root = NULL;

    if (wire_signed_decode(body, length, key, &root, &text, &problem) == 0 &&
        wire_policy_decode(text, &policy, &problem) == 0) {
        for (size_t i = 0; i < policy.text_count; i++)
            check(policy.texts[i].name != NULL && policy.texts[i].text != NULL);
        wire_policy_done(&policy);
    }
    json_decref(root);
}

static void take_signatures(const char *body, size_t length, EVP_PKEY *key)
{
    struct wire_signatures signatures;
    struct wire_problem problem;
    const char *text;
    json_t *root = NULL;

    if (wire_signed_decode(body, length, key, &root, &text, &problem) == 0 &&
        wire_signatures_decode(text, &signatures, &problem) == 0) {
        for (size_t i = 0; i < signatures.list_count; i++)
            check(wire_is_signature_name(signatures.lists[i].name) &&
                  signatures.lists[i].text != NULL);
        for (size_t i = 0; i < signatures.allowed_count; i++)
            check(wire_is_sha256(signatures.allowed[i]));
        for (size_t i = 0; i < signatures.file_count; i++)
            check(wire_is_signature_name(signatures.files[i].name) &&
                  strchr(signatures.files[i].name, '/') == NULL &&
                  wire_is_sha256(signatures.files[i].sha256));
        wire_signatures_done(&signatures);
    }
    json_decref(root);
}

/* Nobody who lacks the key leads a host to another one; the console may, to one that can be used.
 */
static void follow_keys(const char *body, size_t length, EVP_PKEY *key, bool hostile)
{
    struct console_keys keys = {.previous = ""};
    char pinned[KEY_PUBLIC_TEXT_BYTES];
    AUTO_KEY EVP_PKEY *chosen = NULL;
    AUTO_KEY EVP_PKEY *current = NULL;
    bool changed = false;

    check(key_public_text(key, pinned) == 0);
    (void)text_copy(keys.current, sizeof keys.current, pinned);
    int r = console_keys_judge(&keys, body, length, 1000, &chosen, &changed);
    if (hostile || r < 0)
        check(text_equal(keys.current, pinned));
    check(key_from_public_text(keys.current, &current) == 0);
    check(r < 0 || chosen != NULL);
}

/* The document as the announcement of a successor. */
static void follow_link(const char *document, EVP_PKEY *key)
{
    AUTO_BUFFER struct buffer link = BUFFER_WITH_MAXIMUM(1U << 22);
    AUTO_BUFFER struct buffer links = BUFFER_WITH_MAXIMUM(1U << 22);
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(1U << 23);

    if (wire_signed_encode(document, key, &link) == 0 &&
        buffer_append_format(&links, "[%s]", buffer_text(&link)) == 0 &&
        wire_signed_encode_linked("{}", key, buffer_text(&links), &body) == 0)
        follow_keys(buffer_text(&body), body.length, key, false);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static EVP_PKEY *key;
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(1U << 20);
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(1U << 22);

    if (size < 1 || (key == NULL && key_new_ed25519(&key) < 0))
        return 0;
    const char *rest = (const char *)data + 1;
    if (data[0] == 'E') {
        take_command(rest, size - 1, key);
        take_policy(rest, size - 1, key);
        take_signatures(rest, size - 1, key);
        follow_keys(rest, size - 1, key, true);
        return 0;
    }
    if (buffer_append(&text, rest, size - 1) < 0 ||
        wire_signed_encode(buffer_text(&text), key, &body) < 0)
        return 0;
    take_command(buffer_text(&body), body.length, key);
    take_policy(buffer_text(&body), body.length, key);
    take_signatures(buffer_text(&body), body.length, key);
    follow_link(buffer_text(&text), key);
    return 0;
}
