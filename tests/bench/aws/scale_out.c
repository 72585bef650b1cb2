/* Many hosts at once, each the whole conversation of yagura-messenger: it asks Parameter Store,
 * activates at the console, and has its first heartbeat asked for. Root is played here; a host ends
 * with the wish for its first heartbeat, which comes after the identity.
 *
 *   scale_out HOSTS SSM-URL
 *
 * prints a line of JSON a host: seconds until it was activated, or null, how often it was told to
 * wait, and the last thing that was wrong. */
#include "agent/messenger/conversation.h"
#include "agent/messenger/link_cloud.h"
#include "agent/messenger/news_wait.h"
#include "common/crypto/random.h"
#include "common/messages/message.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define STACK_BYTES (1024 * 1024)
#define LONGEST_NS  (600 * NS_PER_SECOND)

struct host {
    pthread_t thread;
    unsigned number;
    int theirs, ours; /* the messenger's end, and root's */
    bool identified, done;
    unsigned waits; /* states that are not what everybody hopes for */
    uint64_t activated_ns;
    char problem[LINK_TEXT_BYTES];
    uint8_t buffer[LIMIT_MESSAGE_BYTES + 4];
};

static uint64_t begin_ns;
static const char *ssm_url;
static pthread_barrier_t start;

static void require(bool held, const char *what)
{
    if (held)
        return;
    (void)fprintf(stderr, "scale_out: %s\n", what);
    abort();
}

/* ---- root ---- */

static void introduce(struct host *host)
{
    struct link_cloud *cloud = calloc(1, sizeof *cloud);
    struct link_settings *settings = calloc(1, sizeof *settings);

    require(cloud != NULL && settings != NULL, "memory");
    cloud->parameters = true;
    (void)text_copy(cloud->prefix, sizeof cloud->prefix, "/yagura/");
    (void)text_copy(cloud->aws.region, sizeof cloud->aws.region, "eu-west-1");
    (void)text_copy(cloud->aws.keys.access_key_id, sizeof cloud->aws.keys.access_key_id, "AKID");
    (void)text_copy(cloud->aws.keys.secret_access_key, sizeof cloud->aws.keys.secret_access_key,
                    "secret");
    (void)text_copy(cloud->aws.service_endpoints[0], AWS_TEXT_BYTES, ssm_url);
    require(uuid_new(settings->session) == 0, "session");
    (void)text_format(settings->hostname, sizeof settings->hostname, "host-%u", host->number);
    (void)text_format(settings->machine_id, sizeof settings->machine_id, "%032x", host->number + 1);
    (void)text_format(settings->instance_id, sizeof settings->instance_id, "i-%017x",
                      host->number + 1);
    (void)text_copy(settings->boot_id, sizeof settings->boot_id, settings->session);
    (void)text_copy(settings->os, sizeof settings->os, "Linux");
    require(link_send_cloud(host->ours, cloud) == 0 &&
                link_send_settings(host->ours, settings) == 0,
            "introduction");
    free(cloud);
    free(settings);
}

static void take_state(struct host *host, const struct message *message)
{
    struct link_state state;

    require(link_read_state(message, &state) == 0, "state");
    if (state.text[0] == '\0' || text_starts_with(state.text, "Parameter Store is asked"))
        return;
    host->waits++;
    (void)text_copy(host->problem, sizeof host->problem, state.text);
}

static void take_one(struct host *host, struct message *message)
{
    const struct link_files none = {.error = {-ENOENT, -ENOENT, -ENOENT, -ENOENT}};

    switch (message->type) {
    case LINK_WANT_FILES:
        require(link_send_files_done(host->ours, &none) == 0, "files");
        break;
    case LINK_IDENTITY:
        host->identified = true;
        host->activated_ns = clock_monotonic_ns() - begin_ns;
        break;
    case LINK_WANT_BEAT:
        host->done = host->identified;
        break;
    case LINK_STATE:
        take_state(host, message);
        break;
    default:
        break;
    }
    message_release(message);
}

static void play_root(struct host *host)
{
    struct message message;

    while (message_receive(host->ours, host->buffer, sizeof host->buffer, &message) == 1)
        take_one(host, &message);
}

/* ---- the messenger, as its main does it ---- */

static void take_messages(struct host *host, struct conversation *conversation)
{
    struct message message;

    while (message_receive(host->theirs, host->buffer, sizeof host->buffer, &message) == 1)
        require(conversation_take(conversation, &message) == 0, "a message of root");
}

static void *run(void *user)
{
    struct host *host = user;
    struct conversation *conversation = NULL;

    require(conversation_new(host->theirs, &conversation) == 0, "conversation");
    introduce(host);
    (void)pthread_barrier_wait(&start);
    while (!host->done && clock_monotonic_ns() - begin_ns < LONGEST_NS) {
        struct pollfd polls[1 + NEWS_WAIT_POLLS] = {{.fd = host->theirs, .events = POLLIN}};
        uint64_t wait_ns;
        size_t others = conversation_polls(conversation, polls + 1, NEWS_WAIT_POLLS, &wait_ns);
        struct timespec timeout = timespec_from_ns(MIN(wait_ns, NS_PER_SECOND));
        (void)ppoll(polls, 1 + others, &timeout, NULL);
        take_messages(host, conversation);
        require(conversation_act(conversation) == 0, "conversation");
        play_root(host);
    }
    (void)conversation_free(conversation);
    return NULL;
}

/* ---- all of them ---- */

static struct host *begin_host(unsigned number, const pthread_attr_t *attributes)
{
    struct host *host = calloc(1, sizeof *host);
    int pair[2];

    require(host != NULL && message_pair(true, pair) == 0, "a host");
    host->number = number;
    host->ours = pair[0];
    host->theirs = pair[1];
    require(pthread_create(&host->thread, attributes, run, host) == 0, "a thread");
    return host;
}

static void print(const struct host *host)
{
    char seconds[32] = "null";

    if (host->done)
        (void)text_format(seconds, sizeof seconds, "%.3f",
                          (double)host->activated_ns / (double)NS_PER_SECOND);
    (void)printf("{\"seconds\": %s, \"waits\": %u, \"problem\": \"%s\"}\n", seconds, host->waits,
                 host->problem);
}

int main(int argc, char **argv)
{
    struct rlimit descriptors;
    pthread_attr_t attributes;
    uint64_t count;

    if (argc != 3 || text_parse_u64(argv[1], &count) < 0 || count == 0 || count > 10000) {
        (void)fputs("usage: scale_out HOSTS SSM-URL\n", stderr);
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    ssm_url = argv[2];
    require(getrlimit(RLIMIT_NOFILE, &descriptors) == 0, "descriptors");
    descriptors.rlim_cur = descriptors.rlim_max;
    require(setrlimit(RLIMIT_NOFILE, &descriptors) == 0, "descriptors");
    require(pthread_attr_init(&attributes) == 0 &&
                pthread_attr_setstacksize(&attributes, STACK_BYTES) == 0,
            "stacks");
    struct host **hosts = calloc(count, sizeof(struct host *));
    require(hosts != NULL && pthread_barrier_init(&start, NULL, (unsigned)count + 1) == 0,
            "memory");
    for (unsigned i = 0; i < count; i++)
        hosts[i] = begin_host(i, &attributes);
    begin_ns = clock_monotonic_ns();
    (void)pthread_barrier_wait(&start); /* all in the same moment */
    for (unsigned i = 0; i < count; i++) {
        (void)pthread_join(hosts[i]->thread, NULL);
        print(hosts[i]);
        (void)close(hosts[i]->ours);
        (void)close(hosts[i]->theirs);
        free(hosts[i]);
    }
    free(hosts);
    return 0;
}
