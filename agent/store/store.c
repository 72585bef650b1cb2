/* Owns: the event file, its writer thread, and the queue in front of it.
 * Must not own: what the quarantine's tables mean (agent/respond brings its SQL as store_work), nor
 * who reads. Hand-off: an entry is the caller's until store_append returns 0, then the writer's,
 * which gives it back by calling committed once. */
#include "agent/store/store.h"

#include "agent/store/event_table.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

/* Entries of one transaction: bounds how long a commit may take. */
#define GROUP_ENTRIES 4096
/* Pages of the log after which it is copied into the file; when busy, only after the larger one. */
#define CHECKPOINT_PAGES      2000
#define CHECKPOINT_BUSY_PAGES 16000
#define RETRY_FIRST           (50 * NS_PER_MS)
#define RETRY_LONGEST         (5 * NS_PER_SECOND)

struct entry {
    struct entry *next;
    struct event_record event; /* its strings stand behind the entry */
    bool has_event;
    store_work *work;
    store_committed *committed;
    void *user;
    size_t bytes;
    int result;
};

struct queue {
    struct entry *first, **last;
};

struct store {
    char *path;
    pthread_t writer;

    pthread_mutex_t mutex; /* guards what follows, up to the writer's own */
    pthread_cond_t changed;
    pthread_cond_t published; /* status has moved on */
    struct queue waiting;
    uint64_t waiting_entries, waiting_bytes;
    struct store_options caps;
    struct store_status status;
    bool stopping, suspect;
    void (*rebuilt)(void *user);
    void *rebuilt_user;

    /* the writer's own */
    struct database *database;
    struct event_table table;
    int log_pages;
    uint64_t retry_ns;
};

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

/* ---- the queue ---- */

static void queue_init(struct queue *queue)
{
    queue->first = NULL;
    queue->last = &queue->first;
}

static void queue_push(struct queue *queue, struct entry *entry)
{
    entry->next = NULL;
    *queue->last = entry;
    queue->last = &entry->next;
}

static struct entry *queue_pop(struct queue *queue)
{
    struct entry *entry = queue->first;

    if (entry) {
        queue->first = entry->next;
        if (!queue->first)
            queue->last = &queue->first;
    }
    return entry;
}

/* Cuts at a whole character, which is at most four bytes long. */
static size_t cut_length(const char *text, size_t maximum)
{
    size_t length = strnlen(text, maximum + 1);

    if (length <= maximum)
        return length;
    length = maximum;
    while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
        length--;
    return length;
}

static char *copy_into(char **space, const char *text, size_t length)
{
    char *copy = *space;

    memcpy(copy, text, length);
    copy[length] = '\0';
    *space += length + 1;
    return copy;
}

static int make_entry(const struct event_draft *draft, struct entry **ret_entry)
{
    static const char too_long[] = "{\"error\":\"the detail was longer than an event may be\"}";
    const char *subject = draft->subject ?: "", *detail = draft->detail ?: "{}";
    size_t subject_length = cut_length(subject, LIMIT_EVENT_SUBJECT_BYTES);
    size_t module_length = strlen(draft->module), kind_length = strlen(draft->kind);
    size_t detail_length, bytes;
    struct entry *entry;
    char *space;
    int r;

    if (strnlen(detail, LIMIT_EVENT_DETAIL_BYTES + 1) > LIMIT_EVENT_DETAIL_BYTES)
        detail = too_long;
    detail_length = strlen(detail);
    bytes = sizeof(*entry) + subject_length + module_length + kind_length + detail_length + 4;
    entry = malloc(bytes);
    if (!entry)
        return -ENOMEM;
    space = (char *)(entry + 1);
    *entry = (struct entry){.bytes = bytes, .has_event = true};
    entry->event.module = copy_into(&space, draft->module, module_length);
    entry->event.kind = copy_into(&space, draft->kind, kind_length);
    entry->event.subject = copy_into(&space, subject, subject_length);
    entry->event.detail = copy_into(&space, detail, detail_length);
    entry->event.severity = draft->severity;
    entry->event.time_ns = draft->time_ns ?: clock_realtime_ns();
    r = uuid_new(entry->event.id);
    if (r < 0) {
        free(entry);
        return r;
    }
    *ret_entry = entry;
    return 0;
}

static int enqueue(struct store *store, struct entry *entry)
{
    int r = 0;

    pthread_mutex_lock(&store->mutex);
    if (store->stopping)
        r = -ESHUTDOWN;
    else if (store->waiting_entries >= LIMIT_STORE_QUEUE ||
             store->waiting_bytes + entry->bytes > LIMIT_STORE_QUEUE_BYTES)
        r = -ENOBUFS;
    if (r == 0) {
        queue_push(&store->waiting, entry);
        store->waiting_entries++;
        store->waiting_bytes += entry->bytes;
        pthread_cond_signal(&store->changed);
    }
    pthread_mutex_unlock(&store->mutex);
    if (r < 0)
        free(entry);
    return r;
}

int store_append(struct store *store, const struct event_draft *draft, store_work *work,
                 store_committed *committed, void *user)
{
    struct entry *entry;
    int r;

    if (draft) {
        r = make_entry(draft, &entry);
        if (r < 0)
            return r;
    } else {
        entry = calloc(1, sizeof(*entry));
        if (!entry)
            return -ENOMEM;
        entry->bytes = sizeof(*entry);
    }
    entry->work = work;
    entry->committed = committed;
    entry->user = user;
    return enqueue(store, entry);
}

int store_run(struct store *store, store_work *work, store_committed *committed, void *user)
{
    return store_append(store, NULL, work, committed, user);
}

int store_flush(struct store *store, store_committed *done, void *user)
{
    return store_append(store, NULL, NULL, done, user);
}

struct waiter {
    pthread_mutex_t mutex;
    pthread_cond_t done;
    bool finished;
    int result;
    uint64_t number;
    store_work *work;
    void *user;
};

static void wake_waiter(void *user, int result, uint64_t number)
{
    struct waiter *waiter = user;

    pthread_mutex_lock(&waiter->mutex);
    waiter->finished = true;
    waiter->result = result;
    waiter->number = number;
    pthread_cond_signal(&waiter->done);
    pthread_mutex_unlock(&waiter->mutex);
}

static int waiter_work(void *user, sqlite3 *database)
{
    struct waiter *waiter = user;

    return waiter->work(waiter->user, database);
}

int store_append_wait(struct store *store, const struct event_draft *draft, store_work *work,
                      void *user, uint64_t *ret_number)
{
    struct waiter waiter = {.mutex = PTHREAD_MUTEX_INITIALIZER,
                            .done = PTHREAD_COND_INITIALIZER,
                            .work = work,
                            .user = user};
    int r;

    r = store_append(store, draft, work ? waiter_work : NULL, wake_waiter, &waiter);
    if (r < 0)
        return r;
    pthread_mutex_lock(&waiter.mutex);
    while (!waiter.finished)
        pthread_cond_wait(&waiter.done, &waiter.mutex);
    pthread_mutex_unlock(&waiter.mutex);
    if (waiter.result == 0 && ret_number)
        *ret_number = waiter.number;
    return waiter.result;
}

struct acknowledgement {
    struct store *store;
    uint64_t number;
    store_committed *committed;
    void *user;
};

static int acknowledge_work(void *user, sqlite3 *database UNUSED)
{
    struct acknowledgement *acknowledgement = user;

    return event_table_acknowledge(&acknowledgement->store->table, acknowledgement->number);
}

static void acknowledged(void *user, int result, uint64_t number)
{
    struct acknowledgement *acknowledgement = user;

    if (acknowledgement->committed)
        acknowledgement->committed(acknowledgement->user, result, number);
    free(acknowledgement);
}

int store_acknowledge(struct store *store, uint64_t number, store_committed *committed, void *user)
{
    struct acknowledgement *acknowledgement = malloc(sizeof(*acknowledgement));
    int r;

    if (!acknowledgement)
        return -ENOMEM;
    *acknowledgement = (struct acknowledgement){store, number, committed, user};
    r = store_run(store, acknowledge_work, acknowledged, acknowledgement);
    if (r < 0)
        free(acknowledgement);
    return r;
}

void store_status(struct store *store, struct store_status *ret_status)
{
    pthread_mutex_lock(&store->mutex);
    *ret_status = store->status;
    ret_status->waiting = store->waiting_entries;
    pthread_mutex_unlock(&store->mutex);
}

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

/* ---- the writer's file ---- */

/* Errors of the file rather than of one entry: the group is kept and tried again. */
static bool is_file_problem(int error)
{
    switch (error) {
    case -ENOSPC:
    case -EIO:
    case -EROFS:
    case -EBUSY:
    case -ENOMEM:
    case -EBADMSG:
    case -EACCES:
    case -EDQUOT:
        return true;
    default:
        return false;
    }
}

static void set_problem(struct store *store, int problem)
{
    pthread_mutex_lock(&store->mutex);
    store->status.problem = problem;
    pthread_mutex_unlock(&store->mutex);
}

static int count_log_pages(void *user, sqlite3 *database UNUSED, const char *name UNUSED, int pages)
{
    struct store *store = user;

    store->log_pages = pages;
    return SQLITE_OK;
}

static void publish_status(struct store *store)
{
    uint64_t bytes = 0;
    int r = event_table_bytes(&store->table, &bytes);

    pthread_mutex_lock(&store->mutex);
    (void)text_copy(store->status.epoch, sizeof(store->status.epoch), store->table.epoch);
    store->status.last_number = store->table.next_number - 1;
    store->status.acknowledged_number = store->table.acknowledged;
    store->status.dropped = store->table.dropped;
    if (r == 0)
        store->status.bytes = bytes;
    store->status.problem = 0;
    (void)pthread_cond_broadcast(&store->published);
    pthread_mutex_unlock(&store->mutex);
}

static void tell_rebuilt(struct store *store, const char *moved_to)
{
    AUTO_FREE char *shown = text_escape_new(moved_to, strlen(moved_to));
    struct event_draft draft = {.module = "agent",
                                .kind = "store_rebuilt",
                                .severity = EVENT_HIGH,
                                .subject = shown,
                                .detail = "{\"why\":\"the event store was corrupt: it was moved "
                                          "aside and a new epoch begun\"}"};
    int r;

    r = store_append(store, &draft, NULL, NULL, NULL);
    (void)r; /* a full queue: the new epoch tells the same */
}

static void configure_log(struct store *store)
{
    sqlite3 *handle = database_handle(store->database);
    int keep = 1;

    /* The log is copied into the file between groups, not inside a commit that others wait for; it
     * is kept at its size, because overwriting is synced faster than growing. */
    (void)sqlite3_wal_autocheckpoint(handle, 0);
    (void)sqlite3_wal_hook(handle, count_log_pages, store);
    (void)sqlite3_file_control(handle, "main", SQLITE_FCNTL_PERSIST_WAL, &keep);
}

static int open_file(struct store *store, char ret_moved_to[static 4096])
{
    struct database_options options = {.path = store->path,
                                       .migrations = store_migrations,
                                       .migration_count = store_migration_count};
    enum database_origin origin;
    int r;

    r = database_open(&options, &store->database, &origin, ret_moved_to);
    if (r < 0)
        return r;
    configure_log(store);
    r = event_table_open(&store->table, store->database);
    if (r < 0) {
        store->database = database_close(store->database);
        return r;
    }
    publish_status(store);
    if (origin == DATABASE_REBUILT)
        tell_rebuilt(store, ret_moved_to);
    return 0;
}

static void close_file(struct store *store)
{
    if (!store->database)
        return;
    event_table_close(&store->table);
    store->database = database_close(store->database);
}

/* Opens the file again after it was found corrupt or could not be opened. */
static int ensure_open(struct store *store)
{
    char moved_to[4096];
    void (*rebuilt)(void *user) = NULL;
    void *user = NULL;
    int r;

    if (store->database)
        return 0;
    r = open_file(store, moved_to);
    if (r < 0)
        return r;
    pthread_mutex_lock(&store->mutex);
    if (moved_to[0] != '\0') {
        rebuilt = store->rebuilt;
        user = store->rebuilt_user;
    }
    pthread_mutex_unlock(&store->mutex);
    if (rebuilt)
        rebuilt(user);
    return 0;
}

/* ---- groups ---- */

static int insert_event(struct store *store, struct entry *entry, uint64_t committed_ns)
{
    if (!entry->has_event)
        return 0;
    entry->event.committed_ns = committed_ns;
    entry->event.number = store->table.next_number;
    return event_table_insert(&store->table, &entry->event);
}

/* An entry with work succeeds or fails as a whole: a savepoint undoes its part. */
static int write_with_work(struct store *store, struct entry *entry, uint64_t committed_ns)
{
    sqlite3 *handle = database_handle(store->database);
    struct event_table before = store->table;
    int r;

    r = database_execute(store->database, "SAVEPOINT entry");
    if (r < 0)
        return r;
    r = insert_event(store, entry, committed_ns);
    if (r == 0)
        r = entry->work(entry->user, handle);
    if (r < 0 && !sqlite3_get_autocommit(handle)) {
        int undone = database_execute(store->database, "ROLLBACK TO entry");

        store->table = before;
        if (undone < 0)
            r = undone;
    }
    if (!sqlite3_get_autocommit(handle)) {
        int released = database_execute(store->database, "RELEASE entry");

        if (released < 0)
            return released;
    }
    return MIN(r, 0);
}

static int write_entry(struct store *store, struct entry *entry, uint64_t committed_ns)
{
    return entry->work ? write_with_work(store, entry, committed_ns)
                       : insert_event(store, entry, committed_ns);
}

static int write_group(struct store *store, struct entry *group)
{
    uint64_t committed_ns = clock_realtime_ns();
    struct store_options caps;

    pthread_mutex_lock(&store->mutex);
    caps = store->caps;
    pthread_mutex_unlock(&store->mutex);
    for (struct entry *entry = group; entry; entry = entry->next) {
        int r = write_entry(store, entry, committed_ns);

        if (is_file_problem(r) || sqlite3_get_autocommit(database_handle(store->database)))
            return r < 0 ? r : -EIO;
        entry->result = r;
    }
    return event_table_trim(&store->table, caps.max_age_ns, caps.max_bytes);
}

/* A group of flushes has nothing to be made durable. */
static bool group_is_empty(const struct entry *group)
{
    for (; group; group = group->next)
        if (group->has_event || group->work)
            return false;
    return true;
}

static int commit_group(struct store *store, struct entry *group)
{
    struct event_table before;
    int r;

    if (group_is_empty(group))
        return 0;
    r = ensure_open(store);
    if (r < 0)
        return r;
    before = store->table;
    r = database_begin(store->database);
    if (r < 0)
        return r;
    r = write_group(store, group);
    if (r == 0)
        r = database_commit(store->database);
    if (r < 0) {
        database_rollback(store->database);
        store->table = before;
        if (r == -EBADMSG)
            close_file(store); /* the next try moves it aside */
        return r;
    }
    pthread_mutex_lock(&store->mutex);
    store->status.groups++;
    pthread_mutex_unlock(&store->mutex);
    publish_status(store);
    return 0;
}

static void settle_group(struct store *store, struct entry *group, int result)
{
    uint64_t entries = 0, bytes = 0;

    for (struct entry *entry = group; entry; entry = entry->next) {
        entries++;
        bytes += entry->bytes;
    }
    pthread_mutex_lock(&store->mutex);
    store->waiting_entries -= entries;
    store->waiting_bytes -= bytes;
    pthread_mutex_unlock(&store->mutex);
    while (group) {
        struct entry *entry = group;
        int outcome = result < 0 ? result : entry->result;

        group = entry->next;
        if (entry->committed)
            entry->committed(entry->user, outcome, outcome == 0 ? entry->event.number : 0);
        free(entry);
    }
}

/* Waits until woken or the time is over; with mutex. */
static void wait_for(struct store *store, uint64_t ns)
{
    struct timespec deadline = clock_deadline(ns);

    (void)pthread_cond_clockwait(&store->changed, &store->mutex, CLOCK_MONOTONIC, &deadline);
}

/* All that waits, up to GROUP_ENTRIES; NULL when there is nothing. With mutex. */
static struct entry *take_group(struct store *store)
{
    struct queue group;

    queue_init(&group);
    for (int i = 0; i < GROUP_ENTRIES; i++) {
        struct entry *entry = queue_pop(&store->waiting);

        if (!entry)
            break;
        queue_push(&group, entry);
    }
    return group.first;
}

/* A failed group stays where it is; the pause grows, and ends when the store is closed. */
static void pause_before_retry(struct store *store)
{
    store->retry_ns = store->retry_ns ? MIN(store->retry_ns * 2, RETRY_LONGEST) : RETRY_FIRST;
    pthread_mutex_lock(&store->mutex);
    if (!store->stopping) {
        struct timespec deadline = clock_deadline(store->retry_ns);
        int r = 0;

        while (!store->stopping && r != ETIMEDOUT)
            r = pthread_cond_clockwait(&store->changed, &store->mutex, CLOCK_MONOTONIC, &deadline);
    }
    pthread_mutex_unlock(&store->mutex);
}

static bool is_stopping(struct store *store)
{
    bool stopping;

    pthread_mutex_lock(&store->mutex);
    stopping = store->stopping;
    pthread_mutex_unlock(&store->mutex);
    return stopping;
}

static void write_until_done(struct store *store, struct entry *group)
{
    int r;

    for (;;) {
        bool last_try = is_stopping(store);

        r = commit_group(store, group);
        if (r == 0)
            break;
        set_problem(store, r);
        /* The first retry after corruption is at once: the file is moved aside by it. */
        if (last_try)
            break;
        pause_before_retry(store);
    }
    store->retry_ns = 0;
    settle_group(store, group, r);
}

static void copy_log(struct store *store, bool busy)
{
    if (!store->database || store->log_pages < (busy ? CHECKPOINT_BUSY_PAGES : CHECKPOINT_PAGES))
        return;
    /* Readers may hold back a part of the log; the next time copies it. */
    if (sqlite3_wal_checkpoint_v2(database_handle(store->database), NULL, SQLITE_CHECKPOINT_PASSIVE,
                                  NULL, NULL) == SQLITE_OK)
        store->log_pages = 0;
}

/* A reader met a corrupt page: opening the file again checks all of it. */
static void check_suspect(struct store *store)
{
    close_file(store);
    if (ensure_open(store) < 0)
        set_problem(store, -EIO);
}

static void *writer_main(void *user)
{
    struct store *store = user;

    pthread_setname_np(pthread_self(), "store");
    pthread_mutex_lock(&store->mutex);
    while (!store->stopping || store->waiting.first) {
        struct entry *group;
        bool busy;

        if (store->suspect) {
            store->suspect = false;
            pthread_mutex_unlock(&store->mutex);
            check_suspect(store);
            pthread_mutex_lock(&store->mutex);
            continue;
        }
        if (!store->waiting.first) {
            pthread_cond_wait(&store->changed, &store->mutex);
            continue;
        }
        if (store->caps.commit_delay_ns > 0 && !store->stopping && !store->waiting.first->next)
            wait_for(store, store->caps.commit_delay_ns);
        group = take_group(store);
        pthread_mutex_unlock(&store->mutex);
        write_until_done(store, group);
        pthread_mutex_lock(&store->mutex);
        busy = store->waiting.first != NULL;
        pthread_mutex_unlock(&store->mutex);
        copy_log(store, busy);
        pthread_mutex_lock(&store->mutex);
    }
    pthread_mutex_unlock(&store->mutex);
    return NULL;
}

/* ---- life ---- */

static struct store *free_store(struct store *store)
{
    close_file(store);
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
    queue_init(&store->waiting);
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
    r = open_file(store, moved_to);
    if (r == 0 && moved_to[0] != '\0')
        (void)text_format(ret_notice, 512, "the event store was corrupt; moved to %s", moved_to);
    if (r < 0 && !is_file_problem(r)) {
        free_store(store);
        return r;
    }
    if (r < 0) {
        store->status.problem = r;
        (void)text_format(ret_notice, 512, "the event store cannot be opened yet: %s",
                          strerrordesc_np(-r));
    }
    r = -pthread_create(&store->writer, NULL, writer_main, store);
    if (r < 0) {
        free_store(store);
        return r;
    }
    *ret_store = store;
    return 0;
}

struct store *store_close(struct store *store)
{
    if (!store)
        return NULL;
    pthread_mutex_lock(&store->mutex);
    store->stopping = true;
    pthread_cond_broadcast(&store->changed);
    pthread_mutex_unlock(&store->mutex);
    (void)pthread_join(store->writer, NULL);
    return free_store(store);
}

/* ---- reading ---- */

static void suspect_corruption(struct store *store)
{
    pthread_mutex_lock(&store->mutex);
    store->suspect = true;
    pthread_cond_signal(&store->changed);
    pthread_mutex_unlock(&store->mutex);
}

int store_read(struct store *store, int (*read)(void *user, sqlite3 *database), void *user)
{
    struct database_options options = {.path = store->path, .read_only = true};
    struct database *database;
    enum database_origin origin;
    char moved_to[4096];
    int r;

    r = database_open(&options, &database, &origin, moved_to);
    if (r == 0) {
        r = read(user, database_handle(database));
        database_close(database);
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
