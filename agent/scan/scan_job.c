/* Owns jobs, their walker threads and totals. Must not judge verdicts or touch the scanner. Hands
 * opened files to the lanes, and ended jobs to the dispatcher's thread, where done is called. */
#include "agent/scan/scan_job.h"

#include "agent/scan/tree_walk.h"
#include "common/limits.h"
#include "common/time/clock.h"

#include <errno.h>
#include <pthread.h>

/* How often the load of the host is looked at. */
static const uint64_t LOAD_NS = 5 * NS_PER_SECOND;
static const uint64_t PROGRESS_NS = 500 * NS_PER_MS;
static const uint64_t RECENTLY_CHANGED_NS = 24 * 3600 * NS_PER_SECOND;

struct scan_jobs {
    struct dispatcher_parts parts;
    struct dispatcher *dispatcher;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* for walkers that wait for an engine, or for their turn by rate */
    struct scan_job *live, *ended;
    size_t count; /* of both */
    uint64_t next_progress_ns, next_load_ns;
};

struct scan_job {
    struct scan_job *next;
    struct scan_jobs *jobs;
    struct scan_settings *settings;
    struct scan_walk_options options; /* strings are ours */
    struct scan_job_callbacks callbacks;
    void *user;
    atomic_bool is_cancelled, is_paused;
    atomic_bool is_held;      /* paused because the host is busy */
    uint64_t held_since_ns;   /* 0: not; with held_ns and is_let_go the dispatcher's */
    uint64_t held_ns;         /* in all, until then */
    bool is_let_go;           /* was held as long as may be */
    atomic_size_t references; /* the walker's, and one for each task */
    pthread_mutex_t lock;
    struct scan_job_totals totals;
    int result;
    /* The walker's. */
    const char *root;                             /* that is walked now */
    uint64_t changed_after_ns, changed_before_ns; /* only such files; 0, UINT64_MAX: all */
    uint64_t next_scan_ns;                        /* by rate */
};

/* ---- the lists of jobs ---- */

static void end_job(struct scan_job *job)
{
    struct scan_jobs *jobs = job->jobs;

    (void)pthread_mutex_lock(&jobs->lock);
    struct scan_job **link = &jobs->live;
    while (*link != job)
        link = &(*link)->next;
    *link = job->next;
    job->next = jobs->ended;
    jobs->ended = job;
    /* Under the lock: a pipeline that stops frees all of this once it has seen the last job end. */
    dispatcher_wake(jobs->dispatcher);
    (void)pthread_mutex_unlock(&jobs->lock);
}

void scan_job_release(struct scan_job *job)
{
    if (atomic_fetch_sub(&job->references, 1) == 1)
        end_job(job);
}

static void free_paths(struct scan_job *job)
{
    for (size_t i = 0; job->options.job.paths != NULL && job->options.job.paths[i] != NULL; i++)
        free((char *)job->options.job.paths[i]);
    free((void *)job->options.job.paths);
}

static void free_job(struct scan_job *job)
{
    free_paths(job);
    scan_settings_unref(job->settings);
    (void)pthread_mutex_destroy(&job->lock);
    free(job);
}

static void call_done(struct scan_job *job)
{
    int result = atomic_load(&job->is_cancelled) ? -ECANCELED : job->result;

    if (job->callbacks.done != NULL)
        job->callbacks.done(job->user, result, &job->totals);
    free_job(job);
}

static struct scan_job *take_ended(struct scan_jobs *jobs)
{
    (void)pthread_mutex_lock(&jobs->lock);
    struct scan_job *job = jobs->ended;
    if (job != NULL)
        jobs->ended = job->next;
    (void)pthread_mutex_unlock(&jobs->lock);
    return job;
}

static bool is_waiting(const struct scan_job *job)
{
    return atomic_load(&job->is_paused) || atomic_load(&job->is_held);
}

/* Jobs end only in this thread, so those that are live stay while their callbacks run; new ones
 * come in front. */
static void tell_progress(struct scan_jobs *jobs)
{
    uint64_t now = clock_monotonic_ns();

    if (now < jobs->next_progress_ns)
        return;
    jobs->next_progress_ns = now + PROGRESS_NS;
    struct {
        void (*progress)(void *user, const struct scan_job_totals *totals);
        void *user;
        struct scan_job_totals totals;
    } told[LIMIT_SCAN_JOBS];
    size_t count = 0;
    (void)pthread_mutex_lock(&jobs->lock);
    for (struct scan_job *job = jobs->live; job != NULL && count < LIMIT_SCAN_JOBS;
         job = job->next) {
        if (job->callbacks.progress == NULL)
            continue;
        (void)pthread_mutex_lock(&job->lock);
        told[count].totals = job->totals;
        told[count].totals.paused = is_waiting(job);
        (void)pthread_mutex_unlock(&job->lock);
        told[count].progress = job->callbacks.progress;
        told[count++].user = job->user;
    }
    (void)pthread_mutex_unlock(&jobs->lock);
    for (size_t i = 0; i < count; i++)
        told[i].progress(told[i].user, &told[i].totals);
}

bool scan_jobs_want_load(struct scan_jobs *jobs)
{
    uint64_t now = clock_monotonic_ns();
    bool wanted = false;

    if (now < jobs->next_load_ns)
        return false;
    (void)pthread_mutex_lock(&jobs->lock);
    for (const struct scan_job *job = jobs->live; job != NULL && !wanted; job = job->next)
        wanted = job->options.job.polite;
    (void)pthread_mutex_unlock(&jobs->lock);
    if (wanted)
        jobs->next_load_ns = now + LOAD_NS;
    return wanted;
}

/* Holds it, or not; true when it would be held but was so long enough, once. */
static bool hold_job(struct scan_job *job, bool busy, uint64_t now)
{
    if (job->held_since_ns != 0)
        job->held_ns += now - job->held_since_ns;
    bool patient = job->held_ns < SCAN_HELD_MOST_NS;
    bool held = busy && patient;
    job->held_since_ns = held ? now : 0;
    atomic_store(&job->is_held, held);
    bool let_go = busy && !patient && !job->is_let_go;
    job->is_let_go = job->is_let_go || let_go;
    return let_go;
}

bool scan_jobs_hold_polite(struct scan_jobs *jobs, bool busy, enum scan_cause *ret_let_go)
{
    uint64_t now = clock_monotonic_ns();
    bool let_go = false;

    (void)pthread_mutex_lock(&jobs->lock);
    for (struct scan_job *job = jobs->live; job != NULL; job = job->next) {
        if (!job->options.job.polite || !hold_job(job, busy, now))
            continue;
        let_go = true;
        *ret_let_go = job->options.job.cause;
    }
    (void)pthread_cond_broadcast(&jobs->changed);
    (void)pthread_mutex_unlock(&jobs->lock);
    return let_go;
}

void scan_jobs_turn(struct scan_jobs *jobs)
{
    struct scan_job *job;

    (void)pthread_mutex_lock(&jobs->lock);
    (void)pthread_cond_broadcast(&jobs->changed);
    (void)pthread_mutex_unlock(&jobs->lock);
    tell_progress(jobs);
    while ((job = take_ended(jobs)) != NULL) {
        call_done(job);
        (void)pthread_mutex_lock(&jobs->lock);
        jobs->count--;
        (void)pthread_mutex_unlock(&jobs->lock);
    }
}

size_t scan_jobs_count(struct scan_jobs *jobs)
{
    (void)pthread_mutex_lock(&jobs->lock);
    size_t count = jobs->count;
    (void)pthread_mutex_unlock(&jobs->lock);
    return count;
}

/* ---- cancelling ---- */

bool scan_job_is_cancelled(const struct scan_job *job)
{
    return atomic_load(&job->is_cancelled);
}

static void wake_walkers(struct scan_jobs *jobs)
{
    (void)pthread_cond_broadcast(&jobs->changed);
    scan_lanes_wake(jobs->parts.lanes);
    dispatcher_wake(jobs->dispatcher);
}

void scan_job_cancel(struct scan_job *job)
{
    (void)pthread_mutex_lock(&job->jobs->lock);
    atomic_store(&job->is_cancelled, true);
    wake_walkers(job->jobs);
    (void)pthread_mutex_unlock(&job->jobs->lock);
}

void scan_job_pause(struct scan_job *job, bool pause)
{
    (void)pthread_mutex_lock(&job->jobs->lock);
    atomic_store(&job->is_paused, pause);
    (void)pthread_cond_broadcast(&job->jobs->changed);
    (void)pthread_mutex_unlock(&job->jobs->lock);
}

void scan_jobs_cancel_all(struct scan_jobs *jobs)
{
    (void)pthread_mutex_lock(&jobs->lock);
    for (struct scan_job *job = jobs->live; job != NULL; job = job->next)
        atomic_store(&job->is_cancelled, true);
    wake_walkers(jobs);
    (void)pthread_mutex_unlock(&jobs->lock);
}

/* ---- results ---- */

static void tell_result(struct scan_job *job, const char *path, const struct scan_result *result)
{
    bool wanted = job->options.job.report_all || result->verdict != SCAN_CLEAN;

    if (wanted && job->callbacks.result != NULL)
        job->callbacks.result(job->user, path, result);
}

static void count_verdict(struct scan_job_totals *totals, enum scan_verdict verdict)
{
    totals->clean += verdict == SCAN_CLEAN;
    totals->infected += verdict == SCAN_INFECTED;
    totals->incomplete += verdict == SCAN_INCOMPLETE;
    totals->errors += verdict == SCAN_ERROR;
}

void scan_job_tell(struct scan_job *job, const struct scan_task *task)
{
    (void)pthread_mutex_lock(&job->lock);
    job->totals.files_scanned++;
    job->totals.bytes += task->identity.size;
    count_verdict(&job->totals, task->result.verdict);
    (void)pthread_mutex_unlock(&job->lock);
    tell_result(job, task->path, &task->result);
}

static void tell_unreadable(struct scan_job *job, const char *path)
{
    struct scan_result result = {.verdict = SCAN_ERROR, .reason = SCAN_REASON_READ};

    (void)pthread_mutex_lock(&job->lock);
    job->totals.errors++;
    (void)pthread_mutex_unlock(&job->lock);
    tell_result(job, path, &result);
}

/* ---- the walker ---- */

static bool enters_directory(void *user, const char *path, size_t length)
{
    struct scan_job *job = user;

    return !scan_settings_exclude_directory(job->settings, path, length);
}

static int checks_cancel(void *user)
{
    struct scan_job *job = user;

    return atomic_load(&job->is_cancelled) ? -ECANCELED : 0;
}

static void problem_found(void *user, const char *path, size_t length UNUSED, int error UNUSED)
{
    tell_unreadable(user, path);
}

static void mount_skipped(void *user, const char *path UNUSED, enum mount_class kind UNUSED)
{
    struct scan_job *job = user;

    (void)pthread_mutex_lock(&job->lock);
    job->totals.mounts_skipped++;
    (void)pthread_mutex_unlock(&job->lock);
}

/* Whether the file is settled without a scan: unchanged since this engine found it clean. */
static bool settled_by_cache(struct scan_job *job, const struct tree_walk_file *file)
{
    struct file_identity identity = file_identity_of(file->status);
    uint64_t generation = dispatcher_generation(job->jobs->dispatcher);
    uint64_t fresh = job->options.fresh_since_ns;

    if (!job->options.job.use_cache || generation == 0 ||
        (fresh != 0 && identity.ctime_ns >= fresh) ||
        verdict_cache_lookup(job->jobs->parts.cache, &identity, generation) != VERDICT_CACHE_HIT)
        return false;
    (void)pthread_mutex_lock(&job->lock);
    job->totals.files_cached++;
    job->totals.clean++;
    (void)pthread_mutex_unlock(&job->lock);
    if (job->options.job.report_all) {
        struct scan_result clean = {.verdict = SCAN_CLEAN, .generation = generation};
        tell_result(job, file->path, &clean);
    }
    return true;
}

static void wait_for_rate(struct scan_job *job)
{
    struct scan_jobs *jobs = job->jobs;
    uint64_t now = clock_monotonic_ns();

    if (job->options.rate == 0)
        return;
    job->next_scan_ns = MAX(job->next_scan_ns, now) + NS_PER_SECOND / job->options.rate;
    struct timespec until = clock_wait_until(job->next_scan_ns - now);
    (void)pthread_mutex_lock(&jobs->lock);
    while (!atomic_load(&job->is_cancelled) &&
           pthread_cond_clockwait(&jobs->changed, &jobs->lock, CLOCK_MONOTONIC, &until) !=
               ETIMEDOUT)
        continue;
    (void)pthread_mutex_unlock(&jobs->lock);
}

static void wait_while_paused(struct scan_job *job)
{
    if (!is_waiting(job))
        return;
    (void)pthread_mutex_lock(&job->jobs->lock);
    while (is_waiting(job) && !atomic_load(&job->is_cancelled))
        (void)pthread_cond_wait(&job->jobs->changed, &job->jobs->lock);
    (void)pthread_mutex_unlock(&job->jobs->lock);
}

static int push_file(struct scan_job *job, const struct tree_walk_file *file)
{
    int fd = -1;

    int r = scan_task_open(file->directory_fd, file->name, &fd);
    if (r == -ENOENT || r == -EISDIR || r == -ENXIO || r == -ELOOP)
        return 0;
    /* Other failures are the dispatcher's: it tries again where that helps, and reports. */
    struct scan_task *task = scan_task_new(strdup(file->path), r == 0 ? fd : -1, file->status);
    if (task == NULL)
        return -ENOMEM;
    task->job = job;
    task->cause = job->options.job.cause;
    task->act = job->options.job.act;
    task->lane = job->options.lane;
    atomic_fetch_add(&job->references, 1);
    r = scan_lanes_push(job->jobs->parts.lanes, task, &job->is_cancelled);
    if (r < 0) {
        scan_task_free(task);
        scan_job_release(job);
        return r;
    }
    dispatcher_tell_work(job->jobs->dispatcher);
    return 0;
}

static bool is_wanted(const struct scan_job *job, const struct tree_walk_file *file)
{
    uint64_t ctime_ns = timespec_to_ns(file->status->st_ctim);

    return ctime_ns >= job->changed_after_ns && ctime_ns <= job->changed_before_ns;
}

static int file_found(void *user, const struct tree_walk_file *file)
{
    struct scan_job *job = user;

    wait_while_paused(job);
    if (atomic_load(&job->is_cancelled))
        return -ECANCELED;
    if (!is_wanted(job, file))
        return 0;
    bool excluded = strcmp(file->path, job->root) != 0 &&
                    scan_settings_exclude_file(job->settings, file->path, file->path_length);
    (void)pthread_mutex_lock(&job->lock);
    job->totals.files_seen++;
    job->totals.files_expected++;
    job->totals.files_excluded += excluded;
    (void)pthread_mutex_unlock(&job->lock);
    if (excluded || settled_by_cache(job, file))
        return 0;
    wait_for_rate(job);
    return push_file(job, file);
}

static void walk_paths(struct scan_job *job)
{
    static const struct tree_walk_visitor visitor = {
        .enters = enters_directory,
        .file = file_found,
        .problem = problem_found,
        .skipped = mount_skipped,
        .checks = checks_cancel,
    };

    for (size_t i = 0; job->options.job.paths[i] != NULL; i++) {
        const char *path = job->root = job->options.job.paths[i];
        if (scan_settings_cover_root(job->settings, path))
            continue;
        int r = tree_walk(path, job->options.recursive, job->jobs->parts.mounts, &visitor, job);
        if (r == -ECANCELED)
            return;
        if (r < 0 && job->result == 0)
            job->result = r;
        if (r < 0)
            tell_unreadable(job, path);
    }
}

/* The cache knows only what an engine of today said, so a walk that asks it waits for one. */
static void wait_for_engine(struct scan_job *job)
{
    struct scan_jobs *jobs = job->jobs;

    if (!job->options.job.use_cache)
        return;
    (void)pthread_mutex_lock(&jobs->lock);
    while (!atomic_load(&job->is_cancelled) && dispatcher_generation(jobs->dispatcher) == 0)
        (void)pthread_cond_wait(&jobs->changed, &jobs->lock);
    (void)pthread_mutex_unlock(&jobs->lock);
}

static void *run_walker(void *argument)
{
    struct scan_job *job = argument;
    uint64_t now = clock_realtime_ns();
    uint64_t within = job->options.job.changed_within_ns;

    wait_for_engine(job);
    job->changed_before_ns = UINT64_MAX;
    if (within != 0)
        job->changed_after_ns = now > within ? now - within : 0;
    if (job->options.changed_first) {
        job->changed_after_ns = now - RECENTLY_CHANGED_NS;
        walk_paths(job);
        job->changed_before_ns = job->changed_after_ns - 1;
        job->changed_after_ns = 0;
    }
    walk_paths(job);
    (void)pthread_mutex_lock(&job->lock);
    job->totals.walking = false;
    (void)pthread_mutex_unlock(&job->lock);
    scan_job_release(job);
    return NULL;
}

/* ---- starting ---- */

static int copy_paths(struct scan_job *job, const char *const *paths)
{
    size_t count = 0;

    while (paths[count] != NULL)
        count++;
    char **copies = calloc(count + 1, sizeof *copies);
    job->options.job.paths = (const char *const *)copies;
    for (size_t i = 0; copies != NULL && i < count; i++) {
        copies[i] = strdup(paths[i]);
        if (copies[i] == NULL)
            return -ENOMEM;
    }
    return copies != NULL ? 0 : -ENOMEM;
}

static int make_job(struct scan_jobs *jobs, struct scan_settings *settings,
                    const struct scan_walk_options *options, struct scan_job **ret_job)
{
    struct scan_job *job = calloc(1, sizeof *job);
    if (job == NULL)
        return -ENOMEM;
    job->jobs = jobs;
    job->options = *options;
    job->options.job.paths = NULL;
    job->settings = scan_settings_ref(settings);
    job->totals.walking = true;
    atomic_init(&job->references, 1);
    (void)pthread_mutex_init(&job->lock, NULL);
    int r = copy_paths(job, options->job.paths);
    if (r < 0) {
        free_job(job);
        return r;
    }
    *ret_job = job;
    return 0;
}

static int start_walker(struct scan_job *job)
{
    pthread_attr_t attributes;
    pthread_t thread;

    int r = -pthread_attr_init(&attributes);
    if (r < 0)
        return r;
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    r = -pthread_create(&thread, &attributes, run_walker, job);
    (void)pthread_attr_destroy(&attributes);
    return r;
}

static int add_job(struct scan_jobs *jobs, struct scan_job *job)
{
    (void)pthread_mutex_lock(&jobs->lock);
    int r = jobs->count >= LIMIT_SCAN_JOBS ? -EBUSY : 0;
    if (r == 0) {
        job->next = jobs->live;
        jobs->live = job;
        jobs->count++;
    }
    (void)pthread_mutex_unlock(&jobs->lock);
    return r;
}

/* Whoever started it learns of the failure by the return value. */
static void remove_job(struct scan_jobs *jobs, struct scan_job *job)
{
    (void)pthread_mutex_lock(&jobs->lock);
    struct scan_job **link = &jobs->live;
    while (*link != job)
        link = &(*link)->next;
    *link = job->next;
    jobs->count--;
    (void)pthread_mutex_unlock(&jobs->lock);
}

int scan_jobs_start(struct scan_jobs *jobs, struct scan_settings *settings,
                    const struct scan_walk_options *options,
                    const struct scan_job_callbacks *callbacks, void *user,
                    struct scan_job **ret_job)
{
    struct scan_job *job;
    int r = make_job(jobs, settings, options, &job);
    if (r < 0)
        return r;
    if (callbacks != NULL)
        job->callbacks = *callbacks;
    job->user = user;
    r = add_job(jobs, job);
    if (r < 0) {
        free_job(job);
        return r;
    }
    /* Before the walker starts: a short job may be done at once. */
    *ret_job = job;
    r = start_walker(job);
    if (r < 0) {
        remove_job(jobs, job);
        free_job(job);
        *ret_job = NULL;
    }
    return r;
}

int scan_jobs_new(const struct dispatcher_parts *parts, struct scan_jobs **ret_jobs)
{
    struct scan_jobs *jobs = calloc(1, sizeof *jobs);
    if (jobs == NULL)
        return -ENOMEM;
    jobs->parts = *parts;
    (void)pthread_mutex_init(&jobs->lock, NULL);
    (void)pthread_cond_init(&jobs->changed, NULL);
    *ret_jobs = jobs;
    return 0;
}

void scan_jobs_attach(struct scan_jobs *jobs, struct dispatcher *dispatcher)
{
    jobs->dispatcher = dispatcher;
}

struct scan_jobs *scan_jobs_free(struct scan_jobs *jobs)
{
    if (jobs == NULL)
        return NULL;
    (void)pthread_cond_destroy(&jobs->changed);
    (void)pthread_mutex_destroy(&jobs->lock);
    free(jobs);
    return NULL;
}
