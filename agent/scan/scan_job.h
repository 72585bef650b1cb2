/* Walks trees for whoever wants them scanned: a person, a schedule, the fold of a full backlog, or
 * new signatures. Settles unchanged files by the cache and puts the others in a lane of the
 * dispatcher. One thread a job.
 *
 * A job lives until its walker has ended and every file of it is committed; then it stands in the
 * list of ended jobs, whose done callbacks scan_jobs_turn calls in the dispatcher's thread. */
#ifndef AGENT_SCAN_SCAN_JOB_H
#define AGENT_SCAN_SCAN_JOB_H

#include "agent/scan/dispatcher.h"
#include "agent/scan/scan_pipeline.h"
#include "agent/scan/scan_task.h"
#include "common/attributes.h"

struct scan_jobs;

struct scan_walk_options {
    struct scan_job_options job;
    enum scan_lane lane;
    bool recursive;
    uint64_t fresh_since_ns; /* realtime: files changed later are scanned whatever the cache says;
                                0: none */
    uint64_t rate;           /* files a second that are scanned; 0: no limit */
    bool changed_first;      /* first what changed within a day, then all */
};

int scan_jobs_new(const struct dispatcher_parts *parts, struct scan_jobs **ret_jobs) MUST_USE;
/* Before any job; the dispatcher outlives the jobs. */
void scan_jobs_attach(struct scan_jobs *jobs, struct dispatcher *dispatcher);
/* No job may be left. */
struct scan_jobs *scan_jobs_free(struct scan_jobs *jobs);

/* -EBUSY: LIMIT_SCAN_JOBS run. Thread-safe. */
int scan_jobs_start(struct scan_jobs *jobs, struct scan_settings *settings,
                    const struct scan_walk_options *options,
                    const struct scan_job_callbacks *callbacks, void *user,
                    struct scan_job **ret_job) MUST_USE;
void scan_jobs_cancel_all(struct scan_jobs *jobs);
size_t scan_jobs_count(struct scan_jobs *jobs);
/* Calls the done callbacks of ended jobs and, when it is time, the progress callbacks. */
void scan_jobs_turn(struct scan_jobs *jobs);

/* Whether it is time to look at the load of the host, because a job is polite; then whether such
 * jobs are held. True when one, of that cause, goes on from now on although the host is busy: it
 * was held SCAN_HELD_MOST_NS in all. In the dispatcher's thread. */
bool scan_jobs_want_load(struct scan_jobs *jobs);
bool scan_jobs_hold_polite(struct scan_jobs *jobs, bool busy, enum scan_cause *ret_let_go);

/* By the dispatcher. */
bool scan_job_is_cancelled(const struct scan_job *job);
/* The verdict of a file is known. */
void scan_job_tell(struct scan_job *job, const struct scan_task *task);
/* All about the file is committed, or it was dropped. The job may be gone afterwards. */
void scan_job_release(struct scan_job *job);

#endif
