/* The listener and its threads. */
#include "application/relay/relay_private.h"
#include "common/log/log.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/socket.h>

int relay_open(const struct relay_options *options, struct relay **ret_relay, uint16_t *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(options->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int one = 1;

    *ret_relay = NULL;
    AUTO_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(fd, RELAY_CONNECTIONS) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) < 0)
        return -errno;
    struct relay *relay = calloc(1, sizeof *relay);
    if (relay == NULL)
        return -ENOMEM;
    relay->options = *options;
    relay->listener = TAKE_FD(fd);
    atomic_init(&relay->answers_stream, options->streaming == RELAY_STREAMING_YES);
    *ret_relay = relay;
    *ret_port = ntohs(address.sin_port);
    return 0;
}

static void connection_free(struct connection *connection)
{
    byte_stream_done(&connection->client);
    byte_stream_done(&connection->upstream);
    (void)atomic_fetch_sub(&connection->relay->connections, 1);
    free(connection);
}

static void *serve(void *argument)
{
    struct connection *connection = argument;

    connection_serve(connection);
    connection_free(connection);
    return NULL;
}

static int start_thread(void *(*run)(void *), void *argument)
{
    pthread_attr_t attributes;
    pthread_t thread;

    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, RELAY_THREAD_STACK);
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    int r = pthread_create(&thread, &attributes, run, argument);
    (void)pthread_attr_destroy(&attributes);
    return -r;
}

/* Takes fd over. */
static int take(struct relay *relay, int fd)
{
    struct connection *connection = calloc(1, sizeof *connection);
    int one = 1;

    if (connection == NULL || atomic_load(&relay->connections) >= RELAY_CONNECTIONS) {
        free(connection);
        (void)close(fd);
        return connection == NULL ? -ENOMEM : -EMFILE;
    }
    (void)atomic_fetch_add(&relay->connections, 1);
    connection->relay = relay;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    int r = byte_stream_open(&connection->client, fd);
    if (r < 0)
        (void)close(fd);
    else
        r = byte_stream_open(&connection->upstream, -1);
    if (r == 0)
        r = start_thread(serve, connection);
    if (r < 0)
        connection_free(connection);
    return r;
}

static void *accept_all(void *argument)
{
    struct relay *relay = argument;

    for (;;) {
        int fd = accept4(relay->listener, NULL, NULL, SOCK_CLOEXEC);
        int r = fd >= 0 ? take(relay, fd) : -errno;
        if (r == -EINVAL || r == -EBADF)
            return NULL;
        if (r < 0 && r != -EINTR && r != -ECONNABORTED)
            log_warning("connection_refused", "error", log_error_text(r), NULL);
    }
}

int relay_start(struct relay *relay)
{
    return start_thread(accept_all, relay);
}
