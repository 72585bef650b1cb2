/* The poller's receiver and workers. Owns: what is in flight. Hands off: telling the queue to
 * poller_keeper.c. */
#include "storage/runtime/poller.h"

#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "storage/runtime/poller_private.h"

#include <errno.h>
#include <string.h>

#define GLANCE_NS        (250 * NS_PER_MS) /* how often a stop is looked for */
#define FIRST_PAUSE_NS   NS_PER_SECOND
#define LONGEST_PAUSE_NS (30 * NS_PER_SECOND)
#define FIRST_HIDE_S     15
#define LONGEST_HIDE_S   900
#define SPARE_FLIGHTS    40 /* being deleted while others are worked on */

bool poller_is_stopped(const struct poller *poller)
{
    return queue_stop_is_wanted(&poller->stop);
}

size_t poller_count(const struct poller *poller, enum flight_state state)
{
    size_t count = 0;

    for (size_t i = 0; i < poller->flight_count; i++)
        count += poller->flights[i].state == state;
    return count;
}

static struct flight *find_flight(struct poller *poller, enum flight_state state)
{
    struct flight *oldest = NULL;

    for (size_t i = 0; i < poller->flight_count; i++)
        if (poller->flights[i].state == state &&
            (oldest == NULL || poller->flights[i].since_ns < oldest->since_ns))
            oldest = &poller->flights[i];
    return oldest;
}

static void wait_a_glance(pthread_cond_t *condition, pthread_mutex_t *lock)
{
    struct timespec until = clock_deadline(GLANCE_NS);

    (void)pthread_cond_clockwait(condition, lock, CLOCK_MONOTONIC, &until);
}

/* ---- workers ---- */

/* The more often it came, the longer it stays away; also what nobody understands: without dead
 * letters it comes again and again. */
static unsigned hide_after(const struct poller *poller, const struct flight *flight)
{
    uint64_t doublings = MIN(flight->message.received > 0 ? flight->message.received - 1 : 0, 6U);

    if (poller_is_stopped(poller))
        return 0;
    return MIN((unsigned)FIRST_HIDE_S << doublings, (unsigned)LONGEST_HIDE_S);
}

static void work_on(struct poller *poller, struct object_scanner *scanner, struct flight *flight)
{
    const uint64_t time_ns =
        storage_settings_number(poller->resources->settings, STORAGE_OBJECT_TIME);

    flight->state = FLIGHT_WORKING;
    (void)pthread_mutex_unlock(&poller->lock);
    const struct message message = {.body = flight->message.body,
                                    .length = flight->message.body_length,
                                    .id = flight->message.id,
                                    .deadline_ns = clock_monotonic_ns() + time_ns,
                                    .again = flight->message.received != 1};
    int r = poller->handler(scanner, &message);
    (void)pthread_mutex_lock(&poller->lock);
    flight->state = r == 0 ? FLIGHT_DONE : FLIGHT_FAILED;
    flight->hide_s = r < 0 ? hide_after(poller, flight) : 0;
    poller->done += r == 0;
    poller->failed += r < 0;
    (void)pthread_cond_signal(&poller->room);
    if (poller_has_batch(poller)) /* fewer are told in a while */
        (void)pthread_cond_signal(&poller->news);
}

static void *work(void *user)
{
    struct poller *poller = user;
    struct object_scanner *scanner = NULL;

    int r = object_scanner_new(poller->resources, &scanner);
    if (r < 0)
        log_error("worker_without_client", "problem", log_error_text(r), NULL);
    (void)pthread_mutex_lock(&poller->lock);
    while (scanner != NULL) {
        struct flight *flight =
            poller_is_stopped(poller) ? NULL : find_flight(poller, FLIGHT_WAITING);
        if (flight != NULL)
            work_on(poller, scanner, flight);
        else if (poller->ending)
            break;
        else
            (void)pthread_cond_wait(&poller->work, &poller->lock);
    }
    poller->running--;
    (void)pthread_cond_signal(&poller->room);
    (void)pthread_mutex_unlock(&poller->lock);
    (void)object_scanner_free(scanner);
    return NULL;
}

/* ---- receiving ---- */

/* How many may come now; 0 when it is to stop. */
static unsigned wait_for_room(struct poller *poller)
{
    size_t room = 0;

    (void)pthread_mutex_lock(&poller->lock);
    while (!poller_is_stopped(poller)) {
        size_t busy = poller_count(poller, FLIGHT_WAITING) + poller_count(poller, FLIGHT_WORKING);
        /* As many again as are worked on are on their way, so that no worker waits for the queue;
         * and they come several at a time, each request being one to pay for. */
        room = busy < 2 * poller->workers ? 2 * poller->workers - busy : 0;
        room = MIN(room, poller_count(poller, FLIGHT_FREE));
        if (room >= MIN(poller->workers, (size_t)SQS_MOST_MESSAGES))
            break;
        wait_a_glance(&poller->room, &poller->lock);
    }
    (void)pthread_mutex_unlock(&poller->lock);
    return poller_is_stopped(poller) ? 0 : (unsigned)MIN(room, (size_t)SQS_MOST_MESSAGES);
}

static void take(struct poller *poller, struct sqs_message *messages, size_t count,
                 uint64_t asked_ns)
{
    (void)pthread_mutex_lock(&poller->lock);
    for (size_t i = 0; i < count; i++) {
        struct flight *flight = find_flight(poller, FLIGHT_FREE);
        if (flight == NULL) { /* more than was asked for: they come again */
            sqs_message_done(&messages[i]);
            continue;
        }
        *flight =
            (struct flight){.state = FLIGHT_WAITING,
                            .message = messages[i],
                            .since_ns = clock_monotonic_ns(),
                            .hidden_until_ns = asked_ns + poller->visibility_s * NS_PER_SECOND};
        (void)pthread_cond_signal(&poller->work);
    }
    (void)pthread_mutex_unlock(&poller->lock);
}

static void pause_for(struct poller *poller, uint64_t pause_ns)
{
    uint64_t end = clock_monotonic_ns() + pause_ns;

    (void)pthread_mutex_lock(&poller->lock);
    while (!poller_is_stopped(poller) && clock_monotonic_ns() < end)
        wait_a_glance(&poller->room, &poller->lock);
    (void)pthread_mutex_unlock(&poller->lock);
}

/* A person must act, and nothing was ever received: then it is better to end. */
static bool is_hopeless(enum aws_outcome outcome)
{
    return outcome == AWS_NOT_CONFIGURED || outcome == AWS_NO_CREDENTIALS ||
           outcome == AWS_NOT_FOUND || outcome == AWS_DENIED;
}

/* 0 when it was stopped, 1 when it cannot work. */
static int receive(struct poller *poller, struct aws_client *client)
{
    const unsigned wait_s = (unsigned)(poller->stop.wait_ns / NS_PER_SECOND);
    uint64_t pause_ns = FIRST_PAUSE_NS;
    bool ever = false;

    for (unsigned room; (room = wait_for_room(poller)) > 0;) {
        struct sqs_message messages[SQS_MOST_MESSAGES];
        struct aws_answer answer;
        size_t count;
        uint64_t asked_ns = clock_monotonic_ns();
        enum aws_outcome outcome = sqs_receive(client, poller->queue, room, wait_s,
                                               poller->visibility_s, messages, &count, &answer);
        if (outcome != AWS_OK && outcome != AWS_CANCELLED)
            log_error("queue_not_read", "problem", answer.problem, NULL);
        aws_answer_done(&answer);
        poller->stop.silent = outcome == AWS_UNREACHABLE;
        if (outcome == AWS_OK) {
            take(poller, messages, count, asked_ns);
            pause_ns = FIRST_PAUSE_NS;
            ever = true;
        } else if (is_hopeless(outcome) && !ever) {
            return 1;
        } else if (outcome != AWS_CANCELLED) {
            pause_for(poller, pause_ns);
            pause_ns = MIN(pause_ns * 2, LONGEST_PAUSE_NS);
        }
    }
    return 0;
}

/* Nothing is taken from the queue before it can be scanned. */
static void wait_for_engine(struct poller *poller)
{
    struct scan_service *service = poller->resources->service;

    while (service != NULL && !poller_is_stopped(poller) &&
           scan_service_wait(service, clock_monotonic_ns() + GLANCE_NS) != 0)
        pause_for(poller, GLANCE_NS);
}

/* ---- the end ---- */

void poller_give_back(struct poller *poller)
{
    for (size_t i = 0; i < poller->flight_count; i++)
        if (poller->flights[i].state == FLIGHT_WAITING) {
            poller->flights[i].state = FLIGHT_FAILED;
            poller->flights[i].hide_s = 0;
            poller->failed++;
        }
}

/* What is worked on has its time; where the queue cannot be told of it any more, none. */
static void wind_down(struct poller *poller)
{
    uint64_t end = clock_monotonic_ns() + POLLER_GRACE_NS;
    bool hurried = false;

    (void)pthread_mutex_lock(&poller->lock);
    poller_give_back(poller);
    poller->ending = true;
    (void)pthread_cond_broadcast(&poller->work);
    (void)pthread_cond_signal(&poller->news);
    while (poller->running > 0) {
        wait_a_glance(&poller->room, &poller->lock);
        if (!hurried && (poller->queue_gone || clock_monotonic_ns() >= end)) {
            hurried = true;
            scan_resources_hurry(poller->resources);
        }
    }
    poller->no_more_news = true;
    (void)pthread_cond_signal(&poller->news);
    (void)pthread_mutex_unlock(&poller->lock);
}

static size_t worker_count(const struct scan_resources *resources)
{
    uint64_t wanted = storage_settings_number(resources->settings, STORAGE_CONCURRENCY);
    uint64_t scanners = storage_settings_number(resources->settings, STORAGE_WORKERS);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    if (wanted == 0)
        wanted = 4 * (scanners > 0 ? scanners : cores > 0 ? (uint64_t)cores : 1);
    return (size_t)MIN(wanted, (uint64_t)POLLER_MOST_WORKERS);
}

static int run_threads(struct poller *poller, struct aws_client *client)
{
    pthread_t threads[POLLER_MOST_WORKERS], keeper;
    size_t started = 0;
    int code = 1;

    int r = -pthread_create(&keeper, NULL, poller_keep, poller);
    if (r < 0)
        return 1;
    for (; started < poller->workers; started++) {
        if (pthread_create(&threads[started], NULL, work, poller) != 0)
            break;
        (void)pthread_mutex_lock(&poller->lock);
        poller->running++;
        (void)pthread_mutex_unlock(&poller->lock);
    }
    if (started > 0) {
        wait_for_engine(poller);
        log_info("poller_ready", "queue", poller->queue, "workers", log_number((int64_t)started),
                 NULL);
        code = receive(poller, client);
    }
    wind_down(poller);
    for (size_t i = 0; i < started; i++)
        (void)pthread_join(threads[i], NULL);
    (void)pthread_join(keeper, NULL);
    log_info("poller_ended", "done", log_number((int64_t)poller->done), "given_back",
             log_number((int64_t)poller->failed), NULL);
    return code;
}

static int run_with(struct poller *poller)
{
    struct aws_client *client = NULL;

    int r = aws_client_new(&poller->resources->aws, NULL, &client);
    if (r < 0 || poller->flights == NULL) {
        log_error("poller_not_started", "problem", log_error_text(r < 0 ? r : -ENOMEM), NULL);
        (void)aws_client_free(client);
        return 1;
    }
    poller->stop.receiver = client;
    aws_client_set_cancel(client, queue_stop_is_over, &poller->stop);
    int code = run_threads(poller, client);
    (void)aws_client_free(client);
    return code;
}

int poller_run(struct scan_resources *resources, message_handler *handler, const bool *stop)
{
    const struct storage_settings *settings = resources->settings;
    struct poller poller = {
        .resources = resources,
        .handler = handler,
        .queue = storage_settings_text(settings, STORAGE_QUEUE),
        .stop = {.wanted = stop, .wait_ns = storage_settings_number(settings, STORAGE_WAIT)},
        .visibility_s =
            (unsigned)(storage_settings_number(settings, STORAGE_VISIBILITY) / NS_PER_SECOND),
        .workers = worker_count(resources),
    };

    if (poller.queue[0] == '\0') {
        log_error("no_queue", "cure", "set queue_url (YAGURA_QUEUE_URL)", NULL);
        return 1;
    }
    poller.flight_count = 2 * poller.workers + SPARE_FLIGHTS;
    poller.flights = calloc(poller.flight_count, sizeof *poller.flights);
    (void)pthread_mutex_init(&poller.lock, NULL);
    (void)pthread_cond_init(&poller.work, NULL);
    (void)pthread_cond_init(&poller.room, NULL);
    (void)pthread_cond_init(&poller.news, NULL);
    int code = run_with(&poller);
    (void)pthread_cond_destroy(&poller.work);
    (void)pthread_cond_destroy(&poller.room);
    (void)pthread_cond_destroy(&poller.news);
    (void)pthread_mutex_destroy(&poller.lock);
    free(poller.flights);
    return code;
}
