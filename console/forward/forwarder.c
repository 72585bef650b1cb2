/* Owns the set of threads, and the choice of what runs: one for each enabled destination, started
 * anew when its configuration changed. */
#include "console/forward/forwarder.h"

#include "common/crypto/random.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "console/forward/forward_worker.h"
#include "console/store/lease.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#define LOOK_NS (3 * NS_PER_SECOND)
#define ORG     1LL

struct wanted {
    char id[UUID_TEXT_BYTES];
    int64_t revision;
};

struct forwarder {
    struct forwarder_options options;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopping, look;
    /* of the thread */
    struct lease lease;
    struct wanted wanted[DESTINATIONS_MAXIMUM];
    size_t wanted_count;
    struct forward_worker *workers[DESTINATIONS_MAXIMUM];
};

static int read_wanted(struct sql *sql, void *user)
{
    struct forwarder *forwarder = user;
    AUTO_STATEMENT struct sql_statement *row = NULL;
    forwarder->wanted_count = 0;
    int r = sql_run(sql,
                    "SELECT id, revision FROM destinations WHERE org_id = $1 AND enabled = 1"
                    " ORDER BY id LIMIT $2",
                    &row, "nn", ORG, (int64_t)DESTINATIONS_MAXIMUM);
    for (; r == 1; r = sql_step(row)) {
        struct wanted *wanted = &forwarder->wanted[forwarder->wanted_count++];
        (void)text_copy(wanted->id, sizeof(wanted->id), sql_text(row, 0));
        wanted->revision = sql_number(row, 1);
    }
    return r;
}

static bool is_wanted(const struct forwarder *forwarder, const struct forward_worker *worker)
{
    for (size_t i = 0; i < forwarder->wanted_count; i++)
        if (forward_worker_is(worker, forwarder->wanted[i].id, forwarder->wanted[i].revision))
            return true;
    return false;
}

static bool is_running(const struct forwarder *forwarder, const struct wanted *wanted)
{
    for (size_t i = 0; i < DESTINATIONS_MAXIMUM; i++)
        if (forwarder->workers[i] &&
            forward_worker_is(forwarder->workers[i], wanted->id, wanted->revision))
            return true;
    return false;
}

static void stop_unwanted(struct forwarder *forwarder)
{
    for (size_t i = 0; i < DESTINATIONS_MAXIMUM; i++)
        if (forwarder->workers[i] && !is_wanted(forwarder, forwarder->workers[i]))
            forward_worker_ask_to_stop(forwarder->workers[i]);
    for (size_t i = 0; i < DESTINATIONS_MAXIMUM; i++)
        if (forwarder->workers[i] && !is_wanted(forwarder, forwarder->workers[i]))
            forwarder->workers[i] = forward_worker_stop(forwarder->workers[i]);
}

static void start_wanted(struct forwarder *forwarder)
{
    for (size_t i = 0; i < forwarder->wanted_count; i++) {
        const struct wanted *wanted = &forwarder->wanted[i];
        if (is_running(forwarder, wanted))
            continue;
        for (size_t j = 0; j < DESTINATIONS_MAXIMUM; j++) {
            if (!forwarder->workers[j]) {
                if (forward_worker_start(&forwarder->options, wanted->id, wanted->revision,
                                         &forwarder->workers[j]) < 0)
                    forwarder->workers[j] = NULL; /* the next look tries again */
                break;
            }
        }
    }
}

static void look(struct forwarder *forwarder)
{
    if (!lease_hold(&forwarder->lease, forwarder->options.store))
        forwarder->wanted_count = 0;
    else if (console_store_read(forwarder->options.store, read_wanted, forwarder) < 0)
        return;
    stop_unwanted(forwarder);
    start_wanted(forwarder);
}

static void *look_loop(void *user)
{
    struct forwarder *forwarder = user;
    (void)pthread_mutex_lock(&forwarder->lock);
    while (!forwarder->stopping) {
        forwarder->look = false;
        (void)pthread_mutex_unlock(&forwarder->lock);
        look(forwarder);
        struct timespec until = clock_deadline(LOOK_NS);
        (void)pthread_mutex_lock(&forwarder->lock);
        while (!forwarder->stopping && !forwarder->look &&
               pthread_cond_clockwait(&forwarder->wake, &forwarder->lock, CLOCK_MONOTONIC,
                                      &until) == 0)
            ;
    }
    (void)pthread_mutex_unlock(&forwarder->lock);
    forwarder->wanted_count = 0;
    stop_unwanted(forwarder);
    lease_release(&forwarder->lease, forwarder->options.store);
    return NULL;
}

int forwarder_start(const struct forwarder_options *options, struct forwarder **ret_forwarder)
{
    struct forwarder *forwarder = calloc(1, sizeof(*forwarder));
    if (!forwarder)
        return -ENOMEM;
    forwarder->options = *options;
    (void)pthread_mutex_init(&forwarder->lock, NULL);
    (void)pthread_cond_init(&forwarder->wake, NULL);
    int r = lease_init(&forwarder->lease, "forward");
    if (r == 0)
        r = -pthread_create(&forwarder->thread, NULL, look_loop, forwarder);
    if (r < 0) {
        free(forwarder);
        return r;
    }
    *ret_forwarder = forwarder;
    return 0;
}

struct forwarder *forwarder_stop(struct forwarder *forwarder)
{
    if (!forwarder)
        return NULL;
    (void)pthread_mutex_lock(&forwarder->lock);
    forwarder->stopping = true;
    (void)pthread_cond_signal(&forwarder->wake);
    (void)pthread_mutex_unlock(&forwarder->lock);
    (void)pthread_join(forwarder->thread, NULL);
    (void)pthread_cond_destroy(&forwarder->wake);
    (void)pthread_mutex_destroy(&forwarder->lock);
    free(forwarder);
    return NULL;
}

void forwarder_wake(struct forwarder *forwarder)
{
    if (!forwarder)
        return;
    (void)pthread_mutex_lock(&forwarder->lock);
    forwarder->look = true;
    (void)pthread_cond_signal(&forwarder->wake);
    (void)pthread_mutex_unlock(&forwarder->lock);
}

int forwarder_destination(const struct secret_box *secrets, const char *id, const char *type,
                          const char *settings, const char *sealed,
                          struct destination *ret_destination)
{
    char purpose[64], *secret = NULL;
    struct wire_problem problem;
    enum destination_type parsed;
    *ret_destination = (struct destination){.port = 0};
    (void)text_format(purpose, sizeof(purpose), "destination:%s", id);
    int r = destination_type_parse(type, &parsed);
    if (r == 0)
        r = secret_open(secrets, purpose, sealed, &secret);
    if (r < 0 || !secret)
        return r;
    json_t *settings_json = json_loads(settings, 0, NULL);
    json_t *secret_json = json_loads(secret[0] ? secret : "{}", 0, NULL);
    explicit_bzero(secret, strlen(secret));
    free(secret);
    r = destination_read(parsed, settings_json, secret_json, ret_destination, &problem);
    json_decref(settings_json);
    json_decref(secret_json);
    return r;
}

void forwarder_try(const struct destination *destination, struct sink_outcome *ret_outcome)
{
    static const char json[] =
        "{\"number\":0,\"id\":\"00000000-0000-4000-8000-000000000000\",\"time\":null,"
        "\"received\":null,\"computer\":null,\"hostname\":\"console\",\"module\":\"console\","
        "\"kind\":\"test\",\"severity\":\"info\",\"subject\":\"a test of this destination\","
        "\"detail\":{}}";
    struct sink_event event = {.time_ms = console_store_now_ms(),
                               .id = "00000000-0000-4000-8000-000000000000",
                               .module = "console",
                               .kind = "test",
                               .hostname = "console",
                               .json = json};
    struct sink *sink = NULL;
    *ret_outcome = (struct sink_outcome){.sent = 0};
    ret_outcome->error = sink_open(destination, &sink, ret_outcome->problem);
    if (ret_outcome->error == 0)
        sink_send(sink, &event, 1, ret_outcome);
    (void)sink_close(sink);
}
