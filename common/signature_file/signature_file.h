/* Which files of a mirror are taken. Signed ones (.cvd) carry a signature of ClamAV's that
 * libclamav checks when it loads them; here only their head is read, so that an older one never
 * takes the place of a newer one. Thread-safe: no state. Source of the head:
 * https://docs.clamav.net/manual/Signatures/Database-Info.html */
#ifndef COMMON_SIGNATURE_FILE_SIGNATURE_FILE_H
#define COMMON_SIGNATURE_FILE_SIGNATURE_FILE_H

#include "common/attributes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIGNATURE_HEAD_BYTES 512
#define SIGNATURE_NAME_BYTES 128

enum signature_kind {
    SIGNATURE_OTHER,    /* not for libclamav */
    SIGNATURE_SIGNED,   /* .cvd */
    SIGNATURE_UNSIGNED, /* lists of one's own: .hdb, .hsb, .ndb, .ldb, .fp, .sfp, .ign2 */
};
/* Letters, digits, ".", "_", "-", and not a dot at first; anything else is SIGNATURE_OTHER. */
enum signature_kind signature_file_kind(const char *name);

/* A .cld: what freshclam makes out of a .cvd and its changes. Nothing in it can be verified: only
 * for who trusts the freshclam it comes from. Its head is a .cvd's. */
bool signature_file_is_updated(const char *name);

struct signature_head {
    uint64_t version;
    uint64_t built_s; /* since 1970; 0 = it does not say */
};
/* The head of a .cvd or .cld, out of a file's first SIGNATURE_HEAD_BYTES. -EBADMSG: it is none. */
int signature_head_read(const char *head, size_t length, struct signature_head *ret_head) MUST_USE;
/* The same out of an open file, wherever its position is. Also -errno of the reading. */
int signature_head_read_file(int fd, struct signature_head *ret_head) MUST_USE;

#endif
