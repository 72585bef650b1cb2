/* A token bucket for what costs much: so many a second, and as many at once. Thread-safe. */
#ifndef CONSOLE_AGENTS_RATE_BUCKET_H
#define CONSOLE_AGENTS_RATE_BUCKET_H

#include "common/attributes.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct rate_bucket {
    pthread_mutex_t lock;
    double per_second, tokens;
    uint64_t filled_ns; /* monotonic; 0: never used, and full */
};

void rate_bucket_init(struct rate_bucket *bucket, uint64_t per_second);
/* False when it is empty: come again in ret_retry_seconds, spread over the time in which the bucket
 * is expected to serve those who were sent away. */
bool rate_bucket_take(struct rate_bucket *bucket, unsigned *ret_retry_seconds);

#endif
