/* Owns: the responder's parts and threads, their start and end, and handing detections in.
 * Must not own: what the threads do (respond_threads.c), what is decided (respond_decide.c), how a
 * file is moved and sealed (respond_act.c), what an earlier run left (respond_recover.c). Hand-off:
 * submit dups the descriptor; done is called exactly once for every submit that returned 0. */
#include "agent/respond/responder.h"

#include "agent/respond/respond_task.h"
#include "common/limits.h"
#include "common/text/text.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>

static void responder_free(struct responder *responder)
{
    package_owner_free(responder->packages);
    brake_free(responder->brake);
    detection_memory_free(responder->memory);
    holdings_free(responder->holdings);
    quarantine_close(responder->quarantine);
    respond_rules_unref(responder->rules);
    digest_set_done(&responder->console_allowed);
    pthread_mutex_destroy(&responder->mutex);
    pthread_cond_destroy(&responder->decide);
    pthread_cond_destroy(&responder->act);
    pthread_cond_destroy(&responder->finish);
    free(responder);
}

/* With mutex, which it releases. */
void responder_unref_unlock(struct responder *responder)
{
    bool last = --responder->references == 0;

    pthread_mutex_unlock(&responder->mutex);
    if (last)
        responder_free(responder);
}

static int open_parts(struct responder *responder, const struct responder_options *options)
{
    int r;

    r = respond_rules_new(options, &responder->rules);
    if (r == 0)
        r = detection_memory_new(&responder->memory);
    if (r == 0)
        r = brake_new(&responder->brake);
    if (r == 0)
        r = package_owner_new(options->inspector_program, &responder->packages);
    if (r == 0)
        r = quarantine_open(responder->store, options->state_directory, &responder->quarantine);
    if (r < 0)
        return r;
    quarantine_configure(responder->quarantine, options->quarantine_bytes,
                         options->quarantine_drop_oldest);
    return holdings_new(options->state_directory, quarantine_host(responder->quarantine),
                        &responder->holdings);
}

static void note_rebuild(void *user)
{
    struct responder *responder = user;

    pthread_mutex_lock(&responder->mutex);
    responder->rebuild = true;
    pthread_cond_signal(&responder->act);
    pthread_mutex_unlock(&responder->mutex);
}

/* Each task holds a descriptor; most of them are left to the rest of the process. */
static uint64_t most_alive(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
        return LIMIT_RESPONDER_QUEUE;
    return MIN((uint64_t)limit.rlim_cur / 4, LIMIT_RESPONDER_QUEUE);
}

int responder_start(struct store *store, const struct responder_options *options,
                    struct responder **ret_responder)
{
    struct responder *responder = calloc(1, sizeof(*responder));
    int r;

    if (!responder)
        return -ENOMEM;
    responder->store = store;
    responder->references = 1;
    responder->most_alive = most_alive();
    responder->last_job = &responder->jobs;
    task_list_init(&responder->incoming);
    task_list_init(&responder->ready);
    task_list_init(&responder->finished);
    task_list_init(&responder->delayed);
    task_list_init(&responder->undecided);
    pthread_mutex_init(&responder->mutex, NULL);
    pthread_cond_init(&responder->decide, NULL);
    pthread_cond_init(&responder->act, NULL);
    pthread_cond_init(&responder->finish, NULL);
    r = open_parts(responder, options);
    if (r < 0) {
        responder_free(responder);
        return r;
    }
    store_on_rebuild(store, note_rebuild, responder);
    r = -pthread_create(&responder->actor, NULL, respond_actor_main, responder);
    responder->actor_runs = r == 0;
    if (r == 0)
        r = -pthread_create(&responder->decider, NULL, respond_decider_main, responder);
    responder->decider_runs = r == 0;
    if (r == 0)
        r = -pthread_create(&responder->finisher, NULL, respond_finisher_main, responder);
    responder->finisher_runs = r == 0;
    if (r < 0) {
        responder_stop(responder);
        return r;
    }
    *ret_responder = responder;
    return 0;
}

static void end_list(struct responder *responder, struct task_list *list)
{
    for (;;) {
        struct task *task;

        pthread_mutex_lock(&responder->mutex);
        task = task_list_pop(list);
        pthread_mutex_unlock(&responder->mutex);
        if (!task)
            return;
        task_end(task, -ECANCELED);
    }
}

/* Tasks that the store holds outlive us; whoever waits for them must not wait longer. */
static void cancel_alive(struct responder *responder)
{
    for (;;) {
        void (*done)(void *user, int result) = NULL;
        void *user = NULL;

        pthread_mutex_lock(&responder->mutex);
        for (struct task *task = responder->alive; task && !done; task = task->alive_next) {
            user = task->user;
            done = task_take_done(task);
        }
        pthread_mutex_unlock(&responder->mutex);
        if (!done)
            return;
        done(user, -ECANCELED);
    }
}

struct responder *responder_stop(struct responder *responder)
{
    if (!responder)
        return NULL;
    store_on_rebuild(responder->store, NULL, NULL);
    pthread_mutex_lock(&responder->mutex);
    responder->stopping = true;
    pthread_cond_broadcast(&responder->decide);
    pthread_cond_broadcast(&responder->act);
    pthread_cond_broadcast(&responder->finish);
    pthread_mutex_unlock(&responder->mutex);
    if (responder->decider_runs)
        (void)pthread_join(responder->decider, NULL);
    if (responder->actor_runs)
        (void)pthread_join(responder->actor, NULL);
    if (responder->finisher_runs)
        (void)pthread_join(responder->finisher, NULL);
    respond_run_jobs(responder);
    end_list(responder, &responder->incoming);
    end_list(responder, &responder->ready);
    end_list(responder, &responder->delayed);
    end_list(responder, &responder->undecided);
    end_list(responder, &responder->finished);
    cancel_alive(responder);
    pthread_mutex_lock(&responder->mutex);
    responder_unref_unlock(responder);
    return NULL;
}

int responder_reconfigure(struct responder *responder, const struct responder_options *options)
{
    struct respond_rules *rules, *former;
    int r;

    r = respond_rules_new(options, &rules);
    if (r < 0)
        return r;
    quarantine_configure(responder->quarantine, options->quarantine_bytes,
                         options->quarantine_drop_oldest);
    pthread_mutex_lock(&responder->mutex);
    former = responder->rules;
    responder->rules = rules;
    respond_rules_unref(former);
    pthread_mutex_unlock(&responder->mutex);
    detection_memory_clear(responder->memory); /* what was passed may have to be acted on now */
    return 0;
}

int responder_set_allowed(struct responder *responder, const char *const *hashes, size_t count)
{
    struct digest_set allowed = {0};
    int r = 0;

    for (size_t i = 0; r == 0 && i < count; i++)
        r = digest_set_add(&allowed, hashes[i]);
    if (r < 0) {
        digest_set_done(&allowed);
        return r;
    }
    pthread_mutex_lock(&responder->mutex);
    struct digest_set former = responder->console_allowed;
    responder->console_allowed = allowed;
    pthread_mutex_unlock(&responder->mutex);
    digest_set_done(&former);
    detection_memory_clear(responder->memory); /* what was passed may have to be acted on now */
    return 0;
}

/* ---- what others call ---- */

struct quarantine *responder_quarantine(struct responder *responder)
{
    return responder->quarantine;
}

int responder_run(struct responder *responder, void (*work)(void *user), void *user)
{
    struct respond_job *job = malloc(sizeof(*job));
    int r = 0;

    if (!job)
        return -ENOMEM;
    *job = (struct respond_job){.work = work, .user = user};
    pthread_mutex_lock(&responder->mutex);
    if (responder->stopping) {
        r = -ESHUTDOWN;
    } else {
        *responder->last_job = job;
        responder->last_job = &job->next;
        pthread_cond_signal(&responder->act);
    }
    pthread_mutex_unlock(&responder->mutex);
    if (r < 0)
        free(job);
    return r;
}

/* Gives it to the deciding thread; -EAGAIN when too many wait. */
int responder_hand_in(struct task *task)
{
    struct responder *responder = task->responder;
    int r = 0;

    pthread_mutex_lock(&responder->mutex);
    if (responder->stopping) {
        r = -ESHUTDOWN;
    } else if (responder->alive_count - responder->finishing_count > responder->most_alive ||
               responder->finishing_count > LIMIT_RESPONDER_QUEUE) {
        r = -EAGAIN;
    } else {
        task_list_push(&responder->incoming, task);
        pthread_cond_signal(&responder->decide);
    }
    pthread_mutex_unlock(&responder->mutex);
    return r;
}

static int hand_in(struct responder *responder, const struct detection *detection, bool judge,
                   void (*done)(void *user, int result), void *user)
{
    struct task *task;
    int fd, r;

    fd = fcntl(detection->fd, F_DUPFD_CLOEXEC, 3);
    if (fd < 0)
        return errno == EMFILE ? -EAGAIN : -errno;
    task = task_new(responder, detection->path, fd);
    if (!task) {
        (void)close(fd);
        return -ENOMEM;
    }
    task->identity = detection->identity;
    task->intent.facts.cause = (uint32_t)detection->cause;
    task->intent.facts.generation = detection->result.generation;
    (void)text_copy(task->intent.facts.signature, sizeof(task->intent.facts.signature),
                    detection->result.signature);
    task->done = done;
    task->user = user;
    task->judge = judge;
    r = responder_hand_in(task);
    if (r < 0) {
        task->done = NULL;
        task_end(task, r);
    }
    return r;
}

int responder_submit(struct responder *responder, const struct detection *detection,
                     void (*done)(void *user, int result), void *user)
{
    return hand_in(responder, detection, false, done, user);
}

int responder_judge(struct responder *responder, const struct detection *detection,
                    void (*done)(void *user, int result), void *user)
{
    return hand_in(responder, detection, true, done, user);
}

void responder_status(struct responder *responder, struct responder_status *ret_status)
{
    pthread_mutex_lock(&responder->mutex);
    *ret_status = responder->counts;
    ret_status->waiting = responder->incoming.count;
    ret_status->delayed = responder->delayed.count + responder->undecided.count;
    ret_status->pending =
        responder->alive_count - responder->finishing_count - responder->incoming.count;
    ret_status->packages_unreadable =
        package_owner_databases(responder->packages) == PACKAGES_UNREADABLE;
    pthread_mutex_unlock(&responder->mutex);
}
