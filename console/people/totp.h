/* Time-based one-time codes (RFC 6238): HMAC-SHA-1, 6 digits, steps of 30 s, as every authenticator
 * app does. Thread-safe. */
#ifndef CONSOLE_PEOPLE_TOTP_H
#define CONSOLE_PEOPLE_TOTP_H

#include "common/attributes.h"

#include <stdbool.h>
#include <stdint.h>

#define TOTP_SECRET_BYTES 20
#define TOTP_TEXT_BYTES   33 /* base32, with the NUL */
#define TOTP_STEP_SECONDS 30

/* A new secret in base32. */
int totp_new(char ret_secret[static TOTP_TEXT_BYTES]) MUST_USE;
/* The code of one step; -EINVAL when secret is not one of totp_new. */
int totp_code(const char *secret, int64_t step, char ret_code[static 7]) MUST_USE;
/* Whether code is that of now, the step before or the one after, and of a step later than used.
 * ret_step: that step, to be remembered so that a code works once. */
bool totp_matches(const char *secret, const char *code, int64_t now_s, int64_t used,
                  int64_t *ret_step);

#endif
