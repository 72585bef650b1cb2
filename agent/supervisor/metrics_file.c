/* Owns: the timer, the thread, the one text that waits for it. */
#include "agent/supervisor/metrics_file.h"

#include "common/buffers/buffer.h"
#include "common/event_loop/event_loop.h"
#include "common/files/file.h"
#include "common/limits.h"
#include "common/log/log.h"
#include "common/time/clock.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static const uint64_t INTERVAL_NS = 15 * NS_PER_SECOND;
/* Whoever scrapes is another user; there is no secret in it. */
static const mode_t MODE = 0644;

struct metrics_file {
    char *path;
    void (*write_text)(void *user, struct buffer *text);
    void *user;
    struct event_timer *timer;
    pthread_t thread;
    bool thread_runs;
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t changed;
    struct buffer text; /* that waits; empty: none */
    bool stopping;
};

static void offer_text(void *user)
{
    struct metrics_file *file = user;
    struct buffer text = BUFFER_WITH_MAXIMUM(LIMIT_METRICS_BYTES);

    file->write_text(file->user, &text);
    (void)pthread_mutex_lock(&file->lock);
    buffer_done(&file->text);
    file->text = text;
    (void)pthread_cond_signal(&file->changed);
    (void)pthread_mutex_unlock(&file->lock);
}

/* The next text; false: the end. */
static bool take_text(struct metrics_file *file, struct buffer *ret_text)
{
    (void)pthread_mutex_lock(&file->lock);
    while (!file->stopping && file->text.length == 0)
        (void)pthread_cond_wait(&file->changed, &file->lock);
    bool taken = !file->stopping;
    if (taken) {
        *ret_text = file->text;
        file->text = BUFFER_WITH_MAXIMUM(LIMIT_METRICS_BYTES);
    }
    (void)pthread_mutex_unlock(&file->lock);
    return taken;
}

static void *run(void *user)
{
    struct metrics_file *file = user;
    struct buffer text;
    int before = 0;

    while (take_text(file, &text)) {
        int r = buffer_failed(&text);
        if (r == 0)
            r = file_replace(file->path, buffer_text(&text), text.length, MODE);
        if (r < 0 && r != before)
            log_warning("metrics_not_written", "path", file->path, "error", log_error_text(r),
                        NULL);
        before = r;
        buffer_done(&text);
    }
    return NULL;
}

static int start_thread(struct metrics_file *file)
{
    sigset_t all, before;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = -pthread_create(&file->thread, NULL, run, file);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    file->thread_runs = r == 0;
    return r;
}

int metrics_file_start(struct event_loop *loop, const char *path,
                       void (*write_text)(void *user, struct buffer *text), void *user,
                       struct metrics_file **ret_file)
{
    struct metrics_file *file = calloc(1, sizeof *file);

    if (file == NULL)
        return -ENOMEM;
    (void)pthread_mutex_init(&file->lock, NULL);
    (void)pthread_cond_init(&file->changed, NULL);
    file->text = BUFFER_WITH_MAXIMUM(LIMIT_METRICS_BYTES);
    file->write_text = write_text;
    file->user = user;
    file->path = strdup(path);
    int r = file->path == NULL ? -ENOMEM : event_timer_new(loop, offer_text, file, &file->timer);
    if (r == 0)
        r = start_thread(file);
    if (r < 0) {
        (void)metrics_file_stop(file);
        return r;
    }
    event_timer_start(file->timer, 0, INTERVAL_NS);
    *ret_file = file;
    return 0;
}

struct metrics_file *metrics_file_stop(struct metrics_file *file)
{
    if (file == NULL)
        return NULL;
    file->timer = event_timer_free(file->timer);
    (void)pthread_mutex_lock(&file->lock);
    file->stopping = true;
    (void)pthread_cond_signal(&file->changed);
    (void)pthread_mutex_unlock(&file->lock);
    if (file->thread_runs) {
        (void)pthread_join(file->thread, NULL);
        (void)unlink(file->path);
    }
    buffer_done(&file->text);
    (void)pthread_cond_destroy(&file->changed);
    (void)pthread_mutex_destroy(&file->lock);
    free(file->path);
    free(file);
    return NULL;
}
