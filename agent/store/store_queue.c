/* Owns: entries on their way to the writer: making, queueing, waiting for one. Must not own: what
 * the writer does with them. Hand-off: an entry is the caller's until store_append returns 0, then
 * the writer's, which gives it back by calling committed once. */
#include "agent/store/store_private.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <string.h>

void store_queue_init(struct queue *queue)
{
    queue->first = NULL;
    queue->last = &queue->first;
}

void store_queue_push(struct queue *queue, struct entry *entry)
{
    entry->next = NULL;
    *queue->last = entry;
    queue->last = &entry->next;
}

struct entry *store_queue_pop(struct queue *queue)
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

static void free_entries(struct entry *entry)
{
    while (entry) {
        struct entry *next = entry->next;

        free(entry);
        entry = next;
    }
}

/* entry, and those chained to it, all at once. */
static int enqueue(struct store *store, struct entry *entry)
{
    size_t bytes = 0;
    int r = 0;

    for (struct entry *at = entry; at; at = at->next)
        bytes += at->bytes;
    pthread_mutex_lock(&store->mutex);
    if (store->stopping)
        r = -ESHUTDOWN;
    else if (store->waiting_entries >= LIMIT_STORE_QUEUE ||
             store->waiting_bytes + bytes > LIMIT_STORE_QUEUE_BYTES)
        r = -ENOBUFS;
    while (r == 0 && entry) {
        struct entry *next = entry->next;

        store->waiting_entries++;
        store->waiting_bytes += entry->bytes;
        store_queue_push(&store->waiting, entry);
        entry = next;
    }
    if (r == 0)
        pthread_cond_signal(&store->changed);
    pthread_mutex_unlock(&store->mutex);
    free_entries(entry);
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

static int wait_for(struct waiter *waiter)
{
    pthread_mutex_lock(&waiter->mutex);
    while (!waiter->finished)
        pthread_cond_wait(&waiter->done, &waiter->mutex);
    pthread_mutex_unlock(&waiter->mutex);
    return waiter->result;
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
    r = wait_for(&waiter);
    if (r == 0 && ret_number)
        *ret_number = waiter.number;
    return r;
}

static int make_batch(const struct event_draft *drafts, size_t count, struct entry **ret_first,
                      struct entry **ret_last)
{
    struct entry *first = NULL, **next = &first, *last;

    for (size_t i = 0; i < count; i++) {
        int r = make_entry(&drafts[i], next);

        if (r < 0) {
            *next = NULL;
            free_entries(first);
            return r;
        }
        (*next)->with_next = true;
        next = &(*next)->next;
    }
    last = calloc(1, sizeof(*last));
    *next = last;
    if (!last) {
        free_entries(first);
        return -ENOMEM;
    }
    last->bytes = sizeof(*last);
    *ret_first = first;
    *ret_last = last;
    return 0;
}

int store_append_batch_wait(struct store *store, const struct event_draft *drafts, size_t count,
                            store_work *work, void *user)
{
    struct waiter waiter = {.mutex = PTHREAD_MUTEX_INITIALIZER,
                            .done = PTHREAD_COND_INITIALIZER,
                            .work = work,
                            .user = user};
    struct entry *first, *last;
    int r;

    r = make_batch(drafts, count, &first, &last);
    if (r < 0)
        return r;
    last->work = waiter_work;
    last->committed = wake_waiter;
    last->user = &waiter;
    r = enqueue(store, first);
    return r < 0 ? r : wait_for(&waiter);
}

struct acknowledgement {
    struct store *store;
    uint64_t number;
    int (*set)(struct event_table *table, uint64_t number);
    store_committed *committed;
    void *user;
};

static int acknowledge_work(void *user, sqlite3 *database UNUSED)
{
    struct acknowledgement *acknowledgement = user;

    return acknowledgement->set(&acknowledgement->store->table, acknowledgement->number);
}

static void acknowledged(void *user, int result, uint64_t number)
{
    struct acknowledgement *acknowledgement = user;

    if (acknowledgement->committed)
        acknowledgement->committed(acknowledgement->user, result, number);
    free(acknowledgement);
}

static int rewound_work(void *user, sqlite3 *database UNUSED)
{
    struct store *store = user;

    return event_table_begin_epoch(&store->table);
}

int store_rewound(struct store *store, uint64_t console_number)
{
    struct store_status status;

    store_status(store, &status);
    AUTO_FREE char *detail = text_format_new("{\"found\":%llu,\"console\":%llu}",
                                             (unsigned long long)status.found_number,
                                             (unsigned long long)console_number);
    struct event_draft draft = {.module = "agent",
                                .kind = "store_rewound",
                                .severity = EVENT_HIGH,
                                .subject = store->path,
                                .detail = detail};
    if (!detail)
        return -ENOMEM;
    int r = store_run(store, rewound_work, NULL, store);
    return r < 0 ? r : store_append(store, &draft, NULL, NULL, NULL);
}

static int queue_acknowledgement(const struct acknowledgement *wanted)
{
    struct acknowledgement *acknowledgement = malloc(sizeof(*acknowledgement));
    int r;

    if (!acknowledgement)
        return -ENOMEM;
    *acknowledgement = *wanted;
    r = store_run(wanted->store, acknowledge_work, acknowledged, acknowledgement);
    if (r < 0)
        free(acknowledgement);
    return r;
}

int store_acknowledge(struct store *store, uint64_t number, store_committed *committed, void *user)
{
    return queue_acknowledgement(
        &(struct acknowledgement){store, number, event_table_acknowledge, committed, user});
}

int store_take_back(struct store *store, uint64_t number)
{
    return queue_acknowledgement(
        &(struct acknowledgement){.store = store, .number = number, .set = event_table_take_back});
}
