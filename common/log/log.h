/* One line an event, to standard error: `time level program event key=value ... `, or the journal's
 * form (<priority> prefix, no time) when JOURNAL_STREAM says so. Programs log; library code does
 * not. Logging never blocks: standard error is written with one non-blocking write a line; what
 * does not fit is dropped and counted, and the count is logged when the pipe takes lines again.
 * Values are escaped (text_escape) and quoted when they hold blanks. Thread-safe. */
#ifndef COMMON_LOG_LOG_H
#define COMMON_LOG_LOG_H

#include "common/attributes.h"

#include <stdint.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* program must outlive all calls. Call once, at the start of main. SIGPIPE is ignored from then on:
 * a reader of ours that is gone costs lines, not the process. */
void log_open(const char *program, enum log_level lowest);
void log_set_level(enum log_level lowest);

/* event: stable snake_case name of what happened. Then pairs of a key and a value, ended by NULL (a
 * pair whose value is NULL is left out):
 *     log_warning("watch_limit_reached", "watched", log_number(n), "cure", "sysctl ...", NULL);
 * log_number() and log_error_text() may be used several times in one call (thread-local ring). */
void log_event(enum log_level level, const char *event, ...) __attribute__((sentinel));
#define log_error(...)   log_event(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_event(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)    log_event(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)   log_event(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* Text of a number, or of a negative errno, valid for the next 15 such calls of this thread. */
const char *log_number(int64_t value);
const char *log_error_text(int negative_errno);

/* Lines dropped since the start. */
uint64_t log_dropped(void);

#endif
