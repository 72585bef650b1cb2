/* Passwords: argon2id (64 MiB, 3 passes, 1 lane), in the encoded form that says its parameters, so
 * that they may rise. At most two are computed at once; others wait. Thread-safe. */
#ifndef CONSOLE_PEOPLE_PASSWORD_H
#define CONSOLE_PEOPLE_PASSWORD_H

#include "common/attributes.h"

#include <stdbool.h>

#define PASSWORD_MINIMUM    12
#define PASSWORD_MAXIMUM    256
#define PASSWORD_HASH_BYTES 160

int password_hash(const char *password, char ret_hash[static PASSWORD_HASH_BYTES]) MUST_USE;
/* hash NULL: takes as long, and says no. */
bool password_matches(const char *password, const char *hash);
/* A random one of 24 letters and digits, for people to type once. */
#define PASSWORD_NEW_BYTES 25
int password_new(char ret_password[static PASSWORD_NEW_BYTES]) MUST_USE;

#endif
