/* Owns: who asked for a check, in the order of asking, and who called it off. Must not own: what is
 * done for them (integrity.c). */
#include "agent/integrity/integrity_private.h"

#include "common/text/text.h"

#include <errno.h>

enum { MOST_REQUESTS = 16 };

/* ---- from other threads ---- */

int integrity_ask(struct integrity *integrity, const struct integrity_order *order)
{
    struct waiting_request *waiting = calloc(1, sizeof *waiting);
    size_t count = 0;

    if (waiting == NULL)
        return -ENOMEM;
    waiting->order = *order;
    (void)text_copy(waiting->who, sizeof waiting->who, order->who);
    waiting->order.who = waiting->who;
    (void)pthread_mutex_lock(&integrity->lock);
    for (const struct waiting_request *at = integrity->requests; at != NULL; at = at->next)
        count++;
    int r = !integrity->settings->enabled ? -EOPNOTSUPP
            : integrity->stopping         ? -ESHUTDOWN
            : count >= MOST_REQUESTS      ? -EBUSY
                                          : 0;
    if (r == 0) {
        *integrity->last_request = waiting;
        integrity->last_request = &waiting->next;
        (void)pthread_cond_signal(&integrity->changed);
    }
    (void)pthread_mutex_unlock(&integrity->lock);
    if (r < 0)
        free(waiting);
    return r;
}

void integrity_cancel(struct integrity *integrity, const void *user)
{
    (void)pthread_mutex_lock(&integrity->lock);
    for (struct waiting_request *at = integrity->requests; at != NULL; at = at->next)
        if (at->order.user == user)
            at->cancelled = true;
    if (integrity->request != NULL && integrity->request->order.user == user)
        integrity->request->cancelled = true;
    (void)pthread_mutex_unlock(&integrity->lock);
}

/* ---- the thread ---- */

struct waiting_request *integrity_take_request(struct integrity *integrity)
{
    (void)pthread_mutex_lock(&integrity->lock);
    struct waiting_request *request = integrity->requests;
    if (request != NULL) {
        integrity->requests = request->next;
        if (integrity->requests == NULL)
            integrity->last_request = &integrity->requests;
        integrity->request = request;
    }
    (void)pthread_mutex_unlock(&integrity->lock);
    return request;
}

void integrity_end_request(struct integrity *integrity, struct waiting_request *request, int result,
                           const struct integrity_totals *totals)
{
    (void)pthread_mutex_lock(&integrity->lock);
    if (integrity->request == request)
        integrity->request = NULL;
    (void)pthread_mutex_unlock(&integrity->lock);
    if (request->order.done != NULL)
        request->order.done(request->order.user, result, totals);
    free(request);
}

static struct waiting_request *take_cancelled(struct integrity *integrity)
{
    struct waiting_request *taken = NULL, **last = &taken, **link = &integrity->requests;

    (void)pthread_mutex_lock(&integrity->lock);
    while (*link != NULL) {
        struct waiting_request *request = *link;
        if (!request->cancelled) {
            link = &request->next;
            continue;
        }
        *link = request->next;
        request->next = NULL;
        *last = request;
        last = &request->next;
    }
    integrity->last_request = link;
    (void)pthread_mutex_unlock(&integrity->lock);
    return taken;
}

bool integrity_is_ending(struct integrity *integrity)
{
    const struct integrity_totals none = {.files = 0};
    struct waiting_request *next;

    for (struct waiting_request *at = take_cancelled(integrity); at != NULL; at = next) {
        next = at->next;
        integrity_end_request(integrity, at, -ECANCELED, &none);
    }
    (void)pthread_mutex_lock(&integrity->lock);
    bool ending = integrity->stopping;
    (void)pthread_mutex_unlock(&integrity->lock);
    return ending;
}

bool integrity_is_called_off(struct integrity *integrity)
{
    bool ending = integrity_is_ending(integrity);

    (void)pthread_mutex_lock(&integrity->lock);
    bool cancelled = integrity->request != NULL && integrity->request->cancelled;
    (void)pthread_mutex_unlock(&integrity->lock);
    return ending || cancelled;
}
