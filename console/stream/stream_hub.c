/* Owns the looking thread, the list of clients and their queues. Must not know tables or HTTP: the
 * sources read, and whoever took a client sends its bytes. */
#include "console/stream/stream_hub.h"

#include "common/limits.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <pthread.h>

#define LOOK_NS         (500 * NS_PER_MS)
#define BUSY_NS         (5 * NS_PER_SECOND) /* after too much at once: the topic rests so long */
#define MESSAGES_A_LOOK 200
#define MESSAGES_MISSED 250
#define RESUME_MS       3600000LL
#define JOIN_MS         2000LL          /* what a transaction may have begun before a client came */
#define EPOCH_MS        1577836800000LL /* of numbers: 2020 */
#define ALONE_MS        1000LL
#define SHARED_MS       5000LL /* how late a number of another node may become visible */
#define RECENT          4096

struct topic_state {
    int64_t after;
    uint64_t next_ns; /* not read before */
    bool busy;        /* since too much came at once */
};

struct stream_client {
    struct stream_hub *hub;
    struct viewer viewer;
    uint32_t topics;
    char computer[UUID_TEXT_BYTES];
    struct buffer queue;
    bool lost, check, ready; /* ready: there was a look since it came */
    pthread_cond_t wake;
    struct stream_client *next;
};

struct stream_hub {
    struct stream_hub_options options;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct stream_client *clients;
    bool closing, joined; /* joined: somebody waits for a look */
    struct stream_hub_status status;
    /* of the looking thread */
    struct topic_state topics[STREAM_SOURCES_MAXIMUM];
    struct stream_batch batch;
    bool failed;            /* the last look: what it would have shown may be gone */
    int64_t recent[RECENT]; /* numbers of a shared database that were sent already */
};

/* --- putting into queues; under the lock */

static bool may_see(const struct stream_client *client, const struct stream_message *message)
{
    if (!(client->topics & 1U << message->topic))
        return false;
    if (client->computer[0] && !text_equal(client->computer, message->computer))
        return false;
    for (size_t i = 0; i < client->viewer.group_count; i++)
        if (text_equal(client->viewer.groups[i], message->group))
            return true;
    return client->viewer.group_count == 0 && !message->for_limited;
}

static void lose(struct stream_client *client)
{
    buffer_done(&client->queue);
    buffer_init(&client->queue, LIMIT_STREAM_QUEUE_BYTES);
    client->lost = true;
}

static void put_resync(struct stream_client *client, uint32_t topics)
{
    const struct stream_hub_options *options = &client->hub->options;
    topics &= client->topics;
    if (!topics)
        return;
    (void)buffer_append_text(&client->queue, "event: resync\ndata: {\"topics\":[");
    bool first = true;
    for (size_t i = 0; i < options->source_count; i++) {
        if (!(topics & 1U << i))
            continue;
        (void)buffer_append_format(&client->queue, "%s\"%s\"", first ? "" : ",",
                                   options->sources[i].topic);
        first = false;
    }
    (void)buffer_append_text(&client->queue, "]}\n\n");
    client->hub->status.resyncs++;
}

/* Everything of the batch that the client may see, then the id to come back with. */
static void put_batch(struct stream_client *client, const struct stream_batch *batch, int64_t id)
{
    size_t before = client->queue.length;
    if (client->lost)
        return;
    put_resync(client, batch->resync);
    for (size_t i = 0; i < batch->count; i++) {
        const struct stream_message *message = &batch->messages[i];
        if (!may_see(client, message))
            continue;
        (void)buffer_append_format(&client->queue, "event: %s\ndata: ", message->event);
        (void)buffer_append(&client->queue, batch->text.data + message->offset, message->length);
        (void)buffer_append_text(&client->queue, "\n\n");
        client->hub->status.messages++;
    }
    if (client->queue.length == before && buffer_failed(&client->queue) == 0)
        return;
    (void)buffer_append_format(&client->queue, "id: %lld\n\n", (long long)id);
    if (buffer_failed(&client->queue) < 0)
        lose(client);
    (void)pthread_cond_signal(&client->wake);
}

/* Changes from the look on are told: what the client reads now is not older. */
static void put_ready(struct stream_client *client, int64_t id)
{
    client->ready = true;
    (void)buffer_append_format(&client->queue, "event: ready\ndata: {}\nid: %lld\n\n",
                               (long long)id);
    (void)pthread_cond_signal(&client->wake);
}

/* --- looking */

static int64_t margin_ms(const struct stream_hub *hub)
{
    return console_store_is_shared(hub->options.store) ? SHARED_MS : ALONE_MS;
}

static bool is_recent(struct stream_hub *hub, int64_t number)
{
    uint64_t mixed = (uint64_t)number * 0x9e3779b97f4a7c15ULL;
    int64_t *slot = &hub->recent[mixed >> 52];
    bool known = *slot == number;
    *slot = number;
    return known;
}

/* On a shared database a look goes back a little, and sees again what it has sent. */
static void forget_recent(struct stream_hub *hub, size_t from)
{
    struct stream_batch *batch = &hub->batch;
    size_t kept = from;
    for (size_t i = from; i < batch->count; i++)
        if (batch->messages[i].number == 0 || !is_recent(hub, batch->messages[i].number))
            batch->messages[kept++] = batch->messages[i];
    batch->count = kept;
}

static int read_topic(struct sql *sql, struct stream_hub *hub, unsigned topic, int64_t *ret_last)
{
    const struct stream_source *source = &hub->options.sources[topic];
    size_t from = hub->batch.count;
    int64_t after = *ret_last, last = after;
    bool again = console_store_is_shared(hub->options.store) && source->period_ns == 0;
    if (again)
        after -= console_store_number_at(SHARED_MS + EPOCH_MS);
    int r = source->read(sql, hub->options.user, MAX(after, 0),
                         again ? 2 * MESSAGES_A_LOOK : MESSAGES_A_LOOK, topic, &hub->batch, &last);
    if (r == 0 && again && !(hub->batch.resync & 1U << topic))
        forget_recent(hub, from);
    *ret_last = MAX(*ret_last, last);
    return r;
}

struct look {
    struct stream_hub *hub;
    uint64_t now_ns;
};

/* A topic that had too much at once rests, and is then read again from its lists. */
static bool rests(struct stream_hub *hub, unsigned topic, uint64_t now_ns)
{
    struct topic_state *state = &hub->topics[topic];
    if (now_ns < state->next_ns)
        return true;
    if (state->busy) {
        state->busy = false;
        state->after = console_store_number_at(console_store_now_ms() - margin_ms(hub));
        hub->batch.resync |= 1U << topic;
    }
    return false;
}

static int look_at(struct sql *sql, void *user)
{
    const struct look *look = user;
    struct stream_hub *hub = look->hub;
    for (unsigned i = 0; i < hub->options.source_count; i++) {
        const struct stream_source *source = &hub->options.sources[i];
        struct topic_state *state = &hub->topics[i];
        if (rests(hub, i, look->now_ns))
            continue;
        int r = read_topic(sql, hub, i, &state->after);
        if (r < 0)
            return r;
        if (source->period_ns) {
            state->next_ns = look->now_ns + source->period_ns;
        } else if (hub->batch.resync & 1U << i) {
            state->after = console_store_number_at(console_store_now_ms());
            state->next_ns = look->now_ns + BUSY_NS;
            state->busy = true;
        }
    }
    return 0;
}

static void look(struct stream_hub *hub)
{
    struct look work = {hub, clock_monotonic_ns()};
    int64_t id = console_store_number_at(console_store_now_ms() - margin_ms(hub));
    stream_batch_init(&hub->batch);
    int r = console_store_read(hub->options.store, look_at, &work);
    if (r == 0 && hub->failed)
        hub->batch.resync = UINT32_MAX;
    hub->failed = r < 0;
    (void)pthread_mutex_lock(&hub->lock);
    for (struct stream_client *client = hub->clients; client; client = client->next) {
        if (!client->ready)
            put_ready(client, id);
        if (r == 0)
            put_batch(client, &hub->batch, id);
    }
    (void)pthread_mutex_unlock(&hub->lock);
    stream_batch_done(&hub->batch);
}

static void begin_looking(struct stream_hub *hub)
{
    int64_t from = console_store_number_at(console_store_now_ms() - JOIN_MS - margin_ms(hub));
    for (size_t i = 0; i < hub->options.source_count; i++)
        hub->topics[i] =
            (struct topic_state){.after = hub->options.sources[i].period_ns ? 0 : from};
}

static void *look_loop(void *user)
{
    struct stream_hub *hub = user;
    bool listening = false;
    (void)pthread_mutex_lock(&hub->lock);
    while (!hub->closing) {
        if (!hub->clients) {
            listening = false;
            (void)pthread_cond_wait(&hub->wake, &hub->lock);
            continue;
        }
        if (!listening) {
            listening = true;
            begin_looking(hub);
        }
        hub->joined = false;
        (void)pthread_mutex_unlock(&hub->lock);
        look(hub);
        struct timespec until = clock_deadline(LOOK_NS);
        (void)pthread_mutex_lock(&hub->lock);
        while (!hub->closing && !hub->joined &&
               pthread_cond_clockwait(&hub->wake, &hub->lock, CLOCK_MONOTONIC, &until) == 0)
            ;
    }
    (void)pthread_mutex_unlock(&hub->lock);
    return NULL;
}

/* --- clients */

static bool is_resumable(int64_t after, int64_t now_ms)
{
    int64_t time = console_store_number_time(after);
    return time <= now_ms && time > now_ms - RESUME_MS;
}

struct replay {
    struct stream_hub *hub;
    uint32_t topics;
    int64_t after;
    struct stream_batch batch;
};

static int read_missed(struct sql *sql, void *user)
{
    struct replay *replay = user;
    const struct stream_hub_options *options = &replay->hub->options;
    for (unsigned i = 0; i < options->source_count; i++) {
        int64_t last = replay->after;
        if (!(replay->topics & 1U << i))
            continue;
        if (options->sources[i].period_ns) {
            stream_batch_give_up(&replay->batch, i);
            continue;
        }
        int r = options->sources[i].read(sql, options->user, replay->after, MESSAGES_MISSED, i,
                                         &replay->batch, &last);
        if (r < 0)
            return r;
    }
    return 0;
}

/* What the client missed since the id it saw last, or which lists it must read again. */
static int replay_missed(struct stream_client *client, int64_t after)
{
    struct stream_hub *hub = client->hub;
    int64_t now = console_store_now_ms();
    int64_t id = console_store_number_at(now - margin_ms(hub));
    struct replay *replay = malloc(sizeof(*replay));
    if (!replay)
        return -ENOMEM;
    *replay = (struct replay){.hub = hub, .topics = client->topics, .after = after};
    stream_batch_init(&replay->batch);
    int r = 0;
    if (after > 0 && is_resumable(after, now))
        r = console_store_read(hub->options.store, read_missed, replay);
    else
        replay->batch.resync = client->topics;
    (void)pthread_mutex_lock(&hub->lock);
    if (r == 0)
        put_batch(client, &replay->batch, id);
    (void)pthread_mutex_unlock(&hub->lock);
    stream_batch_done(&replay->batch);
    free(replay);
    return r;
}

static int admit(const struct stream_hub *hub, const struct viewer *viewer)
{
    unsigned all = 0, own = 0;
    for (const struct stream_client *at = hub->clients; at; at = at->next) {
        all++;
        own += text_equal(at->viewer.actor, viewer->actor);
    }
    if (hub->closing || all >= hub->options.clients)
        return -EUSERS;
    return own >= hub->options.clients_of_an_actor ? -EDQUOT : 0;
}

int stream_client_join(struct stream_hub *hub, const struct stream_wish *wish,
                       struct stream_client **ret_client)
{
    struct stream_client *client = calloc(1, sizeof(*client));
    if (!client)
        return -ENOMEM;
    client->hub = hub;
    client->viewer = *wish->viewer;
    client->topics = wish->topics;
    buffer_init(&client->queue, LIMIT_STREAM_QUEUE_BYTES);
    (void)pthread_cond_init(&client->wake, NULL);
    int r = text_copy(client->computer, sizeof(client->computer), wish->computer);
    (void)pthread_mutex_lock(&hub->lock);
    if (r >= 0)
        r = admit(hub, &client->viewer);
    if (r == 0) {
        client->next = hub->clients;
        hub->clients = client;
        hub->status.clients++;
        hub->joined = true;
        (void)pthread_cond_broadcast(&hub->wake);
        while (!client->ready && !hub->closing)
            (void)pthread_cond_wait(&client->wake, &hub->lock);
    } else {
        hub->status.refused++;
    }
    (void)pthread_mutex_unlock(&hub->lock);
    if (r == 0 && wish->after != 0) {
        r = replay_missed(client, wish->after);
        if (r < 0) {
            (void)stream_client_leave(client);
            return r;
        }
    }
    if (r < 0) {
        (void)pthread_cond_destroy(&client->wake);
        buffer_done(&client->queue);
        free(client);
        return r;
    }
    *ret_client = client;
    return 0;
}

struct stream_client *stream_client_leave(struct stream_client *client)
{
    if (!client)
        return NULL;
    struct stream_hub *hub = client->hub;
    (void)pthread_mutex_lock(&hub->lock);
    for (struct stream_client **at = &hub->clients; *at; at = &(*at)->next) {
        if (*at == client) {
            *at = client->next;
            hub->status.clients--;
            break;
        }
    }
    (void)pthread_cond_broadcast(&hub->wake);
    (void)pthread_mutex_unlock(&hub->lock);
    (void)pthread_cond_destroy(&client->wake);
    buffer_done(&client->queue);
    free(client);
    return NULL;
}

/* Under the lock: what there is to say now, or 0. */
static ssize_t take_now(struct stream_client *client, char *bytes, size_t size)
{
    if (client->lost) {
        client->lost = false;
        put_resync(client, client->topics);
    }
    size_t length = MIN(size, client->queue.length);
    if (length > 0) {
        memcpy(bytes, client->queue.data, length);
        buffer_consume(&client->queue, length);
    }
    return (ssize_t)length;
}

ssize_t stream_client_take(struct stream_client *client, char *bytes, size_t size, uint64_t wait_ns)
{
    struct stream_hub *hub = client->hub;
    struct timespec until = clock_deadline(wait_ns);
    int waited = 0;
    (void)pthread_mutex_lock(&hub->lock);
    while (!hub->closing && !client->check && !client->lost && client->queue.length == 0 &&
           waited == 0)
        waited = pthread_cond_clockwait(&client->wake, &hub->lock, CLOCK_MONOTONIC, &until);
    ssize_t r;
    if (hub->closing) {
        r = 0;
    } else if (client->check) {
        client->check = false;
        r = -EAGAIN;
    } else {
        r = take_now(client, bytes, size);
        if (r == 0)
            r = -ETIME;
    }
    (void)pthread_mutex_unlock(&hub->lock);
    return r;
}

void stream_client_narrow(struct stream_client *client, const struct viewer *viewer)
{
    (void)pthread_mutex_lock(&client->hub->lock);
    client->viewer = *viewer;
    (void)pthread_mutex_unlock(&client->hub->lock);
}

/* --- the hub */

static void wake_all(struct stream_hub *hub, bool check)
{
    for (struct stream_client *client = hub->clients; client; client = client->next) {
        client->check = client->check || check;
        (void)pthread_cond_signal(&client->wake);
    }
}

void stream_hub_recheck(struct stream_hub *hub)
{
    (void)pthread_mutex_lock(&hub->lock);
    wake_all(hub, true);
    (void)pthread_mutex_unlock(&hub->lock);
}

void stream_hub_close(struct stream_hub *hub)
{
    if (!hub)
        return;
    (void)pthread_mutex_lock(&hub->lock);
    hub->closing = true;
    wake_all(hub, false);
    (void)pthread_cond_broadcast(&hub->wake);
    (void)pthread_mutex_unlock(&hub->lock);
}

int stream_hub_start(const struct stream_hub_options *options, struct stream_hub **ret_hub)
{
    struct stream_hub *hub = calloc(1, sizeof(*hub));
    if (!hub)
        return -ENOMEM;
    hub->options = *options;
    (void)pthread_mutex_init(&hub->lock, NULL);
    (void)pthread_cond_init(&hub->wake, NULL);
    int r = -pthread_create(&hub->thread, NULL, look_loop, hub);
    if (r < 0) {
        free(hub);
        return r;
    }
    *ret_hub = hub;
    return 0;
}

struct stream_hub *stream_hub_stop(struct stream_hub *hub)
{
    if (!hub)
        return NULL;
    stream_hub_close(hub);
    (void)pthread_join(hub->thread, NULL);
    (void)pthread_mutex_lock(&hub->lock);
    while (hub->clients)
        (void)pthread_cond_wait(&hub->wake, &hub->lock);
    (void)pthread_mutex_unlock(&hub->lock);
    (void)pthread_cond_destroy(&hub->wake);
    (void)pthread_mutex_destroy(&hub->lock);
    free(hub);
    return NULL;
}

void stream_hub_status(struct stream_hub *hub, struct stream_hub_status *ret_status)
{
    (void)pthread_mutex_lock(&hub->lock);
    *ret_status = hub->status;
    (void)pthread_mutex_unlock(&hub->lock);
}
