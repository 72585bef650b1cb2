/* One installed package's header, as rpm keeps it in its database: how many index entries and bytes
 * of data (both big-endian, 4 bytes), the entries (tag, type, offset, count: 4 bytes each), the
 * data. There is no magic number in front. Source: rpm's format documentation ("Package Format v4",
 * header structure) and what rpm 4.18 writes. Nothing is copied or allocated; the bytes are not
 * trusted. */
#ifndef AGENT_INSPECTOR_RPM_HEADER_H
#define AGENT_INSPECTOR_RPM_HEADER_H

#include "common/attributes.h"

#include <stddef.h>
#include <stdint.h>

enum rpm_digest {
    RPM_DIGEST_NONE, /* the package says nothing about the content, or in a way we do not know */
    RPM_DIGEST_MD5,
    RPM_DIGEST_SHA256,
};

/* All texts lie within the header's bytes. */
struct rpm_header_file {
    const char *package;
    const char *digest; /* lower-case hexadecimal of the kind's length; "" for none */
    enum rpm_digest kind;
};

/* The file that stands at canonical (absolute, as merged_usr.h has it). -ENOENT when it is not of
 * this package, -EBADMSG when the header is broken. */
int rpm_header_find(const void *bytes, size_t length, const char *canonical,
                    struct rpm_header_file *ret_file) MUST_USE;

#endif
