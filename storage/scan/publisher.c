/* Owns: the messages that wait, and who sends them. Must not own: what a message says. */
#include "storage/scan/publisher.h"

#include "common/aws/sns.h"
#include "common/text/text.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

enum waiting_state {
    WAITS,
    IS_SENT,  /* in a request of its sender */
    IS_ALONE, /* the request was refused, maybe for another's sake */
    IS_OVER,
};

/* On the stack of whoever publishes. */
struct waiting {
    struct sns_entry entry;
    size_t bytes;
    enum waiting_state state;
    enum aws_outcome outcome;
    char *problem;
    struct waiting *next;
};

struct publisher {
    const char *topic;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct waiting *first, **last;
    size_t count;     /* of those that wait */
    unsigned senders; /* requests that are under way */
};

int publisher_new(const char *topic, struct publisher **ret_publisher)
{
    struct publisher *publisher = calloc(1, sizeof *publisher);

    if (publisher == NULL)
        return -ENOMEM;
    publisher->topic = topic;
    publisher->last = &publisher->first;
    (void)pthread_mutex_init(&publisher->lock, NULL);
    (void)pthread_cond_init(&publisher->changed, NULL);
    *ret_publisher = publisher;
    return 0;
}

struct publisher *publisher_free(struct publisher *publisher)
{
    if (publisher == NULL)
        return NULL;
    (void)pthread_cond_destroy(&publisher->changed);
    (void)pthread_mutex_destroy(&publisher->lock);
    free(publisher);
    return NULL;
}

static size_t bytes_of(const struct sns_entry *entry)
{
    size_t bytes = strlen(entry->message);

    for (size_t i = 0; i < entry->count; i++)
        bytes += strlen(entry->attributes[i].name) + strlen(entry->attributes[i].value) +
                 strlen("String");
    return bytes;
}

/* With the lock: as many as go into one request, one at least. */
static size_t take(struct publisher *publisher, struct waiting *taken[static SNS_MOST_ENTRIES])
{
    size_t count = 0, bytes = 0;

    while (publisher->first != NULL && count < SNS_MOST_ENTRIES) {
        struct waiting *waiting = publisher->first;
        if (count > 0 && bytes + waiting->bytes > SNS_MOST_BATCH_BYTES)
            break;
        bytes += waiting->bytes;
        publisher->first = waiting->next;
        waiting->state = IS_SENT;
        taken[count++] = waiting;
    }
    if (publisher->first == NULL)
        publisher->last = &publisher->first;
    publisher->count -= count;
    return count;
}

static enum aws_outcome send_one(const struct publisher *publisher, struct aws_client *client,
                                 const struct sns_entry *entry,
                                 char problem[static PUBLISHER_PROBLEM_BYTES])
{
    struct aws_answer answer;

    enum aws_outcome outcome = sns_publish(client, publisher->topic, entry->message,
                                           entry->attributes, entry->count, &answer);
    (void)text_format(problem, PUBLISHER_PROBLEM_BYTES, "%s", answer.problem);
    aws_answer_done(&answer);
    return outcome;
}

static enum aws_outcome send_many(const struct publisher *publisher, struct aws_client *client,
                                  struct sns_entry *entries, size_t count,
                                  char problem[static PUBLISHER_PROBLEM_BYTES])
{
    struct aws_answer answer;

    enum aws_outcome outcome = sns_publish_batch(client, publisher->topic, entries, count, &answer);
    (void)text_format(problem, PUBLISHER_PROBLEM_BYTES, "%s", answer.problem);
    aws_answer_done(&answer);
    return outcome;
}

/* With the lock: the message's owner goes on. */
static void end(struct waiting *waiting, enum aws_outcome outcome, const char *problem)
{
    waiting->state = IS_OVER;
    waiting->outcome = outcome;
    (void)text_copy(waiting->problem, PUBLISHER_PROBLEM_BYTES, problem);
}

/* With the lock. */
static void end_one_of_many(struct waiting *waiting, const struct sns_entry *entry,
                            enum aws_outcome outcome, const char *problem)
{
    char words[PUBLISHER_PROBLEM_BYTES];

    /* One message that is not as it should be may be why all of them are refused. */
    if (outcome == AWS_REFUSED || outcome == AWS_DENIED) {
        waiting->state = IS_ALONE;
    } else if (outcome == AWS_OK && entry->failed) {
        (void)text_format(words, sizeof words, "the topic did not take it: %s",
                          entry->code[0] != '\0' ? entry->code : "SNS does not say why");
        end(waiting, AWS_UNAVAILABLE, words);
    } else {
        end(waiting, outcome, problem);
    }
}

/* With the lock, which is not held while the request is under way. */
static void send_some(struct publisher *publisher, struct aws_client *client)
{
    struct waiting *taken[SNS_MOST_ENTRIES];
    struct sns_entry entries[SNS_MOST_ENTRIES];
    char problem[PUBLISHER_PROBLEM_BYTES];

    size_t count = take(publisher, taken);
    for (size_t i = 0; i < count; i++)
        entries[i] = taken[i]->entry;
    publisher->senders++;
    (void)pthread_mutex_unlock(&publisher->lock);
    enum aws_outcome outcome = count == 1 ? send_one(publisher, client, entries, problem)
                                          : send_many(publisher, client, entries, count, problem);
    (void)pthread_mutex_lock(&publisher->lock);
    if (count == 1)
        end(taken[0], outcome, problem);
    for (size_t i = 0; count > 1 && i < count; i++)
        end_one_of_many(taken[i], &entries[i], outcome, problem);
    publisher->senders--;
    (void)pthread_cond_broadcast(&publisher->changed);
}

/* With the lock. */
static void wait_or_send(struct publisher *publisher, struct aws_client *client,
                         const struct waiting *own)
{
    /* Who comes while others are told of waits for the next request, unless that one is full. */
    if (own->state == WAITS && (publisher->senders == 0 || publisher->count >= SNS_MOST_ENTRIES))
        send_some(publisher, client);
    else
        (void)pthread_cond_wait(&publisher->changed, &publisher->lock);
}

enum aws_outcome publisher_publish(struct publisher *publisher, struct aws_client *client,
                                   const char *message, const struct aws_pair *attributes,
                                   size_t count, char ret_problem[static PUBLISHER_PROBLEM_BYTES])
{
    struct waiting own = {
        .entry = {.message = message, .attributes = attributes, .count = count},
        .problem = ret_problem,
    };

    own.bytes = bytes_of(&own.entry);
    (void)pthread_mutex_lock(&publisher->lock);
    *publisher->last = &own;
    publisher->last = &own.next;
    publisher->count++;
    while (own.state == WAITS || own.state == IS_SENT)
        wait_or_send(publisher, client, &own);
    (void)pthread_mutex_unlock(&publisher->lock);
    return own.state == IS_ALONE ? send_one(publisher, client, &own.entry, ret_problem)
                                 : own.outcome;
}
