/* What a scan says. Shared by the scanner, its clients, and everything that reports verdicts. */
#ifndef SCANNER_CLIENT_SCAN_RESULT_H
#define SCANNER_CLIENT_SCAN_RESULT_H

#include "common/limits.h"

#include <stdint.h>

enum scan_verdict {
    SCAN_CLEAN,      /* scanned to its end within all limits, nothing found */
    SCAN_INFECTED,   /* signature names what was found */
    SCAN_INCOMPLETE, /* nothing found, but not all of it could be looked at: reason says why */
    SCAN_ERROR,      /* not scanned: reason says why. Never to be taken for clean */
};

enum scan_reason {
    SCAN_REASON_NONE,
    SCAN_REASON_FILE_SIZE,   /* larger than the file size limit */
    SCAN_REASON_SCAN_SIZE,   /* unpacked to more than the scan size limit */
    SCAN_REASON_FILE_COUNT,  /* holds more files than the limit */
    SCAN_REASON_RECURSION,   /* nested deeper than the limit */
    SCAN_REASON_TIME,        /* took longer than the time limit */
    SCAN_REASON_ENCRYPTED,   /* holds encrypted parts */
    SCAN_REASON_UNSUPPORTED, /* a format that this libclamav cannot open (RAR without unrar) */
    SCAN_REASON_LIMIT,       /* another limit of libclamav */
    SCAN_REASON_CRASHED,     /* the worker died on it, twice */
    SCAN_REASON_READ,        /* could not be read */
    SCAN_REASON_CHANGED,     /* kept changing while it was scanned */
    SCAN_REASON_NO_ENGINE,   /* no signatures are loaded */
    SCAN_REASON_INTERNAL,    /* libclamav failed: out of memory, temporary space, or a bug */
};

const char *scan_verdict_name(enum scan_verdict verdict); /* "clean", "infected", ... */
const char *scan_reason_name(enum scan_reason reason);    /* "none", "file-size", ... */

struct scan_result {
    enum scan_verdict verdict;
    enum scan_reason reason;
    char signature[LIMIT_SIGNATURE_NAME_BYTES]; /* "" unless infected */
    uint64_t generation; /* of the engine that looked: changes with signatures and scan options */
    uint64_t scan_ns;    /* time in the worker */
};

#endif
