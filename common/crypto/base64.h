/* Base64 (RFC 4648): the standard alphabet with padding, and the URL alphabet without. Strict:
 * other bytes, missing padding and left-over bits are errors. Thread-safe. */
#ifndef COMMON_CRYPTO_BASE64_H
#define COMMON_CRYPTO_BASE64_H

#include "common/attributes.h"

#include <stdbool.h>
#include <stdint.h>

/* Bytes of the text of length bytes, with the NUL (either alphabet). */
#define BASE64_TEXT_BYTES(length) ((((length) + 2) / 3) * 4 + 1)

/* text must hold BASE64_TEXT_BYTES(length). */
void base64_encode(char *text, const void *bytes, size_t length);
void base64_url_encode(char *text, const void *bytes, size_t length);
/* -EINVAL, -ENOBUFS when the result is longer than size. */
int base64_decode(const char *text, size_t text_length, uint8_t *bytes, size_t size,
                  size_t *ret_length) MUST_USE;
int base64_url_decode(const char *text, size_t text_length, uint8_t *bytes, size_t size,
                      size_t *ret_length) MUST_USE;

#endif
