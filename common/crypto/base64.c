/* Owns both base64 alphabets. Our own loop, because OpenSSL's decoder takes blanks and line ends
 * and miscounts padding. Hands off nothing. */
#include "common/crypto/base64.h"

#include <errno.h>

static const char STANDARD[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char URL[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void encode(char *text, const uint8_t *bytes, size_t length, const char *alphabet,
                   bool padded)
{
    size_t i = 0;
    for (; i + 2 < length; i += 3) {
        uint32_t group = (uint32_t)bytes[i] << 16 | (uint32_t)bytes[i + 1] << 8 | bytes[i + 2];
        *text++ = alphabet[group >> 18];
        *text++ = alphabet[group >> 12 & 63];
        *text++ = alphabet[group >> 6 & 63];
        *text++ = alphabet[group & 63];
    }
    if (i < length) {
        bool two = i + 1 < length;
        uint32_t group = (uint32_t)bytes[i] << 16 | (two ? (uint32_t)bytes[i + 1] << 8 : 0);
        *text++ = alphabet[group >> 18];
        *text++ = alphabet[group >> 12 & 63];
        if (two)
            *text++ = alphabet[group >> 6 & 63];
        else if (padded)
            *text++ = '=';
        if (padded)
            *text++ = '=';
    }
    *text = '\0';
}

void base64_encode(char *text, const void *bytes, size_t length)
{
    encode(text, bytes, length, STANDARD, true);
}

void base64_url_encode(char *text, const void *bytes, size_t length)
{
    encode(text, bytes, length, URL, false);
}

static int digit_value(char digit, char last, char before_last)
{
    if (digit >= 'A' && digit <= 'Z')
        return digit - 'A';
    if (digit >= 'a' && digit <= 'z')
        return digit - 'a' + 26;
    if (digit >= '0' && digit <= '9')
        return digit - '0' + 52;
    if (digit == before_last)
        return 62;
    return digit == last ? 63 : -1;
}

static int decode(const char *text, size_t text_length, const char *alphabet, uint8_t *bytes,
                  size_t size, size_t *ret_length)
{
    if (text_length % 4 == 1)
        return -EINVAL;
    size_t length = text_length / 4 * 3 + (text_length % 4 ? text_length % 4 - 1 : 0);
    if (length > size)
        return -ENOBUFS;
    uint32_t group = 0;
    unsigned bits = 0;
    size_t filled = 0;
    for (size_t i = 0; i < text_length; i++) {
        int value = digit_value(text[i], alphabet[63], alphabet[62]);
        if (value < 0)
            return -EINVAL;
        group = group << 6 | (uint32_t)value;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            bytes[filled++] = (uint8_t)(group >> bits);
            group &= (1U << bits) - 1;
        }
    }
    if (group != 0)
        return -EINVAL;
    *ret_length = filled;
    return 0;
}

int base64_decode(const char *text, size_t text_length, uint8_t *bytes, size_t size,
                  size_t *ret_length)
{
    if (text_length % 4 != 0)
        return -EINVAL;
    size_t padding = 0;
    while (padding < 2 && padding < text_length && text[text_length - padding - 1] == '=')
        padding++;
    return decode(text, text_length - padding, STANDARD, bytes, size, ret_length);
}

int base64_url_decode(const char *text, size_t text_length, uint8_t *bytes, size_t size,
                      size_t *ret_length)
{
    return decode(text, text_length, URL, bytes, size, ret_length);
}
