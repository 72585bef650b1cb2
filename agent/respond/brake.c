/* Owns: counts a signature and minute. Must not own: what happens to a held file. */
#include "agent/respond/brake.h"

#include "common/limits.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#define BUCKETS 256

struct counter {
    struct counter *next; /* of its bucket */
    char signature[LIMIT_SIGNATURE_NAME_BYTES];
    uint64_t minute; /* the newest that counts holds */
    uint32_t counts[BRAKE_MINUTES];
    uint64_t held, held_minute; /* since when it is counted */
};

struct brake {
    pthread_mutex_t mutex;
    struct counter *buckets[BUCKETS];
    size_t count;
};

uint64_t brake_minute(void)
{
    return clock_realtime_ns() / (60 * NS_PER_SECOND);
}

int brake_new(struct brake **ret_brake)
{
    struct brake *brake = calloc(1, sizeof(*brake));

    if (!brake)
        return -ENOMEM;
    pthread_mutex_init(&brake->mutex, NULL);
    *ret_brake = brake;
    return 0;
}

struct brake *brake_free(struct brake *brake)
{
    if (!brake)
        return NULL;
    for (size_t i = 0; i < BUCKETS; i++)
        while (brake->buckets[i]) {
            struct counter *counter = brake->buckets[i];

            brake->buckets[i] = counter->next;
            free(counter);
        }
    pthread_mutex_destroy(&brake->mutex);
    free(brake);
    return NULL;
}

static struct counter **bucket_of(struct brake *brake, const char *signature)
{
    uint32_t hash = 2166136261U;

    for (; *signature; signature++)
        hash = (hash ^ (uint8_t)*signature) * 16777619U;
    return &brake->buckets[hash % BUCKETS];
}

/* Room for a new one: the counters whose hour is over go. */
static void forget_old(struct brake *brake, uint64_t minute)
{
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct counter **place = &brake->buckets[i]; *place;) {
            struct counter *counter = *place;

            if (counter->minute + BRAKE_MINUTES > minute) {
                place = &counter->next;
                continue;
            }
            *place = counter->next;
            free(counter);
            brake->count--;
        }
}

/* NULL when there are too many signatures, or no memory. */
static struct counter *counter_of(struct brake *brake, const char *signature, uint64_t minute)
{
    struct counter **bucket = bucket_of(brake, signature), *counter;

    for (counter = *bucket; counter; counter = counter->next)
        if (text_equal(counter->signature, signature))
            return counter;
    if (brake->count >= LIMIT_BRAKE_SIGNATURES)
        forget_old(brake, minute);
    counter = brake->count < LIMIT_BRAKE_SIGNATURES ? calloc(1, sizeof(*counter)) : NULL;
    if (!counter)
        return NULL;
    (void)text_copy(counter->signature, sizeof(counter->signature), signature);
    counter->minute = minute;
    counter->next = *bucket;
    *bucket = counter;
    brake->count++;
    return counter;
}

/* Clears the minutes between the newest and this one. A clock that was set back counts on in the
 * newest minute. */
static void move_to(struct counter *counter, uint64_t minute)
{
    for (uint64_t steps = 0; counter->minute < minute && steps < BRAKE_MINUTES; steps++)
        counter->counts[++counter->minute % BRAKE_MINUTES] = 0;
    counter->minute = MAX(counter->minute, minute);
}

static uint64_t sum_of(const struct counter *counter)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < BRAKE_MINUTES; i++)
        sum += counter->counts[i];
    return sum;
}

/* With more signatures than can be counted something is badly wrong: hold. */
bool brake_allows(struct brake *brake, const char *signature, uint64_t limit)
{
    uint64_t minute = brake_minute();
    struct counter *counter;
    bool allows = limit == 0;

    pthread_mutex_lock(&brake->mutex);
    counter = counter_of(brake, signature, minute);
    if (counter) {
        move_to(counter, minute);
        allows = limit == 0 || sum_of(counter) < limit;
        if (allows && counter->counts[counter->minute % BRAKE_MINUTES] < UINT32_MAX)
            counter->counts[counter->minute % BRAKE_MINUTES]++;
    }
    pthread_mutex_unlock(&brake->mutex);
    return allows;
}

void brake_add(struct brake *brake, const char *signature, uint64_t minute, uint64_t count)
{
    uint64_t now = brake_minute();
    struct counter *counter;

    if (minute > now || minute + BRAKE_MINUTES <= now)
        return;
    pthread_mutex_lock(&brake->mutex);
    counter = counter_of(brake, signature, now);
    if (counter) {
        move_to(counter, now);
        counter->counts[minute % BRAKE_MINUTES] += (uint32_t)MIN(count, UINT32_MAX / 2);
    }
    pthread_mutex_unlock(&brake->mutex);
}

static bool is_power_of_ten(uint64_t number)
{
    while (number >= 10 && number % 10 == 0)
        number /= 10;
    return number == 1;
}

uint64_t brake_note_held(struct brake *brake, const char *signature)
{
    uint64_t minute = brake_minute(), held = 1;
    struct counter *counter;

    pthread_mutex_lock(&brake->mutex);
    counter = counter_of(brake, signature, minute);
    if (counter) {
        move_to(counter, minute);
        if (minute >= counter->held_minute + BRAKE_MINUTES) {
            counter->held = 0;
            counter->held_minute = minute;
        }
        held = ++counter->held;
    }
    pthread_mutex_unlock(&brake->mutex);
    return is_power_of_ten(held) ? held : 0;
}
