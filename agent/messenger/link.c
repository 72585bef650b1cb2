/* Encoding and decoding of the link. Owns no state. */
#include "agent/messenger/link.h"

#include "common/buffers/buffer.h"
#include "common/files/file.h"
#include "common/messages/message.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

const char *link_state_name(enum link_state_code code)
{
    static const char *const names[] = {"idle",   "activating", "refused",
                                        "online", "offline",    "deactivated"};

    return (size_t)code < ARRAY_LENGTH(names) ? names[code] : "unknown";
}

int link_send_plain(int socket, enum link_type type)
{
    return message_send(socket, type, NULL, 0);
}

int link_send_settings(int socket, const struct link_settings *settings)
{
    struct message_writer writer = {.length = 0};

    message_write_text(&writer, settings->url);
    message_write_text(&writer, settings->proxy);
    message_write_text(&writer, settings->pin);
    message_write_text(&writer, settings->tenant_id);
    message_write_text(&writer, settings->policy);
    message_write_text(&writer, settings->group);
    message_write_text(&writer, settings->session);
    message_write_text(&writer, settings->hostname);
    message_write_text(&writer, settings->machine_id);
    message_write_text(&writer, settings->boot_id);
    message_write_text(&writer, settings->os);
    message_write_text(&writer, settings->instance_id);
    message_write_text(&writer, settings->display_name);
    int r = message_writer_send(&writer, socket, LINK_SETTINGS, -1);
    explicit_bzero(&writer, sizeof writer); /* the proxy's password */
    return r;
}

#define READ_TEXT(reader, field) message_read_text(reader, field, sizeof(field))

int link_read_settings(const struct message *message, struct link_settings *ret_settings)
{
    struct message_reader reader = message_reader_of(message);

    READ_TEXT(&reader, ret_settings->url);
    READ_TEXT(&reader, ret_settings->proxy);
    READ_TEXT(&reader, ret_settings->pin);
    READ_TEXT(&reader, ret_settings->tenant_id);
    READ_TEXT(&reader, ret_settings->policy);
    READ_TEXT(&reader, ret_settings->group);
    READ_TEXT(&reader, ret_settings->session);
    READ_TEXT(&reader, ret_settings->hostname);
    READ_TEXT(&reader, ret_settings->machine_id);
    READ_TEXT(&reader, ret_settings->boot_id);
    READ_TEXT(&reader, ret_settings->os);
    READ_TEXT(&reader, ret_settings->instance_id);
    READ_TEXT(&reader, ret_settings->display_name);
    return message_reader_end(&reader);
}

int link_send_identity(int socket, const struct link_identity *identity)
{
    struct message_writer writer = {.length = 0};

    message_write_text(&writer, identity->agent_id);
    message_write_text(&writer, identity->certificate);
    message_write_text(&writer, identity->key);
    message_write_text(&writer, identity->authority);
    message_write_text(&writer, identity->signing_key);
    message_write_u32(&writer, identity->heartbeat_seconds);
    int r = message_writer_send(&writer, socket, LINK_IDENTITY, -1);
    explicit_bzero(&writer, sizeof writer);
    return r;
}

int link_read_identity(const struct message *message, struct link_identity *ret_identity)
{
    struct message_reader reader = message_reader_of(message);

    READ_TEXT(&reader, ret_identity->agent_id);
    READ_TEXT(&reader, ret_identity->certificate);
    READ_TEXT(&reader, ret_identity->key);
    READ_TEXT(&reader, ret_identity->authority);
    READ_TEXT(&reader, ret_identity->signing_key);
    ret_identity->heartbeat_seconds = message_read_u32(&reader);
    return message_reader_end(&reader);
}

int link_send_token(int socket, const struct link_token *token)
{
    struct message_writer writer = {.length = 0};

    message_write_text(&writer, token->text);
    int r = message_writer_send(&writer, socket, LINK_TOKEN, -1);
    explicit_bzero(&writer, sizeof writer);
    return r;
}

int link_read_token(const struct message *message, struct link_token *ret_token)
{
    struct message_reader reader = message_reader_of(message);

    READ_TEXT(&reader, ret_token->text);
    return message_reader_end(&reader);
}

int link_send_beat_done(int socket, const struct link_beat_done *done)
{
    struct message_writer writer = {.length = 0};

    message_write_u32(&writer, done->delivered);
    message_write_text(&writer, done->epoch);
    message_write_u64(&writer, done->acknowledged);
    message_write_text(&writer, done->policy_digest);
    message_write_u32(&writer, done->has_group);
    message_write_text(&writer, done->group_id);
    message_write_text(&writer, done->signatures_digest);
    return message_writer_send(&writer, socket, LINK_BEAT_DONE, -1);
}

int link_read_beat_done(const struct message *message, struct link_beat_done *ret_done)
{
    struct message_reader reader = message_reader_of(message);

    ret_done->delivered = message_read_u32(&reader) != 0;
    READ_TEXT(&reader, ret_done->epoch);
    ret_done->acknowledged = message_read_u64(&reader);
    READ_TEXT(&reader, ret_done->policy_digest);
    ret_done->has_group = message_read_u32(&reader) != 0;
    READ_TEXT(&reader, ret_done->group_id);
    READ_TEXT(&reader, ret_done->signatures_digest);
    return message_reader_end(&reader);
}

int link_send_state(int socket, const struct link_state *state)
{
    struct message_writer writer = {.length = 0};

    message_write_u32(&writer, state->code);
    message_write_text(&writer, state->text);
    message_write_u64(&writer, state->last_contact_ns);
    message_write_u64(&writer, state->next_try_ns);
    return message_writer_send(&writer, socket, LINK_STATE, -1);
}

int link_read_state(const struct message *message, struct link_state *ret_state)
{
    struct message_reader reader = message_reader_of(message);
    uint32_t code = message_read_u32(&reader);

    READ_TEXT(&reader, ret_state->text);
    ret_state->last_contact_ns = message_read_u64(&reader);
    ret_state->next_try_ns = message_read_u64(&reader);
    if (code > LINK_STATE_DEACTIVATED)
        return -EBADMSG;
    ret_state->code = (enum link_state_code)code;
    return message_reader_end(&reader);
}

/* The bytes in sealed memory that the peer need not fear. */
static int seal(const void *bytes, size_t length, int *ret_fd)
{
    AUTO_CLOSE int fd = memfd_create("yagura-document", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    int r = file_write(fd, bytes, length);
    if (r < 0)
        return r;
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
        return -errno;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

int link_send_document(int socket, enum link_type type, const void *bytes, size_t length)
{
    AUTO_CLOSE int fd = -1;

    int r = seal(bytes, length, &fd);
    return r < 0 ? r : message_send_fd(socket, type, NULL, 0, fd);
}

int link_send_bundle(int socket, const char *id, const void *bytes, size_t length)
{
    struct message_writer writer = {.length = 0};
    AUTO_CLOSE int fd = -1;

    message_write_text(&writer, id);
    int r = seal(bytes, length, &fd);
    return r < 0 ? r : message_writer_send(&writer, socket, LINK_BUNDLE, fd);
}

int link_read_bundle(const struct message *message, char ret_id[static 40])
{
    struct message_reader reader = message_reader_of(message);

    message_read_text(&reader, ret_id, 40);
    return message_reader_end(&reader);
}

int link_send_bundle_done(int socket, const struct link_bundle_done *done)
{
    struct message_writer writer = {.length = 0};

    message_write_text(&writer, done->id);
    message_write_u32(&writer, done->outcome);
    message_write_text(&writer, done->problem);
    return message_writer_send(&writer, socket, LINK_BUNDLE_DONE, -1);
}

int link_read_bundle_done(const struct message *message, struct link_bundle_done *ret_done)
{
    struct message_reader reader = message_reader_of(message);

    READ_TEXT(&reader, ret_done->id);
    uint32_t outcome = message_read_u32(&reader);
    READ_TEXT(&reader, ret_done->problem);
    if (outcome > LINK_BUNDLE_REFUSED)
        return -EBADMSG;
    ret_done->outcome = (enum link_bundle_outcome)outcome;
    return message_reader_end(&reader);
}

static void write_piece(struct message_writer *writer, const struct link_piece *piece)
{
    message_write_text(writer, piece->sha256);
    message_write_u64(writer, piece->offset);
    message_write_u64(writer, piece->length);
    message_write_u32(writer, (piece->delivered ? 1U : 0U) | (piece->gone ? 2U : 0U));
    message_write_u64(writer, piece->retry_after_ns);
    message_write_text(writer, piece->problem);
}

int link_send_want_piece(int socket, const struct link_piece *piece)
{
    struct message_writer writer = {.length = 0};

    write_piece(&writer, piece);
    return message_writer_send(&writer, socket, LINK_WANT_PIECE, -1);
}

int link_send_piece(int socket, const struct link_piece *piece, const void *bytes)
{
    struct message_writer writer = {.length = 0};
    AUTO_CLOSE int fd = -1;

    write_piece(&writer, piece);
    int r = seal(bytes, piece->delivered ? piece->length : 0, &fd);
    return r < 0 ? r : message_writer_send(&writer, socket, LINK_PIECE, fd);
}

int link_read_piece(const struct message *message, struct link_piece *ret_piece)
{
    struct message_reader reader = message_reader_of(message);

    READ_TEXT(&reader, ret_piece->sha256);
    ret_piece->offset = message_read_u64(&reader);
    ret_piece->length = message_read_u64(&reader);
    uint32_t flags = message_read_u32(&reader);
    ret_piece->retry_after_ns = message_read_u64(&reader);
    READ_TEXT(&reader, ret_piece->problem);
    if (flags > 3 || ret_piece->length > LIMIT_MIRROR_PIECE_BYTES)
        return -EBADMSG;
    ret_piece->delivered = (flags & 1U) != 0;
    ret_piece->gone = (flags & 2U) != 0;
    return message_reader_end(&reader);
}

/* pread, because the sender's file position stands at the end. */
int link_read_document(int fd, char **ret_text, size_t *ret_length)
{
    const int wanted = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    struct stat status;

    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & wanted) != wanted)
        return -EBADMSG;
    if (fstat(fd, &status) < 0)
        return -errno;
    if (!S_ISREG(status.st_mode) || status.st_size < 0 ||
        status.st_size > LIMIT_SIGNED_DOCUMENT_BYTES)
        return -EBADMSG;
    if (lseek(fd, 0, SEEK_SET) < 0)
        return -errno;
    AUTO_BUFFER struct buffer content = BUFFER_WITH_MAXIMUM(LIMIT_SIGNED_DOCUMENT_BYTES);
    int r = file_read_all_fd(fd, &content);
    if (r < 0)
        return r;
    *ret_length = content.length;
    *ret_text = buffer_take(&content);
    return *ret_text != NULL ? 0 : -ENOMEM;
}
