/* Owns: whose turn it is. A user who runs much makes nobody else wait for more than one of his. */
#include "agent/application_control/application_control_private.h"

#include "common/time/clock.h"

void application_queue_add(struct application_queue *queue, struct application_ask *ask)
{
    ask->next = NULL;
    if (queue->first == NULL)
        queue->first = ask;
    else
        queue->last->next = ask;
    queue->last = ask;
}

static void unlink_ask(struct application_queue *queue, struct application_ask *ask)
{
    struct application_ask *before = NULL;

    for (struct application_ask *at = queue->first; at != ask; at = at->next)
        before = at;
    if (before == NULL)
        queue->first = ask->next;
    else
        before->next = ask->next;
    if (queue->last == ask)
        queue->last = before;
    ask->next = NULL;
}

struct application_ask *application_queue_take(struct application_queue *queue, uint64_t now_ns,
                                               uint64_t *ret_wait_ns)
{
    struct application_ask *found = NULL;

    *ret_wait_ns = UINT64_MAX;
    for (struct application_ask *ask = queue->first; ask != NULL; ask = ask->next) {
        if (ask->due_ns > now_ns) {
            *ret_wait_ns = MIN(*ret_wait_ns, ask->due_ns - now_ns);
            continue;
        }
        if (found == NULL)
            found = ask;
        if (ask->question.user != queue->last_user) {
            found = ask;
            break;
        }
    }
    if (found == NULL)
        return NULL;
    unlink_ask(queue, found);
    queue->last_user = found->question.user;
    return found;
}

void application_control_wait(struct application_control *control, uint64_t wait_ns)
{
    if (wait_ns == UINT64_MAX) {
        (void)pthread_cond_wait(&control->changed, &control->lock);
        return;
    }
    const struct timespec until = timespec_from_ns(clock_monotonic_ns() + wait_ns);
    (void)pthread_cond_timedwait(&control->changed, &control->lock, &until);
}
