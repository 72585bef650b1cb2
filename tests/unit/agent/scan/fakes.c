#include "tests/unit/agent/scan/fakes.h"

#include "agent/respond/responder.h"
#include "agent/store/store.h"
#include "common/event_loop/event_loop.h"
#include "scanner/client/scanner_client.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST = 65536 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

/* ---- scanner client ---- */

struct held_job {
    void *job;
    int fd;
};

struct scanner_client {
    struct event_loop *loop;
    struct scanner_callbacks callbacks;
    void *owner;
};

static struct {
    struct scanner_client *client;
    uint64_t generation, submitted;
    enum scanner_state state;
    size_t room, urgent;
    int error;
    unsigned refusals;
    bool hold;
    struct held_job jobs[MOST];
    size_t job_count;
    char order[MOST];
} scanner;

static void judge(int fd, struct scan_result *result)
{
    char text[4096] = "";
    ssize_t length = pread(fd, text, sizeof text - 1, 0);

    *result = (struct scan_result){.verdict = SCAN_CLEAN, .generation = scanner.generation};
    if (length > 0)
        text[length] = '\0';
    if (strstr(text, "virus") != NULL) {
        result->verdict = SCAN_INFECTED;
        memcpy(result->signature, "Test.Virus", 11);
    } else if (strstr(text, "bomb") != NULL) {
        result->verdict = SCAN_INCOMPLETE;
        result->reason = SCAN_REASON_FILE_COUNT;
    } else if (strstr(text, "crash") != NULL) {
        result->verdict = SCAN_ERROR;
        result->reason = SCAN_REASON_CRASHED;
    }
}

/* In the loop's thread: answers everything that waits now. */
static void answer(void *user UNUSED)
{
    (void)pthread_mutex_lock(&lock);
    struct scanner_client *client = scanner.client;
    if (client == NULL) {
        (void)pthread_mutex_unlock(&lock);
        return;
    }
    size_t count = scanner.job_count;
    struct held_job *jobs = malloc((count + 1) * sizeof *jobs);
    memcpy(jobs, scanner.jobs, count * sizeof *jobs);
    scanner.job_count = 0;
    (void)pthread_mutex_unlock(&lock);
    for (size_t i = 0; i < count; i++) {
        struct scan_result result;
        judge(jobs[i].fd, &result);
        (void)close(jobs[i].fd);
        client->callbacks.scanned(client->owner, jobs[i].job, &result);
    }
    free(jobs);
    if (count > 0)
        client->callbacks.ready(client->owner);
}

static void tell_changed(void *user UNUSED)
{
    (void)pthread_mutex_lock(&lock);
    struct scanner_client *client = scanner.client;
    (void)pthread_mutex_unlock(&lock);
    if (client == NULL)
        return;
    client->callbacks.changed(client->owner);
    client->callbacks.ready(client->owner);
}

static void post(event_post_handler *handler)
{
    if (scanner.client != NULL && event_loop_post(scanner.client->loop, handler, NULL) < 0)
        abort();
}

int scanner_client_start(struct event_loop *loop, const struct scanner_options *options UNUSED,
                         const struct scanner_callbacks *callbacks, void *owner,
                         struct scanner_client **ret_client)
{
    struct scanner_client *client = calloc(1, sizeof *client);
    *client = (struct scanner_client){.loop = loop, .callbacks = *callbacks, .owner = owner};
    (void)pthread_mutex_lock(&lock);
    scanner.client = client;
    (void)pthread_mutex_unlock(&lock);
    *ret_client = client;
    return 0;
}

struct scanner_client *scanner_client_stop(struct scanner_client *client)
{
    if (client == NULL)
        return NULL;
    (void)pthread_mutex_lock(&lock);
    scanner.client = NULL;
    size_t count = scanner.job_count;
    scanner.job_count = 0;
    (void)pthread_mutex_unlock(&lock);
    for (size_t i = 0; i < count; i++) {
        struct scan_result result = {.verdict = SCAN_ERROR, .reason = SCAN_REASON_INTERNAL};
        (void)close(scanner.jobs[i].fd);
        client->callbacks.scanned(client->owner, scanner.jobs[i].job, &result);
    }
    free(client);
    return NULL;
}

size_t scanner_client_room(const struct scanner_client *client UNUSED)
{
    (void)pthread_mutex_lock(&lock);
    size_t room = scanner.state != SCANNER_READY || scanner.job_count >= scanner.room
                      ? 0
                      : scanner.room - scanner.job_count;
    (void)pthread_mutex_unlock(&lock);
    return room;
}

int scanner_client_submit(struct scanner_client *client, int fd, void *job)
{
    char first = '?';

    if (scanner_client_room(client) == 0)
        return -EAGAIN;
    if (pread(fd, &first, 1, 0) != 1)
        first = '-';
    (void)pthread_mutex_lock(&lock);
    if (scanner.refusals > 0) {
        scanner.refusals--;
        (void)pthread_mutex_unlock(&lock);
        return scanner.error;
    }
    scanner.jobs[scanner.job_count++] = (struct held_job){.job = job, .fd = dup(fd)};
    scanner.order[scanner.submitted++ % MOST] = first;
    if (!scanner.hold)
        post(answer);
    (void)pthread_cond_broadcast(&changed);
    (void)pthread_mutex_unlock(&lock);
    return 0;
}

int scanner_client_submit_urgent(struct scanner_client *client, int fd, void *job)
{
    int r = scanner_client_submit(client, fd, job);

    (void)pthread_mutex_lock(&lock);
    scanner.urgent += r == 0;
    (void)pthread_mutex_unlock(&lock);
    return r;
}

bool scanner_client_has_urgent_room(const struct scanner_client *client)
{
    return scanner_client_room(client) > 0;
}

void fake_scanner_refuse(int error, unsigned times)
{
    (void)pthread_mutex_lock(&lock);
    scanner.error = error;
    scanner.refusals = times;
    (void)pthread_mutex_unlock(&lock);
}

size_t fake_scanner_urgent(void)
{
    (void)pthread_mutex_lock(&lock);
    size_t urgent = scanner.urgent;
    (void)pthread_mutex_unlock(&lock);
    return urgent;
}

int scanner_client_reconfigure(struct scanner_client *client UNUSED,
                               const struct scanner_options *options UNUSED)
{
    return 0;
}

int scanner_client_rest(struct scanner_client *client UNUSED)
{
    return -EBUSY;
}

int scanner_client_reload(struct scanner_client *client UNUSED)
{
    return 0;
}

void scanner_client_status(const struct scanner_client *client UNUSED,
                           struct scanner_status *ret_status)
{
    (void)pthread_mutex_lock(&lock);
    *ret_status = (struct scanner_status){
        .state = scanner.state,
        .generation = scanner.generation,
        .in_flight = scanner.job_count,
    };
    (void)pthread_mutex_unlock(&lock);
}

const char *scan_verdict_name(enum scan_verdict verdict UNUSED)
{
    return "verdict";
}

const char *scan_reason_name(enum scan_reason reason UNUSED)
{
    return "reason";
}

void fake_scanner_set_generation(uint64_t generation)
{
    (void)pthread_mutex_lock(&lock);
    scanner.generation = generation;
    scanner.state = generation != 0 ? SCANNER_READY : SCANNER_LOADING;
    post(tell_changed);
    (void)pthread_mutex_unlock(&lock);
}

void fake_scanner_set_state(enum scanner_state state)
{
    (void)pthread_mutex_lock(&lock);
    scanner.state = state;
    post(tell_changed);
    (void)pthread_mutex_unlock(&lock);
}

void fake_scanner_set_room(size_t room)
{
    (void)pthread_mutex_lock(&lock);
    scanner.room = room;
    (void)pthread_mutex_unlock(&lock);
}

void fake_scanner_hold(bool hold)
{
    (void)pthread_mutex_lock(&lock);
    scanner.hold = hold;
    if (!hold)
        post(answer);
    (void)pthread_mutex_unlock(&lock);
}

void fake_scanner_let_go(void)
{
    (void)pthread_mutex_lock(&lock);
    post(answer);
    (void)pthread_mutex_unlock(&lock);
}

void fake_scanner_wait_held(size_t count)
{
    (void)pthread_mutex_lock(&lock);
    while (scanner.job_count < count)
        (void)pthread_cond_wait(&changed, &lock);
    (void)pthread_mutex_unlock(&lock);
}

uint64_t fake_scanner_submitted(void)
{
    (void)pthread_mutex_lock(&lock);
    uint64_t submitted = scanner.submitted;
    (void)pthread_mutex_unlock(&lock);
    return submitted;
}

void fake_scanner_order(char *order, size_t size)
{
    (void)pthread_mutex_lock(&lock);
    size_t count = scanner.submitted < size - 1 ? (size_t)scanner.submitted : size - 1;
    memcpy(order, scanner.order, count);
    order[count] = '\0';
    (void)pthread_mutex_unlock(&lock);
}

/* ---- responder ---- */

static struct {
    bool hold, full;
    uint64_t count;
    struct {
        void (*done)(void *user, int result);
        void *user;
    } waiting[MOST];
    size_t waiting_count;
    char *paths[MOST];
} responder;

int responder_submit(struct responder *unused UNUSED, const struct detection *detection,
                     void (*done)(void *user, int result), void *user)
{
    (void)pthread_mutex_lock(&lock);
    bool full = responder.full, hold = responder.hold;
    if (!full) {
        responder.paths[responder.count++] = strdup(detection->path);
        if (hold) {
            responder.waiting[responder.waiting_count].done = done;
            responder.waiting[responder.waiting_count++].user = user;
        }
    }
    (void)pthread_cond_broadcast(&changed);
    (void)pthread_mutex_unlock(&lock);
    if (full)
        return -EAGAIN;
    if (!hold)
        done(user, 0);
    return 0;
}

void fake_responder_hold(bool hold)
{
    (void)pthread_mutex_lock(&lock);
    responder.hold = hold;
    (void)pthread_mutex_unlock(&lock);
}

void fake_responder_set_room(bool room)
{
    (void)pthread_mutex_lock(&lock);
    responder.full = !room;
    (void)pthread_mutex_unlock(&lock);
}

void fake_responder_let_go(void)
{
    (void)pthread_mutex_lock(&lock);
    while (responder.waiting_count == 0)
        (void)pthread_cond_wait(&changed, &lock);
    size_t count = responder.waiting_count;
    responder.waiting_count = 0;
    responder.hold = false;
    (void)pthread_mutex_unlock(&lock);
    for (size_t i = 0; i < count; i++)
        responder.waiting[i].done(responder.waiting[i].user, 0);
}

uint64_t fake_responder_count(void)
{
    (void)pthread_mutex_lock(&lock);
    uint64_t count = responder.count;
    (void)pthread_mutex_unlock(&lock);
    return count;
}

bool fake_responder_saw(const char *path)
{
    bool saw = false;

    (void)pthread_mutex_lock(&lock);
    for (uint64_t i = 0; i < responder.count; i++)
        saw = saw || strcmp(responder.paths[i], path) == 0;
    (void)pthread_mutex_unlock(&lock);
    return saw;
}

/* ---- store ---- */

static struct {
    char kinds[MOST][32];
    uint64_t count;
} store;

int store_append(struct store *unused UNUSED, const struct event_draft *draft,
                 store_work *work UNUSED, store_committed *committed, void *user)
{
    (void)pthread_mutex_lock(&lock);
    size_t length = strlen(draft->kind);
    memcpy(store.kinds[store.count++], draft->kind, length + 1);
    uint64_t number = store.count;
    (void)pthread_mutex_unlock(&lock);
    if (committed != NULL)
        committed(user, 0, number);
    return 0;
}

uint64_t fake_store_count(const char *kind)
{
    uint64_t count = 0;

    (void)pthread_mutex_lock(&lock);
    for (uint64_t i = 0; i < store.count; i++)
        count += strcmp(store.kinds[i], kind) == 0;
    (void)pthread_mutex_unlock(&lock);
    return count;
}

void fakes_reset(void)
{
    (void)pthread_mutex_lock(&lock);
    for (uint64_t i = 0; i < responder.count; i++)
        free(responder.paths[i]);
    memset(&responder, 0, sizeof responder);
    memset(&store, 0, sizeof store);
    scanner.client = NULL;
    scanner.generation = 1;
    scanner.state = SCANNER_READY;
    scanner.submitted = 0;
    scanner.room = 4;
    scanner.hold = false;
    scanner.job_count = 0;
    (void)pthread_mutex_unlock(&lock);
}
