/* One body on its way. */
#include "application/relay/body_transfer.h"

#include "application/relay/relay_limits.h"
#include "common/buffers/buffer.h"

#include <errno.h>
#include <poll.h>

void body_transfer_begin(struct body_transfer *transfer, const struct http_head *head)
{
    *transfer = (struct body_transfer){.kind = head->body,
                                       .left = head->body_length,
                                       .ended = head->body == HTTP_BODY_NONE};
}

/* How many of the buffered bytes belong to the body; updates transfer. < 0: broken. */
static ssize_t claim(struct body_transfer *transfer, const struct byte_stream *from)
{
    size_t available = byte_stream_length(from), used = available;

    if (transfer->kind == HTTP_BODY_LENGTH) {
        used = transfer->left < available ? (size_t)transfer->left : available;
        transfer->left -= used;
        transfer->ended = transfer->left == 0;
    } else if (transfer->kind == HTTP_BODY_CHUNKED) {
        int r = chunked_body_scan(&transfer->chunks, byte_stream_data(from), available, &used);
        if (r < 0)
            return r;
        transfer->ended = r == 1;
    }
    return (ssize_t)used;
}

/* True when watch_fd speaks before the source does. */
static bool peer_speaks_first(int source_fd, int watch_fd)
{
    struct pollfd both[] = {{.fd = source_fd, .events = POLLIN},
                            {.fd = watch_fd, .events = POLLIN}};

    if (watch_fd < 0)
        return false;
    while (poll(both, 2, -1) < 0 && errno == EINTR)
        continue;
    return both[0].revents == 0 && both[1].revents != 0;
}

/* Waits for more of the source. BODY_ENDED: there is more, or a body without a length is over. */
static enum body_outcome refill(struct body_transfer *transfer, struct byte_stream *from,
                                int watch_fd)
{
    if (peer_speaks_first(from->fd, watch_fd))
        return BODY_PEER_SPEAKS;
    ssize_t n = byte_stream_fill(from);
    if (n == 0 && transfer->kind == HTTP_BODY_UNTIL_CLOSE)
        transfer->ended = true;
    else if (n <= 0)
        return BODY_BROKEN;
    return BODY_ENDED;
}

enum body_outcome body_transfer_run(struct body_transfer *transfer, struct byte_stream *from,
                                    int to_fd, int watch_fd)
{
    while (!transfer->ended) {
        if (byte_stream_length(from) == 0) {
            enum body_outcome outcome = refill(transfer, from, watch_fd);
            if (outcome != BODY_ENDED)
                return outcome;
            continue;
        }
        ssize_t used = claim(transfer, from);
        if (used < 0)
            return BODY_BROKEN;
        if (byte_stream_send(to_fd, byte_stream_data(from), (size_t)used) < 0)
            return BODY_SINK_GONE;
        byte_stream_use(from, (size_t)used);
    }
    return BODY_ENDED;
}

enum body_outcome body_transfer_collect(struct body_transfer *transfer, struct byte_stream *from,
                                        struct buffer *raw)
{
    if (transfer->kind == HTTP_BODY_LENGTH && transfer->left > raw->maximum)
        return BODY_TOO_LARGE;
    char *room;
    if (transfer->kind == HTTP_BODY_LENGTH &&
        buffer_reserve(raw, (size_t)transfer->left, &room) < 0)
        return BODY_BROKEN;
    while (!transfer->ended) {
        if (byte_stream_length(from) == 0) {
            enum body_outcome outcome = refill(transfer, from, -1);
            if (outcome != BODY_ENDED)
                return outcome;
            continue;
        }
        struct body_transfer before = *transfer;
        ssize_t used = claim(transfer, from);
        if (used > 0 && raw->length + (size_t)used > raw->maximum) {
            *transfer = before;
            return BODY_TOO_LARGE;
        }
        if (used < 0 || buffer_append(raw, byte_stream_data(from), (size_t)used) < 0)
            return BODY_BROKEN;
        byte_stream_use(from, (size_t)used);
    }
    return BODY_ENDED;
}
