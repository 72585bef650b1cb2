/* What is done about malware: pass, quarantine or delete, by policy and under the brake against
 * false positives. One thread works; detections may be handed in from any thread.
 *
 * For each detection: event malware_found and the intent are committed together; then the file is
 * acted on; then the result event and the catalogue are committed together. After a crash at any
 * step responder_start resumes what is open. */
#ifndef AGENT_RESPOND_RESPONDER_H
#define AGENT_RESPOND_RESPONDER_H

#include "common/attributes.h"
#include "common/files/file.h"
#include "scanner/client/scan_result.h"

struct responder;
struct store;

enum respond_action { RESPOND_PASS, RESPOND_QUARANTINE, RESPOND_DELETE };

/* How the file came to be scanned; told in the event. */
enum scan_cause {
    SCAN_CAUSE_REALTIME,
    SCAN_CAUSE_DEMAND,
    SCAN_CAUSE_SCHEDULED,
    SCAN_CAUSE_RESCAN,
    SCAN_CAUSE_SELF_TEST
};

struct responder_options {
    const char *state_directory;          /* root-only; holds quarantine/ and the host key */
    enum respond_action action;           /* for malware signatures */
    enum respond_action heuristic_action; /* for Heuristics.* and PUA.* */
    bool hold_package_files;              /* the brake: files of a package, unchanged, are held */
    uint64_t brake_actions;    /* the brake: more than this many an hour for one signature; 0 off */
    uint64_t quarantine_bytes; /* space cap */
    bool quarantine_drop_oldest; /* when full: drop the oldest; otherwise refuse and report */
    const char *const *allowed_signatures; /* NULL-terminated */
    const char *const *allowed_hashes;     /* SHA-256 hex; NULL-terminated */
    const char *const *denied_hashes;
    const char *inspector_program; /* yagura-inspector: asks the package databases */
};

struct detection {
    const char *path; /* raw bytes */
    int fd;           /* of the very file that was scanned; the responder dups it */
    struct file_identity identity;
    struct scan_result result; /* infected */
    enum scan_cause cause;
};

int responder_start(struct store *store, const struct responder_options *options,
                    struct responder **ret_responder) MUST_USE;
struct responder *responder_stop(struct responder *responder);
int responder_reconfigure(struct responder *responder,
                          const struct responder_options *options) MUST_USE;

/* done(user, result) from the responder's or writer's thread once the detection is committed and
 * acted upon (0) or could not be (-errno; an event says so). -EAGAIN when too many wait.
 * Thread-safe. */
int responder_submit(struct responder *responder, const struct detection *detection,
                     void (*done)(void *user, int result), void *user) MUST_USE;

#endif
