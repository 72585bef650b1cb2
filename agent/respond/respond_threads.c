/* Owns: what the deciding and the acting thread do in turn, and the batches. Must not own: a single
 * file's way (respond_decide.c, respond_act.c), the end of what was told (respond_finish.c). */
#include "agent/respond/respond_task.h"
#include "common/time/clock.h"

#include <errno.h>

/* Files sealed before one sync makes them all durable. */
#define BATCH_FILES 128
#define BATCH_BYTES (64 * 1024 * 1024)
#define RETRY_EVERY (5 * NS_PER_SECOND)

/* ---- the deciding thread ---- */

void *respond_decider_main(void *user)
{
    struct responder *responder = user;

    pthread_setname_np(pthread_self(), "respond-decide");
    pthread_mutex_lock(&responder->mutex);
    while (!responder->stopping) {
        struct task *task = responder->recovery_tried ? task_list_pop(&responder->incoming) : NULL;
        struct respond_rules *rules;

        if (!task) {
            pthread_cond_wait(&responder->decide, &responder->mutex);
            continue;
        }
        rules = responder->rules;
        rules->references++;
        pthread_mutex_unlock(&responder->mutex);
        respond_decide(task, rules);
        pthread_mutex_lock(&responder->mutex);
        respond_rules_unref(rules);
    }
    pthread_mutex_unlock(&responder->mutex);
    return NULL;
}

/* ---- the acting thread ---- */

void respond_run_jobs(struct responder *responder)
{
    for (;;) {
        struct respond_job *job;

        pthread_mutex_lock(&responder->mutex);
        job = responder->jobs;
        if (job) {
            responder->jobs = job->next;
            if (!responder->jobs)
                responder->last_job = &responder->jobs;
        }
        pthread_mutex_unlock(&responder->mutex);
        if (!job)
            return;
        job->work(job->user);
        free(job);
    }
}

static void take_batch(struct responder *responder, struct task_list *batch)
{
    uint64_t bytes = 0;

    task_list_init(batch);
    pthread_mutex_lock(&responder->mutex);
    while (batch->count < BATCH_FILES && bytes < BATCH_BYTES && responder->ready.first) {
        struct task *task = task_list_pop(&responder->ready);

        bytes += task->intent.facts.size;
        task_list_push(batch, task);
    }
    pthread_mutex_unlock(&responder->mutex);
}

/* So little is made durable by the commit of the results: one sync instead of three. */
static bool is_little(const struct task *task)
{
    uint64_t bytes = 0;

    for (; task && bytes <= LIMIT_QUARANTINE_JOURNAL; task = task->next)
        bytes += MIN(task->intent.facts.size, LIMIT_QUARANTINE_JOURNAL) +
                 task->intent.facts.attributes.length;
    return bytes <= LIMIT_QUARANTINE_JOURNAL;
}

static bool is_in_memory(const struct task *task)
{
    while (task && task->sealed_fd < 0)
        task = task->next;
    return !task;
}

/* The first sync of a batch commits the file system's journal for all of them. */
static void sync_batch(struct quarantine *quarantine, struct task *begun)
{
    int synced;

    for (struct task *task = begun; task; task = task->next)
        task->result = respond_write(task);
    for (struct task *task = begun; task; task = task->next)
        respond_start_writing(task);
    for (struct task *task = begun; task; task = task->next)
        respond_await_writing(task);
    for (struct task *task = begun; task; task = task->next) {
        int r = respond_sync(task);

        task->result = MIN(task->result, r);
    }
    synced = quarantine_sync(quarantine);
    for (struct task *task = begun; task; task = task->next)
        task->result = MIN(task->result, synced);
}

/* Many files are moved and sealed, then made durable together. All results are queued at once, so
 * that one group takes them. */
static void act_on_batch(struct responder *responder)
{
    struct task_list batch, begun;
    struct task *task;
    bool little;

    take_batch(responder, &batch);
    little = is_little(batch.first);
    task_list_init(&begun);
    while ((task = task_list_pop(&batch)))
        if (respond_begin(task, little) == 0)
            task_list_push(&begun, task);
    if (!begun.first)
        return;
    if (!is_in_memory(begun.first))
        sync_batch(responder->quarantine, begun.first);
    while ((task = task_list_pop(&begun)))
        respond_conclude(task, task->result);
}

static void retry_delayed(struct responder *responder)
{
    struct task *task;

    pthread_mutex_lock(&responder->mutex);
    while ((task = task_list_pop(&responder->delayed)))
        task_list_push(&responder->ready, task);
    while ((task = task_list_pop(&responder->undecided)))
        task_list_push(&responder->incoming, task);
    pthread_cond_signal(&responder->decide);
    pthread_mutex_unlock(&responder->mutex);
}

static void try_recovery(struct responder *responder)
{
    int r = respond_recover(responder);

    pthread_mutex_lock(&responder->mutex);
    responder->counts.recovered = r == 0;
    responder->recovery_tried = true;
    pthread_cond_signal(&responder->decide);
    pthread_mutex_unlock(&responder->mutex);
}

/* True when there is nothing to do before wait_ns have passed; with mutex. */
static bool nothing_to_do(const struct responder *responder)
{
    return !responder->stopping && !responder->ready.first && !responder->jobs &&
           !responder->rebuild;
}

/* Waits for work; returns whether it is time to try again what was put off. */
static bool wait_for_work(struct responder *responder)
{
    struct timespec deadline = clock_deadline(RETRY_EVERY);
    bool put_off, time_is_over = false;

    pthread_mutex_lock(&responder->mutex);
    while (nothing_to_do(responder) && !time_is_over) {
        put_off =
            responder->delayed.first || responder->undecided.first || !responder->counts.recovered;
        if (!put_off)
            pthread_cond_wait(&responder->act, &responder->mutex);
        else
            time_is_over = pthread_cond_clockwait(&responder->act, &responder->mutex,
                                                  CLOCK_MONOTONIC, &deadline) == ETIMEDOUT;
    }
    if (responder->rebuild) {
        responder->rebuild = false;
        responder->counts.recovered = false;
        time_is_over = true;
    }
    pthread_mutex_unlock(&responder->mutex);
    return time_is_over;
}

static bool is_recovered(struct responder *responder)
{
    bool recovered;

    pthread_mutex_lock(&responder->mutex);
    recovered = responder->counts.recovered;
    pthread_mutex_unlock(&responder->mutex);
    return recovered;
}

void *respond_actor_main(void *user)
{
    struct responder *responder = user;

    pthread_setname_np(pthread_self(), "respond-act");
    try_recovery(responder);
    while (!responder_stopping(responder)) {
        if (wait_for_work(responder)) {
            if (!is_recovered(responder))
                try_recovery(responder);
            retry_delayed(responder);
        }
        respond_run_jobs(responder);
        act_on_batch(responder);
    }
    respond_run_jobs(responder);
    return NULL;
}
