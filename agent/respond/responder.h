/* What is done about malware: pass, quarantine or delete, by policy and under the brake against
 * false positives. One thread decides, another acts; detections may be handed in from any thread.
 *
 * For each detection: event malware_found and the intent are committed together (many detections
 * with one sync); then the file is acted on; then the result event and the catalogue are committed
 * together. After a crash at any step responder_start resumes what is open. A file is in its place
 * and reported, or in the quarantine; never lost, never both.
 *
 * Events: malware_found (always), malware_quarantined, malware_deleted, malware_held (once for a
 * signature, then when the count reaches 10, 100, ...), malware_vanished, malware_action_failed
 * (left in place, with the reason), malware_action_delayed (it cannot be moved, or sealed, yet, or
 * what was moved away cannot be removed: tried again). */
#ifndef AGENT_RESPOND_RESPONDER_H
#define AGENT_RESPOND_RESPONDER_H

#include "common/attributes.h"
#include "common/files/file.h"
#include "scanner/client/scan_result.h"

#include <stdbool.h>
#include <stdint.h>

struct quarantine;
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
    const char *path; /* raw bytes, absolute */
    int fd;           /* of the very file that was scanned, readable; the responder dups it */
    struct file_identity identity;
    struct scan_result result; /* infected */
    enum scan_cause cause;
};

/* A store that cannot be read yet delays the recovery, not the start. -errno. */
int responder_start(struct store *store, const struct responder_options *options,
                    struct responder **ret_responder) MUST_USE;
/* What is not acted on yet stays an intent for the next start; its done is called with -ECANCELED.
 * Before store_close. */
struct responder *responder_stop(struct responder *responder);
int responder_reconfigure(struct responder *responder,
                          const struct responder_options *options) MUST_USE;

/* SHA-256 of contents that the console allows, besides the policy's; the whole list anew. Nothing
 * that was done is undone. Thread-safe. -EINVAL (a digest), -ENOMEM: the old list stays. */
int responder_set_allowed(struct responder *responder, const char *const *hashes,
                          size_t count) MUST_USE;

/* done(user, result) from the responder's or writer's thread once the detection is committed and
 * acted upon (0) or could not be (-errno; an event says so). A file that was reported before and
 * has not changed, or whose content or signature is allowed, is done at once. -EAGAIN when too many
 * wait; done is then not called. done must not call responder_stop. Thread-safe. */
int responder_submit(struct responder *responder, const struct detection *detection,
                     void (*done)(void *user, int result), void *user) MUST_USE;

/* Whether a file in which malware was found may be opened all the same: because its content or its
 * signature is allowed, because it is an unchanged file of a package and held for that, or because
 * it is a heuristic detection that policy lets pass. done(user, 0): it may; -EACCES: it must not;
 * other -errno: it could not be told. Nothing is recorded. Otherwise as responder_submit. */
int responder_judge(struct responder *responder, const struct detection *detection,
                    void (*done)(void *user, int result), void *user) MUST_USE;

/* The quarantine behind it, for lists and restores; lives as long as the responder. */
struct quarantine *responder_quarantine(struct responder *responder);

/* Runs work(user) in the acting thread: for callers that must not touch files themselves. Called
 * once, also when the responder stops (it then may find the store closed). -ENOMEM, -ESHUTDOWN. */
int responder_run(struct responder *responder, void (*work)(void *user), void *user) MUST_USE;

/* What an administrator says about a held detection: act on it now (the file must be unchanged,
 * otherwise -ESTALE), or forget it and allow its content. Not from the event loop. -ENOENT. */
enum held_answer { HELD_ACT, HELD_ALLOW };
int responder_release(struct responder *responder, const char *held_id,
                      enum held_answer answer) MUST_USE;

struct responder_status {
    uint64_t waiting; /* detections not decided yet */
    uint64_t pending; /* decided, not done yet */
    uint64_t delayed; /* cannot be moved or sealed yet */
    uint64_t found, quarantined, deleted, passed, held, failed, folded, allowed;
    bool recovered;           /* what an earlier run left has been dealt with */
    bool packages_unreadable; /* the brake could not ask who owns a file */
};
void responder_status(struct responder *responder, struct responder_status *ret_status);

#endif
