/* Signatures from a bucket: a thread keeps a folder as the mirror is, and the scanner, which
 * watches the folder, loads what is new without a restart. A file is put in its place whole, never
 * older than the one that stands there; what left the mirror leaves the folder, but never all of
 * it. Files that nobody signed are taken only where mirror.unsigned says so. Thread-safe. */
#ifndef STORAGE_MIRROR_SIGNATURE_MIRROR_H
#define STORAGE_MIRROR_SIGNATURE_MIRROR_H

#include "common/attributes.h"
#include "common/aws/aws_settings.h"
#include "storage/settings/storage_settings.h"

#include <stdbool.h>
#include <stdint.h>

struct signature_mirror;

/* *ret_mirror is NULL when mirror.url is not set. -EINVAL with the problem logged; -errno. settings
 * must outlive it. */
int signature_mirror_start(const struct storage_settings *settings, const struct aws_settings *aws,
                           struct signature_mirror **ret_mirror) MUST_USE;
/* Ends a download on its way. NULL is legal. */
struct signature_mirror *signature_mirror_stop(struct signature_mirror *mirror);
/* From now on nobody waits, and nothing more is fetched. */
void signature_mirror_abandon(struct signature_mirror *mirror);

/* Waits for the end of the first look. True when the folder has signatures. */
bool signature_mirror_wait(struct signature_mirror *mirror);
const char *signature_mirror_folder(const struct signature_mirror *mirror);

struct signature_mirror_status {
    uint64_t checked_ns; /* realtime of the last look that went well; 0 = none */
    uint64_t fetched;    /* files that were put in their place */
    char problem[256];   /* of the last look; "" = none */
};
void signature_mirror_status(struct signature_mirror *mirror,
                             struct signature_mirror_status *ret_status);

#endif
