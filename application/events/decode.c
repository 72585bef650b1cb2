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

/* A digit's value and one; 0: no digit. */
#define D(value) ((value) + 1)
static const uint8_t base64_digits[256] = {
    ['A'] = D(0),  ['B'] = D(1),  ['C'] = D(2),  ['D'] = D(3),  ['E'] = D(4),  ['F'] = D(5),
    ['G'] = D(6),  ['H'] = D(7),  ['I'] = D(8),  ['J'] = D(9),  ['K'] = D(10), ['L'] = D(11),
    ['M'] = D(12), ['N'] = D(13), ['O'] = D(14), ['P'] = D(15), ['Q'] = D(16), ['R'] = D(17),
    ['S'] = D(18), ['T'] = D(19), ['U'] = D(20), ['V'] = D(21), ['W'] = D(22), ['X'] = D(23),
    ['Y'] = D(24), ['Z'] = D(25), ['a'] = D(26), ['b'] = D(27), ['c'] = D(28), ['d'] = D(29),
    ['e'] = D(30), ['f'] = D(31), ['g'] = D(32), ['h'] = D(33), ['i'] = D(34), ['j'] = D(35),
    ['k'] = D(36), ['l'] = D(37), ['m'] = D(38), ['n'] = D(39), ['o'] = D(40), ['p'] = D(41),
    ['q'] = D(42), ['r'] = D(43), ['s'] = D(44), ['t'] = D(45), ['u'] = D(46), ['v'] = D(47),
    ['w'] = D(48), ['x'] = D(49), ['y'] = D(50), ['z'] = D(51), ['0'] = D(52), ['1'] = D(53),
    ['2'] = D(54), ['3'] = D(55), ['4'] = D(56), ['5'] = D(57), ['6'] = D(58), ['7'] = D(59),
    ['8'] = D(60), ['9'] = D(61), ['+'] = D(62), ['-'] = D(62), ['/'] = D(63), ['_'] = D(63),
};
#undef D

/* Four digits at a time for as long as there are four in a row. */
static size_t read_quads(const unsigned char *from, size_t length, char *to, size_t *ret_written)
{
    size_t at = 0;
    size_t written = 0;
    for (; at + 4 <= length; at += 4) {
        uint32_t a = base64_digits[from[at]], b = base64_digits[from[at + 1]];
        uint32_t c = base64_digits[from[at + 2]], d = base64_digits[from[at + 3]];
        if (a == 0 || b == 0 || c == 0 || d == 0)
            break;
        uint32_t bits = (a - 1) << 18 | (b - 1) << 12 | (c - 1) << 6 | (d - 1);
        to[written++] = (char)(bits >> 16);
        to[written++] = (char)(bits >> 8 & 0xff);
        to[written++] = (char)(bits & 0xff);
    }
    *ret_written = written;
    return at;
}

struct span base64_read(struct arena *arena, struct span text)
{
    char *plain = arena_take(arena, text.length / 4 * 3 + 3);
    size_t length = 0;
    uint32_t bits = 0;
    unsigned held = 0;
    if (plain == NULL)
        return SPAN_NONE;
    size_t i = read_quads((const unsigned char *)text.data, text.length, plain, &length);
    for (; i < text.length; i++) {
        unsigned digit = base64_digits[(unsigned char)text.data[i]];
        if (digit == 0) {
            if (byte_is_space(text.data[i]))
                continue;
            break;
        }
        bits = bits << 6 | (digit - 1);
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

/* All members of a gzip file: readers put them together. Z_STREAM_END when the last one is whole.
 */
static int inflate_members(z_stream *stream)
{
    int r = inflate(stream, Z_FINISH);
    while (r == Z_STREAM_END && stream->avail_in >= 2 && stream->next_in[0] == 0x1f &&
           stream->next_in[1] == 0x8b) {
        if (inflateReset(stream) != Z_OK)
            return Z_STREAM_ERROR;
        r = inflate(stream, Z_FINISH);
    }
    return r;
}

/* window_bits as inflateInit2 has it. */
static struct inflated inflate_as(struct arena *arena, struct span text, int window_bits)
{
    z_stream stream = {.zalloc = take_for_zlib, .zfree = keep_for_zlib, .opaque = arena};
    size_t most = MIN((size_t)APPLICATION_LIMIT_INFLATED,
                      text.length * APPLICATION_LIMIT_INFLATE_RATIO + 1024);
    if (inflateInit2(&stream, window_bits) != Z_OK)
        return (struct inflated){.outcome = INFLATE_FAILED};
    char *plain = arena_take(arena, most);
    if (plain == NULL)
        return (struct inflated){.outcome = INFLATE_FAILED};
    stream.next_in = (Bytef *)(uintptr_t)text.data;
    stream.avail_in = (uInt)text.length;
    stream.next_out = (Bytef *)plain;
    stream.avail_out = (uInt)most;
    int r = inflate_members(&stream);
    size_t length = most - stream.avail_out;
    size_t left = stream.avail_in;
    (void)inflateEnd(&stream);
    arena_trim(arena, plain, length);
    struct inflated inflated = {INFLATE_WHOLE,
                                {plain, length},
                                span_from(text, text.length - left)};
    if (r != Z_STREAM_END)
        inflated.outcome = length == most ? INFLATE_CUT : INFLATE_FAILED;
    return inflated;
}

struct inflated inflate_read(struct arena *arena, struct span text)
{
    /* 15 + 32: zlib or gzip by its header; -15: neither, and then anything may begin like one. */
    struct inflated headed = inflate_as(arena, text, 15 + 32);
    if (headed.outcome != INFLATE_FAILED || headed.plain.length > 0)
        return headed;
    struct inflated raw = inflate_as(arena, text, -15);
    if (raw.outcome == INFLATE_WHOLE && raw.rest.length > 0)
        raw.outcome = INFLATE_FAILED;
    return raw;
}
