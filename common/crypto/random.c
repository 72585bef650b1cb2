/* Owns: randomness of the kernel and identifiers made of it. Must not own: keys' life. */
#include "common/crypto/random.h"

#include "common/time/clock.h"

#include <errno.h>
#include <sys/random.h>

int random_bytes(void *bytes, size_t length)
{
    uint8_t *position = bytes;

    while (length > 0) {
        ssize_t got = getrandom(position, length, 0);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        position += got;
        length -= (size_t)got;
    }
    return 0;
}

static char *append_hex(char *text, const uint8_t *bytes, size_t length)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < length; i++) {
        *text++ = digits[bytes[i] >> 4];
        *text++ = digits[bytes[i] & 15];
    }
    return text;
}

int uuid_new(char text[static UUID_TEXT_BYTES])
{
    uint64_t now_ns = clock_realtime_ns();
    uint64_t ms = now_ns / NS_PER_MS;
    uint64_t fraction = (now_ns % NS_PER_MS) * 4096 / NS_PER_MS; /* 12 bits */
    uint8_t bytes[16];
    size_t from = 0;
    int r;

    text[0] = '\0';
    r = random_bytes(bytes + 8, sizeof(bytes) - 8);
    if (r < 0)
        return r;
    for (size_t i = 0; i < 6; i++)
        bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
    bytes[6] = (uint8_t)(0x70 | fraction >> 8);
    bytes[7] = (uint8_t)fraction;
    bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
    for (size_t group = 0; group < 5; group++) {
        static const size_t lengths[5] = {4, 2, 2, 2, 6};

        if (group > 0)
            *text++ = '-';
        text = append_hex(text, bytes + from, lengths[group]);
        from += lengths[group];
    }
    *text = '\0';
    return 0;
}
