/* Owns one agent's connection: connect, handshake, write, read, each when the socket is ready. */
#include "tests/bench/console/load.h"

#include "common/text/text.h"
#include "common/time/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

void load_disconnect(struct agent *agent)
{
    if (agent->tls)
        SSL_free(agent->tls);
    if (agent->fd >= 0)
        (void)close(agent->fd);
    agent->tls = NULL;
    agent->fd = -1;
    agent->step = STEP_IDLE;
}

static void break_off(struct agent *agent)
{
    load_disconnect(agent);
    load_finished(agent, 0, 0, "");
}

/* Edge-triggered for both directions: no change of what is waited for. */
static bool connect_agent(struct agent *agent)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(agent->fleet->port),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                .data = {.ptr = agent}};
    int on = 1;
    agent->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (agent->fd < 0)
        return false;
    (void)setsockopt(agent->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (connect(agent->fd, (struct sockaddr *)&address, sizeof(address)) < 0 &&
        errno != EINPROGRESS)
        return false;
    agent->tls = SSL_new(agent->fleet->context);
    if (!agent->tls || SSL_set_fd(agent->tls, agent->fd) != 1 ||
        SSL_use_certificate(agent->tls, agent->certificate) != 1)
        return false;
    SSL_set_connect_state(agent->tls);
    agent->step = STEP_CONNECT;
    return epoll_ctl(agent->fleet->epoll, EPOLL_CTL_ADD, agent->fd, &event) == 0;
}

/* 1: done; 0: later; < 0: broken. */
static int outcome_of(struct agent *agent, int result)
{
    if (result > 0)
        return 1;
    int error = SSL_get_error(agent->tls, result);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static int write_message(struct agent *agent)
{
    int r = SSL_write(agent->tls, agent->message.data, (int)agent->message.length);
    return outcome_of(agent, r);
}

static uint64_t header_number(const char *head, const char *name)
{
    const char *at = strcasestr(head, name);
    return at ? strtoull(at + strlen(name), NULL, 10) : 0;
}

/* 1: a whole answer. */
static int read_answer(struct agent *agent)
{
    for (;;) {
        int got = SSL_read(agent->tls, agent->answer + agent->received,
                           (int)(sizeof(agent->answer) - 1 - agent->received));
        int r = outcome_of(agent, got);
        if (r <= 0)
            return r;
        agent->received += (size_t)got;
        agent->answer[agent->received] = '\0';
        const char *end = strstr(agent->answer, "\r\n\r\n");
        if (end && agent->received >= (size_t)(end - agent->answer) + 4 +
                                          header_number(agent->answer, "\r\nContent-Length: "))
            return 1;
        if (agent->received == sizeof(agent->answer) - 1)
            return -1;
    }
}

static void take_answer(struct agent *agent)
{
    unsigned status = (unsigned)strtoul(agent->answer + strlen("HTTP/1.1 "), NULL, 10);
    uint64_t retry_after_s = header_number(agent->answer, "\r\nRetry-After: ");
    bool closing = strcasestr(agent->answer, "\r\nConnection: close") != NULL;
    agent->step = STEP_IDLE;
    if (closing)
        load_disconnect(agent);
    const char *body = strstr(agent->answer, "\r\n\r\n");
    load_finished(agent, status, retry_after_s, body ? body + 4 : "");
}

static int connected(int fd)
{
    int error = 0;
    socklen_t length = sizeof(error);
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0 || error)
        return -1;
    return 1;
}

static int run_step(struct agent *agent)
{
    switch (agent->step) {
    case STEP_CONNECT:
        return connected(agent->fd);
    case STEP_HANDSHAKE:
        return outcome_of(agent, SSL_do_handshake(agent->tls));
    case STEP_WRITE:
        return write_message(agent);
    case STEP_READ:
        return read_answer(agent);
    case STEP_IDLE:
        break;
    }
    return 0;
}

static void go_on(struct agent *agent)
{
    while (agent->step != STEP_IDLE) {
        int r = run_step(agent);
        if (r == 0)
            return;
        if (r < 0) {
            break_off(agent);
            return;
        }
        if (agent->step == STEP_READ) {
            take_answer(agent);
            return;
        }
        agent->fleet->handshakes += agent->step == STEP_HANDSHAKE;
        agent->step++;
    }
}

void load_begin(struct agent *agent)
{
    load_encode(agent);
    agent->received = 0;
    agent->begun_ns = clock_monotonic_ns();
    if (!agent->tls) {
        if (!connect_agent(agent))
            break_off(agent);
        return;
    }
    agent->step = STEP_WRITE;
    go_on(agent);
}

void load_advance(struct agent *agent, uint32_t happened)
{
    if (agent->step == STEP_CONNECT && !(happened & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
        return;
    if (agent->step == STEP_IDLE) {
        /* As libcurl does: a connection that the console closed is replaced at the next request. */
        if (happened & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
            load_disconnect(agent);
        return;
    }
    go_on(agent);
}
