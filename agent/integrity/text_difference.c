/* Owns: the question about two texts. Must not own: which texts may be asked about. */
#include "agent/integrity/text_difference.h"

#include "agent/inspector/client/inspector_client.h"
#include "agent/inspector/inspector_messages.h"
#include "common/files/file.h"
#include "common/limits.h"

#include <errno.h>
#include <sys/mman.h>

struct asking {
    int before_fd, after_fd;
    struct buffer *lines;
};

static int ask(void *user, int socket)
{
    const struct asking *asking = user;
    int r = message_send_fd(socket, INSPECTOR_TEXT_BEFORE, NULL, 0, asking->before_fd);

    return r < 0 ? r : message_send_fd(socket, INSPECTOR_TEXT_AFTER, NULL, 0, asking->after_fd);
}

static int read_answer(void *user, const struct message *answer)
{
    struct asking *asking = user;
    struct message_reader reader = message_reader_of(answer);
    uint32_t outcome = message_read_u32(&reader);
    size_t length;
    const void *bytes = message_read_bytes(&reader, &length);

    if (message_reader_end(&reader) < 0 || answer->type != INSPECTOR_DIFFERENCE ||
        outcome > INSPECTOR_TOO_LARGE || bytes == NULL)
        return -EBADMSG;
    if (outcome == INSPECTOR_LINES)
        return buffer_append(asking->lines, bytes, length);
    return 0;
}

static int in_memory(const struct buffer *text, int *ret_fd)
{
    AUTO_CLOSE int fd = memfd_create("text", MFD_CLOEXEC);

    if (fd < 0)
        return -errno;
    int r = file_write(fd, buffer_text(text), text->length);
    if (r < 0)
        return r;
    if (lseek(fd, 0, SEEK_SET) < 0)
        return -errno;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

int text_difference_ask(struct inspector_client *inspector, const struct buffer *before,
                        const struct buffer *after, struct buffer *lines)
{
    AUTO_CLOSE int before_fd = -1, after_fd = -1;
    int r = in_memory(before, &before_fd);

    if (r == 0)
        r = in_memory(after, &after_fd);
    if (r < 0)
        return r;
    struct asking asking = {before_fd, after_fd, lines};
    const struct inspector_question question = {ask, read_answer, &asking};
    return inspector_client_converse(inspector, &question);
}
