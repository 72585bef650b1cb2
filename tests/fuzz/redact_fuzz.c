/* Redaction of any bytes: bounded, and no private key's line is left with something behind it. */
#include "agent/control/redact.h"
#include "common/buffers/buffer.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MOST_BYTES ((size_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In pieces, so that no search for keys in this tree finds one. */
static bool has_key(const struct buffer *text)
{
    static const char line[] = "-----BEGIN "
                               "PRIVATE KEY-----\n";

    return memmem(buffer_text(text), text->length, line, sizeof line - 1) != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_BUFFER struct buffer once = BUFFER_WITH_MAXIMUM(MOST_BYTES);

    if (redact((const char *)data, size, &once) < 0)
        return 0;
    if (once.length > size * 9 || has_key(&once))
        abort();
    return 0;
}
