/* Moves one body from a stream to a socket as it comes, chunk by chunk, trailers and all, or
 * collects it whole. Never changes a byte of it. */
#ifndef APPLICATION_RELAY_BODY_TRANSFER_H
#define APPLICATION_RELAY_BODY_TRANSFER_H

#include "application/relay/byte_stream.h"
#include "application/relay/chunked_body.h"
#include "application/relay/http_head.h"

struct buffer;

struct body_transfer {
    enum http_body kind;
    uint64_t left;
    struct chunked_body chunks;
    bool ended;
};

void body_transfer_begin(struct body_transfer *transfer, const struct http_head *head);

enum body_outcome {
    BODY_ENDED,
    BODY_PEER_SPEAKS, /* watch_fd has something to read: run again afterwards */
    BODY_SINK_GONE,   /* to_fd takes no more */
    BODY_BROKEN,      /* the source ended too early, or its framing is wrong */
    BODY_TOO_LARGE,   /* collect only: run may still move the rest */
};
/* watch_fd: looked at before each wait for the source; -1: nothing is. */
enum body_outcome body_transfer_run(struct body_transfer *transfer, struct byte_stream *from,
                                    int to_fd, int watch_fd);
/* The body as it came, framing included, up to the buffer's maximum. */
enum body_outcome body_transfer_collect(struct body_transfer *transfer, struct byte_stream *from,
                                        struct buffer *raw);

#endif
