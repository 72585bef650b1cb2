/* The encodings that wrap a body or a value. */
#include "application/events/request.h"

#include "application/limits.h"

#include <zlib.h>

struct span percent_decode(struct arena *arena, struct span text, bool plus)
{
    bool any = span_find(text, '%') < text.length || (plus && span_find(text, '+') < text.length);
    char *plain = any ? arena_take(arena, text.length) : NULL;
    if (plain == NULL)
        return any ? SPAN_NONE : text;
    size_t length = 0;
    for (size_t i = 0; i < text.length; i++) {
        char byte = text.data[i];
        if (byte == '%' && text.length - i > 2) {
            int high = byte_hex(text.data[i + 1]);
            int low = byte_hex(text.data[i + 2]);
            if (high >= 0 && low >= 0) {
                plain[length++] = (char)(high * 16 + low);
                i += 2;
                continue;
            }
        }
        plain[length++] = plus && byte == '+' ? ' ' : byte;
    }
    arena_trim(arena, plain, length);
    return (struct span){plain, length};
}

static int base64_digit(char byte)
{
    if (byte >= 'A' && byte <= 'Z')
        return byte - 'A';
    if (byte >= 'a' && byte <= 'z')
        return byte - 'a' + 26;
    if (byte_is_digit(byte))
        return byte - '0' + 52;
    if (byte == '+' || byte == '-')
        return 62;
    return byte == '/' || byte == '_' ? 63 : -1;
}

struct span base64_read(struct arena *arena, struct span text)
{
    char *plain = arena_take(arena, text.length / 4 * 3 + 3);
    if (plain == NULL)
        return SPAN_NONE;
    uint32_t bits = 0;
    unsigned held = 0;
    size_t length = 0;
    for (size_t i = 0; i < text.length; i++) {
        int digit = base64_digit(text.data[i]);
        if (digit < 0) {
            if (byte_is_space(text.data[i]))
                continue;
            break;
        }
        bits = bits << 6 | (uint32_t)digit;
        held += 6;
        if (held >= 8) {
            held -= 8;
            plain[length++] = (char)(bits >> held & 0xff);
        }
    }
    arena_trim(arena, plain, length);
    return (struct span){plain, length};
}

/* zlib's own memory comes from the arena too. */
static void *take_for_zlib(void *arena, unsigned items, unsigned size)
{
    return arena_take_zeroed(arena, items, size);
}

static void keep_for_zlib(void *arena, void *address)
{
    (void)arena;
    (void)address;
}

/* window_bits as inflateInit2 has it. */
static struct span inflate_as(struct arena *arena, struct span text, int window_bits, bool *ret_cut)
{
    z_stream stream = {.zalloc = take_for_zlib, .zfree = keep_for_zlib, .opaque = arena};
    size_t most = MIN((size_t)APPLICATION_LIMIT_INFLATED,
                      text.length * APPLICATION_LIMIT_INFLATE_RATIO + 1024);
    if (inflateInit2(&stream, window_bits) != Z_OK)
        return SPAN_NONE;
    char *plain = arena_take(arena, most);
    if (plain == NULL)
        return SPAN_NONE;
    stream.next_in = (Bytef *)(uintptr_t)text.data;
    stream.avail_in = (uInt)text.length;
    stream.next_out = (Bytef *)plain;
    stream.avail_out = (uInt)most;
    int r = inflate(&stream, Z_FINISH);
    size_t length = most - stream.avail_out;
    *ret_cut = r != Z_STREAM_END;
    (void)inflateEnd(&stream);
    arena_trim(arena, plain, length);
    if (length == 0 && r != Z_STREAM_END)
        return SPAN_NONE;
    return (struct span){plain, length};
}

struct span inflate_read(struct arena *arena, struct span text, bool *ret_cut)
{
    /* 15 + 32: zlib or gzip by its header; -15: neither. */
    struct span plain = inflate_as(arena, text, 15 + 32, ret_cut);
    return plain.data != NULL ? plain : inflate_as(arena, text, -15, ret_cut);
}
