/* What was found, told to a console as events of a sensor: findings, and what could not be scanned,
 * each as an event; clean objects as a number. Kept while the console is away, within limits.
 * Thread-safe. */
#ifndef STORAGE_REPORT_CONSOLE_REPORT_H
#define STORAGE_REPORT_CONSOLE_REPORT_H

#include "common/attributes.h"
#include "storage/scan/object_scanner.h"

#include <stdint.h>

struct console_report;

/* Becomes resources->told. *ret_report is NULL when no console is set. runtime: "poller", "lambda",
 * "scan-bucket". -errno with the problem logged. */
int console_report_start(struct scan_resources *resources, const char *runtime,
                         struct console_report **ret_report) MUST_USE;
/* Tells what is left, within a few seconds. No scanner may be running. NULL is legal. */
struct console_report *console_report_stop(struct console_report *report);

/* From now on a thread of its own tells: for processes that are not frozen between events. */
int console_report_run(struct console_report *report) MUST_USE;
/* Tells now what is due, at most until deadline_ns (monotonic); failures are logged. NULL is legal.
 */
void console_report_flush(struct console_report *report, uint64_t deadline_ns);

#endif
