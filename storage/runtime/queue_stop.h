/* A stop while the queue is being asked. The request is brought to its end: what a queue hands to a
 * connection that is gone stays hidden until its time is over. A queue that says nothing for longer
 * than it was asked to wait is not listened to any more; one that was not reached, or did not
 * answer the request before, not for longer than QUEUE_ANSWER_NS. */
#ifndef STORAGE_RUNTIME_QUEUE_STOP_H
#define STORAGE_RUNTIME_QUEUE_STOP_H

#include <stdbool.h>
#include <stdint.h>

#define QUEUE_ANSWER_NS (3ULL * 1000000000) /* beyond the wait */

struct aws_client;

/* Of one thread, the one that asks. */
struct queue_stop {
    const bool *wanted; /* set by a signal handler */
    uint64_t wait_ns;   /* for messages, as the queue is told */
    uint64_t until_ns;  /* monotonic; 0 until the stop was seen, and for each request to tell */
    /* Who asks for messages: what was not sent yet is given up at once. NULL = who tells. */
    const struct aws_client *receiver;
    bool silent; /* the request before had no answer */
};

bool queue_stop_is_wanted(const struct queue_stop *stop);
/* For aws_client_set_cancel: user is the struct queue_stop. */
bool queue_stop_is_over(void *user);

#endif
