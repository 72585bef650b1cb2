/* Pages scanned here. Owns: the threads, each with a scanner of its own. */
#include "common/log/log.h"
#include "common/time/clock.h"
#include "storage/bucket/bucket_scan.h"

#include <errno.h>
#include <pthread.h>

#define MOST_WORKERS 256

struct page_workers {
    struct scan_resources *resources;
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    const struct storage_object *objects;
    size_t count, next, left; /* of the page; the next to take; not yet done with */
    struct scan_place *place;
    bool ending;
    size_t threads_count;
    pthread_t threads[MOST_WORKERS];
};

static enum scan_count count_of(const struct storage_result *result)
{
    switch (result->verdict) {
    case STORAGE_CLEAN:
        return result->cached ? SCAN_COUNT_CURRENT : SCAN_COUNT_CLEAN;
    case STORAGE_INFECTED:
        return SCAN_COUNT_INFECTED;
    case STORAGE_INCOMPLETE:
        return SCAN_COUNT_INCOMPLETE;
    case STORAGE_ERROR:
        return SCAN_COUNT_ERROR;
    case STORAGE_SUPERSEDED:
    case STORAGE_DELETED:
        break;
    }
    return SCAN_COUNT_GONE;
}

static enum scan_count scan_one(struct page_workers *workers, struct object_scanner *scanner,
                                const struct storage_object *object)
{
    const uint64_t time_ns =
        storage_settings_number(workers->resources->settings, STORAGE_OBJECT_TIME);
    struct storage_result result;

    for (unsigned i = 0; scanner != NULL && i < PAGE_WORKER_TRIES; i++) {
        const struct scan_order order = {.message_id = "",
                                         .deadline_ns = clock_monotonic_ns() + time_ns,
                                         .again = i > 0};
        if (object_scanner_run(scanner, object, &order, &result) == 0)
            return count_of(&result);
        if (__atomic_load_n(&workers->resources->stopping, __ATOMIC_RELAXED))
            break;
    }
    return SCAN_COUNT_FAILED;
}

static void *serve(void *user)
{
    struct page_workers *workers = user;
    struct object_scanner *scanner = NULL;

    if (object_scanner_new(workers->resources, &scanner) < 0)
        log_error("worker_without_client", NULL);
    (void)pthread_mutex_lock(&workers->lock);
    while (!workers->ending) {
        if (workers->next == workers->count) {
            (void)pthread_cond_wait(&workers->work, &workers->lock);
            continue;
        }
        const struct storage_object *object = &workers->objects[workers->next++];
        (void)pthread_mutex_unlock(&workers->lock);
        enum scan_count count = scan_one(workers, scanner, object);
        (void)pthread_mutex_lock(&workers->lock);
        workers->place->counts[count]++;
        workers->place->bytes += object->size;
        if (--workers->left == 0)
            (void)pthread_cond_signal(&workers->done);
    }
    (void)pthread_mutex_unlock(&workers->lock);
    (void)object_scanner_free(scanner);
    return NULL;
}

/* A page that was ended early is none: its objects are scanned again. */
static int take(void *user, const struct storage_object *objects, size_t count,
                struct scan_place *place)
{
    struct page_workers *workers = user;

    (void)pthread_mutex_lock(&workers->lock);
    workers->objects = objects;
    workers->count = workers->left = count;
    workers->next = 0;
    workers->place = place;
    (void)pthread_cond_broadcast(&workers->work);
    while (workers->left > 0)
        (void)pthread_cond_wait(&workers->done, &workers->lock);
    workers->count = workers->next = 0;
    (void)pthread_mutex_unlock(&workers->lock);
    return __atomic_load_n(&workers->resources->stopping, __ATOMIC_RELAXED) ? -EINTR : 0;
}

struct page_end page_workers_end(struct page_workers *workers)
{
    return (struct page_end){.take = take, .user = workers};
}

int page_workers_new(struct scan_resources *resources, size_t count,
                     struct page_workers **ret_workers)
{
    struct page_workers *workers = calloc(1, sizeof *workers);
    int r = 0;

    if (workers == NULL)
        return -ENOMEM;
    workers->resources = resources;
    (void)pthread_mutex_init(&workers->lock, NULL);
    (void)pthread_cond_init(&workers->work, NULL);
    (void)pthread_cond_init(&workers->done, NULL);
    for (; r == 0 && workers->threads_count < MIN(count, (size_t)MOST_WORKERS);
         workers->threads_count += r == 0)
        r = -pthread_create(&workers->threads[workers->threads_count], NULL, serve, workers);
    if (r < 0) {
        (void)page_workers_free(workers);
        return r;
    }
    *ret_workers = workers;
    return 0;
}

struct page_workers *page_workers_free(struct page_workers *workers)
{
    if (workers == NULL)
        return NULL;
    (void)pthread_mutex_lock(&workers->lock);
    workers->ending = true;
    (void)pthread_cond_broadcast(&workers->work);
    (void)pthread_mutex_unlock(&workers->lock);
    for (size_t i = 0; i < workers->threads_count; i++)
        (void)pthread_join(workers->threads[i], NULL);
    (void)pthread_cond_destroy(&workers->work);
    (void)pthread_cond_destroy(&workers->done);
    (void)pthread_mutex_destroy(&workers->lock);
    free(workers);
    return NULL;
}
