/* Owns the table of verdicts and the thread that writes it down. Must not own the rules of what may
 * be remembered (dispatcher.c). Hands records to verdict_cache_file.c.
 *
 * Entries stand in chunks that never move; buckets hold the index + 1 of the first entry of a
 * chain. Generations are 64-bit and few, so an entry holds an index into a small table of them;
 * index 0 is "some generation long gone". */
#include "agent/scan/verdict_cache.h"

#include "agent/scan/verdict_cache_file.h"
#include "common/time/clock.h"

#include <errno.h>
#include <pthread.h>

enum {
    CHUNK_ENTRIES = 8192,
    FIRST_BUCKETS = 1024,
    GENERATIONS = 256,
    PENDING_RECORDS = 4 * VERDICT_BLOCK_RECORDS, /* more wait: a whole rewrite instead */
    OUTDATED_RECORDS = 65536,                    /* a file may hold that many beyond twice */
};

static const uint64_t WRITE_DELAY_NS = 2 * NS_PER_SECOND;

struct entry {
    uint64_t inode, size, mtime_ns, ctime_ns;
    uint32_t device;
    uint32_t next; /* in the bucket: index + 1, 0 ends */
    uint16_t generation;
    uint8_t verdict, reason;
    bool asked; /* since the hand passed */
};

_Static_assert(sizeof(struct entry) == 48, "an entry is 48 bytes");

struct verdict_cache {
    pthread_mutex_t lock;
    struct entry **chunks;
    size_t count, limit, hand;
    uint32_t *buckets;
    size_t bucket_count; /* a power of two */
    uint64_t generations[GENERATIONS];
    size_t generation_count, last_generation;

    /* The writer thread. */
    struct verdict_cache_file *file;
    pthread_t writer;
    pthread_cond_t wake, written;
    struct verdict_record *pending;
    size_t pending_count;
    bool rewrite_needed, closing;
    uint64_t asked_flushes, done_flushes;
};

static struct entry *entry_at(const struct verdict_cache *cache, size_t index)
{
    return &cache->chunks[index / CHUNK_ENTRIES][index % CHUNK_ENTRIES];
}

static size_t bucket_of(const struct verdict_cache *cache, uint64_t inode, uint32_t device)
{
    uint64_t hash = inode + 0x9e3779b97f4a7c15ULL * (device + 1ULL);

    hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9ULL;
    hash = (hash ^ (hash >> 27)) * 0x94d049bb133111ebULL;
    return (size_t)(hash ^ (hash >> 31)) & (cache->bucket_count - 1);
}

static struct entry *find_entry(const struct verdict_cache *cache, uint64_t inode, uint32_t device)
{
    uint32_t at = cache->buckets[bucket_of(cache, inode, device)];

    while (at != 0) {
        struct entry *entry = entry_at(cache, at - 1);
        if (entry->inode == inode && entry->device == device)
            return entry;
        at = entry->next;
    }
    return NULL;
}

static void link_entry(struct verdict_cache *cache, size_t index)
{
    struct entry *entry = entry_at(cache, index);
    uint32_t *bucket = &cache->buckets[bucket_of(cache, entry->inode, entry->device)];

    entry->next = *bucket;
    *bucket = (uint32_t)(index + 1);
}

static void unlink_entry(struct verdict_cache *cache, size_t index)
{
    struct entry *entry = entry_at(cache, index);
    uint32_t *link = &cache->buckets[bucket_of(cache, entry->inode, entry->device)];

    while (*link != index + 1)
        link = &entry_at(cache, *link - 1)->next;
    *link = entry->next;
}

/* Failure is harmless: chains get longer. */
static void grow_buckets(struct verdict_cache *cache)
{
    size_t count = cache->bucket_count * 2;
    uint32_t *buckets = calloc(count, sizeof *buckets);
    if (buckets == NULL)
        return;
    free(cache->buckets);
    cache->buckets = buckets;
    cache->bucket_count = count;
    for (size_t i = 0; i < cache->count; i++)
        link_entry(cache, i);
}

/* An unlinked entry: a new one, or the first that nobody asked for since the last round. */
static struct entry *take_entry(struct verdict_cache *cache, size_t *ret_index)
{
    bool new_chunk = cache->count % CHUNK_ENTRIES == 0;

    if (cache->count < cache->limit && new_chunk)
        cache->chunks[cache->count / CHUNK_ENTRIES] = malloc(CHUNK_ENTRIES * sizeof(struct entry));
    if (cache->count < cache->limit &&
        (!new_chunk || cache->chunks[cache->count / CHUNK_ENTRIES] != NULL)) {
        if (cache->count >= cache->bucket_count)
            grow_buckets(cache);
        *ret_index = cache->count++;
        return entry_at(cache, *ret_index);
    }
    if (cache->count == 0)
        return NULL;
    for (;; cache->hand++) {
        if (cache->hand >= cache->count)
            cache->hand = 0;
        struct entry *entry = entry_at(cache, cache->hand);
        if (!entry->asked)
            break;
        entry->asked = false;
    }
    *ret_index = cache->hand++;
    unlink_entry(cache, *ret_index);
    return entry_at(cache, *ret_index);
}

/* All but the newest generation become "long gone" when the table is full: 256 database updates. */
static void forget_generations(struct verdict_cache *cache)
{
    size_t newest = cache->generation_count - 1;

    for (size_t i = 0; i < cache->count; i++) {
        struct entry *entry = entry_at(cache, i);
        entry->generation = entry->generation == newest ? 1 : 0;
    }
    cache->generations[1] = cache->generations[newest];
    cache->generation_count = 2;
    cache->last_generation = 1;
}

static uint16_t generation_index(struct verdict_cache *cache, uint64_t generation)
{
    if (cache->generations[cache->last_generation] == generation && cache->last_generation > 0)
        return (uint16_t)cache->last_generation;
    for (size_t i = 1; i < cache->generation_count; i++)
        if (cache->generations[i] == generation) {
            cache->last_generation = i;
            return (uint16_t)i;
        }
    if (cache->generation_count == GENERATIONS)
        forget_generations(cache);
    cache->generations[cache->generation_count] = generation;
    cache->last_generation = cache->generation_count++;
    return (uint16_t)cache->last_generation;
}

static bool entry_is_of(const struct entry *entry, const struct file_identity *identity)
{
    return entry->size == identity->size && entry->mtime_ns == identity->mtime_ns &&
           entry->ctime_ns == identity->ctime_ns;
}

/* A device number the kernel uses fits in 32 bits; another one is not remembered. */
static bool key_device(const struct file_identity *identity, uint32_t *ret_device)
{
    *ret_device = (uint32_t)identity->device;
    return *ret_device == identity->device;
}

static struct entry *set_entry(struct verdict_cache *cache, const struct verdict_record *record)
{
    struct entry *entry = find_entry(cache, record->inode, record->device);

    if (entry == NULL) {
        size_t index;
        entry = take_entry(cache, &index);
        if (entry == NULL)
            return NULL;
        entry->inode = record->inode;
        entry->device = record->device;
        link_entry(cache, index);
    }
    entry->size = record->size;
    entry->mtime_ns = record->mtime_ns;
    entry->ctime_ns = record->ctime_ns;
    entry->generation = generation_index(cache, record->generation);
    entry->verdict = record->verdict;
    entry->reason = record->reason;
    entry->asked = false;
    return entry;
}

static void queue_record(struct verdict_cache *cache, const struct verdict_record *record)
{
    if (cache->file == NULL || record->verdict == SCAN_INFECTED)
        return;
    if (cache->pending_count == PENDING_RECORDS) {
        cache->rewrite_needed = true;
        return;
    }
    cache->pending[cache->pending_count++] = *record;
    if (cache->pending_count == 1 || cache->pending_count == VERDICT_BLOCK_RECORDS)
        (void)pthread_cond_signal(&cache->wake);
}

enum verdict_cache_answer verdict_cache_lookup(struct verdict_cache *cache,
                                               const struct file_identity *identity,
                                               uint64_t generation)
{
    enum verdict_cache_answer answer = VERDICT_CACHE_MISS;
    uint32_t device;

    if (!key_device(identity, &device))
        return answer;
    (void)pthread_mutex_lock(&cache->lock);
    struct entry *entry = find_entry(cache, identity->inode, device);
    if (entry != NULL && entry->verdict == SCAN_CLEAN && entry_is_of(entry, identity)) {
        entry->asked = true;
        bool current = entry->generation > 0 && cache->generations[entry->generation] == generation;
        answer = current ? VERDICT_CACHE_HIT : VERDICT_CACHE_STALE;
    }
    (void)pthread_mutex_unlock(&cache->lock);
    return answer;
}

static struct verdict_record record_of(const struct file_identity *identity, uint32_t device)
{
    return (struct verdict_record){
        .inode = identity->inode,
        .size = identity->size,
        .mtime_ns = identity->mtime_ns,
        .ctime_ns = identity->ctime_ns,
        .device = device,
    };
}

void verdict_cache_remember_clean(struct verdict_cache *cache, const struct file_identity *identity,
                                  uint64_t generation)
{
    uint32_t device;

    if (!key_device(identity, &device))
        return;
    struct verdict_record record = record_of(identity, device);
    record.generation = generation;
    record.verdict = SCAN_CLEAN;
    (void)pthread_mutex_lock(&cache->lock);
    if (set_entry(cache, &record) != NULL)
        queue_record(cache, &record);
    (void)pthread_mutex_unlock(&cache->lock);
}

void verdict_cache_note_report(struct verdict_cache *cache, const struct file_identity *identity,
                               const struct scan_result *result)
{
    uint32_t device;

    if (!key_device(identity, &device))
        return;
    struct verdict_record record = record_of(identity, device);
    record.generation = result->generation;
    record.verdict = (uint8_t)result->verdict;
    record.reason = (uint8_t)result->reason;
    (void)pthread_mutex_lock(&cache->lock);
    if (set_entry(cache, &record) != NULL)
        queue_record(cache, &record);
    (void)pthread_mutex_unlock(&cache->lock);
}

bool verdict_cache_is_reported(struct verdict_cache *cache, const struct file_identity *identity,
                               const struct scan_result *result)
{
    uint32_t device;

    if (!key_device(identity, &device))
        return false;
    (void)pthread_mutex_lock(&cache->lock);
    struct entry *entry = find_entry(cache, identity->inode, device);
    bool known = entry != NULL && entry_is_of(entry, identity) &&
                 entry->verdict == result->verdict && entry->reason == result->reason &&
                 entry->generation > 0 &&
                 cache->generations[entry->generation] == result->generation;
    if (known)
        entry->asked = true;
    (void)pthread_mutex_unlock(&cache->lock);
    return known;
}

void verdict_cache_forget_infected(struct verdict_cache *cache)
{
    (void)pthread_mutex_lock(&cache->lock);
    for (size_t i = 0; i < cache->count; i++) {
        struct entry *entry = entry_at(cache, i);
        if (entry->verdict == SCAN_INFECTED)
            entry->generation = 0;
    }
    (void)pthread_mutex_unlock(&cache->lock);
}

uint64_t verdict_cache_count(struct verdict_cache *cache)
{
    (void)pthread_mutex_lock(&cache->lock);
    uint64_t count = cache->count;
    (void)pthread_mutex_unlock(&cache->lock);
    return count;
}

uint64_t verdict_cache_count_stale(struct verdict_cache *cache, uint64_t generation)
{
    uint64_t stale = 0;

    (void)pthread_mutex_lock(&cache->lock);
    for (size_t i = 0; i < cache->count; i++) {
        const struct entry *entry = entry_at(cache, i);
        stale += entry->verdict == SCAN_CLEAN &&
                 (entry->generation == 0 || cache->generations[entry->generation] != generation);
    }
    (void)pthread_mutex_unlock(&cache->lock);
    return stale;
}

/* ---- the writer thread ---- */

/* Copies up to a block of what stands at index and after; the lock is held. */
static size_t copy_records(struct verdict_cache *cache, size_t index,
                           struct verdict_record *records)
{
    size_t count = 0;

    for (size_t end = MIN(cache->count, index + VERDICT_BLOCK_RECORDS); index < end; index++) {
        const struct entry *entry = entry_at(cache, index);
        if (entry->verdict == SCAN_INFECTED || entry->generation == 0)
            continue;
        records[count++] = (struct verdict_record){
            .inode = entry->inode,
            .size = entry->size,
            .mtime_ns = entry->mtime_ns,
            .ctime_ns = entry->ctime_ns,
            .generation = cache->generations[entry->generation],
            .device = entry->device,
            .verdict = entry->verdict,
            .reason = entry->reason,
        };
    }
    return count;
}

/* What is remembered meanwhile waits in pending and follows. The lock is held, and let go while
 * writing. */
static int rewrite_file(struct verdict_cache *cache, struct verdict_record *block)
{
    cache->rewrite_needed = false;
    (void)pthread_mutex_unlock(&cache->lock);
    int r = verdict_cache_file_rewrite_begin(cache->file);
    (void)pthread_mutex_lock(&cache->lock);
    if (r < 0)
        return r;
    for (size_t index = 0; r == 0 && index < cache->count; index += VERDICT_BLOCK_RECORDS) {
        size_t count = copy_records(cache, index, block);
        (void)pthread_mutex_unlock(&cache->lock);
        r = count == 0 ? 0 : verdict_cache_file_append(cache->file, block, count);
        (void)pthread_mutex_lock(&cache->lock);
    }
    (void)pthread_mutex_unlock(&cache->lock);
    if (r == 0)
        r = verdict_cache_file_rewrite_commit(cache->file);
    else
        verdict_cache_file_rewrite_abandon(cache->file);
    (void)pthread_mutex_lock(&cache->lock);
    return r;
}

static bool rewrite_is_due(const struct verdict_cache *cache)
{
    return cache->rewrite_needed ||
           verdict_cache_file_records(cache->file) > 2 * cache->count + OUTDATED_RECORDS;
}

/* A failed write loses hints, not safety: those files are scanned again after a restart. */
static void write_pending(struct verdict_cache *cache, struct verdict_record *block)
{
    while (cache->pending_count > 0) {
        size_t count = MIN(cache->pending_count, (size_t)VERDICT_BLOCK_RECORDS);
        memcpy(block, cache->pending, count * sizeof *block);
        cache->pending_count -= count;
        memmove(cache->pending, cache->pending + count, cache->pending_count * sizeof *block);
        (void)pthread_mutex_unlock(&cache->lock);
        (void)!verdict_cache_file_append(cache->file, block, count);
        (void)pthread_mutex_lock(&cache->lock);
    }
    if (rewrite_is_due(cache))
        (void)!rewrite_file(cache, block);
}

/* Until a block is full, somebody waits for it, or what waits has waited long enough. */
static void wait_for_work(struct verdict_cache *cache)
{
    struct timespec until = {0};
    bool waiting = false;

    while (!cache->closing && cache->asked_flushes == cache->done_flushes &&
           cache->pending_count < VERDICT_BLOCK_RECORDS) {
        if (cache->pending_count == 0) {
            waiting = false;
            (void)pthread_cond_wait(&cache->wake, &cache->lock);
            continue;
        }
        if (!waiting) {
            waiting = true;
            until = clock_wait_until(WRITE_DELAY_NS);
        }
        if (pthread_cond_clockwait(&cache->wake, &cache->lock, CLOCK_MONOTONIC, &until) ==
            ETIMEDOUT)
            return;
    }
}

static void *run_writer(void *argument)
{
    struct verdict_cache *cache = argument;
    struct verdict_record *block = malloc(VERDICT_BLOCK_RECORDS * sizeof *block);

    (void)pthread_mutex_lock(&cache->lock);
    bool ended = false;
    while (!ended) {
        wait_for_work(cache);
        ended = cache->closing;
        uint64_t flushes = cache->asked_flushes;
        if (block != NULL)
            write_pending(cache, block);
        else
            cache->pending_count = 0;
        cache->done_flushes = flushes;
        (void)pthread_cond_broadcast(&cache->written);
    }
    (void)pthread_mutex_unlock(&cache->lock);
    free(block);
    return NULL;
}

void verdict_cache_flush(struct verdict_cache *cache)
{
    if (cache->file == NULL)
        return;
    (void)pthread_mutex_lock(&cache->lock);
    uint64_t mine = ++cache->asked_flushes;
    (void)pthread_cond_signal(&cache->wake);
    while (cache->done_flushes < mine)
        (void)pthread_cond_wait(&cache->written, &cache->lock);
    (void)pthread_mutex_unlock(&cache->lock);
}

/* ---- life ---- */

static void load_record(void *user, const struct verdict_record *record)
{
    struct verdict_cache *cache = user;

    if (record->verdict != SCAN_INFECTED && record->verdict <= SCAN_ERROR)
        (void)set_entry(cache, record);
}

static int allocate(struct verdict_cache *cache)
{
    size_t chunks = cache->limit / CHUNK_ENTRIES + 1;

    cache->bucket_count = FIRST_BUCKETS;
    cache->buckets = calloc(cache->bucket_count, sizeof *cache->buckets);
    cache->chunks = calloc(chunks, sizeof *cache->chunks);
    cache->pending = malloc(PENDING_RECORDS * sizeof *cache->pending);
    return cache->buckets != NULL && cache->chunks != NULL && cache->pending != NULL ? 0 : -ENOMEM;
}

static void release(struct verdict_cache *cache)
{
    for (size_t i = 0; cache->chunks != NULL && i <= cache->limit / CHUNK_ENTRIES; i++)
        free(cache->chunks[i]);
    free(cache->chunks);
    free(cache->buckets);
    free(cache->pending);
    verdict_cache_file_close(cache->file);
    (void)pthread_cond_destroy(&cache->wake);
    (void)pthread_cond_destroy(&cache->written);
    (void)pthread_mutex_destroy(&cache->lock);
    free(cache);
}

int verdict_cache_open(const char *path, size_t limit, struct verdict_cache **ret_cache)
{
    struct verdict_cache *cache = calloc(1, sizeof *cache);
    if (cache == NULL)
        return -ENOMEM;
    (void)pthread_mutex_init(&cache->lock, NULL);
    (void)pthread_cond_init(&cache->wake, NULL);
    (void)pthread_cond_init(&cache->written, NULL);
    cache->limit = limit;
    cache->generation_count = 1;

    int r = allocate(cache);
    if (r == 0 && path != NULL)
        r = verdict_cache_file_open(path, load_record, cache, &cache->file);
    if (r == 0 && path != NULL)
        r = -pthread_create(&cache->writer, NULL, run_writer, cache);
    if (r < 0) {
        release(cache);
        return r;
    }
    *ret_cache = cache;
    return 0;
}

struct verdict_cache *verdict_cache_close(struct verdict_cache *cache)
{
    if (cache == NULL)
        return NULL;
    if (cache->file != NULL) {
        (void)pthread_mutex_lock(&cache->lock);
        cache->closing = true;
        (void)pthread_cond_signal(&cache->wake);
        (void)pthread_mutex_unlock(&cache->lock);
        (void)pthread_join(cache->writer, NULL);
    }
    release(cache);
    return NULL;
}
