/* Names of verdicts and reasons. They are stable: events, JSON and logs carry them. */
#include "scanner/client/scan_result.h"

#include "common/attributes.h"

#include <stddef.h>

static const char *const verdict_names[] = {
    [SCAN_CLEAN] = "clean",
    [SCAN_INFECTED] = "infected",
    [SCAN_INCOMPLETE] = "incomplete",
    [SCAN_ERROR] = "error",
};

static const char *const reason_names[] = {
    [SCAN_REASON_NONE] = "none",           [SCAN_REASON_FILE_SIZE] = "file-size",
    [SCAN_REASON_SCAN_SIZE] = "scan-size", [SCAN_REASON_FILE_COUNT] = "file-count",
    [SCAN_REASON_RECURSION] = "recursion", [SCAN_REASON_TIME] = "time",
    [SCAN_REASON_ENCRYPTED] = "encrypted", [SCAN_REASON_UNSUPPORTED] = "unsupported",
    [SCAN_REASON_LIMIT] = "limit",         [SCAN_REASON_CRASHED] = "crashed",
    [SCAN_REASON_READ] = "read",           [SCAN_REASON_CHANGED] = "changed",
    [SCAN_REASON_NO_ENGINE] = "no-engine", [SCAN_REASON_INTERNAL] = "internal",
};

const char *scan_verdict_name(enum scan_verdict verdict)
{
    return (size_t)verdict < ARRAY_LENGTH(verdict_names) ? verdict_names[verdict] : "unknown";
}

const char *scan_reason_name(enum scan_reason reason)
{
    return (size_t)reason < ARRAY_LENGTH(reason_names) ? reason_names[reason] : "unknown";
}
