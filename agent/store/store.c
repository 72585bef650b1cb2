/* Owns: the store's life, its settings and status. Must not own: the queue (store_queue.c), the
 * file (store_file.c), the writer (store_writer.c), readers (store_reader.c), what the quarantine's
 * tables mean (agent/respond brings its SQL as store_work). */
#include "agent/store/store.h"

#include "agent/store/store_private.h"
#include "common/text/text.h"

#include <errno.h>
#include <string.h>

static const char *const severity_names[] = {"info", "low", "medium", "high", "critical"};

const char *event_severity_name(enum event_severity severity)
{
    return (size_t)severity < ARRAY_LENGTH(severity_names) ? severity_names[severity] : "unknown";
}

int event_severity_parse(const char *name, enum event_severity *ret_severity)
{
    for (size_t i = 0; i < ARRAY_LENGTH(severity_names); i++)
        if (text_equal(name, severity_names[i])) {
            *ret_severity = (enum event_severity)i;
            return 0;
        }
    return -EINVAL;
}

void store_status(struct store *store, struct store_status *ret_status)
{
    pthread_mutex_lock(&store->mutex);
    *ret_status = store->status;
    ret_status->waiting = store->waiting_entries;
    pthread_mutex_unlock(&store->mutex);
}

int store_reconfigure(struct store *store, const struct store_options *options)
{
    pthread_mutex_lock(&store->mutex);
    store->caps = *options;
    store->caps.path = NULL;
    pthread_mutex_unlock(&store->mutex);
    return 0;
}

void store_on_rebuild(struct store *store, void (*rebuilt)(void *user), void *user)
{
    pthread_mutex_lock(&store->mutex);
    store->rebuilt = rebuilt;
    store->rebuilt_user = user;
    pthread_mutex_unlock(&store->mutex);
}

static struct store *free_store(struct store *store)
{
    store_close_file(store);
    pthread_mutex_destroy(&store->mutex);
    pthread_cond_destroy(&store->changed);
    pthread_cond_destroy(&store->published);
    free(store->path);
    free(store);
    return NULL;
}

static int new_store(const struct store_options *options, struct store **ret_store)
{
    struct store *store = calloc(1, sizeof(*store));

    if (!store)
        return -ENOMEM;
    store->path = strdup(options->path);
    if (!store->path) {
        free(store);
        return -ENOMEM;
    }
    store->caps = *options;
    store->caps.path = NULL;
    store_queue_init(&store->waiting);
    pthread_mutex_init(&store->mutex, NULL);
    pthread_cond_init(&store->changed, NULL);
    pthread_cond_init(&store->published, NULL);
    *ret_store = store;
    return 0;
}

int store_open(const struct store_options *options, struct store **ret_store,
               char ret_notice[static 512])
{
    char moved_to[4096];
    struct store *store;
    int r;

    ret_notice[0] = '\0';
    r = new_store(options, &store);
    if (r < 0)
        return r;
    r = store_open_file(store, moved_to);
    if (r == 0 && moved_to[0] != '\0')
        (void)text_format(ret_notice, 512, "the event store was corrupt; moved to %s", moved_to);
    if (r < 0 && !store_is_file_problem(r)) {
        free_store(store);
        return r;
    }
    if (r < 0) {
        store->status.problem = r;
        (void)text_format(ret_notice, 512, "the event store cannot be opened yet: %s",
                          strerrordesc_np(-r));
    }
    r = -pthread_create(&store->writer, NULL, store_writer_main, store);
    if (r < 0) {
        free_store(store);
        return r;
    }
    *ret_store = store;
    return 0;
}

void store_hurry(struct store *store)
{
    pthread_mutex_lock(&store->mutex);
    store->hurried = true;
    pthread_cond_broadcast(&store->changed);
    pthread_mutex_unlock(&store->mutex);
}

struct store *store_close(struct store *store)
{
    if (!store)
        return NULL;
    pthread_mutex_lock(&store->mutex);
    store->stopping = store->hurried = true;
    pthread_cond_broadcast(&store->changed);
    pthread_mutex_unlock(&store->mutex);
    (void)pthread_join(store->writer, NULL);
    return free_store(store);
}
