/* Sockets of the relay. No timeouts: the other end may be asleep for hours with all of us. */
#include "application/relay/byte_stream.h"

#include "application/relay/http_head.h"
#include "application/relay/relay_limits.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

int byte_stream_open(struct byte_stream *stream, int fd)
{
    *stream = (struct byte_stream){.fd = -1};
    stream->bytes = malloc(RELAY_HEAD_BYTES);
    if (stream->bytes == NULL)
        return -ENOMEM;
    stream->fd = fd;
    return 0;
}

void byte_stream_done(struct byte_stream *stream)
{
    if (stream->bytes == NULL)
        return;
    byte_stream_replace(stream, -1);
    free(stream->bytes);
    *stream = (struct byte_stream){.fd = -1};
}

void byte_stream_replace(struct byte_stream *stream, int fd)
{
    if (stream->fd >= 0)
        (void)close(stream->fd);
    stream->fd = fd;
    stream->begin = stream->end = 0;
}

ssize_t byte_stream_fill(struct byte_stream *stream)
{
    ssize_t n;

    if (stream->begin == stream->end)
        stream->begin = stream->end = 0;
    if (stream->end == RELAY_HEAD_BYTES && stream->begin > 0) {
        memmove(stream->bytes, byte_stream_data(stream), byte_stream_length(stream));
        stream->end -= stream->begin;
        stream->begin = 0;
    }
    if (stream->end == RELAY_HEAD_BYTES)
        return -ENOBUFS;
    do
        n = recv(stream->fd, stream->bytes + stream->end, RELAY_HEAD_BYTES - stream->end, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    stream->end += (size_t)n;
    return n;
}

void byte_stream_use(struct byte_stream *stream, size_t length)
{
    stream->begin += MIN(length, byte_stream_length(stream));
}

int byte_stream_read_head(struct byte_stream *stream, size_t *ret_length)
{
    for (;;) {
        *ret_length = http_head_end(byte_stream_data(stream), byte_stream_length(stream));
        if (*ret_length > 0)
            return 0;
        ssize_t n = byte_stream_fill(stream);
        if (n == 0)
            return byte_stream_length(stream) > 0 ? -EPIPE : -ENODATA;
        if (n < 0)
            return n == -ENOBUFS ? -EMSGSIZE : (int)n;
    }
}

bool byte_stream_is_idle(const struct byte_stream *stream)
{
    struct pollfd peer = {.fd = stream->fd, .events = POLLIN | POLLRDHUP};

    return stream->fd >= 0 && byte_stream_length(stream) == 0 && poll(&peer, 1, 0) == 0;
}

int byte_stream_send(int fd, const void *bytes, size_t length)
{
    const char *next = bytes;

    while (length > 0) {
        ssize_t n = send(fd, next, length, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        next += n;
        length -= (size_t)n;
    }
    return 0;
}

int byte_stream_connect(const struct sockaddr_in *address, int *ret_fd)
{
    AUTO_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1, r;

    *ret_fd = -1;
    if (fd < 0)
        return -errno;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    do
        r = connect(fd, (const struct sockaddr *)address, sizeof *address);
    while (r < 0 && errno == EINTR);
    if (r < 0)
        return -errno;
    *ret_fd = TAKE_FD(fd);
    return 0;
}
