/* The shared credentials and config files of AWS's tools. Thread-safe: no state.
 * Source: https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html */
#ifndef COMMON_AWS_SHARED_FILE_H
#define COMMON_AWS_SHARED_FILE_H

#include "common/attributes.h"

#include <stdbool.h>
#include <stddef.h>

#define SHARED_FILE_MOST_BYTES (256 * 1024)

/* What a profile says; "" = nothing. */
struct shared_profile {
    char access_key_id[132], secret_access_key[260], session_token[8192];
    char region[64], endpoint[512];
    char fips[8], dual_stack[8];
    char other_source[32]; /* a setting that names credentials we cannot use, such as role_arn */
};

/* Adds what text says of profile to ret_profile, which the caller cleared; what stands further down
 * wins within one file, and nothing replaces what an earlier file said. in_config: sections are
 * written [profile NAME]. -ENOENT when there is no such section, -ENAMETOOLONG when a value is too
 * long for its field, -EBADMSG when the text has NUL bytes. */
int shared_file_read(const char *text, size_t length, const char *profile, bool in_config,
                     struct shared_profile *ret_profile) MUST_USE;

#endif
