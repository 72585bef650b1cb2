/* The thread that keeps the mirror up to date: from a folder that freshclam fills on this machine,
 * and from a private mirror by HTTPS. ClamAV's own servers are refused: their terms let only
 * freshclam and cvdupdate fetch from them (https://docs.clamav.net/appendix/CvdPrivateMirror.html).
 * Thread-safe. */
#ifndef CONSOLE_SIGNATURES_MIRROR_WORKER_H
#define CONSOLE_SIGNATURES_MIRROR_WORKER_H

#include "common/attributes.h"
#include "console/signatures/mirror.h"

#include <stdint.h>

#define MIRROR_REFRESH_NS (2 * 1000000000ULL)

struct mirror_worker;

struct mirror_worker_options {
    const struct mirror *mirror; /* outlives it, as all texts do */
    const char *folder;          /* "" = none */
    const char *url;             /* https://HOST/FOLDER; "" = none */
    char *const *files;          /* names below url; NULL-terminated */
    bool unsigned_too;
    uint64_t period_ns;
    /* In the worker's thread, after files were taken, and every MIRROR_REFRESH_NS: another node, or
     * the command line, may have changed something. It may wait for the database. */
    void (*refresh)(void *user);
    void *user;
};

/* Whether a private mirror may be fetched from: https, and not a server of clamav.net. */
bool mirror_url_is_allowed(const char *url);

int mirror_worker_start(const struct mirror_worker_options *options,
                        struct mirror_worker **ret_worker) MUST_USE;
/* Ends a fetch on its way. NULL is legal. */
struct mirror_worker *mirror_worker_stop(struct mirror_worker *worker);

#endif
