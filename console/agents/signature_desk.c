/* Owns the thread and its queue, and the answer to an agent that asks for its signatures: the set
 * of its group, signed for this agent. Must not decide what is in a set: console/signatures does.
 */
#include "console/agents/signature_desk.h"

#include "common/limits.h"
#include "common/text/text.h"
#include "console/agents/agent_internal.h"
#include "console/agents/signed_answer.h"
#include "console/signatures/signature_set.h"
#include "console/store/console_store.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

struct asked {
    struct http_request *request;
    int64_t computer;
    char agent_id[UUID_TEXT_BYTES], group_id[UUID_TEXT_BYTES];
};

struct signature_desk {
    const struct agent_service *service;
    struct asked queue[SIGNATURE_DESK_PLACES];
    size_t first, count;
    bool ending;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
};

/* --- an answer */

struct set_read {
    const char *group_id;
    char digest[65];
    char *content;
};

static int read_set(struct sql *sql, void *user)
{
    struct set_read *read = user;
    return signature_set_read(sql, read->group_id, read->digest, &read->content);
}

static int respond_set(const struct signature_desk *desk, const struct asked *asked,
                       const struct set_read *read)
{
    AUTO_BUFFER struct buffer document = BUFFER_WITH_MAXIMUM(LIMIT_SIGNED_DOCUMENT_BYTES);
    int64_t now = console_store_now_ms();
    struct wire_signatures signatures = {.agent_id = asked->agent_id,
                                         .digest = read->digest,
                                         .content = read->content,
                                         .issued_ms = (uint64_t)now,
                                         .expires_ms = (uint64_t)(now + SIGNING_DOCUMENT_MS)};
    int r = wire_signatures_encode(&signatures, &document);
    return r < 0
               ? r
               : signed_answer_respond(asked->request, desk->service->identity->signing, &document);
}

static void answer(const struct signature_desk *desk, const struct asked *asked)
{
    struct set_read read = {.group_id = asked->group_id};
    int r = console_store_read(desk->service->store, read_set, &read);
    if (r > 0)
        r = respond_set(desk, asked, &read);
    else if (r == 0)
        http_respond_problem(asked->request, 404, "no_signatures",
                             "this console has no signatures for this computer");
    if (r < 0)
        agent_respond_failure(asked->request, r);
    free(read.content);
}

/* --- the queue */

static bool waits(const struct signature_desk *desk, int64_t computer)
{
    for (size_t i = 0; i < desk->count; i++)
        if (desk->queue[(desk->first + i) % SIGNATURE_DESK_PLACES].computer == computer)
            return true;
    return false;
}

bool signature_desk_take(struct signature_desk *desk, struct http_request *request,
                         const struct agent_row *row)
{
    (void)pthread_mutex_lock(&desk->lock);
    bool taken = desk->count < SIGNATURE_DESK_PLACES && !waits(desk, row->number);
    if (taken) {
        struct asked *asked = &desk->queue[(desk->first + desk->count++) % SIGNATURE_DESK_PLACES];
        *asked = (struct asked){.request = request, .computer = row->number};
        (void)text_copy(asked->agent_id, sizeof(asked->agent_id), row->id);
        (void)text_copy(asked->group_id, sizeof(asked->group_id), row->group_id);
        http_request_hold_long(request);
        (void)pthread_cond_signal(&desk->changed);
    }
    (void)pthread_mutex_unlock(&desk->lock);
    return taken;
}

/* False: it is over. */
static bool next(struct signature_desk *desk, struct asked *ret_asked)
{
    (void)pthread_mutex_lock(&desk->lock);
    while (desk->count == 0 && !desk->ending)
        (void)pthread_cond_wait(&desk->changed, &desk->lock);
    bool found = desk->count > 0;
    if (found) {
        *ret_asked = desk->queue[desk->first];
        desk->first = (desk->first + 1) % SIGNATURE_DESK_PLACES;
        desk->count--;
    }
    (void)pthread_mutex_unlock(&desk->lock);
    return found;
}

static void *run(void *user)
{
    struct signature_desk *desk = user;
    struct asked asked;
    while (next(desk, &asked))
        answer(desk, &asked);
    return NULL;
}

int signature_desk_open(const struct agent_service *service, struct signature_desk **ret_desk)
{
    struct signature_desk *desk = calloc(1, sizeof(*desk));
    if (!desk)
        return -ENOMEM;
    desk->service = service;
    (void)pthread_mutex_init(&desk->lock, NULL);
    (void)pthread_cond_init(&desk->changed, NULL);
    int r = -pthread_create(&desk->thread, NULL, run, desk);
    if (r < 0) {
        free(desk);
        return r;
    }
    *ret_desk = desk;
    return 0;
}

struct signature_desk *signature_desk_close(struct signature_desk *desk)
{
    if (!desk)
        return NULL;
    (void)pthread_mutex_lock(&desk->lock);
    desk->ending = true;
    (void)pthread_cond_broadcast(&desk->changed);
    (void)pthread_mutex_unlock(&desk->lock);
    (void)pthread_join(desk->thread, NULL);
    (void)pthread_cond_destroy(&desk->changed);
    (void)pthread_mutex_destroy(&desk->lock);
    free(desk);
    return NULL;
}
