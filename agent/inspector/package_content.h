/* The digests of the file in question, made when a database first asks for them: dpkg wants MD5,
 * rpm mostly SHA-256, and a large file is not to be read twice for nothing. Not thread-safe. */
#ifndef AGENT_INSPECTOR_PACKAGE_CONTENT_H
#define AGENT_INSPECTOR_PACKAGE_CONTENT_H

#include "common/attributes.h"
#include "common/crypto/hash.h"

/* {.fd = fd}; the descriptor stays the caller's. A digest that is already there is believed. */
struct package_content {
    int fd;
    char md5[2 * MD5_BYTES + 1], sha256[SHA256_HEX_BYTES]; /* "" until asked for */
};

/* In lower-case hexadecimal, valid as long as content; NULL when the file cannot be read. */
const char *package_content_md5(struct package_content *content) MUST_USE;
const char *package_content_sha256(struct package_content *content) MUST_USE;

#endif
