/* Brotli (RFC 7932), with its memory out of the arena. */
#include "application/events/request.h"
#include "application/limits.h"

#include <brotli/decode.h>

static void *take_for_brotli(void *arena, size_t size)
{
    return arena_take(arena, size);
}

static void keep_for_brotli(void *arena, void *address)
{
    (void)arena;
    (void)address;
}

struct inflated brotli_read(struct arena *arena, struct span text)
{
    size_t most = MIN((size_t)APPLICATION_LIMIT_INFLATED,
                      text.length * APPLICATION_LIMIT_INFLATE_RATIO + 1024);
    BrotliDecoderState *state =
        BrotliDecoderCreateInstance(take_for_brotli, keep_for_brotli, arena);
    char *plain = state == NULL ? NULL : arena_take(arena, most);
    struct inflated inflated = {.outcome = INFLATE_FAILED};
    if (plain == NULL) {
        BrotliDecoderDestroyInstance(state);
        return inflated;
    }
    const uint8_t *in = (const uint8_t *)text.data;
    uint8_t *out = (uint8_t *)plain;
    size_t in_left = text.length, out_left = most;
    BrotliDecoderResult result =
        BrotliDecoderDecompressStream(state, &in_left, &in, &out_left, &out, NULL);
    BrotliDecoderDestroyInstance(state);
    inflated.plain = (struct span){plain, most - out_left};
    inflated.rest = span_from(text, text.length - in_left);
    if (result == BROTLI_DECODER_RESULT_SUCCESS)
        inflated.outcome = INFLATE_WHOLE;
    else if (result == BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT)
        inflated.outcome = INFLATE_CUT;
    return inflated;
}
