/* Owns: the thread, its turns, what waits for it, and its settings. Must not own: what a round does
 * (log_round.c). */
#include "agent/logs/logs_private.h"

#include "common/log/log.h"
#include "common/log_rules/log_rules.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>

enum { NICENESS = 10 };
/* Between two looks at files and journal. */
static const uint64_t LOOK_NS = 500 * NS_PER_MS;

const char *logs_state_name(enum logs_state state)
{
    static const char *const names[] = {"off", "starting", "watching", "failed"};

    return (size_t)state < ARRAY_LENGTH(names) ? names[state] : "unknown";
}

/* ---- settings ---- */

static struct logs_settings *free_settings(struct logs_settings *settings)
{
    if (settings == NULL)
        return NULL;
    for (size_t i = 0; i < settings->file_count; i++)
        free(settings->files[i]);
    free(settings->files);
    free(settings->journal_directory);
    free(settings->inspector_program);
    free(settings->shipped_path);
    free(settings->custom);
    free(settings);
    return NULL;
}

static bool copy_files(const char *const *files, struct logs_settings *settings)
{
    size_t count = 0;

    while (count < LIMIT_LOG_FILES && files[count] != NULL)
        count++;
    settings->files = calloc(count + 1, sizeof *settings->files);
    for (; settings->files != NULL && settings->file_count < count; settings->file_count++) {
        settings->files[settings->file_count] = strdup(files[settings->file_count]);
        if (settings->files[settings->file_count] == NULL)
            return false;
    }
    return settings->files != NULL;
}

static int make_settings(const struct logs_options *options, struct logs_settings **ret_settings)
{
    struct logs_settings *settings = calloc(1, sizeof *settings);

    if (settings == NULL)
        return -ENOMEM;
    settings->enabled = options->enabled;
    settings->journal = options->journal;
    settings->lowest = options->lowest;
    settings->fold_ns = options->fold_ns;
    settings->rate = options->rate;
    settings->journal_directory = strdup(options->journal_directory);
    settings->inspector_program = strdup(options->inspector_program);
    settings->shipped_path = strdup(options->shipped_path);
    settings->custom = log_rules_text_new(options->decoders, options->rules);
    if (!copy_files(options->files, settings) || settings->journal_directory == NULL ||
        settings->inspector_program == NULL || settings->shipped_path == NULL ||
        settings->custom == NULL) {
        (void)free_settings(settings);
        return -ENOMEM;
    }
    *ret_settings = settings;
    return 0;
}

/* ---- the thread ---- */

static void run_drains(struct waiting_drain *drain)
{
    while (drain != NULL) {
        struct waiting_drain *next = drain->next;
        drain->done(drain->user);
        free(drain);
        drain = next;
    }
}

static void publish(struct logs *logs)
{
    struct logs_status *counted = &logs->counted;

    counted->state = !logs->now->enabled      ? LOGS_OFF
                     : logs->known_starts > 0 ? LOGS_WATCHING
                                              : LOGS_FAILED;
    (void)text_copy(counted->problem, sizeof counted->problem, logs->problem);
    counted->decoders = logs->reader.decoders;
    counted->rules = logs->reader.rules;
    counted->journal = logs->now->enabled && logs->now->journal && logs->reader.journal;
    uint64_t starts = log_question_starts(logs->question);
    counted->restarts = starts > 0 ? starts - 1 : 0;
    counted->inspector_pid = log_question_pid(logs->question);
    (void)pthread_mutex_lock(&logs->lock);
    logs->status = *counted;
    (void)pthread_mutex_unlock(&logs->lock);
}

static void switch_off(struct logs *logs)
{
    logs_tell_skipped(logs);
    if (log_folds_end(logs->folds, UINT64_MAX, &logs->batch) < 0 ||
        (logs_has_news(logs) && logs_commit(logs) < 0))
        log_error("log_events_not_stored", NULL);
    logs_forget_sources(logs);
    logs->problem[0] = '\0';
}

static void take_settings(struct logs *logs, struct logs_settings *settings)
{
    bool was_on = logs->now != NULL && logs->now->enabled;

    if (was_on && !settings->enabled)
        switch_off(logs);
    int r = logs_take_settings(logs, settings);
    if (r < 0) {
        log_error("log_settings_not_taken", "error", log_error_text(r), NULL);
        (void)free_settings(settings);
        return;
    }
    (void)free_settings(logs->now);
    logs->now = settings;
    publish(logs);
}

/* Waits for its next turn. False: it is to end. */
static bool wait_for_turn(struct logs *logs, bool more, struct waiting_drain **drains,
                          struct logs_settings **settings)
{
    (void)pthread_mutex_lock(&logs->lock);
    bool idle = logs->now != NULL && !logs->now->enabled;
    while (!logs->stopping && logs->next == NULL && logs->drains == NULL && !more) {
        struct timespec until = clock_wait_until(LOOK_NS);
        if (idle)
            (void)pthread_cond_wait(&logs->changed, &logs->lock);
        else if (pthread_cond_clockwait(&logs->changed, &logs->lock, CLOCK_MONOTONIC, &until) ==
                 ETIMEDOUT)
            break;
    }
    *drains = logs->drains;
    logs->drains = NULL;
    *settings = logs->next;
    logs->next = NULL;
    bool goes_on = !logs->stopping;
    (void)pthread_mutex_unlock(&logs->lock);
    return goes_on;
}

/* An inspector that failed gets a moment. False: the agent stops. */
static bool wait_for_inspector(struct logs *logs)
{
    struct timespec until = clock_wait_until(LOOK_NS);

    (void)pthread_mutex_lock(&logs->lock);
    while (!logs->stopping &&
           pthread_cond_clockwait(&logs->changed, &logs->lock, CLOCK_MONOTONIC, &until) == 0)
        ;
    bool goes_on = !logs->stopping;
    (void)pthread_mutex_unlock(&logs->lock);
    return goes_on;
}

/* Until nothing is left of what there was: new lines may come faster than they are read, and an
 * inspector may never work. */
static void run_rounds(struct logs *logs, bool drain, bool *more)
{
    enum { MOST_ROUNDS = 1000, MOST_FAILURES = 60 };
    int failures = 0;

    for (int round = 0; round < MOST_ROUNDS; round++) {
        logs_round(logs, more);
        bool failed = logs->inspector_failed || logs->file_failed;
        if (!drain || (!*more && !failed))
            break;
        if (failed && (++failures >= MOST_FAILURES || !wait_for_inspector(logs)))
            break;
    }
    if (drain && logs_has_news(logs) && logs_commit(logs) < 0)
        log_error("log_events_not_stored", NULL);
}

static void *logs_main(void *user)
{
    struct logs *logs = user;
    struct waiting_drain *drains = NULL;
    struct logs_settings *settings = NULL;
    bool more = false;

    /* EACCES: we are nicer already. */
    if (setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICENESS) < 0 && errno != EACCES)
        log_warning("priority_not_lowered", "who", "logs", "error", log_error_text(-errno), NULL);
    while (wait_for_turn(logs, more, &drains, &settings)) {
        if (settings != NULL)
            take_settings(logs, settings);
        more = false;
        if (logs->now != NULL && logs->now->enabled) {
            run_rounds(logs, drains != NULL, &more);
            publish(logs);
        }
        run_drains(drains);
    }
    (void)free_settings(settings);
    logs_tell_skipped(logs);
    if (logs_has_news(logs) && logs_commit(logs) < 0)
        log_error("log_events_not_stored", NULL);
    run_drains(drains);
    return NULL;
}

/* ---- life ---- */

static void free_all(struct logs *logs)
{
    logs_forget_sources(logs);
    (void)log_question_free(logs->question);
    (void)log_folds_free(logs->folds);
    log_batch_done(&logs->batch);
    log_answer_done(&logs->answer);
    (void)free_settings(logs->now);
    (void)free_settings(logs->next);
    (void)pthread_cond_destroy(&logs->changed);
    (void)pthread_mutex_destroy(&logs->lock);
    free(logs);
}

static int start_thread(struct logs *logs)
{
    sigset_t all, before;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = -pthread_create(&logs->thread, NULL, logs_main, logs);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r;
}

int logs_start(const struct logs_options *options, struct store *store, struct logs **ret_logs)
{
    struct logs *logs = calloc(1, sizeof *logs);

    if (logs == NULL)
        return -ENOMEM;
    logs->store = store;
    (void)pthread_mutex_init(&logs->lock, NULL);
    (void)pthread_cond_init(&logs->changed, NULL);
    int r = log_folds_new(&logs->folds);
    if (r == 0)
        r = make_settings(options, &logs->next);
    logs->enabled = options->enabled;
    logs->status.state = options->enabled ? LOGS_STARTING : LOGS_OFF;
    if (r == 0)
        r = start_thread(logs);
    if (r < 0) {
        free_all(logs);
        return r;
    }
    *ret_logs = logs;
    return 0;
}

int logs_reconfigure(struct logs *logs, const struct logs_options *options)
{
    struct logs_settings *settings;
    int r = make_settings(options, &settings);

    if (r < 0)
        return r;
    (void)pthread_mutex_lock(&logs->lock);
    struct logs_settings *replaced = logs->next;
    logs->next = settings;
    logs->enabled = options->enabled;
    (void)pthread_cond_signal(&logs->changed);
    (void)pthread_mutex_unlock(&logs->lock);
    (void)free_settings(replaced);
    return 0;
}

struct logs *logs_stop(struct logs *logs)
{
    if (logs == NULL)
        return NULL;
    (void)pthread_mutex_lock(&logs->lock);
    logs->stopping = true;
    (void)pthread_cond_signal(&logs->changed);
    (void)pthread_mutex_unlock(&logs->lock);
    (void)pthread_join(logs->thread, NULL);
    run_drains(logs->drains);
    free_all(logs);
    return NULL;
}

int logs_drain(struct logs *logs, void (*done)(void *user), void *user)
{
    struct waiting_drain *drain = calloc(1, sizeof *drain);

    if (drain == NULL)
        return -ENOMEM;
    (void)pthread_mutex_lock(&logs->lock);
    bool on = logs->enabled && !logs->stopping;
    if (on) {
        *drain = (struct waiting_drain){logs->drains, done, user};
        logs->drains = drain;
        (void)pthread_cond_signal(&logs->changed);
    }
    (void)pthread_mutex_unlock(&logs->lock);
    if (!on) {
        free(drain);
        done(user);
    }
    return 0;
}

void logs_status(struct logs *logs, struct logs_status *ret_status)
{
    (void)pthread_mutex_lock(&logs->lock);
    *ret_status = logs->status;
    (void)pthread_mutex_unlock(&logs->lock);
}
