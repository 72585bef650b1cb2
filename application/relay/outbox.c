/* Keeps events, starts the reporter when it is first needed, and falls back to lines. */
#include "application/relay/outbox.h"

#include "application/relay/relay_limits.h"
#include "application/relay/reporter_messages.h"
#include "common/buffers/buffer.h"
#include "common/files/file.h"
#include "common/limits.h"
#include "common/log/log.h"
#include "common/messages/message.h"
#include "common/sandbox/spawn_helper.h"
#include "common/time/clock.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* What the reporter may take longer than it was told, before it counts as stuck. */
#define GRACE_NS (500 * NS_PER_MS)

struct kept {
    char *json;
    size_t length;
    bool handed_over; /* the reporter has a copy */
};

struct outbox {
    struct outbox_options options;
    pthread_mutex_t lock, delivering;
    struct kept kept[RELAY_OUTBOX_EVENTS];
    size_t count;
    uint64_t due_ns;
    int socket; /* with delivering, as is the rest */
    pid_t reporter;
};

int outbox_new(const struct outbox_options *options, struct outbox **ret_outbox)
{
    struct outbox *outbox = calloc(1, sizeof *outbox);

    *ret_outbox = outbox;
    if (outbox == NULL)
        return -ENOMEM;
    outbox->options = *options;
    outbox->socket = -1;
    (void)pthread_mutex_init(&outbox->lock, NULL);
    (void)pthread_mutex_init(&outbox->delivering, NULL);
    return 0;
}

static void end_reporter(struct outbox *outbox)
{
    int status = 0;

    if (outbox->socket >= 0)
        (void)close(outbox->socket);
    outbox->socket = -1;
    if (outbox->reporter > 0) {
        (void)kill(outbox->reporter, SIGKILL);
        while (waitpid(outbox->reporter, &status, 0) < 0 && errno == EINTR)
            continue;
    }
    outbox->reporter = 0;
}

struct outbox *outbox_free(struct outbox *outbox)
{
    if (outbox == NULL)
        return NULL;
    end_reporter(outbox);
    for (size_t i = 0; i < outbox->count; i++)
        free(outbox->kept[i].json);
    (void)pthread_mutex_destroy(&outbox->delivering);
    (void)pthread_mutex_destroy(&outbox->lock);
    free(outbox);
    return NULL;
}

/* One line, in one write where the pipe takes it. */
static void write_line(const struct outbox *outbox, struct kept *kept)
{
    size_t written = 0;

    kept->json[kept->length] = '\n'; /* in the place of its terminator */
    while (written <= kept->length) {
        ssize_t n =
            write(outbox->options.output_fd, kept->json + written, kept->length + 1 - written);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        written += (size_t)n;
    }
}

/* With lock. */
static void remove_first(struct outbox *outbox, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(outbox->kept[i].json);
    outbox->count -= count;
    memmove(outbox->kept, outbox->kept + count, outbox->count * sizeof outbox->kept[0]);
}

void outbox_add(struct outbox *outbox, struct buffer *json)
{
    size_t length = json->length;
    char *text = buffer_take(json);

    if (text == NULL) {
        log_warning("event_lost", "why", "out of memory, or it was too long", NULL);
        return;
    }
    (void)pthread_mutex_lock(&outbox->lock);
    if (outbox->count == RELAY_OUTBOX_EVENTS) {
        write_line(outbox, &outbox->kept[0]);
        remove_first(outbox, 1);
    }
    outbox->kept[outbox->count++] = (struct kept){.json = text, .length = length};
    (void)pthread_mutex_unlock(&outbox->lock);
}

bool outbox_is_due(struct outbox *outbox)
{
    (void)pthread_mutex_lock(&outbox->lock);
    bool due = outbox->count > 0 ||
               (outbox->options.reporter != NULL && clock_monotonic_ns() >= outbox->due_ns);
    (void)pthread_mutex_unlock(&outbox->lock);
    return due;
}

static int ensure_reporter(struct outbox *outbox)
{
    int pair[2];

    if (outbox->socket >= 0)
        return 0;
    int r = message_pair(false, pair);
    if (r < 0)
        return r;
    AUTO_CLOSE int ours = pair[0];
    AUTO_CLOSE int theirs = pair[1];
    r = spawn_helper(outbox->options.reporter, environ, &theirs, 1, &outbox->reporter);
    if (r < 0)
        log_warning("reporter_does_not_start", "program", outbox->options.reporter[0], "error",
                    log_error_text(r), "effect", "events are written as lines", NULL);
    else
        outbox->socket = TAKE_FD(ours);
    return r;
}

/* Gives the reporter what it does not have yet. < 0: it is gone. */
static int hand_over(struct outbox *outbox)
{
    int r = 0;

    (void)pthread_mutex_lock(&outbox->lock);
    for (size_t i = 0; i < outbox->count && r == 0; i++) {
        if (!outbox->kept[i].handed_over)
            r = message_send(outbox->socket, REPORTER_EVENT, outbox->kept[i].json,
                             outbox->kept[i].length);
        outbox->kept[i].handed_over = r == 0;
    }
    (void)pthread_mutex_unlock(&outbox->lock);
    return r;
}

/* With lock: what the console has. Events that came meanwhile stay. */
static void remove_handed_over(struct outbox *outbox)
{
    size_t count = 0;

    while (count < outbox->count && outbox->kept[count].handed_over)
        count++;
    remove_first(outbox, count);
}

static void take_policy(struct outbox *outbox, struct message *message)
{
    struct stat status;

    if (message->fd_count != 1 || outbox->options.policy == NULL ||
        fstat(message->fds[0], &status) < 0 || status.st_size <= 0 ||
        status.st_size > LIMIT_SETTINGS_BYTES)
        return;
    size_t size = (size_t)status.st_size;
    AUTO_FREE char *copy = malloc(size); /* not mapped: the other side may cut the file meanwhile */
    if (copy != NULL && file_read_at(message->fds[0], copy, size, 0) == (ssize_t)size)
        outbox->options.policy(outbox->options.user, copy, size);
}

/* Events that still wait at the reporter; -ETIME, -EPIPE, -EBADMSG: it is of no use any more. */
static int await_done(struct outbox *outbox, uint64_t until_ns)
{
    static uint8_t buffer[LIMIT_MESSAGE_BYTES + 4];
    struct pollfd reporter = {.fd = outbox->socket, .events = POLLIN};
    struct message message;

    for (;;) {
        uint64_t now = clock_monotonic_ns();
        struct timespec left = timespec_from_ns(until_ns > now ? until_ns - now : 0);
        int r = ppoll(&reporter, 1, &left, NULL);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return r < 0 ? -errno : -ETIME;
        r = message_receive(outbox->socket, buffer, sizeof buffer, &message);
        if (r <= 0)
            return r < 0 ? r : -EPIPE;
        if (message.type == REPORTER_POLICY)
            take_policy(outbox, &message);
        struct message_reader reader = message_reader_of(&message);
        uint32_t waiting = message_read_u32(&reader);
        bool done = message.type == REPORTER_DONE && message_reader_end(&reader) == 0;
        bool known = done || message.type == REPORTER_POLICY;
        message_release(&message);
        if (!known)
            return -EBADMSG;
        if (done)
            return (int)MIN(waiting, INT32_MAX);
    }
}

static int flush(struct outbox *outbox, uint64_t wait_ns, bool last)
{
    AUTO_FREE struct message_writer *writer = calloc(1, sizeof *writer);
    uint64_t until_ns = clock_monotonic_ns() + wait_ns + GRACE_NS;

    if (writer == NULL)
        return -ENOMEM;
    message_write_u64(writer, wait_ns);
    message_write_u32(writer, last ? 1 : 0);
    int r = message_writer_send(writer, outbox->socket, REPORTER_FLUSH, -1);
    return r < 0 ? r : await_done(outbox, until_ns);
}

/* With the reporter; < 0 when it is of no use, and ended. */
static int report(struct outbox *outbox, uint64_t wait_ns, bool last)
{
    int r = ensure_reporter(outbox);

    if (r < 0)
        return r;
    r = hand_over(outbox);
    if (r == 0)
        r = flush(outbox, wait_ns, last);
    if (r < 0) {
        log_warning("reporter_ended", "error", log_error_text(r), "effect",
                    "events are written as lines", NULL);
        end_reporter(outbox);
        return r;
    }
    (void)pthread_mutex_lock(&outbox->lock);
    if (r == 0)
        remove_handed_over(outbox);
    outbox->due_ns = clock_monotonic_ns() + outbox->options.interval_ns;
    (void)pthread_mutex_unlock(&outbox->lock);
    return 0;
}

static void write_all(struct outbox *outbox)
{
    (void)pthread_mutex_lock(&outbox->lock);
    for (size_t i = 0; i < outbox->count; i++)
        write_line(outbox, &outbox->kept[i]);
    remove_first(outbox, outbox->count);
    (void)pthread_mutex_unlock(&outbox->lock);
}

void outbox_deliver(struct outbox *outbox, uint64_t wait_ns, bool last)
{
    (void)pthread_mutex_lock(&outbox->delivering);
    int r = outbox->options.reporter != NULL ? report(outbox, wait_ns, last) : -ENOENT;
    if (r < 0 || last)
        write_all(outbox);
    (void)pthread_mutex_unlock(&outbox->delivering);
}
