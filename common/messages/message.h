/* Typed messages between our processes over SOCK_SEQPACKET pairs, with descriptors.
 *
 * A message is a 32-bit type and a payload that the module of the two peers defines (fixed structs
 * or packed fields; never pointers). Too long, too short, an unknown type or an unexpected
 * descriptor is fatal to the peer that sent it: see message_dispatch. Both peers are on one machine
 * and come from one build, so integers travel in host order. */
#ifndef COMMON_MESSAGES_MESSAGE_H
#define COMMON_MESSAGES_MESSAGE_H

#include "common/attributes.h"
#include "common/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct message {
    uint32_t type;
    const uint8_t *payload; /* inside the receiver's buffer, valid until the next receive */
    size_t length;
    int fds[LIMIT_MESSAGE_FDS]; /* owned by the handler, which takes them with TAKE_FD; -1 = none */
    size_t fd_count;
};

/* A connected pair, close-on-exec, non-blocking when asked. -errno. */
int message_pair(bool nonblocking, int ret_fds[static 2]) MUST_USE;

/* Sends one message; the descriptors stay the caller's. -EAGAIN when the peer is slow, -EMSGSIZE,
 * -EPIPE when it is gone (no SIGPIPE), -errno. */
int message_send(int socket, uint32_t type, const void *payload, size_t length) MUST_USE;
int message_send_fd(int socket, uint32_t type, const void *payload, size_t length, int fd) MUST_USE;

/* Receives one into buffer (LIMIT_MESSAGE_BYTES + 4). 1 and ret_message, 0 when the peer closed,
 * -EAGAIN, -EBADMSG (truncated, shorter than its type, too many descriptors), -errno. On anything
 * but 1 no descriptor is handed over. */
int message_receive(int socket, uint8_t *buffer, size_t size, struct message *ret_message) MUST_USE;
/* Closes the descriptors nobody took. */
void message_release(struct message *message);

/* A packed payload: fields appended and read in the same order. Reading past the end, or leaving
 * bytes unread, is an error found by message_reader_end. */
struct message_writer {
    uint8_t data[LIMIT_MESSAGE_BYTES];
    size_t length;
    bool failed;
};
void message_write_u32(struct message_writer *writer, uint32_t value);
void message_write_u64(struct message_writer *writer, uint64_t value);
void message_write_bytes(struct message_writer *writer, const void *bytes, size_t length);
void message_write_text(struct message_writer *writer, const char *text);
/* -EMSGSIZE when the fields did not fit. */
int message_writer_send(struct message_writer *writer, int socket, uint32_t type, int fd) MUST_USE;

struct message_reader {
    const uint8_t *data;
    size_t left;
    bool failed;
};
struct message_reader message_reader_of(const struct message *message);
uint32_t message_read_u32(struct message_reader *reader);
uint64_t message_read_u64(struct message_reader *reader);
/* Points into the message; ret_length may be 0. NULL on error. */
const void *message_read_bytes(struct message_reader *reader, size_t *ret_length);
/* A text without NUL inside, copied and terminated; size counts the terminator. */
void message_read_text(struct message_reader *reader, char *buffer, size_t size);
/* 0 when everything was read and nothing failed; -EBADMSG. */
int message_reader_end(const struct message_reader *reader) MUST_USE;

/* Which message may come now, and who handles it. After OpenSSH's monitor. */
struct message_route {
    uint32_t type;
    const char *name; /* for logs */
    bool permitted;   /* may come now; handlers change it */
    bool with_fd;     /* must carry exactly one descriptor; otherwise none */
    int (*handler)(void *user, struct message *message); /* 0 or -errno; < 0 ends the peer */
};
/* -EPROTO for a type that is unknown or not permitted now or has the wrong descriptors; otherwise
 * the handler's result. Releases the message. */
int message_dispatch(struct message_route *routes, size_t count, void *user,
                     struct message *message) MUST_USE;

#endif
