/* The one place where libclamav's answers become verdicts.
 *
 * Owns: never calling something clean that was not looked at to its end. libclamav reports limits
 * and encryption as alerts with reserved names (CL_SCAN_HEURISTIC_EXCEEDS_MAX, _ENCRYPTED_*), a
 * file above the size limit as an alert without a name, and a failing read, a zip member cut at the
 * size limit or a RAR without its library not at all. */
#include "scanner/verdict_mapping.h"

#include "common/attributes.h"
#include "common/text/text.h"

#include <clamav.h>

static const struct {
    const char *prefix;
    enum scan_reason reason;
} reserved_names[] = {
    {"Heuristics.Limits.Exceeded.MaxFileSize", SCAN_REASON_FILE_SIZE},
    {"Heuristics.Limits.Exceeded.MaxScanSize", SCAN_REASON_SCAN_SIZE},
    {"Heuristics.Limits.Exceeded.MaxFiles", SCAN_REASON_FILE_COUNT},
    {"Heuristics.Limits.Exceeded.MaxRecursion", SCAN_REASON_RECURSION},
    {"Heuristics.Limits.Exceeded.MaxScanTime", SCAN_REASON_TIME},
    {"Heuristics.Limits.Exceeded", SCAN_REASON_LIMIT},
    {"Heuristics.Encrypted.", SCAN_REASON_ENCRYPTED},
};

static void set(struct scan_result *result, enum scan_verdict verdict, enum scan_reason reason)
{
    result->verdict = verdict;
    result->reason = reason;
    result->signature[0] = '\0';
}

/* Names come from signature files; what we pass on is printable ASCII, never empty. */
static void set_infected(struct scan_result *result, const char *signature)
{
    set(result, SCAN_INFECTED, SCAN_REASON_NONE);
    (void)text_copy(result->signature, sizeof(result->signature),
                    signature[0] != '\0' ? signature : "unnamed");
    for (char *letter = result->signature; *letter != '\0'; letter++) {
        if (*letter < 0x20 || *letter > 0x7e)
            *letter = '?';
    }
}

static void map_alert(const char *signature, struct scan_result *result)
{
    if (signature == NULL) {
        set(result, SCAN_INCOMPLETE, SCAN_REASON_FILE_SIZE);
        return;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(reserved_names); i++) {
        if (text_starts_with(signature, reserved_names[i].prefix)) {
            set(result, SCAN_INCOMPLETE, reserved_names[i].reason);
            return;
        }
    }
    set_infected(result, signature);
}

static void map_code(int code, struct scan_result *result)
{
    switch (code) {
    case CL_CLEAN:
        set(result, SCAN_CLEAN, SCAN_REASON_NONE);
        break;
    case CL_ETIMEOUT:
        set(result, SCAN_INCOMPLETE, SCAN_REASON_TIME);
        break;
    case CL_EMAXREC:
        set(result, SCAN_INCOMPLETE, SCAN_REASON_RECURSION);
        break;
    case CL_EMAXSIZE:
        set(result, SCAN_INCOMPLETE, SCAN_REASON_SCAN_SIZE);
        break;
    case CL_EMAXFILES:
        set(result, SCAN_INCOMPLETE, SCAN_REASON_FILE_COUNT);
        break;
    case CL_EOPEN:
    case CL_ESTAT:
    case CL_EREAD:
    case CL_ESEEK:
    case CL_EMAP:
        set(result, SCAN_ERROR, SCAN_REASON_READ);
        break;
    default:
        set(result, SCAN_ERROR, SCAN_REASON_INTERNAL);
        break;
    }
}

void verdict_map(const struct libclamav_answer *answer, struct scan_result *ret_result)
{
    if (answer->code == CL_VIRUS)
        map_alert(answer->signature, ret_result);
    else
        map_code(answer->code, ret_result);
    if (ret_result->verdict == SCAN_INFECTED)
        return;
    if (answer->read_failed)
        set(ret_result, SCAN_ERROR, SCAN_REASON_READ);
    else if (answer->shrank)
        set(ret_result, SCAN_ERROR, SCAN_REASON_CHANGED);
    else if (ret_result->verdict == SCAN_CLEAN && answer->left_out != SCAN_REASON_NONE)
        set(ret_result, SCAN_INCOMPLETE, answer->left_out);
}
