/* Owns: reading what was committed, and waiting for more of it. Must not own: the file; a reader
 * has a connection of its own. */
#include "agent/store/store_private.h"
#include "common/time/clock.h"

#include <errno.h>

int store_wait_beyond(struct store *store, uint64_t after_number, uint64_t timeout_ns)
{
    struct timespec deadline = clock_deadline(timeout_ns);
    int r = 0;

    pthread_mutex_lock(&store->mutex);
    while (r == 0 && store->status.last_number <= after_number)
        r = pthread_cond_clockwait(&store->published, &store->mutex, CLOCK_MONOTONIC, &deadline);
    pthread_mutex_unlock(&store->mutex);
    return -r;
}

static void suspect_corruption(struct store *store)
{
    pthread_mutex_lock(&store->mutex);
    store->suspect = true;
    pthread_cond_signal(&store->changed);
    pthread_mutex_unlock(&store->mutex);
}

/* Opening costs more than most reads, so one connection is kept for the next reader. */
static int take_reader(struct store *store, struct database **ret_database,
                       unsigned *ret_generation)
{
    struct database_options options = {.path = store->path, .read_only = true};
    enum database_origin origin;
    char moved_to[4096];

    pthread_mutex_lock(&store->mutex);
    *ret_database = TAKE_POINTER(store->reader);
    *ret_generation = store->file_generation;
    pthread_mutex_unlock(&store->mutex);
    return *ret_database ? 0 : database_open(&options, ret_database, &origin, moved_to);
}

static void give_reader_back(struct store *store, struct database *database, unsigned generation)
{
    (void)sqlite3_db_release_memory(database_handle(database));
    pthread_mutex_lock(&store->mutex);
    if (!store->reader && generation == store->file_generation)
        store->reader = TAKE_POINTER(database);
    pthread_mutex_unlock(&store->mutex);
    database_close(database);
}

int store_read(struct store *store, int (*read)(void *user, sqlite3 *database), void *user)
{
    struct database *database;
    unsigned generation;
    int r;

    r = take_reader(store, &database, &generation);
    if (r == 0) {
        r = read(user, database_handle(database));
        if (r < 0)
            database_close(database);
        else
            give_reader_back(store, database, generation);
    }
    if (r == -EBADMSG)
        suspect_corruption(store);
    return r;
}

struct event_reading {
    const struct event_filter *filter;
    int (*row)(void *user, const struct event_record *event);
    void *user;
};

static int read_events(void *user, sqlite3 *database)
{
    struct event_reading *reading = user;

    return event_table_read(database, reading->filter, reading->row, reading->user);
}

int store_read_events(struct store *store, const struct event_filter *filter,
                      int (*row)(void *user, const struct event_record *event), void *user)
{
    struct event_reading reading = {filter, row, user};

    return store_read(store, read_events, &reading);
}
