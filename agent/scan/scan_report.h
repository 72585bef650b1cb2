/* The events that scanning writes: files that could not be (fully) scanned, and what happens to the
 * scanner. Detections are the responder's. */
#ifndef AGENT_SCAN_SCAN_REPORT_H
#define AGENT_SCAN_SCAN_REPORT_H

#include "agent/scan/scan_task.h"
#include "agent/store/store.h"
#include "common/attributes.h"
#include "scanner/client/scanner_client.h"

const char *scan_cause_text(enum scan_cause cause); /* "realtime", ... */

/* scan_incomplete or scan_error about the task's path; committed as in store_append. */
int scan_report_unfinished(struct store *store, const struct scan_task *task,
                           store_committed *committed, void *user) MUST_USE;
/* scan_unheld: a scan goes on although the host is busy with other work. */
void scan_report_let_go(struct store *store, enum scan_cause cause);
/* What changed between two states: scanner_ready, scanner_problem, scanner_crashed,
 * scanner_timed_out (a process stood still with its file and was replaced). */
void scan_report_scanner(struct store *store, const struct scanner_status *before,
                         const struct scanner_status *now);

#endif
