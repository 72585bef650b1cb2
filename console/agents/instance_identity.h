/* The EC2 instance identity document: whether AWS signed it, and what it says. The signature is the
 * rsa2048 one (PKCS #7, SHA-256). Only the certificates an administrator pinned are trusted; those
 * inside the message are never looked at, because anybody can put theirs there.
 * Source: docs.aws.amazon.com, AWSEC2, "Verify the instance identity document". Read-only after
 * loading; then thread-safe. */
#ifndef CONSOLE_AGENTS_INSTANCE_IDENTITY_H
#define CONSOLE_AGENTS_INSTANCE_IDENTITY_H

#include "common/attributes.h"

#include <stddef.h>

#define INSTANCE_REGIONS_MAXIMUM 128

struct instance_identity {
    char account[32], region[64], instance_id[65]; /* "": none was given */
};

struct instance_certificates;
/* REGION.pem files of a folder, each with one certificate or several. -EBADMSG when one holds none,
 * -ENOENT when there is no such file, -errno; ret_problem names the file, 256 bytes. */
int instance_certificates_load(const char *folder, struct instance_certificates **ret_certificates,
                               char ret_problem[static 256]) MUST_USE;
struct instance_certificates *instance_certificates_free(struct instance_certificates *pinned);
size_t instance_certificates_regions(const struct instance_certificates *pinned);

/* signature: base64, with or without line ends. -EACCES with ret_reason otherwise:
 * "identity_format", "identity_region" no certificate is pinned for its region,
 * "identity_signature". -ENOMEM. */
int instance_identity_verify(const struct instance_certificates *pinned, const char *document,
                             const char *signature, struct instance_identity *ret_identity,
                             const char **ret_reason) MUST_USE;

#endif
