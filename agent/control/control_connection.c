/* One connection and its request. Owns the socket, what was read of the request and what waits to
 * be written; any thread may answer, the loop's thread alone reads and closes. Must not own the
 * list of connections nor the commands: control_server.c does.
 *
 * Locks: `lock` guards everything that several threads touch. `gone_lock` is held while the gone
 * callback runs, and taken to disarm it, so that after an answer its user pointer is never used;
 * it is taken before `lock`. */
#include "agent/control/control_connection.h"

#include "common/buffers/buffer.h"
#include "common/json/json_writer.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

/* Room for the last line beside a full output. */
#define LAST_LINE_BYTES 16384
#define READ_BYTES      16384

struct control_request {
    atomic_uint references;
    pthread_mutex_t gone_lock;
    pthread_mutex_t lock;
    pthread_cond_t room;
    int fd;      /* -1 once closed */
    int wake_fd; /* the server's; not used once fd is -1 */
    bool asked;  /* the request was read */
    bool ended;  /* the last line stands in output */
    struct buffer input;
    struct buffer output;
    uint64_t progress_ns; /* monotonic: when the connection last moved */
    void (*gone)(void *user);
    void *gone_user;
};

int control_connection_new(int fd, int wake_fd, struct control_request **ret_request)
{
    struct control_request *request = calloc(1, sizeof(*request));
    if (request == NULL)
        return -ENOMEM;
    atomic_init(&request->references, 1);
    (void)pthread_cond_init(&request->room, NULL);
    (void)pthread_mutex_init(&request->lock, NULL);
    (void)pthread_mutex_init(&request->gone_lock, NULL);
    request->fd = fd;
    request->wake_fd = wake_fd;
    buffer_init(&request->input, LIMIT_CONTROL_REQUEST_BYTES + 1);
    buffer_init(&request->output, LIMIT_CONTROL_OUTPUT_BYTES + LAST_LINE_BYTES);
    request->progress_ns = clock_monotonic_ns();
    *ret_request = request;
    return 0;
}

struct control_request *control_request_ref(struct control_request *request)
{
    atomic_fetch_add_explicit(&request->references, 1, memory_order_relaxed);
    return request;
}

struct control_request *control_request_unref(struct control_request *request)
{
    if (request == NULL ||
        atomic_fetch_sub_explicit(&request->references, 1, memory_order_acq_rel) != 1)
        return NULL;
    buffer_done(&request->input);
    buffer_done(&request->output);
    (void)pthread_cond_destroy(&request->room);
    (void)pthread_mutex_destroy(&request->lock);
    (void)pthread_mutex_destroy(&request->gone_lock);
    free(request);
    return NULL;
}

int control_connection_fd(const struct control_request *request)
{
    return request->fd;
}

/* --- reading: the loop's thread --------------------------------------------------------------- */

static int find_line(struct control_request *request, const char **ret_line, size_t *ret_length)
{
    const char *text = buffer_text(&request->input);
    const char *end = memchr(text, '\n', request->input.length);
    if (end == NULL)
        return request->input.length > LIMIT_CONTROL_REQUEST_BYTES ? -EMSGSIZE : 0;
    if (end + 1 != text + request->input.length)
        return -ECONNRESET; /* more than one request */
    *ret_line = text;
    *ret_length = (size_t)(end - text);
    return 1;
}

int control_connection_read(struct control_request *request, const char **ret_line,
                            size_t *ret_length)
{
    char bytes[READ_BYTES];
    ssize_t length = recv(request->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (length < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -ECONNRESET;
    if (length == 0 || request->asked)
        return -ECONNRESET;
    int r = buffer_append(&request->input, bytes, (size_t)length);
    if (r == 0)
        r = find_line(request, ret_line, ret_length);
    if (r != 0)
        request->asked = true;
    return r;
}

/* --- writing: any thread ---------------------------------------------------------------------- */

/* Under the lock. -EPIPE when the client is gone. */
static int write_output(struct control_request *request)
{
    while (request->output.length > 0) {
        ssize_t length = send(request->fd, request->output.data, request->output.length,
                              MSG_DONTWAIT | MSG_NOSIGNAL);
        if (length < 0 && errno == EINTR)
            continue;
        if (length < 0)
            return errno == EAGAIN ? 0 : -EPIPE;
        buffer_consume(&request->output, (size_t)length);
        request->progress_ns = clock_monotonic_ns();
    }
    return 0;
}

/* Under the lock. Appends a line, writes at once what the client takes, and leaves the rest (and
 * the closing of an ended connection) to the loop. */
static int append_line(struct control_request *request, const char *line, size_t maximum)
{
    if (request->fd < 0 || request->ended)
        return -EPIPE;
    size_t length = strlen(line);
    if (request->output.length + length + 1 > maximum)
        return -EAGAIN;
    if (request->output.length == 0)
        request->progress_ns = clock_monotonic_ns();
    bool idle = request->output.length == 0;
    int r = buffer_append(&request->output, line, length);
    if (r == 0)
        r = buffer_append(&request->output, "\n", 1);
    if (r == 0 && idle)
        r = write_output(request);
    return r;
}

static void wake_loop(struct control_request *request)
{
    const uint64_t one = 1;
    (void)!write(request->wake_fd, &one, sizeof(one));
}

int control_request_send(struct control_request *request, const char *json_line)
{
    (void)pthread_mutex_lock(&request->lock);
    int r = append_line(request, json_line, LIMIT_CONTROL_OUTPUT_BYTES);
    if (request->fd >= 0 && (r == -EPIPE || request->output.length > 0))
        wake_loop(request);
    (void)pthread_mutex_unlock(&request->lock);
    return r == -ENOMEM ? -EAGAIN : r;
}

int control_request_wait(struct control_request *request, uint64_t timeout_ns)
{
    struct timespec deadline = clock_deadline(timeout_ns);
    int r = 0;
    (void)pthread_mutex_lock(&request->lock);
    while (r == 0 && request->fd >= 0 && request->output.length > LIMIT_CONTROL_OUTPUT_BYTES / 2)
        r = pthread_cond_clockwait(&request->room, &request->lock, CLOCK_MONOTONIC, &deadline);
    if (request->fd < 0)
        r = EPIPE;
    (void)pthread_mutex_unlock(&request->lock);
    return -r;
}

static void end_with(struct control_request *request, const char *line)
{
    (void)pthread_mutex_lock(&request->gone_lock);
    (void)pthread_mutex_lock(&request->lock);
    request->gone = NULL;
    if (request->fd >= 0 && !request->ended) {
        (void)append_line(request, line, LIMIT_CONTROL_OUTPUT_BYTES + LAST_LINE_BYTES);
        wake_loop(request);
    }
    request->ended = true;
    (void)pthread_mutex_unlock(&request->lock);
    (void)pthread_mutex_unlock(&request->gone_lock);
}

void control_request_done(struct control_request *request, int exit)
{
    char line[64];
    (void)text_format(line, sizeof(line), "{\"done\":true,\"exit\":%d}", exit);
    end_with(request, line);
}

void control_request_fail(struct control_request *request, int exit, const char *format, ...)
{
    char text[2048];
    AUTO_BUFFER struct buffer line = BUFFER_WITH_MAXIMUM(LAST_LINE_BYTES - 1);
    struct json_writer json;
    va_list arguments;
    va_start(arguments, format);
    (void)text_format_list(text, sizeof(text), format, arguments);
    va_end(arguments);
    json_writer_init(&json, &line);
    json_write_object_begin(&json);
    json_write_field_string(&json, "error", text);
    json_write_field_number(&json, "exit", exit);
    json_write_object_end(&json);
    end_with(request, buffer_failed(&line) == 0 ? buffer_text(&line)
                                                : "{\"error\":\"out of memory\",\"exit\":2}");
}

int control_connection_flush(struct control_request *request, bool *ret_waiting)
{
    (void)pthread_mutex_lock(&request->lock);
    int r = write_output(request);
    *ret_waiting = request->output.length > 0;
    if (r < 0 || (request->ended && !*ret_waiting))
        r = -ECONNRESET;
    if (request->output.length <= LIMIT_CONTROL_OUTPUT_BYTES / 2)
        (void)pthread_cond_broadcast(&request->room);
    (void)pthread_mutex_unlock(&request->lock);
    return r;
}

bool control_connection_is_stalled(struct control_request *request, uint64_t now_ns,
                                   uint64_t request_limit_ns, uint64_t stall_limit_ns)
{
    (void)pthread_mutex_lock(&request->lock);
    uint64_t still = now_ns > request->progress_ns ? now_ns - request->progress_ns : 0;
    bool stalled = (!request->asked && still > request_limit_ns) ||
                   (request->output.length > 0 && still > stall_limit_ns);
    (void)pthread_mutex_unlock(&request->lock);
    return stalled;
}

/* --- going away ------------------------------------------------------------------------------- */

void control_connection_close(struct control_request *request)
{
    (void)pthread_mutex_lock(&request->gone_lock);
    (void)pthread_mutex_lock(&request->lock);
    (void)close(request->fd);
    request->fd = -1;
    (void)pthread_cond_broadcast(&request->room);
    (void)pthread_mutex_unlock(&request->lock);
    if (request->gone != NULL)
        request->gone(request->gone_user);
    request->gone = NULL;
    (void)pthread_mutex_unlock(&request->gone_lock);
}

bool control_request_gone(struct control_request *request)
{
    (void)pthread_mutex_lock(&request->lock);
    bool gone = request->fd < 0;
    (void)pthread_mutex_unlock(&request->lock);
    return gone;
}

void control_request_on_gone(struct control_request *request, void (*gone)(void *user), void *user)
{
    (void)pthread_mutex_lock(&request->gone_lock);
    (void)pthread_mutex_lock(&request->lock);
    bool closed = request->fd < 0, ended = request->ended;
    (void)pthread_mutex_unlock(&request->lock);
    if (closed && !ended) {
        gone(user);
    } else if (!ended) {
        request->gone = gone;
        request->gone_user = user;
    }
    (void)pthread_mutex_unlock(&request->gone_lock);
}
