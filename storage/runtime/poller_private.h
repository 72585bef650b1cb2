/* Shared by the files that make up poller.h. Not for others. */
#ifndef STORAGE_RUNTIME_POLLER_PRIVATE_H
#define STORAGE_RUNTIME_POLLER_PRIVATE_H

#include "common/aws/sqs.h"
#include "storage/runtime/poller.h"
#include "storage/runtime/queue_stop.h"

#include <pthread.h>

#define POLLER_MOST_WORKERS 256

enum flight_state {
    FLIGHT_FREE,
    FLIGHT_WAITING, /* for a worker */
    FLIGHT_WORKING,
    FLIGHT_DONE,   /* to be deleted */
    FLIGHT_FAILED, /* to be given back */
    FLIGHT_LEAVING /* in the keeper's hands */
};

/* A message between its arrival and its end. */
struct flight {
    enum flight_state state;
    struct sqs_message message;
    uint64_t hidden_until_ns, since_ns; /* monotonic */
    unsigned hide_s;                    /* when it is given back */
    unsigned tries;                     /* at telling the queue */
};

struct poller {
    struct scan_resources *resources;
    message_handler *handler;
    const char *queue;
    struct queue_stop stop; /* the receiver's, but for what is wanted */
    unsigned visibility_s;
    pthread_mutex_t lock;
    pthread_cond_t work, room, news; /* for workers; for the receiver; for the keeper */
    struct flight *flights;
    size_t flight_count, workers, running; /* running: workers that have not ended */
    bool queue_gone; /* since the stop: nothing more can be told, it all comes again by itself */
    bool ending, no_more_news, end_told; /* workers end; the keeper ends when all is told */
    uint64_t done, failed;
};

bool poller_is_stopped(const struct poller *poller);
/* With the lock. */
size_t poller_count(const struct poller *poller, enum flight_state state);
/* With the lock: what no worker has begun is given back. */
void poller_give_back(struct poller *poller);
/* As many are to be told to the queue as go into one request. */
bool poller_has_batch(const struct poller *poller);
/* The keeper's thread: user is the poller. */
void *poller_keep(void *user);

#endif
