/* Owns what is in a bucket. Must not know what it is for. */
#include "console/agents/rate_bucket.h"

#include "common/crypto/random.h"
#include "common/time/clock.h"

#define RETRY_LEAST_SECONDS  5
#define RETRY_SPREAD_SECONDS 25

void rate_bucket_init(struct rate_bucket *bucket, uint64_t per_second)
{
    *bucket = (struct rate_bucket){.per_second = (double)per_second};
    (void)pthread_mutex_init(&bucket->lock, NULL);
}

unsigned rate_retry_seconds(void)
{
    uint8_t byte = 0;
    (void)!random_bytes(&byte, sizeof(byte)); /* without entropy all get the least */
    return RETRY_LEAST_SECONDS + byte % (RETRY_SPREAD_SECONDS + 1);
}

static bool take(struct rate_level *level, double per_second)
{
    uint64_t now = clock_monotonic_ns();
    if (level->filled_ns == 0)
        level->tokens = per_second;
    else
        level->tokens += (double)(now - level->filled_ns) / (double)NS_PER_SECOND * per_second;
    level->filled_ns = now;
    level->tokens = MIN(level->tokens, per_second);
    if (level->tokens < 1)
        return false;
    level->tokens -= 1;
    return true;
}

bool rate_bucket_take(struct rate_bucket *bucket)
{
    (void)pthread_mutex_lock(&bucket->lock);
    bool taken = take(&bucket->level, bucket->per_second);
    (void)pthread_mutex_unlock(&bucket->lock);
    return taken;
}

void rate_shares_init(struct rate_shares *shares, uint64_t per_second)
{
    *shares = (struct rate_shares){.per_second = (double)per_second};
    (void)pthread_mutex_init(&shares->lock, NULL);
}

bool rate_shares_take(struct rate_shares *shares, int64_t asker)
{
    /* Mixed: the lowest bits of computers' numbers are nearly always 0. */
    size_t place = ((uint64_t)asker * 0x9e3779b97f4a7c15ULL >> 32) % RATE_SHARES;
    (void)pthread_mutex_lock(&shares->lock);
    bool taken = take(&shares->places[place], shares->per_second);
    (void)pthread_mutex_unlock(&shares->lock);
    return taken;
}
