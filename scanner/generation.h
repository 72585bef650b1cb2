/* The engine generation: one number for "these signatures, looked for in this way". A verdict
 * remembered under the same number would come out the same today. */
#ifndef SCANNER_GENERATION_H
#define SCANNER_GENERATION_H

#include "common/attributes.h"
#include "scanner/client/database_files.h"
#include "scanner/client/scanner_client.h"

#include <stdint.h>

/* Digest over every signature file's name and content (not its folder or times), libclamav's
 * version, and the limits. Never 0. -errno of a file that cannot be read. */
int generation_compute(const struct database_files *files, const char *engine_version,
                       const struct scanner_limits *limits, uint64_t *ret_generation) MUST_USE;

#endif
