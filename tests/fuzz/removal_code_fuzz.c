/* A removal code as root is handed it. The first byte chooses: the bytes as the code, as the
 * envelope in a code, or as a document that the console signed. */
#include "common/buffers/buffer.h"
#include "common/crypto/keys.h"
#include "common/text/text.h"
#include "common/wire/console_keys.h"
#include "common/wire/wire.h"

#include <stdlib.h>
#include <string.h>

#define MOST_BYTES (1U << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool condition)
{
    if (!condition)
        abort();
}

/* Who is meant is never left open. */
static void read_document(const char *document)
{
    struct wire_removal removal;
    struct wire_problem problem;

    if (wire_removal_decode(document, &removal, &problem) < 0)
        return;
    bool all = text_equal(removal.scope, WIRE_REMOVAL_ALL);
    check(all ? removal.subject[0] == '\0' : wire_is_uuid(removal.subject));
    check(all || text_equal(removal.scope, WIRE_REMOVAL_GROUP) ||
          text_equal(removal.scope, WIRE_REMOVAL_COMPUTER));
    check(wire_is_uuid(removal.id));
    wire_removal_done(&removal);
}

/* Nobody but the console signs what is read. */
static void read_code(const char *code, size_t length, EVP_PKEY *key, bool hostile)
{
    AUTO_BUFFER struct buffer envelope = BUFFER_WITH_MAXIMUM(MOST_BYTES);
    struct wire_problem problem;
    const char *document = NULL;
    json_t *root = NULL;

    if (wire_removal_code_decode(code, length, &envelope) < 0)
        return;
    if (wire_signed_decode(buffer_text(&envelope), envelope.length, key, &root, &document,
                           &problem) == 0) {
        check(!hostile);
        read_document(document);
    }
    json_decref(root);
}

static void read_envelope(const char *envelope, size_t length, EVP_PKEY *key, bool hostile)
{
    AUTO_BUFFER struct buffer code = BUFFER_WITH_MAXIMUM(MOST_BYTES);
    AUTO_BUFFER struct buffer again = BUFFER_WITH_MAXIMUM(MOST_BYTES);

    if (wire_removal_code_encode(envelope, length, &code) < 0)
        return;
    if (wire_removal_code_decode(buffer_text(&code), code.length, &again) == 0)
        check(again.length == length && memcmp(buffer_text(&again), envelope, length) == 0);
    read_code(buffer_text(&code), code.length, key, hostile);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static EVP_PKEY *key;
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(MOST_BYTES);
    AUTO_BUFFER struct buffer envelope = BUFFER_WITH_MAXIMUM(MOST_BYTES);

    if (size < 1 || (key == NULL && key_new_ed25519(&key) < 0))
        return 0;
    const char *rest = (const char *)data + 1;
    if (data[0] == 'C')
        read_code(rest, size - 1, key, true);
    else if (data[0] == 'E')
        read_envelope(rest, size - 1, key, true);
    else if (buffer_append(&text, rest, size - 1) == 0 &&
             wire_signed_encode(buffer_text(&text), key, &envelope) == 0)
        read_envelope(buffer_text(&envelope), envelope.length, key, false);
    return 0;
}
