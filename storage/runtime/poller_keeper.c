/* The poller's keeper: tells the queue what is done with, what is given back, and what is still
 * worked on. Owns: flights that are leaving. */
#include "common/log/log.h"
#include "common/time/clock.h"
#include "storage/runtime/poller_private.h"

#include <errno.h>
#include <string.h>

#define TURN_NS    (100 * NS_PER_MS) /* how long acknowledgements gather */
#define MOST_TRIES 3

/* The keeper's client, and what becomes of its requests when there is a stop. */
struct teller {
    struct aws_client *client;
    struct queue_stop stop;
};

struct batch {
    struct flight *flights[SQS_MOST_MESSAGES];
    const char *receipts[SQS_MOST_MESSAGES];
    bool failed[SQS_MOST_MESSAGES];
    size_t count;
};

static void add(struct batch *batch, struct flight *flight)
{
    batch->receipts[batch->count] = flight->message.receipt;
    batch->flights[batch->count++] = flight;
}

/* With the lock: flights of one state, and of one time to hide; they are leaving from now on. */
static void gather(struct poller *poller, enum flight_state state, struct batch *batch)
{
    *batch = (struct batch){.count = 0};
    for (size_t i = 0; i < poller->flight_count && batch->count < SQS_MOST_MESSAGES; i++) {
        struct flight *flight = &poller->flights[i];
        if (flight->state != state ||
            (batch->count > 0 && batch->flights[0]->hide_s != flight->hide_s))
            continue;
        flight->state = FLIGHT_LEAVING;
        add(batch, flight);
    }
}

/* With the lock. What the queue did not hear is told again; after some tries it comes again by
 * itself, and is done again. */
static void settle(struct poller *poller, struct batch *batch, enum flight_state state)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct flight *flight = batch->flights[i];
        if (batch->failed[i] && !poller->queue_gone && ++flight->tries < MOST_TRIES) {
            flight->state = state;
            continue;
        }
        sqs_message_done(&flight->message);
        flight->state = FLIGHT_FREE;
    }
    (void)pthread_cond_signal(&poller->room);
}

/* hide_s NULL: they are deleted. */
static bool ask(struct poller *poller, struct teller *teller, struct batch *batch,
                const unsigned *hide_s)
{
    struct aws_answer answer;

    teller->stop.until_ns = 0;
    enum aws_outcome outcome = hide_s == NULL
                                   ? sqs_delete(teller->client, poller->queue, batch->receipts,
                                                batch->count, batch->failed, &answer)
                                   : sqs_hide(teller->client, poller->queue, batch->receipts,
                                              batch->count, *hide_s, batch->failed, &answer);
    if (outcome != AWS_OK)
        log_warning("queue_not_told", "problem", answer.problem, NULL);
    aws_answer_done(&answer);
    return outcome != AWS_UNREACHABLE && outcome != AWS_CANCELLED;
}

/* With the lock, which is not held while the queue is asked. True when there was something. */
static bool tell(struct poller *poller, struct teller *teller, enum flight_state state)
{
    struct batch batch;

    gather(poller, state, &batch);
    if (batch.count == 0)
        return false;
    if (poller->queue_gone) {
        memset(batch.failed, true, sizeof batch.failed);
    } else {
        (void)pthread_mutex_unlock(&poller->lock);
        bool reached =
            ask(poller, teller, &batch, state == FLIGHT_DONE ? NULL : &batch.flights[0]->hide_s);
        (void)pthread_mutex_lock(&poller->lock);
        poller->queue_gone = !reached && poller_is_stopped(poller);
    }
    settle(poller, &batch, state);
    return true;
}

/* With the lock: those whose time is half over. Their receipts are copied: a flight may end
 * meanwhile. */
static size_t find_fading(struct poller *poller, char (*receipts)[SQS_RECEIPT_BYTES])
{
    uint64_t now = clock_monotonic_ns(), half_ns = poller->visibility_s * NS_PER_SECOND / 2;
    size_t count = 0;

    for (size_t i = 0; i < poller->flight_count && count < SQS_MOST_MESSAGES; i++) {
        struct flight *flight = &poller->flights[i];
        if ((flight->state != FLIGHT_WAITING && flight->state != FLIGHT_WORKING) ||
            now + half_ns < flight->hidden_until_ns)
            continue;
        flight->hidden_until_ns = now + 2 * half_ns;
        memcpy(receipts[count++], flight->message.receipt, sizeof flight->message.receipt);
    }
    return count;
}

static void renew(struct poller *poller, struct teller *teller)
{
    char receipts[SQS_MOST_MESSAGES][SQS_RECEIPT_BYTES];
    const char *list[SQS_MOST_MESSAGES];
    bool failed[SQS_MOST_MESSAGES];
    struct aws_answer answer;

    for (size_t count; !poller->queue_gone && (count = find_fading(poller, receipts)) > 0;) {
        (void)pthread_mutex_unlock(&poller->lock);
        for (size_t i = 0; i < count; i++)
            list[i] = receipts[i];
        teller->stop.until_ns = 0;
        if (sqs_hide(teller->client, poller->queue, list, count, poller->visibility_s, failed,
                     &answer) != AWS_OK)
            log_warning("messages_not_kept", "problem", answer.problem, NULL);
        aws_answer_done(&answer);
        (void)pthread_mutex_lock(&poller->lock);
    }
}

/* With the lock: until there is a whole batch to tell, or its time to gather is over. */
static void gather_news(struct poller *poller)
{
    struct timespec until = clock_deadline(TURN_NS);
    int waited = 0;

    while (waited == 0 && !poller->no_more_news && !poller_has_batch(poller))
        waited = pthread_cond_clockwait(&poller->news, &poller->lock, CLOCK_MONOTONIC, &until);
}

bool poller_has_batch(const struct poller *poller)
{
    return poller_count(poller, FLIGHT_DONE) + poller_count(poller, FLIGHT_FAILED) >=
           SQS_MOST_MESSAGES;
}

/* With the lock. The receiver may still wait for the queue's last answer. */
static void begin_to_end(struct poller *poller)
{
    if (!poller->end_told)
        log_info("poller_ending", NULL);
    poller->end_told = true;
    poller_give_back(poller);
}

void *poller_keep(void *user)
{
    struct poller *poller = user;
    struct teller teller = {.stop = {.wanted = poller->stop.wanted}};

    int r = aws_client_new(&poller->resources->aws, NULL, &teller.client);
    if (r < 0)
        log_error("keeper_without_client", "problem", log_error_text(r), NULL);
    else
        aws_client_set_cancel(teller.client, queue_stop_is_over, &teller.stop);
    (void)pthread_mutex_lock(&poller->lock);
    while (r == 0) {
        if (poller_is_stopped(poller))
            begin_to_end(poller);
        renew(poller, &teller);
        bool told = tell(poller, &teller, FLIGHT_DONE);
        told |= tell(poller, &teller, FLIGHT_FAILED);
        if (!told && poller->no_more_news)
            break;
        gather_news(poller);
    }
    (void)pthread_mutex_unlock(&poller->lock);
    (void)aws_client_free(teller.client);
    return NULL;
}
