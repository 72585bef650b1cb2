/* Log inspection: the journal and log files are read by a yagura-inspector of their own, whose
 * matches become events. Root opens files and follows their rotation, and parses nothing.
 *
 * Nothing is lost or told twice: events, counts and the positions they came from are committed
 * together, and reading goes on from there after a crash of either process. One thread of its own;
 * all functions but start, reconfigure and stop are thread-safe. */
#ifndef AGENT_LOGS_LOGS_H
#define AGENT_LOGS_LOGS_H

#include "agent/store/store.h"
#include "common/attributes.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct logs;

struct logs_options {
    bool enabled;
    bool journal;
    const char *journal_directory; /* "": the host's */
    const char *inspector_program;
    const char *shipped_path; /* file of the shipped decoders and rules */
    const char *const *files, *const *decoders, *const *rules; /* ended by NULL */
    enum event_severity lowest;
    uint64_t fold_ns, rate;
};

/* Strings are copied. The store outlives it. */
int logs_start(const struct logs_options *options, struct store *store,
               struct logs **ret_logs) MUST_USE;
int logs_reconfigure(struct logs *logs, const struct logs_options *options) MUST_USE;
struct logs *logs_stop(struct logs *logs);

/* done(user) once every line written before this call has been read, and what it gave is committed.
 * From the logs' thread, or the caller's when it is off. -ENOMEM. */
int logs_drain(struct logs *logs, void (*done)(void *user), void *user) MUST_USE;

enum logs_state { LOGS_OFF, LOGS_STARTING, LOGS_WATCHING, LOGS_FAILED };

struct logs_status {
    enum logs_state state;
    char problem[512]; /* also of single files, and of the policy's rules */
    uint32_t decoders, rules;
    bool journal;   /* it is read */
    uint32_t files; /* that are there */
    uint64_t lines, matched, told, folded, limited, cut, exhausted, lost;
    uint64_t lag_bytes; /* of files, written and not read yet */
    uint64_t lag_ns;    /* of the journal: age of the last entry read while there is more */
    uint64_t restarts;  /* of the inspector */
    pid_t inspector_pid;
};
void logs_status(struct logs *logs, struct logs_status *ret_status);
const char *logs_state_name(enum logs_state state);

#endif
