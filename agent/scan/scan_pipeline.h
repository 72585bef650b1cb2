/* From "this file changed" to "this is the verdict, committed": the backlog, the verdict cache, the
 * dispatch to the scanner's workers, on-demand scans and background rescans.
 *
 * One dispatcher thread with an event loop of its own opens files, asks the cache, feeds the
 * scanner client and hands detections to the responder. Walkers of scan jobs run in threads of
 * their own and settle unchanged files by the cache without troubling the dispatcher. */
#ifndef AGENT_SCAN_SCAN_PIPELINE_H
#define AGENT_SCAN_SCAN_PIPELINE_H

#include "agent/respond/responder.h"
#include "agent/watch/watch.h"
#include "common/attributes.h"
#include "scanner/client/scanner_client.h"

#include <stdbool.h>
#include <stdint.h>

struct scan_pipeline;
struct scan_job;
struct store;

struct scan_pipeline_options {
    struct scanner_options scanner;
    const char *cache_path; /* the persisted verdict cache */
    const char *const *exclude_directories, *const *exclude_files, *const *exclude_extensions;
    const char *const *own_directories; /* never scanned */
    const char *const
        *rescan_paths;     /* what background scans cover: the watched paths; NULL: none */
    bool rescan_on_update; /* known files again when the engine generation changes */
    uint64_t rescan_rate;  /* files a second of that */
    uint64_t most_load;    /* as host_load.h: polite jobs pause above it; 0: never */
    const char *load_path; /* as /proc/loadavg */
    uint64_t idle_exit_ns; /* without a file to scan the engine goes after it; 0: it stays */
    bool scan_at_start;    /* the first walk's files are checked against the cache */
};

/* Strings are copied: options may go after each of these calls. */
int scan_pipeline_start(const struct scan_pipeline_options *options, struct store *store,
                        struct responder *responder, struct scan_pipeline **ret_pipeline) MUST_USE;
struct scan_pipeline *scan_pipeline_stop(struct scan_pipeline *pipeline);
int scan_pipeline_reconfigure(struct scan_pipeline *pipeline,
                              const struct scan_pipeline_options *options) MUST_USE;

/* The watch's sink. Thread-safe, never blocks, needs no disk: when the backlog is full a
 * directory's files are folded into one scan of that directory, so nothing is lost. */
void scan_pipeline_take_event(struct scan_pipeline *pipeline, const struct watch_event *event);

/* A verdict, for whoever has files of its own scanned. */
struct scan_own_verdict {
    const char *path;
    int fd; /* that was scanned; -1: it could not be opened */
    const struct file_identity *identity;
    const struct scan_result *result;
    bool asked; /* by a person, a schedule or new signatures, not by what the watch told */
};
/* A file of our own that tests the path to the verdict (agent/health): true takes the verdict,
 * which is then neither counted, told to a job, nor acted upon. Called in the dispatcher's thread
 * for every verdict; must be quick. */
typedef bool scan_own_file(void *user, const struct scan_own_verdict *verdict);
/* NULL takes it back; it is not called after that. Thread-safe. */
void scan_pipeline_set_own_file(struct scan_pipeline *pipeline, scan_own_file *own_file,
                                void *user);

/* Somebody waits for the verdict on the very file behind a descriptor: it is scanned before all
 * others, unless its verdict is known. */
struct scan_ask {
    int fd;            /* readable, of a regular file; handed over */
    char *path;        /* what to call it; handed over */
    uid_t asking_user; /* as whom the process runs that waits: users take turns */
    uint64_t until_ns; /* monotonic: nobody waits after it. One that no worker took by then is
                          answered as an error, and takes none from others. */
    /* The answer, exactly one, from the dispatcher's thread; an engine that is not there yet is
     * one. untouched: nobody wrote to the file from before the scan until now, nor can without
     * breaking the read lease that the file's open description still holds. */
    void (*answered)(void *user, const struct scan_result *result, bool untouched);
    void *user;
};
/* Thread-safe, never blocks. fd and path are handed over, also when it fails: -ENOMEM, -ESHUTDOWN;
 * answered is not called then. */
int scan_pipeline_ask(struct scan_pipeline *pipeline, const struct scan_ask *ask) MUST_USE;

/* done(user) once everything taken before this call has a verdict, detections are committed and
 * acted upon. Thread-safe; called from the dispatcher or the store's writer. */
int scan_pipeline_drain(struct scan_pipeline *pipeline, void (*done)(void *user),
                        void *user) MUST_USE;

/* On-demand and scheduled scans. */
enum scan_job_kind { SCAN_JOB_PATHS };

struct scan_job_totals {
    uint64_t files_seen, files_scanned, files_cached, files_excluded;
    uint64_t clean, infected, incomplete, errors;
    uint64_t bytes;
    uint64_t files_expected; /* grows while the tree is walked; for progress bars */
    uint64_t mounts_skipped; /* pseudo file systems, and remote ones below a local path */
    bool walking;            /* files_expected still grows */
    bool paused;             /* by the load of the host, or as whoever started it asked */
};

struct scan_job_callbacks {
    /* Every file that is not clean, or every file when report_all. From any thread. */
    void (*result)(void *user, const char *path, const struct scan_result *result);
    /* About twice a second. */
    void (*progress)(void *user, const struct scan_job_totals *totals);
    /* The end: 0, -ECANCELED, or -errno. The last call of this job. */
    void (*done)(void *user, int result, const struct scan_job_totals *totals);
};

/* A host that is always busy is scanned all the same. */
#define SCAN_HELD_MOST_NS (900ULL * 1000000000ULL)

struct scan_job_options {
    const char *const *paths; /* absolute; NULL-terminated */
    enum scan_cause cause;
    bool use_cache; /* false: every file is scanned anew */
    bool report_all;
    bool polite;                /* pause while the host is busy, SCAN_HELD_MOST_NS in all */
    bool act;                   /* hand detections to the responder; otherwise only report them */
    uint64_t changed_within_ns; /* only files changed within this time; 0: all */
};

int scan_job_start(struct scan_pipeline *pipeline, const struct scan_job_options *options,
                   const struct scan_job_callbacks *callbacks, void *user,
                   struct scan_job **ret_job) MUST_USE;
/* Thread-safe; done follows with -ECANCELED. The job is freed when done has returned: whoever
 * cancels from another thread and done hold a lock of the caller's around their use of it. */
void scan_job_cancel(struct scan_job *job);

/* Thread-safe, as cancelling: nothing more is begun until it is paused no longer. */
void scan_job_pause(struct scan_job *job, bool pause);

struct scan_pipeline_status {
    struct scanner_status scanner;
    uint64_t backlog_files, backlog_directories, in_flight;
    uint64_t oldest_waiting_ns; /* how long the oldest waiting file has waited */
    uint64_t scanned, cached, clean, infected, incomplete, errors, vanished, rescanned_changed;
    uint64_t folded; /* files folded into a scan of their directory because the backlog was full */
    uint64_t cache_entries;
    uint64_t leases_broken; /* writers that had to wait a moment for a scan */
    bool rescanning;        /* known files are scanned again with new signatures */
};
/* Loads the signatures anew even if nothing changed. Thread-safe. */
int scan_pipeline_reload_signatures(struct scan_pipeline *pipeline) MUST_USE;

void scan_pipeline_status(struct scan_pipeline *pipeline, struct scan_pipeline_status *ret_status);

#endif
