/* Owns the parts of the pipeline and the order of their start and end; decides when folded
 * directories and known files are walked. Hands events to the backlog, jobs to scan_job.c. */
#include "agent/scan/scan_pipeline.h"

#include "agent/scan/backlog.h"
#include "agent/scan/dispatcher.h"
#include "agent/scan/host_load.h"
#include "agent/scan/mount_classes.h"
#include "agent/scan/scan_job.h"
#include "agent/scan/scan_report.h"
#include "agent/scan/scan_settings.h"
#include "agent/scan/verdict_cache.h"
#include "common/limits.h"
#include "common/time/clock.h"

#include <errno.h>
#include <pthread.h>

/* Files are opened while they wait in a lane, so a lane costs descriptors. */
enum { LANE_TASKS = 128 };

/* A writer that is told at one time may have changed the file a while before. */
static const uint64_t FOLD_MARGIN_NS = 60 * NS_PER_SECOND;

struct scan_pipeline {
    struct dispatcher_parts parts;
    struct scan_jobs *jobs;
    struct dispatcher *dispatcher;
    atomic_bool stopping;
    pthread_mutex_t lock; /* of settings */
    struct scan_settings *settings;

    /* The dispatcher's thread alone, after the start. */
    struct backlog_fold *fold; /* that is walked or could not be yet */
    bool fold_walks;
    struct scan_job *rescan;
    struct host_steal steal;
    uint64_t rescan_generation; /* the engine that known files were or are scanned with */
    atomic_bool rescanning, restart_rescan;
};

static struct scan_settings *take_settings(struct scan_pipeline *pipeline)
{
    (void)pthread_mutex_lock(&pipeline->lock);
    struct scan_settings *settings = scan_settings_ref(pipeline->settings);
    (void)pthread_mutex_unlock(&pipeline->lock);
    return settings;
}

/* ---- folded directories ---- */

static void fold_walked(void *user, int result UNUSED, const struct scan_job_totals *totals UNUSED)
{
    struct scan_pipeline *pipeline = user;

    pipeline->fold_walks = false;
    backlog_release(pipeline->parts.backlog, pipeline->fold->mark);
    pipeline->fold = backlog_fold_free(pipeline->fold);
}

static int start_fold(struct scan_pipeline *pipeline, struct scan_settings *settings)
{
    static const struct scan_job_callbacks callbacks = {.done = fold_walked};
    const struct backlog_fold *fold = pipeline->fold;
    const char *const only[] = {fold->path, NULL};
    const struct scan_pipeline_options *options = scan_settings_options(settings);
    bool everything = strcmp(fold->path, "/") == 0 && options->rescan_paths != NULL;
    uint64_t since = fold->written_since_ns;
    struct scan_walk_options walk = {
        .job =
            {
                .paths = everything ? options->rescan_paths : only,
                .cause = SCAN_CAUSE_REALTIME,
                .use_cache = true,
                .act = true,
            },
        .lane = SCAN_LANE_FOLD,
        .recursive = fold->recursive,
        .fresh_since_ns = since == UINT64_MAX ? 0 : MAX(since, FOLD_MARGIN_NS + 1) - FOLD_MARGIN_NS,
    };
    struct scan_job *job;

    return scan_jobs_start(pipeline->jobs, settings, &walk, &callbacks, pipeline, &job);
}

/* One at a time; a fold that cannot be started now is tried again at the next turn. Nothing is
 * walked before there is an engine: the cache could not answer. */
static void walk_folds(struct scan_pipeline *pipeline)
{
    if (pipeline->fold_walks || dispatcher_generation(pipeline->dispatcher) == 0)
        return;
    if (pipeline->fold == NULL && backlog_take_fold(pipeline->parts.backlog, &pipeline->fold) < 0)
        return;
    struct scan_settings *settings = take_settings(pipeline);
    pipeline->fold_walks = start_fold(pipeline, settings) == 0;
    scan_settings_unref(settings);
}

/* ---- known files and new signatures ---- */

static void rescan_done(void *user, int result UNUSED, const struct scan_job_totals *totals UNUSED)
{
    struct scan_pipeline *pipeline = user;

    pipeline->rescan = NULL;
    atomic_store(&pipeline->rescanning, false);
}

static int start_rescan(struct scan_pipeline *pipeline, const struct scan_pipeline_options *options,
                        struct scan_settings *settings)
{
    static const struct scan_job_callbacks callbacks = {.done = rescan_done};
    struct scan_walk_options walk = {
        .job =
            {
                .paths = options->rescan_paths,
                .cause = SCAN_CAUSE_RESCAN,
                .use_cache = true,
                .polite = true,
                .act = true,
            },
        .lane = SCAN_LANE_BACKGROUND,
        .recursive = true,
        .rate = options->rescan_rate,
        .changed_first = true,
    };

    return scan_jobs_start(pipeline->jobs, settings, &walk, &callbacks, pipeline,
                           &pipeline->rescan);
}

/* A rescan of an older engine, or by an older policy, is ended first. */
static void rescan_known(struct scan_pipeline *pipeline)
{
    uint64_t generation = dispatcher_generation(pipeline->dispatcher);

    if (atomic_exchange(&pipeline->restart_rescan, false))
        pipeline->rescan_generation = 0;
    if (generation == 0 || generation == pipeline->rescan_generation)
        return;
    if (pipeline->rescan != NULL) {
        scan_job_cancel(pipeline->rescan);
        return;
    }
    struct scan_settings *settings = take_settings(pipeline);
    const struct scan_pipeline_options *options = scan_settings_options(settings);
    int r = 0;
    /* What was too young to be remembered as clean was seen by the engine before, too. */
    bool updated = pipeline->rescan_generation != 0 ||
                   verdict_cache_count_stale(pipeline->parts.cache, generation) > 0;
    if (options->rescan_on_update && options->rescan_paths != NULL && updated) {
        r = start_rescan(pipeline, options, settings);
        atomic_store(&pipeline->rescanning, r == 0);
    }
    if (r == 0)
        pipeline->rescan_generation = generation;
    scan_settings_unref(settings);
}

/* ---- politeness ---- */

static void hold_polite_jobs(struct scan_pipeline *pipeline)
{
    struct scan_pipeline_status own;
    enum scan_cause let_go;

    if (!scan_jobs_want_load(pipeline->jobs))
        return;
    scan_pipeline_status(pipeline, &own);
    struct scan_settings *settings = take_settings(pipeline);
    const struct scan_pipeline_options *options = scan_settings_options(settings);
    bool busy = options->load_path != NULL &&
                host_is_busy(&pipeline->steal, options->load_path, options->most_load, &own);
    scan_settings_unref(settings);
    if (scan_jobs_hold_polite(pipeline->jobs, busy, &let_go))
        scan_report_let_go(pipeline->parts.store, let_go);
}

static void take_turn(void *user)
{
    struct scan_pipeline *pipeline = user;

    scan_jobs_turn(pipeline->jobs);
    if (atomic_load(&pipeline->stopping))
        return;
    hold_polite_jobs(pipeline);
    walk_folds(pipeline);
    rescan_known(pipeline);
}

static bool is_busy(void *user)
{
    struct scan_pipeline *pipeline = user;

    return scan_jobs_count(pipeline->jobs) > 0;
}

/* ---- what others ask ---- */

void scan_pipeline_take_event(struct scan_pipeline *pipeline, const struct watch_event *event)
{
    struct backlog *backlog = pipeline->parts.backlog;

    switch (event->kind) {
    case WATCH_FILE_WRITTEN:
        backlog_tell(backlog, BACKLOG_WRITTEN, event->path, event->path_length, event->time_ns);
        break;
    case WATCH_FILE_ARRIVED:
        backlog_tell(backlog, BACKLOG_ARRIVED, event->path, event->path_length, event->time_ns);
        break;
    case WATCH_FILE_FOUND:
        backlog_tell(backlog, BACKLOG_FOUND, event->path, event->path_length, event->time_ns);
        break;
    case WATCH_FILE_REMOVED:
        backlog_forget(backlog, event->path, event->path_length);
        return;
    /* Attributes are not content: whoever changed that as well is told as WRITTEN. */
    case WATCH_FILE_CHANGED:
    case WATCH_DIRECTORY_ARRIVED:
    case WATCH_DIRECTORY_CHANGED:
    case WATCH_DIRECTORY_REMOVED:
    case WATCH_GAP:
    case WATCH_GAP_CLOSED:
    case WATCH_LIMITED:
    case WATCH_MOUNT_CHANGED:
    case WATCH_WALKED:
        return;
    }
    dispatcher_tell_work(pipeline->dispatcher);
}

int scan_pipeline_ask(struct scan_pipeline *pipeline, const struct scan_ask *ask)
{
    struct scan_task *task = scan_task_new(ask->path, ask->fd, NULL);

    if (task == NULL)
        return -ENOMEM;
    task->answered = ask->answered;
    task->answered_user = ask->user;
    task->until_ns = ask->until_ns;
    task->asking_user = ask->asking_user;
    int r = dispatcher_ask(pipeline->dispatcher, task);
    if (r < 0)
        scan_task_free(task);
    return r;
}

int scan_pipeline_drain(struct scan_pipeline *pipeline, void (*done)(void *user), void *user)
{
    int r = backlog_mark_drain(pipeline->parts.backlog, done, user);
    if (r == 0)
        dispatcher_wake(pipeline->dispatcher);
    return r;
}

int scan_job_start(struct scan_pipeline *pipeline, const struct scan_job_options *options,
                   const struct scan_job_callbacks *callbacks, void *user,
                   struct scan_job **ret_job)
{
    struct scan_walk_options walk = {
        .job = *options,
        .lane = options->cause == SCAN_CAUSE_SCHEDULED ? SCAN_LANE_BACKGROUND : SCAN_LANE_DEMAND,
        .recursive = true,
    };

    if (atomic_load(&pipeline->stopping))
        return -ESHUTDOWN;
    struct scan_settings *settings = take_settings(pipeline);
    int r = scan_jobs_start(pipeline->jobs, settings, &walk, callbacks, user, ret_job);
    scan_settings_unref(settings);
    return r;
}

void scan_pipeline_set_own_file(struct scan_pipeline *pipeline, scan_own_file *own_file, void *user)
{
    dispatcher_set_own_file(pipeline->dispatcher, own_file, user);
}

int scan_pipeline_reload_signatures(struct scan_pipeline *pipeline)
{
    return dispatcher_reload_signatures(pipeline->dispatcher);
}

int scan_pipeline_reconfigure(struct scan_pipeline *pipeline,
                              const struct scan_pipeline_options *options)
{
    struct scan_settings *settings;
    int r = scan_settings_new(options, &settings);
    if (r < 0)
        return r;
    r = dispatcher_reconfigure(pipeline->dispatcher, settings);
    if (r == 0) {
        (void)pthread_mutex_lock(&pipeline->lock);
        struct scan_settings *before = pipeline->settings;
        pipeline->settings = scan_settings_ref(settings);
        (void)pthread_mutex_unlock(&pipeline->lock);
        scan_settings_unref(before);
        verdict_cache_forget_infected(pipeline->parts.cache);
        atomic_store(&pipeline->restart_rescan, true);
        dispatcher_wake(pipeline->dispatcher);
    }
    scan_settings_unref(settings);
    return r;
}

void scan_pipeline_status(struct scan_pipeline *pipeline, struct scan_pipeline_status *ret_status)
{
    struct backlog_counts backlog;
    struct dispatcher_counts counts;
    struct scan_pipeline_status status = {0};
    uint64_t now = clock_monotonic_ns();

    backlog_count(pipeline->parts.backlog, &backlog);
    dispatcher_count(pipeline->dispatcher, &counts, &status.scanner);
    for (int class = 0; class < BACKLOG_CLASSES; class ++)
        status.backlog_files += backlog.waiting[class];
    status.backlog_files += scan_lanes_count(pipeline->parts.lanes);
    status.backlog_directories = backlog.folds;
    status.oldest_waiting_ns =
        backlog.oldest_ns != 0 && backlog.oldest_ns < now ? now - backlog.oldest_ns : 0;
    status.folded = backlog.folded;
    status.in_flight = counts.in_flight;
    status.scanned = counts.scanned;
    status.cached = counts.cached;
    status.clean = counts.clean;
    status.infected = counts.infected;
    status.incomplete = counts.incomplete;
    status.errors = counts.errors;
    status.vanished = counts.vanished;
    status.rescanned_changed = counts.rescanned_changed;
    status.leases_broken = counts.leases_broken;
    status.cache_entries = verdict_cache_count(pipeline->parts.cache);
    status.rescanning = atomic_load(&pipeline->rescanning);
    *ret_status = status;
}

/* ---- life ---- */

static void free_pipeline(struct scan_pipeline *pipeline)
{
    scan_jobs_free(pipeline->jobs);
    if (pipeline->fold != NULL)
        backlog_fold_free(pipeline->fold);
    backlog_free(pipeline->parts.backlog);
    scan_lanes_free(pipeline->parts.lanes);
    mount_classes_free(pipeline->parts.mounts);
    verdict_cache_close(pipeline->parts.cache);
    scan_settings_unref(pipeline->settings);
    (void)pthread_mutex_destroy(&pipeline->lock);
    free(pipeline);
}

static int make_parts(struct scan_pipeline *pipeline, const struct scan_pipeline_options *options)
{
    static const struct backlog_limits limits = {
        .files = LIMIT_BACKLOG_FILES,
        .bytes = LIMIT_BACKLOG_BYTES,
        .folds = LIMIT_BACKLOG_FOLDS,
        .fold_bytes = LIMIT_BACKLOG_FOLD_BYTES,
    };
    struct dispatcher_parts *parts = &pipeline->parts;

    int r = scan_settings_new(options, &pipeline->settings);
    parts->settings = pipeline->settings;
    if (r == 0)
        r = verdict_cache_open(options->cache_path, LIMIT_VERDICT_CACHE, &parts->cache);
    if (r == 0)
        r = mount_classes_new(&parts->mounts);
    if (r == 0)
        r = scan_lanes_new(LANE_TASKS, &parts->lanes);
    if (r == 0)
        r = backlog_new(&limits, &parts->backlog);
    if (r == 0)
        r = scan_jobs_new(parts, &pipeline->jobs);
    return r;
}

int scan_pipeline_start(const struct scan_pipeline_options *options, struct store *store,
                        struct responder *responder, struct scan_pipeline **ret_pipeline)
{
    struct scan_pipeline *pipeline = calloc(1, sizeof *pipeline);
    if (pipeline == NULL)
        return -ENOMEM;
    (void)pthread_mutex_init(&pipeline->lock, NULL);
    pipeline->parts.store = store;
    pipeline->parts.responder = responder;
    pipeline->parts.turn = take_turn;
    pipeline->parts.is_busy = is_busy;
    pipeline->parts.user = pipeline;
    int r = make_parts(pipeline, options);
    /* The first turn may come before dispatcher_start returns, so it waits for ready. */
    atomic_store(&pipeline->stopping, true);
    if (r == 0)
        r = dispatcher_start(&pipeline->parts, &pipeline->dispatcher);
    if (r < 0) {
        free_pipeline(pipeline);
        return r;
    }
    scan_jobs_attach(pipeline->jobs, pipeline->dispatcher);
    atomic_store(&pipeline->stopping, false);
    dispatcher_wake(pipeline->dispatcher);
    *ret_pipeline = pipeline;
    return 0;
}

struct scan_pipeline *scan_pipeline_stop(struct scan_pipeline *pipeline)
{
    if (pipeline == NULL)
        return NULL;
    atomic_store(&pipeline->stopping, true);
    scan_jobs_cancel_all(pipeline->jobs);
    pipeline->dispatcher = dispatcher_stop(pipeline->dispatcher);
    free_pipeline(pipeline);
    return NULL;
}
