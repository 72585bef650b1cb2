/* Owns: the thread, when a pass is due, the status. Must not own: what a pass is (tamper_pass.c).
 */
#include "agent/tamper/tamper.h"

#include "agent/tamper/tamper_private.h"
#include "common/log/log.h"
#include "common/time/clock.h"

#include <errno.h>
#include <signal.h>

bool tamper_is_stopping(struct tamper *tamper)
{
    (void)pthread_mutex_lock(&tamper->lock);
    bool stopping = tamper->stopping;
    (void)pthread_mutex_unlock(&tamper->lock);
    return stopping;
}

/* Waits until a pass is due; false: the end. Never, with an interval of 0, unless it is changed. */
static bool wait_for_turn(struct tamper *tamper)
{
    int r = 0;

    (void)pthread_mutex_lock(&tamper->lock);
    const struct timespec until = clock_deadline(tamper->options.interval_ns);
    while (!tamper->stopping && !tamper->again && r != ETIMEDOUT)
        r = tamper->options.interval_ns > 0
                ? pthread_cond_clockwait(&tamper->changed, &tamper->lock, CLOCK_MONOTONIC, &until)
                : pthread_cond_wait(&tamper->changed, &tamper->lock);
    bool goes_on = !tamper->stopping;
    tamper->again = false;
    (void)pthread_mutex_unlock(&tamper->lock);
    return goes_on;
}

static void read_snapshot(struct tamper *tamper)
{
    int r = snapshot_read(tamper->options.snapshot_path, &tamper->snapshot);

    if (r < 0 && r != -ENOENT)
        log_warning("own_files_forgotten", "path", tamper->options.snapshot_path, "error",
                    log_error_text(r), NULL);
}

static void *run(void *user)
{
    struct tamper *tamper = user;

    while (wait_for_turn(tamper))
        tamper_pass(tamper);
    return NULL;
}

/* The texts of options, by place. */
#define TEXTS(options)                                                                    \
    {                                                                                     \
        &(options)->root, &(options)->program, &(options)->program_directory,             \
            &(options)->inspector_program, &(options)->configuration, &(options)->policy, \
            &(options)->database, &(options)->snapshot_path                               \
    }

static int copy_options(const struct tamper_options *options, struct tamper_options *copy)
{
    const char **const texts[] = TEXTS(copy);

    *copy = *options;
    bool good = true;
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        if (*texts[i] != NULL)
            *texts[i] = strdup(*texts[i]);
        else
            continue;
        good = good && *texts[i] != NULL;
    }
    return good ? 0 : -ENOMEM;
}

static struct tamper *free_tamper(struct tamper *tamper)
{
    const char **const texts[] = TEXTS(&tamper->options);

    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
        free((void *)(uintptr_t)*texts[i]);
    snapshot_done(&tamper->snapshot);
    (void)pthread_cond_destroy(&tamper->changed);
    (void)pthread_mutex_destroy(&tamper->lock);
    free(tamper);
    return NULL;
}

int tamper_start(const struct tamper_options *options, struct store *store,
                 struct tamper **ret_tamper)
{
    struct tamper *tamper = calloc(1, sizeof *tamper);
    sigset_t all, before;

    if (tamper == NULL)
        return -ENOMEM;
    tamper->store = store;
    tamper->first_pass = true;
    tamper->again = options->interval_ns > 0;
    (void)pthread_mutex_init(&tamper->lock, NULL);
    (void)pthread_cond_init(&tamper->changed, NULL);
    int r = copy_options(options, &tamper->options);
    if (r == 0) {
        read_snapshot(tamper);
        (void)sigfillset(&all);
        (void)pthread_sigmask(SIG_SETMASK, &all, &before);
        r = -pthread_create(&tamper->thread, NULL, run, tamper);
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    if (r < 0) {
        (void)free_tamper(tamper);
        return r;
    }
    *ret_tamper = tamper;
    return 0;
}

struct tamper *tamper_stop(struct tamper *tamper)
{
    if (tamper == NULL)
        return NULL;
    (void)pthread_mutex_lock(&tamper->lock);
    tamper->stopping = true;
    (void)pthread_cond_broadcast(&tamper->changed);
    (void)pthread_mutex_unlock(&tamper->lock);
    (void)pthread_join(tamper->thread, NULL);
    return free_tamper(tamper);
}

void tamper_set_interval(struct tamper *tamper, uint64_t interval_ns)
{
    (void)pthread_mutex_lock(&tamper->lock);
    tamper->options.interval_ns = interval_ns;
    tamper->again = interval_ns > 0;
    (void)pthread_cond_broadcast(&tamper->changed);
    (void)pthread_mutex_unlock(&tamper->lock);
}

void tamper_status(struct tamper *tamper, struct tamper_status *ret_status)
{
    (void)pthread_mutex_lock(&tamper->lock);
    *ret_status = tamper->status;
    (void)pthread_mutex_unlock(&tamper->lock);
}
