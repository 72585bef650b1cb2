/* Token buckets for what costs much: so many a second, and as many at once. Thread-safe. */
#ifndef CONSOLE_AGENTS_RATE_BUCKET_H
#define CONSOLE_AGENTS_RATE_BUCKET_H

#include "common/attributes.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define RATE_SHARES 4096

struct rate_level {
    double tokens;
    uint64_t filled_ns; /* monotonic; 0: never used, and full */
};

struct rate_bucket {
    pthread_mutex_t lock;
    double per_second;
    struct rate_level level;
};

void rate_bucket_init(struct rate_bucket *bucket, uint64_t per_second);
/* False when it is empty: come again in rate_retry_seconds. */
bool rate_bucket_take(struct rate_bucket *bucket);
/* 5 to 30, for who is sent away: all at once would come back at once. */
unsigned rate_retry_seconds(void);

/* Small ones, so that none takes the bucket of all. Askers that fall on one place share it: those
 * of one host with several identities that take turns, too. */
struct rate_shares {
    pthread_mutex_t lock;
    double per_second;
    struct rate_level places[RATE_SHARES];
};

void rate_shares_init(struct rate_shares *shares, uint64_t per_second);
/* False: come again in a second. */
bool rate_shares_take(struct rate_shares *shares, int64_t asker);

#endif
