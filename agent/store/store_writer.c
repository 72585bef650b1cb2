/* Owns: the writer thread: groups, their transactions, retries. Must not own: the file
 * (store_file.c), what an entry's work does. */
#include "agent/store/store_private.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>

/* Entries of one transaction: bounds how long a commit may take. */
#define GROUP_ENTRIES 4096
#define IDLE_TIME     NS_PER_SECOND
#define RETRY_FIRST   (50 * NS_PER_MS)
#define RETRY_LONGEST (5 * NS_PER_SECOND)

static int insert_event(struct store *store, struct entry *entry, uint64_t committed_ns)
{
    if (!entry->has_event)
        return 0;
    entry->event.committed_ns = committed_ns;
    entry->event.number = store->table.next_number;
    return event_table_insert(&store->table, &entry->event);
}

/* first, and those behind it that are of the same transaction, up to the first that fails. */
static int insert_chain(struct store *store, struct entry *first, uint64_t committed_ns)
{
    for (struct entry *entry = first;; entry = entry->next) {
        int r = insert_event(store, entry, committed_ns);

        if (r == 0 && entry->work)
            r = entry->work(entry->user, database_handle(store->database));
        if (r < 0 || !entry->with_next)
            return MIN(r, 0);
    }
}

/* A chain succeeds or fails as a whole: a savepoint undoes its part. */
static int write_as_a_whole(struct store *store, struct entry *first, uint64_t committed_ns)
{
    sqlite3 *handle = database_handle(store->database);
    struct event_table before = store->table;
    int r;

    r = database_execute(store->database, "SAVEPOINT chain");
    if (r < 0)
        return r;
    r = insert_chain(store, first, committed_ns);
    if (r < 0 && !sqlite3_get_autocommit(handle)) {
        int undone = database_execute(store->database, "ROLLBACK TO chain");

        store->table = before;
        if (undone < 0)
            r = undone;
    }
    if (!sqlite3_get_autocommit(handle)) {
        int released = database_execute(store->database, "RELEASE chain");

        if (released < 0)
            return released;
    }
    return r;
}

/* ret_next: the entry behind the chain. */
static int write_chain(struct store *store, struct entry *first, uint64_t committed_ns,
                       struct entry **ret_next)
{
    int r = first->with_next || first->work ? write_as_a_whole(store, first, committed_ns)
                                            : insert_event(store, first, committed_ns);
    struct entry *last = first;

    for (; last->with_next; last = last->next)
        last->result = r;
    last->result = r;
    *ret_next = last->next;
    return r;
}

static int write_group(struct store *store, struct entry *group)
{
    uint64_t committed_ns = clock_realtime_ns();
    struct store_options caps;

    pthread_mutex_lock(&store->mutex);
    caps = store->caps;
    pthread_mutex_unlock(&store->mutex);
    while (group) {
        int r = write_chain(store, group, committed_ns, &group);

        if (store_is_file_problem(r) || sqlite3_get_autocommit(database_handle(store->database)))
            return r < 0 ? r : -EIO;
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
    r = store_ensure_open(store);
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
            store_close_file(store); /* the next try moves it aside */
        return r;
    }
    pthread_mutex_lock(&store->mutex);
    store->status.groups++;
    pthread_mutex_unlock(&store->mutex);
    store_publish_status(store);
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

    store_queue_init(&group);
    for (int i = 0, open = 0; i < GROUP_ENTRIES || open; i++) {
        struct entry *entry = store_queue_pop(&store->waiting);

        if (!entry)
            break;
        open = entry->with_next;
        store_queue_push(&group, entry);
    }
    return group.first;
}

/* A failed group stays where it is; the pause grows, and ends when there is a hurry. */
static void pause_before_retry(struct store *store)
{
    store->retry_ns = store->retry_ns ? MIN(store->retry_ns * 2, RETRY_LONGEST) : RETRY_FIRST;
    pthread_mutex_lock(&store->mutex);
    if (!store->hurried) {
        struct timespec deadline = clock_deadline(store->retry_ns);
        int r = 0;

        while (!store->hurried && r != ETIMEDOUT)
            r = pthread_cond_clockwait(&store->changed, &store->mutex, CLOCK_MONOTONIC, &deadline);
    }
    pthread_mutex_unlock(&store->mutex);
}

static bool is_hurried(struct store *store)
{
    bool hurried;

    pthread_mutex_lock(&store->mutex);
    hurried = store->hurried;
    pthread_mutex_unlock(&store->mutex);
    return hurried;
}

static void note_failure(struct store *store, int failure)
{
    store_set_problem(store, failure);
    store->failure = failure;
    if (store->failing_since_ns > 0)
        return;
    store->failing_since_ns = clock_monotonic_ns();
    log_warning("store_failed", "path", store->path, "error", log_error_text(failure), "cure",
                "make room or repair the disk; events wait in memory", NULL);
}

/* What nobody could store while it lasted is told when it is over. */
static void note_success(struct store *store)
{
    if (store->failing_since_ns == 0)
        return;
    uint64_t seconds = (clock_monotonic_ns() - store->failing_since_ns) / NS_PER_SECOND;
    AUTO_FREE char *detail =
        text_format_new("{\"error\":\"%s\",\"seconds\":%llu}", log_error_text(store->failure),
                        (unsigned long long)seconds);
    struct event_draft draft = {.module = "agent",
                                .kind = "store_recovered",
                                .severity = EVENT_MEDIUM,
                                .subject = store->path,
                                .detail = detail};

    store->failing_since_ns = 0;
    log_info("store_recovered", "path", store->path, "after_s", log_number((long long)seconds),
             NULL);
    if (detail)
        (void)!store_append(store, &draft, NULL, NULL, NULL); /* a full queue: the log has it */
}

static void write_until_done(struct store *store, struct entry *group)
{
    int r;

    for (;;) {
        bool last_try = is_hurried(store);

        r = commit_group(store, group);
        if (r == 0)
            break;
        note_failure(store, r);
        /* The first retry after corruption is at once: the file is moved aside by it. */
        if (last_try)
            break;
        pause_before_retry(store);
    }
    store->retry_ns = 0;
    settle_group(store, group, r);
    if (r == 0)
        note_success(store);
}

/* A reader met a corrupt page: opening the file again checks all of it. */
static void check_suspect(struct store *store)
{
    store_close_file(store);
    if (store_ensure_open(store) < 0)
        store_set_problem(store, -EIO);
}

/* Waits for entries. A long log is copied when none has come for a while: whoever waits for a
 * commit must not wait for that. With mutex. */
static void wait_for_entries(struct store *store)
{
    struct timespec deadline = clock_deadline(IDLE_TIME);

    if (!store_log_is_long(store, false)) {
        pthread_cond_wait(&store->changed, &store->mutex);
        return;
    }
    if (pthread_cond_clockwait(&store->changed, &store->mutex, CLOCK_MONOTONIC, &deadline) !=
        ETIMEDOUT)
        return;
    pthread_mutex_unlock(&store->mutex);
    store_copy_log(store);
    pthread_mutex_lock(&store->mutex);
}

/* With mutex, which is free meanwhile. */
static void write_waiting(struct store *store)
{
    struct entry *group;

    if (store->caps.commit_delay_ns > 0 && !store->stopping && !store->waiting.first->next)
        wait_for(store, store->caps.commit_delay_ns);
    group = take_group(store);
    pthread_mutex_unlock(&store->mutex);
    write_until_done(store, group);
    if (store_log_is_long(store, true))
        store_copy_log(store);
    pthread_mutex_lock(&store->mutex);
}

void *store_writer_main(void *user)
{
    struct store *store = user;

    pthread_setname_np(pthread_self(), "store");
    pthread_mutex_lock(&store->mutex);
    while (!store->stopping || store->waiting.first) {
        if (store->suspect) {
            store->suspect = false;
            pthread_mutex_unlock(&store->mutex);
            check_suspect(store);
            pthread_mutex_lock(&store->mutex);
        } else if (store->waiting.first) {
            write_waiting(store);
        } else {
            wait_for_entries(store);
        }
    }
    pthread_mutex_unlock(&store->mutex);
    return NULL;
}
