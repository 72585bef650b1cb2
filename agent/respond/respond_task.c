/* Owns: the lists tasks wait in, and a task's life from its making to task_end. Must not own: what
 * is done with it, the responder itself. */
#include "agent/respond/respond_task.h"

#include "common/time/clock.h"

#include <errno.h>
#include <string.h>

#define APPEND_WAIT (5 * NS_PER_MS)

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
    sealed_bytes_done(&task->sealed);
    quarantine_facts_done(&task->intent.facts);
    free((char *)task->intent.holding);
    free(task);
}

void (*task_take_done(struct task *task))(void *user, int result)
{
    void (*done)(void *user, int result) = task->done;

    task->done = NULL;
    return done;
}

void task_tell_done(struct task *task, int result)
{
    void (*done)(void *user, int result);

    pthread_mutex_lock(&task->responder->mutex);
    done = task_take_done(task);
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
    responder->finishing_count -= task->intent.told;
    task_free(task);
    responder_unref_unlock(responder);
}

void task_hand_over(struct task *task, struct task_list *list)
{
    struct responder *responder = task->responder;
    bool stopping;

    pthread_mutex_lock(&responder->mutex);
    stopping = responder->stopping;
    if (!stopping) {
        /* The finisher sleeps for some time after the first: it must not be woken for each. */
        if (list != &responder->finished)
            pthread_cond_signal(&responder->act);
        else if (!list->first)
            pthread_cond_signal(&responder->finish);
        task_list_push(list, task);
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
