/* Owns: the two threads, the lists tasks wait in, and their life from submit to done.
 * Must not own: what is decided (respond_decide.c), how a file is moved and sealed (respond_act.c),
 * what an earlier run left (respond_recover.c). Hand-off: submit dups the descriptor; done is
 * called exactly once for every submit that returned 0. */
#include "agent/respond/responder.h"

#include "agent/respond/detection_event.h"
#include "agent/respond/respond_task.h"
#include "common/files/file.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>

/* Files sealed before one sync makes them all durable. */
#define BATCH_FILES 128
#define BATCH_BYTES (64 * 1024 * 1024)
#define RETRY_EVERY (5 * NS_PER_SECOND)
/* Moved files that may wait for their removal while others are acted on. */
#define FINISHED_MANY 1024
#define APPEND_WAIT   (5 * NS_PER_MS)

/* ---- tasks ---- */

void task_list_init(struct task_list *list)
{
    list->first = NULL;
    list->last = &list->first;
    list->count = 0;
}

void task_list_push(struct task_list *list, struct task *task)
{
    task->next = NULL;
    *list->last = task;
    list->last = &task->next;
    list->count++;
}

struct task *task_list_pop(struct task_list *list)
{
    struct task *task = list->first;

    if (!task)
        return NULL;
    list->first = task->next;
    if (!list->first)
        list->last = &list->first;
    list->count--;
    return task;
}

static void rules_unref(struct respond_rules *rules)
{
    if (!rules || --rules->references > 0)
        return;
    digest_set_done(&rules->allowed);
    digest_set_done(&rules->denied);
    for (size_t i = 0; rules->allowed_signatures && rules->allowed_signatures[i]; i++)
        free(rules->allowed_signatures[i]);
    free(rules->allowed_signatures);
    free(rules);
}

static void responder_free(struct responder *responder)
{
    package_owner_free(responder->packages);
    brake_free(responder->brake);
    detection_memory_free(responder->memory);
    holdings_free(responder->holdings);
    quarantine_close(responder->quarantine);
    rules_unref(responder->rules);
    pthread_mutex_destroy(&responder->mutex);
    pthread_cond_destroy(&responder->decide);
    pthread_cond_destroy(&responder->act);
    free(responder);
}

/* With mutex, which it releases. */
static void unref_unlock(struct responder *responder)
{
    bool last = --responder->references == 0;

    pthread_mutex_unlock(&responder->mutex);
    if (last)
        responder_free(responder);
}

struct task *task_new(struct responder *responder, const char *path, int fd)
{
    struct task *task = calloc(1, sizeof(*task));

    if (!task)
        return NULL;
    task->intent.facts.path = strdup(path);
    if (!task->intent.facts.path) {
        free(task);
        return NULL;
    }
    task->responder = responder;
    task->fd = fd;
    task->holding_fd = task->sealed_fd = -1;
    pthread_mutex_lock(&responder->mutex);
    responder->references++;
    task->alive_next = responder->alive;
    task->alive_before = &responder->alive;
    if (responder->alive)
        responder->alive->alive_before = &task->alive_next;
    responder->alive = task;
    responder->alive_count++;
    pthread_mutex_unlock(&responder->mutex);
    return task;
}

static void task_free(struct task *task)
{
    if (task->fd >= 0)
        (void)close(task->fd);
    if (task->holding_fd >= 0)
        (void)close(task->holding_fd);
    if (task->sealed_fd >= 0)
        (void)close(task->sealed_fd);
    quarantine_facts_done(&task->intent.facts);
    free((char *)task->intent.holding);
    free(task);
}

/* Takes done away so that it is called once; with mutex. */
static void (*take_done(struct task *task))(void *user, int result)
{
    void (*done)(void *user, int result) = task->done;

    task->done = NULL;
    return done;
}

void task_tell_done(struct task *task, int result)
{
    void (*done)(void *user, int result);

    pthread_mutex_lock(&task->responder->mutex);
    done = take_done(task);
    pthread_mutex_unlock(&task->responder->mutex);
    if (done)
        done(task->user, result);
}

void task_end(struct task *task, int result)
{
    struct responder *responder = task->responder;

    task_tell_done(task, result);
    if (task->room > 0)
        quarantine_release_room(responder->quarantine, task->room);
    pthread_mutex_lock(&responder->mutex);
    *task->alive_before = task->alive_next;
    if (task->alive_next)
        task->alive_next->alive_before = task->alive_before;
    responder->alive_count--;
    task_free(task);
    unref_unlock(responder);
}

void task_hand_over(struct task *task, struct task_list *list)
{
    struct responder *responder = task->responder;
    bool stopping;

    pthread_mutex_lock(&responder->mutex);
    stopping = responder->stopping;
    if (!stopping) {
        task_list_push(list, task);
        pthread_cond_signal(&responder->act);
    }
    pthread_mutex_unlock(&responder->mutex);
    if (stopping)
        task_end(task, -ECANCELED);
}

bool responder_stopping(struct responder *responder)
{
    bool stopping;

    pthread_mutex_lock(&responder->mutex);
    stopping = responder->stopping;
    pthread_mutex_unlock(&responder->mutex);
    return stopping;
}

int task_append_patiently(struct task *task, task_append *append)
{
    struct timespec pause = timespec_from_ns(APPEND_WAIT);
    int r;

    /* The store's queue is full: its writer frees it, so a short pause is all there is to do. */
    while ((r = append(task)) == -ENOBUFS && !responder_stopping(task->responder))
        (void)nanosleep(&pause, NULL);
    return r;
}

/* ---- the deciding thread ---- */

static void *decider_main(void *user)
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
        rules_unref(rules);
    }
    pthread_mutex_unlock(&responder->mutex);
    return NULL;
}

/* ---- the acting thread ---- */

static void run_jobs(struct responder *responder)
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

/* Removals wait while there are files to act on: these are more urgent, and ext4 finds a new inode
 * slowly among many that were just freed. */
static void finish_tasks(struct responder *responder)
{
    for (;;) {
        struct task *task = NULL;

        pthread_mutex_lock(&responder->mutex);
        if (!responder->ready.first || responder->finished.count > FINISHED_MANY)
            task = task_list_pop(&responder->finished);
        pthread_mutex_unlock(&responder->mutex);
        if (!task)
            return;
        respond_finish(task);
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

/* Many files are moved and sealed, then made durable together: the first sync of a batch commits
 * the file system's journal for all of them. All results are queued at once, so that one group
 * takes them. */
static void act_on_batch(struct responder *responder)
{
    struct task_list batch, begun;
    struct task *task;
    int synced;

    take_batch(responder, &batch);
    task_list_init(&begun);
    while ((task = task_list_pop(&batch)))
        if (respond_begin(task) == 0)
            task_list_push(&begun, task);
    if (!begun.first)
        return;
    for (task = begun.first; task; task = task->next)
        respond_start_writing(task);
    for (task = begun.first; task; task = task->next)
        respond_await_writing(task);
    for (task = begun.first; task; task = task->next)
        task->result = respond_sync(task);
    synced = quarantine_sync(responder->quarantine);
    while ((task = task_list_pop(&begun)))
        respond_conclude(task, task->result < 0 ? task->result : synced);
}

static void retry_delayed(struct responder *responder)
{
    struct task *task;

    pthread_mutex_lock(&responder->mutex);
    while ((task = task_list_pop(&responder->delayed)))
        task_list_push(&responder->ready, task);
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
    return !responder->stopping && !responder->ready.first && !responder->finished.first &&
           !responder->jobs && !responder->rebuild;
}

/* Waits for work; returns whether it is time to try again what was put off. */
static bool wait_for_work(struct responder *responder)
{
    struct timespec deadline = clock_deadline(RETRY_EVERY);
    bool put_off, time_is_over = false;

    pthread_mutex_lock(&responder->mutex);
    while (nothing_to_do(responder) && !time_is_over) {
        put_off = responder->delayed.first || !responder->counts.recovered;
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

static void *actor_main(void *user)
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
        run_jobs(responder);
        finish_tasks(responder);
        act_on_batch(responder);
    }
    run_jobs(responder);
    return NULL;
}

/* ---- life ---- */

static int copy_signatures(const char *const *from, char ***ret_copies)
{
    size_t count = 0;
    char **copies;

    while (from && from[count])
        count++;
    copies = calloc(count + 1, sizeof(*copies));
    if (!copies)
        return -ENOMEM;
    *ret_copies = copies;
    for (size_t i = 0; i < count; i++) {
        copies[i] = strdup(from[i]);
        if (!copies[i])
            return -ENOMEM;
    }
    return 0;
}

static int add_digests(struct digest_set *set, const char *const *digests)
{
    for (; digests && *digests; digests++) {
        int r = digest_set_add(set, *digests);

        if (r < 0)
            return r;
    }
    return 0;
}

static int rules_new(const struct responder_options *options, struct respond_rules **ret_rules)
{
    struct respond_rules *rules = calloc(1, sizeof(*rules));
    int r;

    if (!rules)
        return -ENOMEM;
    *rules = (struct respond_rules){.references = 1,
                                    .action = options->action,
                                    .heuristic_action = options->heuristic_action,
                                    .hold_package_files = options->hold_package_files,
                                    .brake_actions = options->brake_actions};
    r = copy_signatures(options->allowed_signatures, &rules->allowed_signatures);
    if (r == 0)
        r = add_digests(&rules->allowed, options->allowed_hashes);
    if (r == 0)
        r = add_digests(&rules->denied, options->denied_hashes);
    if (r < 0) {
        rules_unref(rules);
        return r;
    }
    *ret_rules = rules;
    return 0;
}

static int open_parts(struct responder *responder, const struct responder_options *options)
{
    int r;

    r = rules_new(options, &responder->rules);
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
    pthread_mutex_init(&responder->mutex, NULL);
    pthread_cond_init(&responder->decide, NULL);
    pthread_cond_init(&responder->act, NULL);
    r = open_parts(responder, options);
    if (r < 0) {
        responder_free(responder);
        return r;
    }
    store_on_rebuild(store, note_rebuild, responder);
    r = -pthread_create(&responder->actor, NULL, actor_main, responder);
    responder->actor_runs = r == 0;
    if (r == 0)
        r = -pthread_create(&responder->decider, NULL, decider_main, responder);
    responder->decider_runs = r == 0;
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
            done = take_done(task);
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
    pthread_mutex_unlock(&responder->mutex);
    if (responder->decider_runs)
        (void)pthread_join(responder->decider, NULL);
    if (responder->actor_runs)
        (void)pthread_join(responder->actor, NULL);
    run_jobs(responder);
    end_list(responder, &responder->incoming);
    end_list(responder, &responder->ready);
    end_list(responder, &responder->delayed);
    end_list(responder, &responder->finished);
    cancel_alive(responder);
    pthread_mutex_lock(&responder->mutex);
    unref_unlock(responder);
    return NULL;
}

int responder_reconfigure(struct responder *responder, const struct responder_options *options)
{
    struct respond_rules *rules, *former;
    int r;

    r = rules_new(options, &rules);
    if (r < 0)
        return r;
    quarantine_configure(responder->quarantine, options->quarantine_bytes,
                         options->quarantine_drop_oldest);
    pthread_mutex_lock(&responder->mutex);
    former = responder->rules;
    responder->rules = rules;
    rules_unref(former);
    pthread_mutex_unlock(&responder->mutex);
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
static int hand_in(struct task *task)
{
    struct responder *responder = task->responder;
    int r = 0;

    pthread_mutex_lock(&responder->mutex);
    if (responder->stopping) {
        r = -ESHUTDOWN;
    } else if (responder->alive_count > responder->most_alive) {
        r = -EAGAIN;
    } else {
        task_list_push(&responder->incoming, task);
        pthread_cond_signal(&responder->decide);
    }
    pthread_mutex_unlock(&responder->mutex);
    return r;
}

int responder_submit(struct responder *responder, const struct detection *detection,
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
    r = hand_in(task);
    if (r < 0) {
        task->done = NULL;
        task_end(task, r);
    }
    return r;
}

void responder_status(struct responder *responder, struct responder_status *ret_status)
{
    pthread_mutex_lock(&responder->mutex);
    *ret_status = responder->counts;
    ret_status->waiting = responder->incoming.count;
    ret_status->delayed = responder->delayed.count;
    ret_status->pending =
        responder->alive_count - MIN(responder->alive_count, responder->incoming.count);
    ret_status->inspector = package_owner_works(responder->packages);
    pthread_mutex_unlock(&responder->mutex);
}

/* ---- held detections ---- */

struct held_lookup {
    const char *id;
    struct quarantine_facts facts;
};

static int find_held(void *user, sqlite3 *database)
{
    struct held_lookup *lookup = user;

    return held_find(database, lookup->id, &lookup->facts);
}

static int delete_held(void *user, sqlite3 *database)
{
    return held_delete(user, database);
}

/* The file must still be what was held. */
static int reopen_held(const struct quarantine_facts *facts, struct stat *ret_status, int *ret_fd)
{
    AUTO_CLOSE int fd = -1;
    uint8_t digest[SHA256_BYTES];
    char hex[SHA256_HEX_BYTES];
    int r;

    r = file_open_regular(AT_FDCWD, facts->path, &fd, ret_status);
    if (r < 0)
        return r;
    r = hash_sha256_fd(fd, UINT64_MAX, digest);
    if (r < 0)
        return r;
    text_hex(hex, digest, sizeof(digest));
    if (!text_equal(hex, facts->sha256))
        return -ESTALE;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

static int act_on_held(struct responder *responder, const struct quarantine_facts *facts)
{
    AUTO_CLOSE int fd = -1;
    struct stat status;
    struct task *task;
    int r;

    r = reopen_held(facts, &status, &fd);
    if (r < 0)
        return r;
    task = task_new(responder, facts->path, TAKE_FD(fd));
    if (!task)
        return -ENOMEM;
    task->identity = file_identity_of(&status);
    task->released = true;
    task->intent.facts.cause = SCAN_CAUSE_DEMAND;
    (void)text_copy(task->intent.facts.signature, sizeof(task->intent.facts.signature),
                    facts->signature);
    detection_memory_forget(responder->memory, &task->identity);
    r = hand_in(task);
    if (r < 0)
        task_end(task, r);
    return r;
}

int responder_release(struct responder *responder, const char *held_id, enum held_answer answer)
{
    struct held_lookup lookup = {.id = held_id};
    struct detection_note note = {.action = answer == HELD_ACT ? "quarantine" : "allow"};
    int r;

    r = store_read(responder->store, find_held, &lookup);
    if (r < 0)
        return r;
    if (answer == HELD_ACT)
        r = act_on_held(responder, &lookup.facts);
    else
        r = quarantine_allow(responder->quarantine, lookup.facts.sha256, lookup.facts.path);
    if (r == 0)
        r = detection_event_append_wait(responder->store, "quarantine", "held_released",
                                        EVENT_MEDIUM, &lookup.facts, &note, delete_held,
                                        (void *)held_id);
    quarantine_facts_done(&lookup.facts);
    return r;
}
