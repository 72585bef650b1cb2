/* Owns one bucket. Must not know what it is for. */
#include "console/agents/rate_bucket.h"

#include "common/crypto/random.h"
#include "common/time/clock.h"

#define RETRY_LEAST_SECONDS  5
#define RETRY_SPREAD_SECONDS 25

void rate_bucket_init(struct rate_bucket *bucket, uint64_t per_second)
{
    *bucket = (struct rate_bucket){.per_second = (double)per_second, .tokens = (double)per_second};
    (void)pthread_mutex_init(&bucket->lock, NULL);
}

/* All of those sent away at once would come back at once. */
static unsigned spread_retry(void)
{
    uint8_t byte = 0;
    (void)!random_bytes(&byte, sizeof(byte)); /* without entropy all get the least */
    return RETRY_LEAST_SECONDS + byte % (RETRY_SPREAD_SECONDS + 1);
}

bool rate_bucket_take(struct rate_bucket *bucket, unsigned *ret_retry_seconds)
{
    uint64_t now = clock_monotonic_ns();
    (void)pthread_mutex_lock(&bucket->lock);
    if (bucket->filled_ns != 0)
        bucket->tokens +=
            (double)(now - bucket->filled_ns) / (double)NS_PER_SECOND * bucket->per_second;
    bucket->filled_ns = now;
    bucket->tokens = MIN(bucket->tokens, bucket->per_second);
    bool taken = bucket->tokens >= 1;
    if (taken)
        bucket->tokens -= 1;
    (void)pthread_mutex_unlock(&bucket->lock);
    *ret_retry_seconds = taken ? 0 : spread_retry();
    return taken;
}
