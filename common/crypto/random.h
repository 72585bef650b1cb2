/* Randomness and identifiers. Thread-safe. */
#ifndef COMMON_CRYPTO_RANDOM_H
#define COMMON_CRYPTO_RANDOM_H

#include "common/attributes.h"

#include <stdint.h>

/* Unpredictable bytes (getrandom). 0 or -errno. */
int random_bytes(void *bytes, size_t length) MUST_USE;

/* UUIDv7 (RFC 9562): the time in ms, 12 bits of its fraction (section 6.2, method 3), then 62
 * random bits; text form, lower case, 37 bytes. Those made more than 250 ns apart sort as they were
 * made. */
#define UUID_TEXT_BYTES 37
int uuid_new(char text[static UUID_TEXT_BYTES]) MUST_USE;

#endif
