/* Owns: the question which package a file belongs to. Must not own: the child that is asked
 * (agent/inspector/client); what an answer means for a detection. */
#include "agent/respond/package_owner.h"

#include "agent/inspector/client/inspector_client.h"
#include "agent/inspector/inspector_messages.h"
#include "common/messages/message.h"
#include "common/text/text.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

struct package_owner {
    struct inspector_client *inspector; /* NULL: nobody is asked */
    atomic_int databases;               /* enum package_databases */
    struct message_writer question;
};

int package_owner_new(const char *program, struct package_owner **ret_owner)
{
    struct package_owner *owner = calloc(1, sizeof(*owner));
    int r;

    if (!owner)
        return -ENOMEM;
    r = program ? inspector_client_new(program, &owner->inspector) : 0;
    if (r < 0) {
        free(owner);
        return r;
    }
    *ret_owner = owner;
    return 0;
}

struct package_owner *package_owner_free(struct package_owner *owner)
{
    if (!owner)
        return NULL;
    inspector_client_free(owner->inspector);
    free(owner);
    return NULL;
}

struct inspector_client *package_owner_inspector(const struct package_owner *owner)
{
    return owner->inspector;
}

enum package_databases package_owner_databases(const struct package_owner *owner)
{
    return (enum package_databases)atomic_load(&owner->databases);
}

struct asking {
    struct package_owner *owner;
    const char *path;
    int fd;
    enum package_answer answer;
    char *package; /* PACKAGE_NAME_BYTES */
};

static int ask(void *user, int socket)
{
    const struct asking *asking = user;
    struct message_writer *question = &asking->owner->question;

    *question = (struct message_writer){.length = 0};
    message_write_bytes(question, asking->path, strlen(asking->path));
    return message_writer_send(question, socket, INSPECTOR_QUESTION, asking->fd);
}

static int read_answer(void *user, const struct message *message)
{
    struct asking *asking = user;
    struct message_reader reader = message_reader_of(message);
    uint32_t answer = message_read_u32(&reader);

    message_read_text(&reader, asking->package, PACKAGE_NAME_BYTES);
    if (message_reader_end(&reader) < 0 || message->type != INSPECTOR_ANSWER ||
        answer > INSPECTOR_FAILED)
        return -EBADMSG;
    asking->answer = (enum package_answer)answer;
    return 0;
}

enum package_answer package_owner_ask(struct package_owner *owner, const char *path, int fd,
                                      char ret_package[static PACKAGE_NAME_BYTES])
{
    struct asking asking = {owner, path, fd, PACKAGE_UNKNOWN, ret_package};
    const struct inspector_question question = {ask, read_answer, &asking};

    ret_package[0] = '\0';
    if (!owner->inspector)
        return PACKAGE_NONE;
    if (inspector_client_converse(owner->inspector, &question) < 0) {
        ret_package[0] = '\0';
        asking.answer = PACKAGE_UNKNOWN;
    }
    atomic_store(&owner->databases,
                 asking.answer == PACKAGE_UNKNOWN ? PACKAGES_UNREADABLE : PACKAGES_READABLE);
    return asking.answer;
}
