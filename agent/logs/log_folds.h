/* Equal matches become one event with their number, and a rule that matches too often is held to so
 * many events a minute: a flood of lines never fills the store. The first of its kind is told at
 * once; those that follow within the window are counted and told at its end. What is counted and
 * not told yet is kept in the store, beside the position in the log it came from. One thread; the
 * clock is the caller's (monotonic). */
#ifndef AGENT_LOGS_LOG_FOLDS_H
#define AGENT_LOGS_LOG_FOLDS_H

#include "agent/logs/log_batch.h"

#define LOG_KEY_BYTES 65

struct log_folds;

/* A match, ready to be told. */
struct log_told {
    uint32_t rule;
    enum event_severity severity;
    const char *kind; /* static */
    char *subject;
    char *head;              /* the event's detail without its last brace */
    char key[LOG_KEY_BYTES]; /* the same for equal matches */
    uint64_t time_ns;
};

enum log_outcome { LOG_TOLD, LOG_FOLDED, LOG_LIMITED };

int log_folds_new(struct log_folds **ret_folds) MUST_USE;
struct log_folds *log_folds_free(struct log_folds *folds);
void log_folds_set(struct log_folds *folds, uint64_t window_ns, uint64_t rate);

/* LOG_TOLD: its event is in the batch. -ENOMEM. */
int log_folds_take(struct log_folds *folds, const struct log_told *told, uint64_t now_ns,
                   struct log_batch *batch) MUST_USE;
/* Adds events for windows that ended before now_ns; UINT64_MAX: for all. -ENOMEM. */
int log_folds_end(struct log_folds *folds, uint64_t now_ns, struct log_batch *batch) MUST_USE;

/* Whether the store's table is behind. */
bool log_folds_changed(const struct log_folds *folds);
/* Writes what changed; idempotent. In the store's thread, while the owner waits. */
int log_folds_write(const struct log_folds *folds, sqlite3 *database) MUST_USE;
/* It was committed. */
void log_folds_written(struct log_folds *folds);
/* Reads the table once, at the start; its windows begin now. */
int log_folds_read(struct log_folds *folds, uint64_t now_ns, sqlite3 *database) MUST_USE;

#endif
