/* Owns codes and their base32. Must not know users. */
#include "console/people/totp.h"

#include "common/crypto/random.h"
#include "common/text/text.h"

#include <endian.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#define CODE_MODULUS 1000000U
#define SHA1_BYTES   20

static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

int totp_new(char ret_secret[static TOTP_TEXT_BYTES])
{
    uint8_t bytes[TOTP_SECRET_BYTES];
    int r = random_bytes(bytes, sizeof(bytes));
    if (r < 0)
        return r;
    for (size_t i = 0; i < TOTP_TEXT_BYTES - 1; i++) {
        size_t bit = i * 5;
        uint32_t pair = (uint32_t)bytes[bit / 8] << 8;
        if (bit / 8 + 1 < sizeof(bytes))
            pair |= bytes[bit / 8 + 1];
        ret_secret[i] = ALPHABET[pair >> (11 - bit % 8) & 31];
    }
    ret_secret[TOTP_TEXT_BYTES - 1] = '\0';
    return 0;
}

static int decode(const char *text, uint8_t bytes[static TOTP_SECRET_BYTES])
{
    uint32_t group = 0;
    unsigned bits = 0;
    size_t filled = 0;
    if (strlen(text) != TOTP_TEXT_BYTES - 1)
        return -EINVAL;
    for (; *text; text++) {
        const char *found = strchr(ALPHABET, *text);
        if (!found)
            return -EINVAL;
        group = group << 5 | (uint32_t)(found - ALPHABET);
        bits += 5;
        if (bits >= 8) {
            bits -= 8;
            bytes[filled++] = (uint8_t)(group >> bits);
        }
    }
    return 0;
}

int totp_code(const char *secret, int64_t step, char ret_code[static 7])
{
    uint8_t key[TOTP_SECRET_BYTES] = {0}, digest[SHA1_BYTES] = {0};
    uint64_t counter = htobe64((uint64_t)step);
    unsigned length = sizeof(digest);
    int r = decode(secret, key);
    if (r == 0 && !HMAC(EVP_sha1(), key, sizeof(key), (const unsigned char *)&counter,
                        sizeof(counter), digest, &length))
        r = -EIO;
    OPENSSL_cleanse(key, sizeof(key));
    if (r < 0)
        return r;
    size_t offset = digest[SHA1_BYTES - 1] & 15;
    uint32_t value = (uint32_t)(digest[offset] & 127) << 24 | (uint32_t)digest[offset + 1] << 16 |
                     (uint32_t)digest[offset + 2] << 8 | digest[offset + 3];
    (void)text_format(ret_code, 7, "%06u", value % CODE_MODULUS);
    return 0;
}

bool totp_matches(const char *secret, const char *code, int64_t now_s, int64_t used,
                  int64_t *ret_step)
{
    int64_t now = now_s / TOTP_STEP_SECONDS;
    bool found = false;
    if (strlen(code) != 6)
        return false;
    for (int64_t step = now - 1; step <= now + 1; step++) {
        char right[7];
        if (step > used && totp_code(secret, step, right) == 0 &&
            CRYPTO_memcmp(right, code, 6) == 0 && !found) {
            *ret_step = step;
            found = true;
        }
    }
    return found;
}
