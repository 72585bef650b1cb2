/* Loading signatures so that one broken file costs no more than itself. */
#ifndef SCANNER_SIGNATURE_LOAD_H
#define SCANNER_SIGNATURE_LOAD_H

#include "common/attributes.h"
#include "scanner/client/scanner_message.h"

#include <stdint.h>

struct signature_load_report {
    uint64_t generation;
    uint64_t signatures;
    uint64_t database_time_ns;
    enum scanner_refusal refusal; /* when it failed */
    char problem[512];            /* why it failed, or what was left out */
};

/* Loads all databases of the configuration into the process' engine. With skip_broken a folder with
 * broken files is loaded without them, by links in a new folder below staging_fd, the current
 * directory. 0 or -errno with refusal and problem. */
int signature_load(const struct scanner_configuration *configuration, int staging_fd,
                   struct signature_load_report *ret_report) MUST_USE;

#endif
