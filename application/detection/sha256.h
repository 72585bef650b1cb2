/* SHA-256 alone, so that the static program a function starts with carries no OpenSSL for the sake
 * of a list of denied files. Not for secrets: not hardened against anything. Source: FIPS 180-4. */
#ifndef APPLICATION_DETECTION_SHA256_H
#define APPLICATION_DETECTION_SHA256_H

#include "application/events/span.h"

void sha256_of(struct span text, uint8_t ret_digest[32]);

#endif
