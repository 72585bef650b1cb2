/* A blocking socket with a buffer of one head's size in front of its reading side. One thread at a
 * time. */
#ifndef APPLICATION_RELAY_BYTE_STREAM_H
#define APPLICATION_RELAY_BYTE_STREAM_H

#include "common/attributes.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct byte_stream {
    int fd; /* -1 = none */
    char *bytes;
    size_t begin, end;
};

/* Takes fd, which may be -1. -ENOMEM (fd is then still the caller's). */
int byte_stream_open(struct byte_stream *stream, int fd) MUST_USE;
/* Closes and frees; an all-zero or closed stream is legal. */
void byte_stream_done(struct byte_stream *stream);
/* Closes the socket it has and takes another; what was read and not used is forgotten. */
void byte_stream_replace(struct byte_stream *stream, int fd);

/* Reads once. Bytes read; 0 at the end; -ENOBUFS when the buffer is full; -errno. */
ssize_t byte_stream_fill(struct byte_stream *stream) MUST_USE;
static inline const char *byte_stream_data(const struct byte_stream *stream)
{
    return stream->bytes + stream->begin;
}
static inline size_t byte_stream_length(const struct byte_stream *stream)
{
    return stream->end - stream->begin;
}
void byte_stream_use(struct byte_stream *stream, size_t length);
/* Reads until a whole head is buffered. -ENODATA: the peer closed before its first byte;
 * -EPIPE: in the middle; -EMSGSIZE: too long; -errno. */
int byte_stream_read_head(struct byte_stream *stream, size_t *ret_length) MUST_USE;
/* Whether the peer is still there, as far as the kernel knows; a stream with unread bytes, which
 * nobody asked for, is not usable either. */
bool byte_stream_is_idle(const struct byte_stream *stream);

/* Sends all. -errno. */
int byte_stream_send(int fd, const void *bytes, size_t length) MUST_USE;
/* A connection to address, without Nagle's delay. -errno. */
int byte_stream_connect(const struct sockaddr_in *address, int *ret_fd) MUST_USE;

#endif
