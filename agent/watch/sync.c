/* Owns: waiting requests and the count of unfinished work by epoch. Must not own: markers
 * (inotify_source.c), or calling back (reader.c). */
#include "agent/watch/sync.h"

#include <errno.h>
#include <stddef.h>

void sync_init(struct sync *sync)
{
    *sync = (struct sync){.epoch = 1, .oldest = 1};
}

struct sync_request *sync_allocate(struct sync *sync)
{
    for (size_t i = 0; i < SYNC_REQUESTS; i++) {
        if (sync->requests[i].state == SYNC_FREE)
            return &sync->requests[i];
    }
    return NULL;
}

struct sync_request *sync_find(struct sync *sync, int32_t key)
{
    for (size_t i = 0; i < SYNC_REQUESTS; i++) {
        if (sync->requests[i].state == SYNC_MARKED && sync->requests[i].key == key)
            return &sync->requests[i];
    }
    return NULL;
}

uint32_t sync_begin_work(struct sync *sync)
{
    sync_continue_work(sync, sync->epoch);
    return sync->epoch;
}

void sync_continue_work(struct sync *sync, uint32_t epoch)
{
    sync->pending[epoch % SYNC_EPOCHS]++;
}

bool sync_end_work(struct sync *sync, uint32_t epoch)
{
    sync->pending[epoch % SYNC_EPOCHS]--;
    while (sync->oldest < sync->epoch && sync->pending[sync->oldest % SYNC_EPOCHS] == 0)
        sync->oldest++;
    return sync->working > 0 && sync->pending[epoch % SYNC_EPOCHS] == 0;
}

/* When the ring of epochs is full, the new work joins the current epoch: the request then waits for
 * more than it must. */
void sync_start_waiting(struct sync *sync, struct sync_request *request)
{
    request->state = SYNC_WORKING;
    sync->working++;
    request->epoch = sync->epoch;
    if (sync->epoch - sync->oldest + 1 < SYNC_EPOCHS)
        sync->epoch++;
    while (sync->oldest < sync->epoch && sync->pending[sync->oldest % SYNC_EPOCHS] == 0)
        sync->oldest++;
}

static bool is_done(const struct sync *sync, const struct sync_request *request)
{
    if (request->state != SYNC_WORKING)
        return false;
    return request->epoch < sync->oldest ||
           (request->epoch == sync->oldest && sync->pending[sync->oldest % SYNC_EPOCHS] == 0);
}

bool sync_take_done(struct sync *sync, uint64_t now_ns, struct sync_request *ret_request,
                    int *ret_result)
{
    for (size_t i = 0; i < SYNC_REQUESTS; i++) {
        struct sync_request *request = &sync->requests[i];

        if (request->state == SYNC_FREE)
            continue;
        if (!is_done(sync, request) && request->deadline_ns > now_ns)
            continue;
        *ret_result = is_done(sync, request) ? 0 : -ETIMEDOUT;
        *ret_request = *request;
        sync->working -= request->state == SYNC_WORKING;
        request->state = SYNC_FREE;
        return true;
    }
    return false;
}

uint64_t sync_deadline(const struct sync *sync)
{
    uint64_t deadline_ns = UINT64_MAX;

    for (size_t i = 0; i < SYNC_REQUESTS; i++) {
        const struct sync_request *request = &sync->requests[i];

        if (request->state != SYNC_FREE)
            deadline_ns = MIN(deadline_ns, request->deadline_ns);
    }
    return deadline_ns;
}
