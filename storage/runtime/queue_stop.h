/* A stop while the queue is being asked. The request is brought to its end: what a queue hands to a
 * connection that is gone stays hidden until its time is over. A queue that says nothing for longer
 * than it was asked to wait is not listened to any more. */
#ifndef STORAGE_RUNTIME_QUEUE_STOP_H
#define STORAGE_RUNTIME_QUEUE_STOP_H

#include <stdbool.h>
#include <stdint.h>

/* Of one thread, the one that asks. */
struct queue_stop {
    const bool *wanted; /* set by a signal handler */
    uint64_t wait_ns;   /* for messages, as the queue is told */
    uint64_t until_ns;  /* monotonic; 0 until the stop was seen */
};

bool queue_stop_is_wanted(const struct queue_stop *stop);
/* For aws_client_set_cancel: user is the struct queue_stop. */
bool queue_stop_is_over(void *user);

#endif
