/* Typed messages with descriptors over SOCK_SEQPACKET.
 *
 * Owns: the framing (type, payload, ancillary data) and the fate of received descriptors until a
 * handler takes them. Must not own: the sockets, or what the types mean. Hands off: one message at
 * a time to the routes of the peer's module. */
#include "common/messages/message.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define TYPE_BYTES sizeof(uint32_t)

int message_pair(bool nonblocking, int ret_fds[static 2])
{
    int type = SOCK_SEQPACKET | SOCK_CLOEXEC | (nonblocking ? SOCK_NONBLOCK : 0);
    return socketpair(AF_UNIX, type, 0, ret_fds) < 0 ? -errno : 0;
}

int message_send_fd(int socket, uint32_t type, const void *payload, size_t length, int fd)
{
    if (length > LIMIT_MESSAGE_BYTES)
        return -EMSGSIZE;

    struct iovec parts[2] = {{.iov_base = &type, .iov_len = TYPE_BYTES},
                             {.iov_base = (void *)payload, .iov_len = length}};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } ancillary;
    struct msghdr header = {.msg_iov = parts, .msg_iovlen = length > 0 ? 2 : 1};
    if (fd >= 0) {
        memset(&ancillary, 0, sizeof(ancillary));
        ancillary.header.cmsg_level = SOL_SOCKET;
        ancillary.header.cmsg_type = SCM_RIGHTS;
        ancillary.header.cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(&ancillary.header), &fd, sizeof(fd));
        header.msg_control = &ancillary;
        header.msg_controllen = sizeof(ancillary.space);
    }

    ssize_t sent;
    do {
        sent = sendmsg(socket, &header, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0)
        return errno == ECONNRESET ? -EPIPE : -errno;
    return (size_t)sent == TYPE_BYTES + length ? 0 : -EMSGSIZE;
}

int message_send(int socket, uint32_t type, const void *payload, size_t length)
{
    return message_send_fd(socket, type, payload, length, -1);
}

/* Collects every descriptor of the ancillary data; those beyond the limit are closed and counted.
 */
static size_t take_descriptors(struct msghdr *header, struct message *message)
{
    size_t total = 0;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part != NULL;
         part = CMSG_NXTHDR(header, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
            if (message->fd_count < LIMIT_MESSAGE_FDS)
                message->fds[message->fd_count++] = fd;
            else
                (void)close(fd);
            total++;
        }
    }
    return total;
}

int message_receive(int socket, uint8_t *buffer, size_t size, struct message *ret_message)
{
    struct iovec part = {.iov_base = buffer, .iov_len = size};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE((LIMIT_MESSAGE_FDS + 1) * sizeof(int))];
    } ancillary;
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = &ancillary,
                            .msg_controllen = sizeof(ancillary.space)};
    struct message message = {.fds = {-1, -1}};
    _Static_assert(LIMIT_MESSAGE_FDS == 2, "the initialiser above names each descriptor");

    ssize_t length;
    do {
        length = recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
    } while (length < 0 && errno == EINTR);
    if (length < 0)
        return errno == ECONNRESET ? 0 : -errno;

    size_t descriptors = take_descriptors(&header, &message);
    bool cut = (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
    if (length == 0 && descriptors == 0 && !cut)
        return 0;
    if (cut || descriptors > LIMIT_MESSAGE_FDS || (size_t)length < TYPE_BYTES ||
        (size_t)length > TYPE_BYTES + LIMIT_MESSAGE_BYTES) {
        message_release(&message);
        return -EBADMSG;
    }
    memcpy(&message.type, buffer, TYPE_BYTES);
    message.payload = buffer + TYPE_BYTES;
    message.length = (size_t)length - TYPE_BYTES;
    *ret_message = message;
    return 1;
}

void message_release(struct message *message)
{
    for (size_t i = 0; i < LIMIT_MESSAGE_FDS; i++) {
        if (message->fds[i] >= 0)
            (void)close(message->fds[i]);
        message->fds[i] = -1;
    }
    message->fd_count = 0;
}

static void write_raw(struct message_writer *writer, const void *bytes, size_t length)
{
    if (writer->failed || length > sizeof(writer->data) - writer->length) {
        writer->failed = true;
        return;
    }
    if (length > 0)
        memcpy(writer->data + writer->length, bytes, length);
    writer->length += length;
}

void message_write_u32(struct message_writer *writer, uint32_t value)
{
    write_raw(writer, &value, sizeof(value));
}

void message_write_u64(struct message_writer *writer, uint64_t value)
{
    write_raw(writer, &value, sizeof(value));
}

void message_write_bytes(struct message_writer *writer, const void *bytes, size_t length)
{
    if (length > UINT32_MAX) {
        writer->failed = true;
        return;
    }
    message_write_u32(writer, (uint32_t)length);
    write_raw(writer, bytes, length);
}

void message_write_text(struct message_writer *writer, const char *text)
{
    message_write_bytes(writer, text, strlen(text));
}

int message_writer_send(struct message_writer *writer, int socket, uint32_t type, int fd)
{
    if (writer->failed)
        return -EMSGSIZE;
    return message_send_fd(socket, type, writer->data, writer->length, fd);
}

struct message_reader message_reader_of(const struct message *message)
{
    return (struct message_reader){.data = message->payload, .left = message->length};
}

static const void *read_raw(struct message_reader *reader, size_t length)
{
    if (reader->failed || length > reader->left) {
        reader->failed = true;
        return NULL;
    }
    const void *bytes = reader->data;
    reader->data += length;
    reader->left -= length;
    return bytes;
}

uint32_t message_read_u32(struct message_reader *reader)
{
    uint32_t value = 0;
    const void *bytes = read_raw(reader, sizeof(value));
    if (bytes != NULL)
        memcpy(&value, bytes, sizeof(value));
    return value;
}

uint64_t message_read_u64(struct message_reader *reader)
{
    uint64_t value = 0;
    const void *bytes = read_raw(reader, sizeof(value));
    if (bytes != NULL)
        memcpy(&value, bytes, sizeof(value));
    return value;
}

const void *message_read_bytes(struct message_reader *reader, size_t *ret_length)
{
    *ret_length = 0;
    size_t length = message_read_u32(reader);
    const void *bytes = read_raw(reader, length);
    if (bytes != NULL)
        *ret_length = length;
    return bytes;
}

void message_read_text(struct message_reader *reader, char *buffer, size_t size)
{
    size_t length;
    const char *text = message_read_bytes(reader, &length);
    buffer[0] = '\0';
    if (text == NULL)
        return;
    if (length >= size || memchr(text, '\0', length) != NULL) {
        reader->failed = true;
        return;
    }
    memcpy(buffer, text, length);
    buffer[length] = '\0';
}

int message_reader_end(const struct message_reader *reader)
{
    return reader->failed || reader->left > 0 ? -EBADMSG : 0;
}

static const struct message_route *find_route(const struct message_route *routes, size_t count,
                                              const struct message *message)
{
    for (size_t i = 0; i < count; i++) {
        if (routes[i].type != message->type)
            continue;
        size_t wanted = routes[i].with_fd ? 1 : 0;
        return routes[i].permitted && message->fd_count == wanted ? &routes[i] : NULL;
    }
    return NULL;
}

int message_dispatch(struct message_route *routes, size_t count, void *user,
                     struct message *message)
{
    const struct message_route *route = find_route(routes, count, message);
    int result = route == NULL ? -EPROTO : route->handler(user, message);
    message_release(message);
    return result;
}
