/* Transformations: the first byte chooses one. Never longer than promised, and nothing changes in a
 * text that has none of the bytes the transformation says it needs. */
#include "application/detection/transformations.h"
#include "common/attributes.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool held)
{
    if (!held)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct arena arena;
    uint64_t needs[4];
    uint64_t bytes[4] = {0};
    if (size < 2)
        return 0;
    if (arena.base == NULL)
        require(arena_init(&arena, (size_t)4 << 20) == 0);
    arena_reset(&arena);
    enum transformation which = (enum transformation)(data[0] % TRANSFORM_COUNT);
    struct span text = {(const char *)data + 1, MIN(size - 1, (size_t)65536)};
    struct span result = transform(which, &arena, text);
    for (size_t i = 0; i < text.length; i++)
        bytes[(unsigned char)text.data[i] >> 6] |= 1ULL << ((unsigned char)text.data[i] & 63);
    bool changes = result.data != text.data || result.length != text.length;
    if (transformation_needs(which, needs) && !bytes_meet(bytes, needs))
        require(!changes || span_equal(result, text));
    if (which == TRANSFORM_HEX_ENCODE)
        require(result.length == 2 * text.length);
    else if (which != TRANSFORM_LENGTH)
        require(result.length <= (which == TRANSFORM_UTF8_TO_UNICODE ? 3 : 1) * text.length);
    return 0;
}
