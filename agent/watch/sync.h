/* Proof that everything up to a moment was told. A marker is put behind all that happened
 * (watch_source_mark); when it is read, the work that earlier events began is what carries an epoch
 * up to then; when that work is done, the caller is told. Not thread-safe; time is given by the
 * caller. */
#ifndef AGENT_WATCH_SYNC_H
#define AGENT_WATCH_SYNC_H

#include "common/attributes.h"

#include <stdbool.h>
#include <stdint.h>

#define SYNC_REQUESTS 64
#define SYNC_EPOCHS   256U

enum sync_state {
    SYNC_FREE,
    SYNC_MARKED,  /* the marker is in the queue */
    SYNC_WORKING, /* it was read; earlier work runs */
    SYNC_GAP,     /* events were lost before it: wait for the gap to close, then mark anew */
};

struct sync_request {
    enum sync_state state;
    int32_t key; /* of the marker */
    uint32_t epoch;
    uint64_t marked_ns, deadline_ns;
    void (*done)(void *user, int result);
    void *user;
};

struct sync {
    struct sync_request requests[SYNC_REQUESTS];
    uint32_t pending[SYNC_EPOCHS]; /* unfinished work by epoch modulo SYNC_EPOCHS */
    uint32_t epoch;                /* that new work carries */
    uint32_t oldest;               /* no earlier epoch has unfinished work */
    uint32_t working;              /* requests in SYNC_WORKING */
};

void sync_init(struct sync *sync);
/* A free request, or NULL. */
struct sync_request *sync_allocate(struct sync *sync);
struct sync_request *sync_find(struct sync *sync, int32_t key);
/* Work begins: returns its epoch. sync_end_work with the same epoch ends it. */
uint32_t sync_begin_work(struct sync *sync);
void sync_continue_work(struct sync *sync, uint32_t epoch);
/* true when a request may be done now. */
bool sync_end_work(struct sync *sync, uint32_t epoch);
/* The marker was read: from now on the request waits for the work begun so far. */
void sync_start_waiting(struct sync *sync, struct sync_request *request);
/* Copies out and frees a request that is done (ret_result 0) or late (-ETIMEDOUT); false: none. */
bool sync_take_done(struct sync *sync, uint64_t now_ns, struct sync_request *ret_request,
                    int *ret_result);
uint64_t sync_deadline(const struct sync *sync);

#endif
