/* What was found, and what was done about it, told to a console as events of a sensor: findings,
 * what could not be scanned, and actions each as an event; clean objects as a number. Kept while
 * the console is away, within limits. Thread-safe. */
#ifndef STORAGE_REPORT_CONSOLE_REPORT_H
#define STORAGE_REPORT_CONSOLE_REPORT_H

#include "common/attributes.h"
#include "storage/scan/object_scanner.h"

#include <stdbool.h>
#include <stdint.h>

struct console_report;

/* Becomes resources->told. *ret_report is NULL when no console is set. runtime: "poller", "lambda",
 * "scan-bucket", "action". -errno with the problem logged. */
int console_report_start(struct scan_resources *resources, const char *runtime,
                         struct console_report **ret_report) MUST_USE;
/* Tells what is left, within a few seconds. No scanner may be running. NULL is legal. */
struct console_report *console_report_stop(struct console_report *report);

/* What was done about a result. Borrowed; "" = not known. */
struct console_action {
    const char *kind;  /* of the event: "object_quarantined" */
    unsigned severity; /* 0 info .. 4 critical */
    const char *bucket, *key, *version, *sha256;
    const char *verdict, *signature; /* that it was done for */
    const char *action, *id;         /* what was done; its id in the quarantine */
    const char *problem;
    bool failed;
};
/* NULL is legal: nobody is told. */
void console_report_action(struct console_report *report, const struct console_action *action);

/* From now on a thread of its own tells: for processes that are not frozen between events. */
int console_report_run(struct console_report *report) MUST_USE;
/* Tells now what is due, at most until deadline_ns (monotonic); failures are logged. NULL is legal.
 */
void console_report_flush(struct console_report *report, uint64_t deadline_ns);

#endif
