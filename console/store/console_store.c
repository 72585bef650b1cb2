/* Owns the writer thread, the queue in front of it and the readers. Must not know any table. Hands
 * connections to work, and results back after COMMIT. */
#include "console/store/console_store.h"

#include "common/limits.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#define READERS           8
#define GATHERED_NS       (5 * NS_PER_MS) /* how long work of a kind waits for more of it */
#define EPOCH_2020_MS     1577836800000LL
#define NUMBER_TIME_BITS  22
#define ATTEMPTS          5
#define NUMBER_COUNT_BITS 12
#define NUMBER_COUNTS     (1 << NUMBER_COUNT_BITS)
#define NUMBER_NODES      1024

struct console_store {
    struct sql *writer;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct console_store_piece *first, **last;
    atomic_size_t waiting;
    bool closing;
    bool hurried; /* what waits is not to wait for more */
    struct console_store_status status;

    char *path;
    pthread_mutex_t readers_lock;
    pthread_cond_t reader_free;
    struct sql *readers[READERS]; /* idle ones */
    size_t idle_readers, open_readers;
};

int64_t console_store_now_ms(void)
{
    return (int64_t)(clock_realtime_ns() / NS_PER_MS);
}

int64_t console_store_number_at(int64_t time_ms)
{
    int64_t since = time_ms - EPOCH_2020_MS;
    if (since > INT64_MAX >> NUMBER_TIME_BITS) /* from 2089 on */
        return INT64_MAX;
    return since <= 0 ? 0 : since << NUMBER_TIME_BITS;
}

int64_t console_store_number_time(int64_t number)
{
    return (number >> NUMBER_TIME_BITS) + EPOCH_2020_MS;
}

/* Which of the nodes on one database this process is; chosen at each start. */
static int64_t node_number;

int64_t console_store_new_number(void)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static int64_t last_ms, counter;
    (void)pthread_mutex_lock(&lock);
    int64_t now = console_store_now_ms();
    if (now > last_ms) {
        last_ms = now;
        counter = 0;
    } else if (++counter ==
               NUMBER_COUNTS) { /* more in one ms than fit, or a clock that went back */
        last_ms++;
        counter = 0;
    }
    int64_t number = console_store_number_at(last_ms) | node_number << NUMBER_COUNT_BITS | counter;
    (void)pthread_mutex_unlock(&lock);
    return number;
}

static int count_start(struct sql *sql)
{
    int r = sql_begin(sql);
    if (r == 0)
        r = sql_run(sql,
                    "INSERT INTO node_starts (id, starts) VALUES (1, 1) ON CONFLICT (id)"
                    " DO UPDATE SET starts = node_starts.starts + 1",
                    NULL, "");
    AUTO_STATEMENT struct sql_statement *row = NULL;
    if (r == 0)
        r = sql_run(sql, "SELECT starts FROM node_starts WHERE id = 1", &row, "");
    if (r == 1)
        node_number = sql_number(row, 0) % NUMBER_NODES;
    if (r >= 0)
        r = sql_commit(sql);
    if (r < 0)
        sql_rollback(sql);
    return r;
}

static int choose_node(struct sql *sql)
{
    int r = -EAGAIN;
    for (unsigned i = 0; r == -EAGAIN && i < ATTEMPTS; i++)
        r = count_start(sql);
    return r;
}

/* --- writer */

/* Without room or memory SQLite ends the transaction itself, and there is nothing to go back to:
 * then all of it has failed for that reason. */
static int undo(struct sql *sql, int why)
{
    int r = sql_undo(sql);
    return r == -EINVAL ? why : r;
}

static int run_piece(struct sql *sql, struct console_store_piece *piece)
{
    int r = sql_mark(sql);
    if (r < 0)
        return r;
    sql_disturb(sql, NULL);
    piece->result = piece->work(sql, piece->user);
    if (piece->result == -EAGAIN)
        return -EAGAIN;
    return piece->result < 0 ? undo(sql, piece->result) : sql_unmark(sql);
}

/* All pieces of one kind that have not run. */
static int run_kind(struct sql *sql, struct console_store_piece *first)
{
    struct console_store_piece *pieces[CONSOLE_STORE_AT_ONCE];
    void *users[CONSOLE_STORE_AT_ONCE];
    int results[CONSOLE_STORE_AT_ONCE];
    size_t count = 0;
    for (struct console_store_piece *piece = first; piece; piece = piece->next) {
        if (piece->kind != first->kind || piece->ran)
            continue;
        users[count] = piece->user;
        pieces[count++] = piece;
    }
    int r = sql_mark(sql);
    if (r < 0)
        return r;
    sql_disturb(sql, first->kind);
    r = first->kind->many(sql, users, results, count);
    if (r == -EAGAIN)
        return r;
    bool undone = r < 0;
    for (size_t i = 0; i < count; i++) {
        pieces[i]->ran = !undone && results[i] != CONSOLE_STORE_ALONE;
        pieces[i]->result = pieces[i]->ran ? results[i] : 0;
    }
    return undone ? undo(sql, r) : sql_unmark(sql);
}

static int run_kinds(struct sql *sql, struct console_store_piece *pieces)
{
    const struct console_store_kind *ran = NULL; /* there is hardly ever a second one */
    int r = 0;
    for (struct console_store_piece *piece = pieces; r == 0 && piece; piece = piece->next) {
        if (!piece->kind || piece->kind == ran || piece->ran)
            continue;
        ran = piece->kind;
        r = run_kind(sql, piece);
    }
    return r;
}

static int run_transaction(struct sql *sql, struct console_store_piece *pieces)
{
    for (struct console_store_piece *piece = pieces; piece; piece = piece->next)
        piece->ran = false;
    int r = sql_begin(sql);
    if (r == 0)
        r = run_kinds(sql, pieces);
    for (struct console_store_piece *piece = pieces; r == 0 && piece; piece = piece->next)
        if (!piece->ran)
            r = run_piece(sql, piece);
    if (r == 0)
        r = sql_commit(sql);
    if (r < 0)
        sql_rollback(sql);
    return r;
}

static void finish_pieces(struct console_store_piece *piece, int result)
{
    while (piece) {
        struct console_store_piece *next = piece->next;
        bool ours = piece->ours; /* another's may be gone after done */
        if (piece->done)
            piece->done(piece->user, result < 0 ? result : piece->result);
        if (ours)
            free(piece);
        piece = next;
    }
}

static void commit_pieces(struct console_store *store, struct console_store_piece *pieces)
{
    int r = -EAGAIN;
    for (unsigned i = 0; r == -EAGAIN && i < ATTEMPTS; i++)
        r = run_transaction(store->writer, pieces);
    uint64_t works = 0;
    for (const struct console_store_piece *piece = pieces; piece; piece = piece->next)
        works++;
    (void)pthread_mutex_lock(&store->lock);
    store->status.transactions++;
    store->status.works += works;
    store->status.problem = r;
    if (r < 0)
        store->status.failures++;
    (void)pthread_mutex_unlock(&store->lock);
    finish_pieces(pieces, r);
}

/* The oldest, as many as a transaction takes. */
static struct console_store_piece *take_pieces(struct console_store *store)
{
    struct console_store_piece *pieces = store->first, **end = &store->first;
    for (size_t i = 0; i < CONSOLE_STORE_AT_ONCE && *end; i++) {
        end = &(*end)->next;
        atomic_fetch_sub(&store->waiting, 1);
    }
    store->first = *end;
    *end = NULL;
    if (!store->first) {
        store->last = &store->first;
        store->hurried = false;
    }
    return pieces;
}

/* Under the lock: until there is work that does not wait for more. */
static void wait_for_work(struct console_store *store)
{
    while (!store->first && !store->closing)
        (void)pthread_cond_wait(&store->wake, &store->lock);
    uint64_t until = clock_monotonic_ns() + GATHERED_NS;
    struct timespec end = {.tv_sec = (time_t)(until / NS_PER_SECOND),
                           .tv_nsec = (long)(until % NS_PER_SECOND)};
    int r = 0;
    while (r == 0 && !store->hurried && !store->closing)
        r = pthread_cond_timedwait(&store->wake, &store->lock, &end);
}

static void *write_loop(void *user)
{
    struct console_store *store = user;
    for (;;) {
        (void)pthread_mutex_lock(&store->lock);
        wait_for_work(store);
        struct console_store_piece *pieces = take_pieces(store);
        (void)pthread_mutex_unlock(&store->lock);
        if (!pieces)
            return NULL;
        commit_pieces(store, pieces);
    }
}

static int submit(struct console_store *store, struct console_store_piece *piece, bool hurried)
{
    (void)pthread_mutex_lock(&store->lock);
    int r = store->closing                                              ? -ESHUTDOWN
            : atomic_load(&store->waiting) >= LIMIT_CONSOLE_STORE_QUEUE ? -ENOBUFS
                                                                        : 0;
    if (r == 0) {
        bool wake = !store->first || (hurried && !store->hurried);
        *store->last = piece;
        store->last = &piece->next;
        store->hurried |= hurried;
        atomic_fetch_add(&store->waiting, 1);
        if (wake)
            (void)pthread_cond_signal(&store->wake);
    }
    (void)pthread_mutex_unlock(&store->lock);
    return r;
}

int console_store_submit(struct console_store *store, console_store_work *work,
                         console_store_done *done, void *user)
{
    struct console_store_piece *piece = malloc(sizeof(*piece));
    if (!piece)
        return -ENOMEM;
    *piece = (struct console_store_piece){.work = work, .done = done, .user = user, .ours = true};
    int r = submit(store, piece, true);
    if (r < 0)
        free(piece);
    return r;
}

int console_store_submit_kind(struct console_store *store, const struct console_store_kind *kind,
                              struct console_store_piece *piece, void *user)
{
    *piece = (struct console_store_piece){
        .kind = kind, .work = kind->alone, .done = kind->done, .user = user};
    return submit(store, piece, false);
}

void console_store_hurry(struct console_store *store)
{
    (void)pthread_mutex_lock(&store->lock);
    if (store->first && !store->hurried) {
        store->hurried = true;
        (void)pthread_cond_signal(&store->wake);
    }
    (void)pthread_mutex_unlock(&store->lock);
}

struct waiter {
    console_store_work *work;
    void *user;
    pthread_mutex_t lock;
    pthread_cond_t finished;
    bool done;
    int result;
};

static int run_waiting(struct sql *sql, void *user)
{
    struct waiter *waiter = user;
    return waiter->work(sql, waiter->user);
}

static void wake_waiter(void *user, int result)
{
    struct waiter *waiter = user;
    (void)pthread_mutex_lock(&waiter->lock);
    waiter->result = result;
    waiter->done = true;
    (void)pthread_cond_signal(&waiter->finished);
    (void)pthread_mutex_unlock(&waiter->lock);
}

int console_store_write(struct console_store *store, console_store_work *work, void *user)
{
    struct waiter waiter = {.work = work,
                            .user = user,
                            .lock = PTHREAD_MUTEX_INITIALIZER,
                            .finished = PTHREAD_COND_INITIALIZER};
    int r = console_store_submit(store, run_waiting, wake_waiter, &waiter);
    if (r < 0)
        return r;
    (void)pthread_mutex_lock(&waiter.lock);
    while (!waiter.done)
        (void)pthread_cond_wait(&waiter.finished, &waiter.lock);
    (void)pthread_mutex_unlock(&waiter.lock);
    return waiter.result;
}

/* --- readers */

static int open_sql(const char *place, bool read_only, struct sql **ret_sql,
                    char ret_notice[static 512])
{
    return sql_is_postgres_url(place) ? sql_open_postgres(place, read_only, ret_sql, ret_notice)
                                      : sql_open_sqlite(place, read_only, ret_sql, ret_notice);
}

static int take_reader(struct console_store *store, bool wait, struct sql **ret_sql)
{
    int r = 0;
    char notice[512];
    (void)pthread_mutex_lock(&store->readers_lock);
    while (wait && store->idle_readers == 0 && store->open_readers == READERS)
        (void)pthread_cond_wait(&store->reader_free, &store->readers_lock);
    if (store->idle_readers == 0 && store->open_readers == READERS) {
        r = -EBUSY;
    } else if (store->idle_readers > 0) {
        *ret_sql = store->readers[--store->idle_readers];
    } else {
        r = open_sql(store->path, true, ret_sql, notice);
        if (r == 0)
            store->open_readers++;
    }
    (void)pthread_mutex_unlock(&store->readers_lock);
    return r;
}

static void return_reader(struct console_store *store, struct sql *sql)
{
    (void)pthread_mutex_lock(&store->readers_lock);
    store->readers[store->idle_readers++] = sql;
    (void)pthread_cond_signal(&store->reader_free);
    (void)pthread_mutex_unlock(&store->readers_lock);
}

static int read_with(struct console_store *store, bool wait, console_store_work *work, void *user)
{
    struct sql *sql = NULL;
    int r = take_reader(store, wait, &sql);
    if (r < 0)
        return r;
    r = work(sql, user);
    return_reader(store, sql);
    return r;
}

int console_store_read(struct console_store *store, console_store_work *work, void *user)
{
    return read_with(store, true, work, user);
}

int console_store_read_now(struct console_store *store, console_store_work *work, void *user)
{
    return read_with(store, false, work, user);
}

/* --- life */

int console_store_open(const char *path, struct console_store **ret_store,
                       char ret_notice[static 512])
{
    struct console_store *store = calloc(1, sizeof(*store));
    if (!store)
        return -ENOMEM;
    store->last = &store->first;
    (void)pthread_mutex_init(&store->lock, NULL);
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&store->wake, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    (void)pthread_mutex_init(&store->readers_lock, NULL);
    (void)pthread_cond_init(&store->reader_free, NULL);
    store->path = strdup(path);
    ret_notice[0] = '\0';
    int r = store->path ? open_sql(path, false, &store->writer, ret_notice) : -ENOMEM;
    if (r == 0)
        r = choose_node(store->writer);
    if (r == 0)
        r = -pthread_create(&store->thread, NULL, write_loop, store);
    if (r < 0) {
        (void)sql_close(store->writer);
        free(store->path);
        free(store);
        return r;
    }
    *ret_store = store;
    return 0;
}

struct console_store *console_store_close(struct console_store *store)
{
    if (!store)
        return NULL;
    (void)pthread_mutex_lock(&store->lock);
    store->closing = true;
    (void)pthread_cond_signal(&store->wake);
    (void)pthread_mutex_unlock(&store->lock);
    (void)pthread_join(store->thread, NULL);
    for (size_t i = 0; i < store->idle_readers; i++)
        (void)sql_close(store->readers[i]);
    (void)sql_close(store->writer); /* the last one: it takes SQLite's log into the file */
    (void)pthread_cond_destroy(&store->reader_free);
    (void)pthread_mutex_destroy(&store->readers_lock);
    (void)pthread_cond_destroy(&store->wake);
    (void)pthread_mutex_destroy(&store->lock);
    free(store->path);
    free(store);
    return NULL;
}

bool console_store_is_shared(const struct console_store *store)
{
    return sql_is_postgres_url(store->path);
}

size_t console_store_waiting(struct console_store *store)
{
    return atomic_load(&store->waiting);
}

void console_store_status(struct console_store *store, struct console_store_status *ret_status)
{
    (void)pthread_mutex_lock(&store->lock);
    *ret_status = store->status;
    (void)pthread_mutex_unlock(&store->lock);
}

const char *console_store_cure(int problem)
{
    switch (problem) {
    case -ENOSPC:
        return "make room on the disk of the data folder; agents keep their events until then";
    case -EBADMSG:
        return "the database is corrupt: stop the console, and restore a backup";
    case -EAGAIN:
        return "another program holds the database, or it cannot be reached";
    case -EIO:
    case -EROFS:
        return "look at the disk of the data folder, and at the kernel's log";
    default:
        return "look at the database";
    }
}
