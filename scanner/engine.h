/* libclamav: loading signatures, and scanning one file. The only code that calls it.
 * Single-threaded; after engine_load the process may fork, and each child may scan. */
#ifndef SCANNER_ENGINE_H
#define SCANNER_ENGINE_H

#include "common/attributes.h"
#include "scanner/client/scan_result.h"
#include "scanner/client/scanner_client.h"

#include <stdbool.h>
#include <stdint.h>

/* Once a process, before it is confined: loads libclamav's own helpers. -EIO. */
int engine_initialise(void) MUST_USE;
/* Whether libclamav found its (non-free) library for RAR. After engine_initialise. */
bool engine_opens_rar(void);
const char *engine_version(void);

struct engine_load_report {
    uint64_t signatures;
    uint64_t database_time_ns; /* build time of the official signatures; 0 = none of those */
    unsigned warnings;         /* such as YARA rules that were refused */
    bool malformed;            /* loading failed because of the content of a file */
    char broken_file[512];     /* that file, when libclamav named it */
    char problem[512];         /* first error, else first warning; "" */
};

/* Loads all databases (folders or files that exist) and compiles. 0, -ENOENT without any
 * signature, -EBADMSG for a broken file, -ENOMEM, -EIO; the report is filled in any case. */
int engine_load(const struct scanner_limits *limits, const char *const *databases, size_t count,
                struct engine_load_report *ret_report) MUST_USE;
/* Checks ClamAV's signature of a .cvd without loading it; a .cld has none. 0, -EBADMSG with the
 * reason in ret_report. */
int engine_verify(const char *path, struct engine_load_report *ret_report) MUST_USE;
/* Frees what engine_load loaded, also partly. */
void engine_unload(void);

/* Scans the file behind fd; sets all but generation. */
void engine_scan(int fd, struct scan_result *ret_result);

#endif
