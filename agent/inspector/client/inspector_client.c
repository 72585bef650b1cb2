/* Owns: the child, and when it is started again. Must not own: questions, what answers mean. */
#include "agent/inspector/client/inspector_client.h"

#include "common/log/log.h"
#include "common/sandbox/spawn.h"
#include "common/time/clock.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#define ANSWER_TIMEOUT_MS 10000
/* The first answer waits until the child has read the whole database. */
#define FIRST_TIMEOUT_MS 60000
#define USUAL_PAUSE      (60 * NS_PER_SECOND)
#define ARGUMENTS        2

struct inspector_client {
    char *program, *arguments[ARGUMENTS];
    int (*greet)(void *user, int socket);
    void *user;
    uint64_t pause_ns;
    bool ask_once;
    pid_t child;
    int socket;
    uint64_t failed_ns; /* monotonic; 0 = never */
    uint64_t wait_ns;   /* from then on; 0 = the last answer was good */
    uint64_t starts;
    uint8_t buffer[LIMIT_MESSAGE_BYTES + 4];
};

int inspector_client_new_with(const struct inspector_client_options *options,
                              struct inspector_client **ret_client)
{
    struct inspector_client *client = calloc(1, sizeof(*client));
    bool complete;

    if (!client)
        return -ENOMEM;
    client->socket = -1;
    client->greet = options->greet;
    client->user = options->user;
    client->pause_ns = options->pause_ns;
    client->ask_once = options->ask_once;
    client->program = strdup(options->program);
    complete = client->program != NULL;
    for (size_t i = 0; i < ARGUMENTS && options->arguments[i]; i++) {
        client->arguments[i] = strdup(options->arguments[i]);
        complete = complete && client->arguments[i] != NULL;
    }
    if (!complete) {
        inspector_client_free(client);
        return -ENOMEM;
    }
    *ret_client = client;
    return 0;
}

int inspector_client_new(const char *program, struct inspector_client **ret_client)
{
    const struct inspector_client_options options = {.program = program, .pause_ns = USUAL_PAUSE};

    return inspector_client_new_with(&options, ret_client);
}

/* Its wait status: how it had ended by itself, or of our signal. */
static int end_child(struct inspector_client *client)
{
    int status = 0;

    if (client->socket >= 0)
        (void)close(TAKE_FD(client->socket));
    if (client->child > 0) {
        (void)kill(client->child, SIGKILL);
        while (waitpid(client->child, &status, 0) < 0 && errno == EINTR)
            ;
        client->child = 0;
    }
    return status;
}

/* It ended by itself, as it does when a database moved; another sees the new one. */
static void bury_child(struct inspector_client *client)
{
    int status = end_child(client);

    if (WIFSIGNALED(status))
        log_warning("inspector_died", "signal", log_number(WTERMSIG(status)), "effect",
                    "another takes its place, and is asked again", NULL);
}

struct inspector_client *inspector_client_free(struct inspector_client *client)
{
    if (!client)
        return NULL;
    (void)end_child(client);
    for (size_t i = 0; i < ARGUMENTS; i++)
        free(client->arguments[i]);
    free(client->program);
    free(client);
    return NULL;
}

static int start_child(struct inspector_client *client)
{
    char *arguments[] = {client->program, client->arguments[0], client->arguments[1], NULL};
    int pair[2], r;

    if (client->failed_ns && clock_monotonic_ns() - client->failed_ns < client->wait_ns)
        return -EAGAIN;
    r = message_pair(false, pair);
    if (r < 0)
        return r;
    r = spawn_program(client->program, arguments, &pair[1], 1, &client->child, NULL);
    (void)close(pair[1]);
    if (r < 0) {
        (void)close(pair[0]);
        return r;
    }
    client->socket = pair[0];
    client->starts++;
    return client->greet ? client->greet(client->user, client->socket) : 0;
}

static int wait_for_answer(struct inspector_client *client, int timeout_ms,
                           const struct inspector_question *question)
{
    struct pollfd ready = {.fd = client->socket, .events = POLLIN};
    struct message message;
    int r;

    do {
        r = poll(&ready, 1, timeout_ms);
    } while (r < 0 && errno == EINTR);
    if (r <= 0)
        return r < 0 ? -errno : -ETIMEDOUT;
    r = message_receive(client->socket, client->buffer, sizeof(client->buffer), &message);
    if (r <= 0)
        return r < 0 ? r : -EPIPE;
    r = message.fd_count > 0 ? -EBADMSG : question->read(question->user, &message);
    message_release(&message);
    return r;
}

static int ask_child(struct inspector_client *client, const struct inspector_question *question)
{
    bool fresh = client->socket < 0;
    int r = 0;

    if (fresh)
        r = start_child(client);
    if (r == 0)
        r = question->ask(question->user, client->socket);
    if (r < 0)
        return r;
    do {
        r = wait_for_answer(client, fresh ? FIRST_TIMEOUT_MS : ANSWER_TIMEOUT_MS, question);
    } while (r > 0);
    return r;
}

void inspector_client_restart(struct inspector_client *client)
{
    (void)end_child(client);
    client->failed_ns = 0;
}

uint64_t inspector_client_starts(const struct inspector_client *client)
{
    return client->starts;
}

pid_t inspector_client_pid(const struct inspector_client *client)
{
    return client->child;
}

static void note_failure(struct inspector_client *client)
{
    client->failed_ns = clock_monotonic_ns();
    client->wait_ns = client->wait_ns == 0
                          ? client->pause_ns
                          : MIN(2 * client->wait_ns, MAX(client->pause_ns, USUAL_PAUSE));
}

/* Since the last answer: no question is to blame. */
static bool has_ended(const struct inspector_client *client)
{
    struct pollfd ended = {.fd = client->socket};

    return client->socket >= 0 && poll(&ended, 1, 0) > 0 && (ended.revents & POLLHUP) != 0;
}

int inspector_client_converse(struct inspector_client *client,
                              const struct inspector_question *question)
{
    if (has_ended(client))
        bury_child(client);
    bool asked_again = client->socket >= 0 && !client->ask_once;
    int r = ask_child(client, question);

    if (asked_again && (r == -EPIPE || r == -ECONNRESET)) {
        bury_child(client);
        r = ask_child(client, question);
    }
    if (r == 0)
        client->wait_ns = 0;
    else if (r != -EAGAIN || client->socket >= 0)
        note_failure(client);
    if (r < 0)
        (void)end_child(client);
    return r;
}
