/* A small ring of invocations. Ended ones stay until they are pushed out: whoever waits for one may
 * come after its end. */
#include "application/relay/invocations.h"

#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <pthread.h>

struct invocation {
    char request_id[RELAY_REQUEST_ID_BYTES];
    bool ended;
};

struct invocations {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct invocation ring[RELAY_IN_FLIGHT];
    size_t next;
};

int invocations_new(struct invocations **ret_invocations)
{
    struct invocations *invocations = calloc(1, sizeof *invocations);

    *ret_invocations = invocations;
    if (invocations == NULL)
        return -ENOMEM;
    (void)pthread_mutex_init(&invocations->lock, NULL);
    (void)pthread_cond_init(&invocations->changed, NULL);
    return 0;
}

struct invocations *invocations_free(struct invocations *invocations)
{
    if (invocations == NULL)
        return NULL;
    (void)pthread_cond_destroy(&invocations->changed);
    (void)pthread_mutex_destroy(&invocations->lock);
    free(invocations);
    return NULL;
}

/* With lock. The newest is looked at first: there is mostly one. */
static struct invocation *find(struct invocations *invocations, const char *request_id)
{
    for (size_t i = 1; i <= RELAY_IN_FLIGHT; i++) {
        size_t at = (invocations->next + RELAY_IN_FLIGHT - i) % RELAY_IN_FLIGHT;
        struct invocation *invocation = &invocations->ring[at];
        if (invocation->request_id[0] == '\0')
            return NULL;
        if (text_equal(invocation->request_id, request_id))
            return invocation;
    }
    return NULL;
}

static void set(struct invocations *invocations, const char *request_id, bool ended)
{
    (void)pthread_mutex_lock(&invocations->lock);
    struct invocation *invocation = find(invocations, request_id);
    if (invocation == NULL && request_id[0] != '\0') {
        invocation = &invocations->ring[invocations->next];
        invocations->next = (invocations->next + 1) % RELAY_IN_FLIGHT;
        (void)text_copy(invocation->request_id, sizeof invocation->request_id, request_id);
    }
    if (invocation != NULL)
        invocation->ended = ended;
    (void)pthread_cond_broadcast(&invocations->changed);
    (void)pthread_mutex_unlock(&invocations->lock);
}

void invocations_begin(struct invocations *invocations, const char *request_id)
{
    set(invocations, request_id, false);
}

void invocations_end(struct invocations *invocations, const char *request_id)
{
    set(invocations, request_id, true);
}

void invocations_current(struct invocations *invocations,
                         char ret_request_id[static RELAY_REQUEST_ID_BYTES])
{
    unsigned count = 0;

    ret_request_id[0] = '\0';
    (void)pthread_mutex_lock(&invocations->lock);
    for (size_t i = 0; i < RELAY_IN_FLIGHT && count < 2; i++) {
        const struct invocation *invocation = &invocations->ring[i];
        if (invocation->request_id[0] == '\0' || invocation->ended)
            continue;
        (void)text_copy(ret_request_id, RELAY_REQUEST_ID_BYTES,
                        count++ == 0 ? invocation->request_id : "");
    }
    (void)pthread_mutex_unlock(&invocations->lock);
}

bool invocations_wait(struct invocations *invocations, const char *request_id, uint64_t wait_ns)
{
    struct timespec deadline = clock_deadline(wait_ns);
    const struct invocation *invocation;
    bool ended = false;
    int r = 0;

    (void)pthread_mutex_lock(&invocations->lock);
    while (r == 0) {
        invocation = find(invocations, request_id);
        ended = invocation != NULL && invocation->ended;
        if (ended)
            break;
        r = pthread_cond_clockwait(&invocations->changed, &invocations->lock, CLOCK_MONOTONIC,
                                   &deadline);
    }
    (void)pthread_mutex_unlock(&invocations->lock);
    return ended;
}
