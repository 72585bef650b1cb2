/* One destination's thread. Shared by console/forward. */
#ifndef CONSOLE_FORWARD_FORWARD_WORKER_H
#define CONSOLE_FORWARD_FORWARD_WORKER_H

#include "console/forward/forwarder.h"

struct forward_worker;

int forward_worker_start(const struct forwarder_options *options, const char *id, int64_t revision,
                         struct forward_worker **ret_worker) MUST_USE;
void forward_worker_ask_to_stop(struct forward_worker *worker);
struct forward_worker *forward_worker_stop(struct forward_worker *worker);
bool forward_worker_is(const struct forward_worker *worker, const char *id, int64_t revision);

#endif
