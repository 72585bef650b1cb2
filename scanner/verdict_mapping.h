/* From what libclamav answers to what we say. Pure. */
#ifndef SCANNER_VERDICT_MAPPING_H
#define SCANNER_VERDICT_MAPPING_H

#include "scanner/client/scan_result.h"

#include <stdbool.h>

struct libclamav_answer {
    int code;                  /* cl_error_t */
    const char *signature;     /* NULL when libclamav named none, even with CL_VIRUS */
    enum scan_reason left_out; /* of a part that was seen but not, or not wholly, scanned */
    bool read_failed;          /* reading the file failed somewhere */
    bool shrank;               /* the file ended earlier than it said */
};

/* Sets verdict, reason and signature. */
void verdict_map(const struct libclamav_answer *answer, struct scan_result *ret_result);

#endif
