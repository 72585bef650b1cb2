/* Owns: the child that reads package databases, and the conversation with it. Must not own: what an
 * answer means for a detection. */
#include "agent/respond/package_owner.h"

#include "agent/inspector/inspector_messages.h"
#include "common/messages/message.h"
#include "common/sandbox/spawn.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>

#define ANSWER_TIMEOUT_MS 10000
/* The first answer waits until the child has read the whole database. */
#define FIRST_TIMEOUT_MS 60000
/* After a failure the child is not started again before this. */
#define RESTART_PAUSE (60 * NS_PER_SECOND)

struct package_owner {
    char *program;
    pid_t child;
    int socket;
    uint64_t failed_ns;   /* monotonic; 0 = never */
    atomic_int databases; /* enum package_databases */
    uint8_t buffer[LIMIT_MESSAGE_BYTES + 4];
    struct message_writer question;
};

int package_owner_new(const char *program, struct package_owner **ret_owner)
{
    struct package_owner *owner = calloc(1, sizeof(*owner));

    if (!owner)
        return -ENOMEM;
    owner->socket = -1;
    if (program) {
        owner->program = strdup(program);
        if (!owner->program) {
            free(owner);
            return -ENOMEM;
        }
    }
    *ret_owner = owner;
    return 0;
}

static void end_child(struct package_owner *owner)
{
    if (owner->socket >= 0)
        (void)close(TAKE_FD(owner->socket));
    if (owner->child > 0) {
        (void)kill(owner->child, SIGKILL);
        while (waitpid(owner->child, NULL, 0) < 0 && errno == EINTR)
            ;
        owner->child = 0;
    }
}

struct package_owner *package_owner_free(struct package_owner *owner)
{
    if (!owner)
        return NULL;
    end_child(owner);
    free(owner->program);
    free(owner);
    return NULL;
}

enum package_databases package_owner_databases(const struct package_owner *owner)
{
    return (enum package_databases)atomic_load(&owner->databases);
}

static int start_child(struct package_owner *owner)
{
    char *arguments[] = {owner->program, NULL};
    int pair[2], r;

    if (owner->failed_ns && clock_monotonic_ns() - owner->failed_ns < RESTART_PAUSE)
        return -EAGAIN;
    r = message_pair(false, pair);
    if (r < 0)
        return r;
    r = spawn_program(owner->program, arguments, &pair[1], 1, &owner->child, NULL);
    (void)close(pair[1]);
    if (r < 0) {
        (void)close(pair[0]);
        return r;
    }
    owner->socket = pair[0];
    return 0;
}

static int ask(struct package_owner *owner, const char *path, int fd)
{
    owner->question = (struct message_writer){.length = 0};
    message_write_bytes(&owner->question, path, strlen(path));
    return message_writer_send(&owner->question, owner->socket, INSPECTOR_QUESTION, fd);
}

static int read_answer(struct message *message, enum package_answer *ret_answer,
                       char ret_package[static PACKAGE_NAME_BYTES])
{
    struct message_reader reader = message_reader_of(message);
    uint32_t answer = message_read_u32(&reader);

    message_read_text(&reader, ret_package, PACKAGE_NAME_BYTES);
    if (message_reader_end(&reader) < 0 || message->type != INSPECTOR_ANSWER ||
        message->fd_count > 0 || answer > INSPECTOR_FAILED)
        return -EBADMSG;
    *ret_answer = (enum package_answer)answer;
    return 0;
}

static int wait_for_answer(struct package_owner *owner, int timeout_ms,
                           enum package_answer *ret_answer,
                           char ret_package[static PACKAGE_NAME_BYTES])
{
    struct pollfd ready = {.fd = owner->socket, .events = POLLIN};
    struct message message;
    int r;

    do {
        r = poll(&ready, 1, timeout_ms);
    } while (r < 0 && errno == EINTR);
    if (r <= 0)
        return r < 0 ? -errno : -ETIMEDOUT;
    r = message_receive(owner->socket, owner->buffer, sizeof(owner->buffer), &message);
    if (r <= 0)
        return r < 0 ? r : -EPIPE;
    r = read_answer(&message, ret_answer, ret_package);
    message_release(&message);
    return r;
}

static int ask_child(struct package_owner *owner, const char *path, int fd,
                     enum package_answer *ret_answer, char ret_package[static PACKAGE_NAME_BYTES])
{
    bool fresh = owner->socket < 0;
    int r = 0;

    if (fresh)
        r = start_child(owner);
    if (r == 0)
        r = ask(owner, path, fd);
    if (r < 0)
        return r;
    return wait_for_answer(owner, fresh ? FIRST_TIMEOUT_MS : ANSWER_TIMEOUT_MS, ret_answer,
                           ret_package);
}

enum package_answer package_owner_ask(struct package_owner *owner, const char *path, int fd,
                                      char ret_package[static PACKAGE_NAME_BYTES])
{
    enum package_answer answer = PACKAGE_UNKNOWN;
    bool worked = owner->socket >= 0;
    int r;

    ret_package[0] = '\0';
    if (!owner->program)
        return PACKAGE_NONE;
    r = ask_child(owner, path, fd, &answer, ret_package);
    if (worked && (r == -EPIPE || r == -ECONNRESET)) {
        /* It ended by itself, as it does when a database moved; another sees the new one. */
        end_child(owner);
        r = ask_child(owner, path, fd, &answer, ret_package);
    }
    if (r < 0) {
        if (r != -EAGAIN || owner->socket >= 0)
            owner->failed_ns = clock_monotonic_ns();
        end_child(owner);
        ret_package[0] = '\0';
        answer = PACKAGE_UNKNOWN;
    }
    atomic_store(&owner->databases,
                 answer == PACKAGE_UNKNOWN ? PACKAGES_UNREADABLE : PACKAGES_READABLE);
    return answer;
}
