/* Owns: when a scheduled scan begins, pauses and is done; the one that runs. Must not own:
 * scanning.
 */
#include "agent/scan/scan_schedule.h"

#include "agent/scan/host_load.h"
#include "agent/store/store.h"
#include "common/buffers/buffer.h"
#include "common/files/file.h"
#include "common/json/json_writer.h"
#include "common/limits.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

enum { STATE_BYTES = 256 };

/* How often load and window are looked at. */
static const uint64_t TURN_NS = 5 * NS_PER_SECOND;
/* After one that could not be started. */
static const uint64_t RETRY_NS = 30 * NS_PER_SECOND;

struct settings {
    struct schedule schedule;
    char **paths;
    uint64_t changed_within_ns, most_load;
    char *load_path;
};

struct scan_schedule {
    struct scan_pipeline *pipeline;
    struct store *store;
    char *state_path;
    pthread_t thread;

    pthread_mutex_t lock; /* of all below */
    pthread_cond_t changed;
    bool stopping, ended; /* ended: the scan has told its end, and the thread has not seen it */
    bool unfinished;      /* a scan of an earlier run is to go on */
    struct settings settings;
    struct host_steal steal;
    struct schedule_plan plan; /* of the next one */
    struct scan_job *job;      /* NULL: none runs */
    bool running;              /* one was started and its end was not seen yet */
    int result;
    struct scan_schedule_status status;
};

static const char *const state_names[] = {"off", "waiting", "running", "paused-busy",
                                          "paused-window"};

const char *scan_schedule_state_name(enum scan_schedule_state state)
{
    return (size_t)state < ARRAY_LENGTH(state_names) ? state_names[state] : "unknown";
}

/* ---- settings ---- */

static void settings_done(struct settings *settings)
{
    for (char **path = settings->paths; path != NULL && *path != NULL; path++)
        free(*path);
    free(settings->paths);
    free(settings->load_path);
    *settings = (struct settings){.paths = NULL};
}

static int settings_copy(const struct scan_schedule_options *options, struct settings *settings)
{
    size_t count = 0;

    *settings = (struct settings){
        .schedule = options->schedule,
        .changed_within_ns = options->changed_within_ns,
        .most_load = options->most_load,
        .load_path = strdup(options->load_path),
    };
    while (options->paths[count] != NULL)
        count++;
    settings->paths = calloc(count + 1, sizeof settings->paths[0]);
    bool complete = settings->paths != NULL && settings->load_path != NULL;
    for (size_t i = 0; complete && i < count; i++) {
        settings->paths[i] = strdup(options->paths[i]);
        complete = settings->paths[i] != NULL;
    }
    if (complete)
        return 0;
    settings_done(settings);
    return -ENOMEM;
}

/* ---- the state that outlives the agent ---- */

static void save(const struct scan_schedule *schedule, uint64_t last_ns, bool unfinished)
{
    char text[STATE_BYTES];
    int length =
        text_format(text, sizeof text, "%llu %d\n", (unsigned long long)last_ns, unfinished);
    int r = length < 0 ? length : file_replace(schedule->state_path, text, (size_t)length, 0600);

    if (r < 0)
        log_warning("schedule_not_saved", "error", log_error_text(r), NULL);
}

/* Nothing, or nothing that can be read: no scan was ever made. */
static void load(struct scan_schedule *schedule)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(STATE_BYTES);
    uint64_t last_ns;

    if (file_read_all(schedule->state_path, &text) < 0 || text.length == 0)
        return;
    AUTO_FREE char *copy = strdup(buffer_text(&text));
    char *blank = copy != NULL ? strchr(copy, ' ') : NULL;
    if (blank == NULL)
        return;
    *blank = '\0';
    if (text_parse_u64(copy, &last_ns) < 0)
        return;
    schedule->status.last_ns = last_ns;
    schedule->unfinished = blank[1] == '1';
}

/* ---- the scan ---- */

static void record(struct scan_schedule *schedule, const char *kind, const char *ended,
                   const struct scan_job_totals *totals)
{
    AUTO_BUFFER struct buffer detail = BUFFER_WITH_MAXIMUM(LIMIT_EVENT_DETAIL_BYTES);
    struct json_writer json;

    json_writer_init(&json, &detail);
    json_write_object_begin(&json);
    json_write_field_string(&json, "cause", "scheduled");
    json_write_field_string(&json, "ended", ended);
    json_write_field_unsigned(&json, "files", totals->files_seen);
    json_write_field_unsigned(&json, "scanned", totals->files_scanned);
    json_write_field_unsigned(&json, "cached", totals->files_cached);
    json_write_field_unsigned(&json, "infected", totals->infected);
    json_write_field_unsigned(&json, "incomplete", totals->incomplete);
    json_write_field_unsigned(&json, "errors", totals->errors);
    json_write_object_end(&json);
    const struct event_draft draft = {
        .module = "scan", .kind = kind, .severity = EVENT_INFO, .detail = buffer_text(&detail)};
    int r = store_append(schedule->store, &draft, NULL, NULL, NULL);
    if (r < 0)
        log_error("event_not_stored", "kind", kind, "error", log_error_text(r), NULL);
}

/* In the dispatcher's thread, as scan_ended. */
static void scan_goes_on(void *user, const struct scan_job_totals *totals)
{
    struct scan_schedule *schedule = user;

    (void)pthread_mutex_lock(&schedule->lock);
    schedule->status.totals = *totals;
    (void)pthread_mutex_unlock(&schedule->lock);
}

static void scan_ended(void *user, int result, const struct scan_job_totals *totals)
{
    struct scan_schedule *schedule = user;

    (void)pthread_mutex_lock(&schedule->lock);
    schedule->job = NULL;
    schedule->ended = true;
    schedule->result = result;
    schedule->status.totals = *totals;
    (void)pthread_cond_broadcast(&schedule->changed);
    (void)pthread_mutex_unlock(&schedule->lock);
}

/* With the lock: the job may end before its handle is noted. */
static void begin(struct scan_schedule *schedule, uint64_t now_ns)
{
    static const struct scan_job_callbacks callbacks = {.progress = scan_goes_on,
                                                        .done = scan_ended};
    const struct scan_job_options options = {
        .paths = (const char *const *)schedule->settings.paths,
        .cause = SCAN_CAUSE_SCHEDULED,
        .use_cache = true,
        .act = true,
        .changed_within_ns = schedule->settings.changed_within_ns,
    };
    struct scan_job *job;

    int r = scan_job_start(schedule->pipeline, &options, &callbacks, schedule, &job);
    if (r < 0) {
        log_error("scheduled_scan_not_started", "error", log_error_text(r), NULL);
        return;
    }
    schedule->job = job;
    schedule->running = true;
    schedule->plan = (struct schedule_plan){.next_ns = 0};
    schedule->status.totals = (struct scan_job_totals){.files_seen = 0};
    /* Resumed, it is still the one that began then. */
    if (!TAKE_FLAG(schedule->unfinished) || schedule->status.last_ns == 0)
        schedule->status.last_ns = now_ns;
    save(schedule, schedule->status.last_ns, true);
    record(schedule, "scan_started", "no", &schedule->status.totals);
}

/* With the lock. What the stop of the agent cancelled goes on at its next start. */
static void finish(struct scan_schedule *schedule)
{
    schedule->ended = schedule->running = false;
    if (schedule->stopping && schedule->result == -ECANCELED)
        return;
    save(schedule, schedule->status.last_ns, false);
    record(schedule, "scan_finished",
           schedule->result == 0            ? "complete"
           : schedule->result == -ECANCELED ? "cancelled"
                                            : "failed",
           &schedule->status.totals);
}

static bool is_busy(struct scan_schedule *schedule)
{
    struct scan_pipeline_status own;

    scan_pipeline_status(schedule->pipeline, &own);
    return host_is_busy(&schedule->steal, schedule->settings.load_path,
                        schedule->settings.most_load, &own);
}

/* With the lock. */
static void pause_or_go_on(struct scan_schedule *schedule, uint64_t now_ns)
{
    const struct settings *settings = &schedule->settings;
    enum scan_schedule_state state = SCHEDULE_RUNNING;

    if (!schedule_is_open(&settings->schedule, now_ns))
        state = SCHEDULE_CLOSED;
    else if (is_busy(schedule))
        state = SCHEDULE_BUSY;
    schedule->status.state = state;
    if (schedule->job != NULL)
        scan_job_pause(schedule->job, state != SCHEDULE_RUNNING);
}

/* With the lock: what is to be done now; returns how long nothing will be. */
static uint64_t turn(struct scan_schedule *schedule)
{
    uint64_t now = clock_realtime_ns();

    if (schedule->ended)
        finish(schedule);
    if (schedule->running) {
        pause_or_go_on(schedule, now);
        return TURN_NS;
    }
    uint64_t last = schedule->unfinished ? 0 : schedule->status.last_ns;
    uint64_t next = schedule_plan_next(&schedule->plan, &schedule->settings.schedule, last, now);
    schedule->status.next_ns = next == UINT64_MAX ? 0 : next;
    schedule->status.state = next == UINT64_MAX ? SCHEDULE_OFF : SCHEDULE_WAITING;
    if (next > now)
        return MIN(next - now, 60 * NS_PER_SECOND);
    begin(schedule, now);
    if (!schedule->running)
        return RETRY_NS;
    pause_or_go_on(schedule, now);
    return TURN_NS;
}

static void *run(void *user)
{
    struct scan_schedule *schedule = user;

    (void)pthread_setname_np(pthread_self(), "schedule");
    (void)pthread_mutex_lock(&schedule->lock);
    while (!schedule->stopping) {
        uint64_t nothing_ns = turn(schedule);
        struct timespec until = clock_wait_until(MAX(nothing_ns, NS_PER_MS));
        if (!schedule->stopping && !schedule->ended)
            (void)pthread_cond_clockwait(&schedule->changed, &schedule->lock, CLOCK_MONOTONIC,
                                         &until);
    }
    if (schedule->job != NULL)
        scan_job_cancel(schedule->job);
    while (schedule->running && !schedule->ended)
        (void)pthread_cond_wait(&schedule->changed, &schedule->lock);
    if (schedule->ended)
        finish(schedule);
    (void)pthread_mutex_unlock(&schedule->lock);
    return NULL;
}

/* ---- from other threads ---- */

void scan_schedule_cancel(struct scan_schedule *schedule)
{
    (void)pthread_mutex_lock(&schedule->lock);
    if (schedule->job != NULL)
        scan_job_cancel(schedule->job);
    (void)pthread_mutex_unlock(&schedule->lock);
}

void scan_schedule_status(struct scan_schedule *schedule, struct scan_schedule_status *ret_status)
{
    (void)pthread_mutex_lock(&schedule->lock);
    *ret_status = schedule->status;
    (void)pthread_mutex_unlock(&schedule->lock);
}

int scan_schedule_reconfigure(struct scan_schedule *schedule,
                              const struct scan_schedule_options *options)
{
    struct settings settings, before;
    int r = settings_copy(options, &settings);

    if (r < 0)
        return r;
    (void)pthread_mutex_lock(&schedule->lock);
    before = schedule->settings;
    schedule->settings = settings;
    (void)pthread_cond_broadcast(&schedule->changed);
    (void)pthread_mutex_unlock(&schedule->lock);
    settings_done(&before);
    return 0;
}

/* ---- life ---- */

static void free_schedule(struct scan_schedule *schedule)
{
    settings_done(&schedule->settings);
    (void)pthread_cond_destroy(&schedule->changed);
    (void)pthread_mutex_destroy(&schedule->lock);
    free(schedule->state_path);
    free(schedule);
}

static int start_thread(struct scan_schedule *schedule)
{
    sigset_t all, before;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = -pthread_create(&schedule->thread, NULL, run, schedule);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r;
}

int scan_schedule_start(const struct scan_schedule_options *options, struct scan_pipeline *pipeline,
                        struct store *store, struct scan_schedule **ret_schedule)
{
    struct scan_schedule *schedule = calloc(1, sizeof *schedule);

    if (schedule == NULL)
        return -ENOMEM;
    (void)pthread_mutex_init(&schedule->lock, NULL);
    (void)pthread_cond_init(&schedule->changed, NULL);
    schedule->pipeline = pipeline;
    schedule->store = store;
    schedule->state_path = strdup(options->state_path);
    int r = schedule->state_path != NULL ? settings_copy(options, &schedule->settings) : -ENOMEM;
    if (r == 0) {
        load(schedule);
        r = start_thread(schedule);
    }
    if (r < 0) {
        free_schedule(schedule);
        return r;
    }
    *ret_schedule = schedule;
    return 0;
}

struct scan_schedule *scan_schedule_stop(struct scan_schedule *schedule)
{
    if (schedule == NULL)
        return NULL;
    (void)pthread_mutex_lock(&schedule->lock);
    schedule->stopping = true;
    (void)pthread_cond_broadcast(&schedule->changed);
    (void)pthread_mutex_unlock(&schedule->lock);
    (void)pthread_join(schedule->thread, NULL);
    free_schedule(schedule);
    return NULL;
}
