/* Parts of a large object at once. Owns: the threads that fetch them, their clients, and the order
 * in which parts are hashed. */
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "storage/scan/fetch_private.h"

#include <errno.h>
#include <pthread.h>

#define MOST_THREADS 32
#define HASH_BYTES   (256 * 1024)

enum part_state { PART_WAITING, PART_TAKEN, PART_HERE };

/* One object on its way; on the stack of whoever waits for it. */
struct transfer {
    const struct s3_object *object;
    int fd;
    uint64_t size, part_bytes, deadline_ns;
    size_t count, next, busy; /* parts; the next to take; being fetched */
    enum part_state *parts;
    enum aws_outcome outcome; /* of the first that failed */
    char problem[768], code[96];
    struct transfer *following;
};

struct fetch_pool {
    struct aws_settings settings;
    pthread_mutex_t lock;
    pthread_cond_t work, progress;
    struct transfer *first;
    bool ending;
    size_t count;
    pthread_t threads[MOST_THREADS];
};

/* ---- one part ---- */

struct part_taking {
    int fd;
    uint64_t at, end; /* next byte; the first behind it */
    uint64_t first;
};

static int part_begin(void *user, const struct http_answer *answer)
{
    struct part_taking *taking = user;

    taking->at = taking->first;
    return answer->status == 206 ? 0 : -EPROTO;
}

static int part_take(void *user, const void *bytes, size_t length)
{
    struct part_taking *taking = user;
    const char *from = bytes;

    if (length > taking->end - taking->at)
        return -EPROTO;
    while (length > 0) {
        ssize_t written = pwrite(taking->fd, from, length, (off_t)taking->at);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -errno;
        from += written;
        length -= (size_t)written;
        taking->at += (uint64_t)written;
    }
    return 0;
}

static enum aws_outcome fetch_part(struct aws_client *client, struct transfer *transfer,
                                   size_t index, struct aws_answer *answer)
{
    uint64_t first = index * transfer->part_bytes;
    struct part_taking taking = {.fd = transfer->fd,
                                 .at = first,
                                 .first = first,
                                 .end = MIN(first + transfer->part_bytes, transfer->size)};
    const struct http_sink sink = {part_begin, part_take, &taking};
    const struct s3_get get = {.range = true,
                               .first = first,
                               .last = taking.end - 1,
                               .sink = &sink,
                               .maximum_answer = 65536,
                               .timeout_ns = fetch_time_left(transfer->deadline_ns),
                               .stall_timeout_ns = FETCH_STALL_NS};
    struct s3_facts facts;

    enum aws_outcome outcome = s3_get(client, transfer->object, &get, &facts, answer);
    if (outcome == AWS_OK && (taking.at != taking.end || facts.size != transfer->size)) {
        (void)text_copy(answer->problem, sizeof answer->problem,
                        "a part of the object came with another length than was asked for");
        return AWS_UNAVAILABLE;
    }
    return outcome == AWS_TAKER_FAILED && answer->taker_error == -EPROTO ? AWS_UNAVAILABLE
                                                                         : outcome;
}

/* ---- threads ---- */

/* With the lock. NULL when there is nothing to take. */
static struct transfer *find_work(struct fetch_pool *pool)
{
    struct transfer *transfer = pool->first;

    while (transfer != NULL && (transfer->next == transfer->count || transfer->outcome != AWS_OK))
        transfer = transfer->following;
    return transfer;
}

static void note(struct transfer *transfer, size_t index, enum aws_outcome outcome,
                 const struct aws_answer *answer)
{
    transfer->busy--;
    if (outcome == AWS_OK) {
        transfer->parts[index] = PART_HERE;
    } else if (transfer->outcome == AWS_OK) {
        transfer->outcome = outcome;
        (void)text_copy(transfer->problem, sizeof transfer->problem, answer->problem);
        (void)text_copy(transfer->code, sizeof transfer->code, answer->code);
    }
}

static void work_on(struct fetch_pool *pool, struct aws_client *client, struct transfer *transfer)
{
    struct aws_answer answer = {.outcome = AWS_UNAVAILABLE};
    size_t index = transfer->next++;

    transfer->parts[index] = PART_TAKEN;
    transfer->busy++;
    (void)pthread_mutex_unlock(&pool->lock);
    enum aws_outcome outcome =
        client != NULL ? fetch_part(client, transfer, index, &answer) : AWS_UNAVAILABLE;
    (void)pthread_mutex_lock(&pool->lock);
    note(transfer, index, outcome, &answer);
    aws_answer_done(&answer);
    (void)pthread_cond_broadcast(&pool->progress);
}

static void *serve(void *user)
{
    struct fetch_pool *pool = user;
    struct aws_client *client = NULL;

    if (aws_client_new(&pool->settings, NULL, &client) < 0)
        log_error("fetch_thread_without_client", NULL);
    (void)pthread_mutex_lock(&pool->lock);
    while (!pool->ending) {
        struct transfer *transfer = find_work(pool);
        if (transfer != NULL)
            work_on(pool, client, transfer);
        else
            (void)pthread_cond_wait(&pool->work, &pool->lock);
    }
    (void)pthread_mutex_unlock(&pool->lock);
    (void)aws_client_free(client);
    return NULL;
}

int fetch_pool_new(const struct aws_settings *settings, size_t threads,
                   struct fetch_pool **ret_pool)
{
    if (threads <= 1) {
        *ret_pool = NULL;
        return 0;
    }
    struct fetch_pool *pool = calloc(1, sizeof *pool);
    if (pool == NULL)
        return -ENOMEM;
    pool->settings = *settings;
    (void)pthread_mutex_init(&pool->lock, NULL);
    (void)pthread_cond_init(&pool->work, NULL);
    (void)pthread_cond_init(&pool->progress, NULL);
    int r = 0;
    for (; r == 0 && pool->count < MIN(threads, (size_t)MOST_THREADS); pool->count += r == 0)
        r = -pthread_create(&pool->threads[pool->count], NULL, serve, pool);
    if (r < 0) {
        (void)fetch_pool_free(pool);
        return r;
    }
    *ret_pool = pool;
    return 0;
}

struct fetch_pool *fetch_pool_free(struct fetch_pool *pool)
{
    if (pool == NULL)
        return NULL;
    (void)pthread_mutex_lock(&pool->lock);
    pool->ending = true;
    (void)pthread_cond_broadcast(&pool->work);
    (void)pthread_mutex_unlock(&pool->lock);
    for (size_t i = 0; i < pool->count; i++)
        (void)pthread_join(pool->threads[i], NULL);
    (void)pthread_cond_destroy(&pool->work);
    (void)pthread_cond_destroy(&pool->progress);
    (void)pthread_mutex_destroy(&pool->lock);
    aws_settings_wipe(&pool->settings);
    free(pool);
    return NULL;
}

/* ---- a transfer ---- */

static int hash_part(const struct transfer *transfer, size_t index, struct sha256 *hash,
                     char *bytes)
{
    uint64_t at = index * transfer->part_bytes;
    uint64_t end = MIN(at + transfer->part_bytes, transfer->size);

    while (at < end) {
        ssize_t got =
            pread(transfer->fd, bytes, (size_t)MIN(end - at, (uint64_t)HASH_BYTES), (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -errno : -EIO;
        int r = sha256_update(hash, bytes, (size_t)got);
        if (r < 0)
            return r;
        at += (uint64_t)got;
    }
    return 0;
}

/* Hashes each part as soon as it and all before it are here. With the lock; the transfer is no
 * longer used by others when it returns. */
static int follow(struct fetch_pool *pool, struct transfer *transfer, struct sha256 *hash,
                  char *bytes)
{
    int r = 0;

    for (size_t i = 0; i < transfer->count && transfer->outcome == AWS_OK && r == 0;) {
        if (transfer->parts[i] != PART_HERE) {
            (void)pthread_cond_wait(&pool->progress, &pool->lock);
            continue;
        }
        (void)pthread_mutex_unlock(&pool->lock);
        r = hash_part(transfer, i++, hash, bytes);
        (void)pthread_mutex_lock(&pool->lock);
    }
    if (r < 0 && transfer->outcome == AWS_OK)
        transfer->outcome = AWS_TAKER_FAILED;
    while (transfer->busy > 0)
        (void)pthread_cond_wait(&pool->progress, &pool->lock);
    return r;
}

static void enter(struct fetch_pool *pool, struct transfer *transfer)
{
    struct transfer **last = &pool->first;

    while (*last != NULL)
        last = &(*last)->following;
    *last = transfer;
    (void)pthread_cond_broadcast(&pool->work);
}

static void leave(struct fetch_pool *pool, struct transfer *transfer)
{
    struct transfer **at = &pool->first;

    while (*at != transfer)
        at = &(*at)->following;
    *at = transfer->following;
}

static int finish_hash(struct sha256 *hash, struct fetched *fetched)
{
    uint8_t digest[SHA256_BYTES];

    int r = sha256_finish(hash, digest);
    if (r == 0)
        text_hex(fetched->sha256, digest, sizeof digest);
    return r;
}

static enum aws_outcome run_transfer(struct fetch_pool *pool, struct transfer *transfer,
                                     struct fetched *fetched)
{
    struct sha256 *hash = NULL;
    AUTO_FREE char *bytes = malloc(HASH_BYTES);

    int r = bytes != NULL ? sha256_new(&hash) : -ENOMEM;
    if (r == 0) {
        (void)pthread_mutex_lock(&pool->lock);
        enter(pool, transfer);
        r = follow(pool, transfer, hash, bytes);
        leave(pool, transfer);
        (void)pthread_mutex_unlock(&pool->lock);
    }
    if (r == 0 && transfer->outcome == AWS_OK)
        r = finish_hash(hash, fetched);
    (void)sha256_free(hash);
    (void)text_copy(fetched->problem, sizeof fetched->problem,
                    r < 0 ? log_error_text(r) : transfer->problem);
    (void)text_copy(fetched->code, sizeof fetched->code, transfer->code);
    return r < 0 ? AWS_TAKER_FAILED : transfer->outcome;
}

enum aws_outcome fetch_parts(struct fetch_pool *pool, uint64_t part_bytes,
                             const struct s3_object *object, uint64_t deadline_ns,
                             struct fetched *fetched)
{
    struct transfer transfer = {.object = object,
                                .fd = fetched->fd,
                                .size = fetched->facts.size,
                                .part_bytes = part_bytes,
                                .deadline_ns = deadline_ns,
                                .outcome = AWS_OK};

    transfer.count = (size_t)((transfer.size + part_bytes - 1) / part_bytes);
    transfer.parts = calloc(transfer.count, sizeof *transfer.parts);
    enum aws_outcome outcome =
        transfer.parts != NULL ? run_transfer(pool, &transfer, fetched) : AWS_TAKER_FAILED;
    free(transfer.parts);
    return outcome;
}
