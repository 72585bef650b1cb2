/* The scanner for many threads: a thread of its own runs scanner/client's event loop; callers hand
 * over a descriptor and wait for the verdict. All functions are thread-safe. */
#ifndef STORAGE_SCAN_SCAN_SERVICE_H
#define STORAGE_SCAN_SCAN_SERVICE_H

#include "common/attributes.h"
#include "scanner/client/scanner_client.h"
#include "storage/mirror/signature_mirror.h"
#include "storage/settings/storage_settings.h"

#include <stdbool.h>
#include <stdint.h>

struct scan_service;

/* Starts the scanner and returns at once: signatures load meanwhile; with a mirror, after its first
 * look. settings and mirror must outlive the service; mirror NULL: none. -errno. */
int scan_service_start(const struct storage_settings *settings, struct signature_mirror *mirror,
                       struct scan_service **ret_service) MUST_USE;
/* Ends the scanner; no other thread may be inside. NULL is legal. */
struct scan_service *scan_service_stop(struct scan_service *service);

/* Waits until an engine is loaded or cannot be, at most until deadline_ns (monotonic).
 * -ETIMEDOUT; -ENOENT there are no signatures, -ENOEXEC the scanner cannot be started: the status
 * says why. */
int scan_service_wait(struct scan_service *service, uint64_t deadline_ns) MUST_USE;
/* Scans what fd stands for, which stays the caller's. When the deadline (monotonic) comes first the
 * result is SCAN_ERROR with SCAN_REASON_TIME, while no engine was loaded SCAN_REASON_NO_ENGINE. */
void scan_service_scan(struct scan_service *service, int fd, uint64_t deadline_ns,
                       struct scan_result *ret_result);
/* From now on scans in waiting and new ones end at once, as at their deadline. */
void scan_service_abandon(struct scan_service *service);
void scan_service_status(struct scan_service *service, struct scanner_status *ret_status);
/* "2026-11-29T10:20:30Z/0123456789abcdef": the age of the signatures, and what changes with them
 * and with the scan's options; "" while none are loaded. */
#define SCAN_SIGNATURES_BYTES 48
void scan_service_signatures(struct scan_service *service, char text[static SCAN_SIGNATURES_BYTES]);

#endif
