/* Mode "poller": takes messages from an SQS queue, as many as there is room for, keeps them hidden
 * while they are worked on, acknowledges them when they are done with, and gives the rest back when
 * it is to end. Made for ECS and EC2: several of them share a queue. */
#ifndef STORAGE_RUNTIME_POLLER_H
#define STORAGE_RUNTIME_POLLER_H

#include "storage/runtime/message_handler.h"

#include <stdbool.h>

/* Until *stop is set (by a signal handler). Messages not begun then are given back at once, also
 * those that the queue still sends; those worked on have POLLER_GRACE_NS after that, unless the
 * queue cannot be told of them any more: then all is let go within QUEUE_ANSWER_NS, and comes again
 * by itself. The exit code. */
#define POLLER_GRACE_NS (20ULL * 1000000000)
int poller_run(struct scan_resources *resources, message_handler *handler, const bool *stop);

#endif
