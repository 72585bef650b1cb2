/* Owns one connection for one request. Must not own what the answer means: the commands do. */
#include "agent/control/control_client.h"

#include "agent/control/display.h"
#include "agent/control/messages.h"
#include "common/limits.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#define LINE_BYTES ((size_t)LIMIT_CONTROL_OUTPUT_BYTES * 2)
#define READ_BYTES 65536

void control_call_begin(struct control_call *call, const char *command)
{
    call->timeout_ns = 0;
    buffer_init(&call->text, LIMIT_CONTROL_REQUEST_BYTES);
    json_writer_init(&call->json, &call->text);
    json_write_object_begin(&call->json);
    json_write_field_string(&call->json, "command", command);
}

const char *control_start_hint(const struct invocation *invocation)
{
    return command_has(invocation, "socket") || command_has(invocation, "config")
               ? "start yagura-agent with its --config, or name another --socket"
               : "start it with: systemctl start yagura-agent";
}

static int tell_unreachable(const struct invocation *invocation, int error)
{
    const char *path = invocation->socket;
    if (error == -ENOENT || error == -ECONNREFUSED)
        return command_fail("the agent is not running (nobody listens on %s); %s", path,
                            say(control_start_hint(invocation)));
    if (error == -EACCES || error == -EPERM)
        return command_fail("only root may steer the agent; use sudo");
    return command_fail("the agent cannot be reached on %s: %s", path, log_error_text(error));
}

static int connect_to(const char *path, int *ret_fd)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (text_copy(address.sun_path, sizeof(address.sun_path), path) < 0)
        return -ENAMETOOLONG;
    AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return -errno;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

/* Whatever goes wrong here, the agent's answer says more than errno. */
static void send_all(int fd, const char *text, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(fd, text, length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return;
        text += sent;
        length -= (size_t)sent;
    }
}

/* The value of a one-key line as it was written: {"key":VALUE}. */
static const char *value_text(char *line, const char *key)
{
    size_t length = strlen(line), prefix = strlen(key) + strlen("{\"\":");
    if (length <= prefix)
        return line;
    line[length - 1] = '\0';
    return line + prefix;
}

/* 0 goes on; 1 the end, with the exit code in ret_exit. */
static int take_line(char *text, control_line *line, void *user, int *ret_exit)
{
    json_error_t error;
    json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    const char *problem = json_string_value(json_object_get(object, "error"));
    int ended = 0;
    if (!json_is_object(object) || json_object_size(object) == 0) {
        *ret_exit = command_fail("the agent's answer is not understood; is it another version?");
        ended = 1;
    } else if (problem != NULL) {
        AUTO_FREE char *said = said_new(problem);
        AUTO_FREE char *shown = display_text_new(said != NULL ? said : problem);
        (void)command_fail("%s", shown != NULL ? shown : "the agent reports an error");
        *ret_exit = (int)json_integer_value(json_object_get(object, "exit"));
        ended = 1;
    } else if (json_is_true(json_object_get(object, "done"))) {
        *ret_exit = (int)json_integer_value(json_object_get(object, "exit"));
        ended = 1;
    } else if (line != NULL) {
        void *first = json_object_iter(object);
        const char *key = json_object_iter_key(first);
        *ret_exit = line(user, key, json_object_iter_value(first), value_text(text, key));
        ended = *ret_exit != 0;
    }
    json_decref(object);
    return ended;
}

/* All whole lines that were read; the rest stays in the buffer. */
static int take_lines(struct buffer *input, control_line *line, void *user, int *ret_exit)
{
    size_t used = 0;
    int ended = 0;
    while (!ended && used < input->length) {
        char *begin = input->data + used;
        char *end = memchr(begin, '\n', input->length - used);
        if (end == NULL)
            break;
        *end = '\0';
        used += (size_t)(end - begin) + 1;
        ended = take_line(begin, line, user, ret_exit);
    }
    buffer_consume(input, used);
    return ended;
}

static int read_answer(int fd, control_line *line, void *user)
{
    AUTO_BUFFER struct buffer input = BUFFER_WITH_MAXIMUM(LINE_BYTES + READ_BYTES);
    int exit_code = EXIT_ERROR;
    for (;;) {
        char *space = NULL;
        if (buffer_reserve(&input, READ_BYTES, &space) < 0)
            return command_fail("the agent's answer is too long");
        ssize_t length = recv(fd, space, READ_BYTES, 0);
        if (length < 0 && errno == EINTR)
            continue;
        if (length < 0 && errno == EAGAIN)
            return command_fail(
                "the agent is not done in time; yaguractl status says what it waits for");
        if (length <= 0)
            return command_fail("the agent closed the connection before the answer was complete; "
                                "look into its log");
        buffer_commit(&input, (size_t)length);
        if (take_lines(&input, line, user, &exit_code))
            return exit_code;
    }
}

int control_call(const struct invocation *invocation, struct control_call *call, control_line *line,
                 void *user)
{
    AUTO_BUFFER struct buffer text = call->text;
    call->text = BUFFER_WITH_MAXIMUM(0);
    call->json.buffer = &text;
    json_write_object_end(&call->json);
    (void)buffer_append(&text, "\n", 1);
    if (buffer_failed(&text) < 0)
        return command_fail("the request is too long; name fewer things at once");
    AUTO_CLOSE int fd = -1;
    int r = connect_to(invocation->socket, &fd);
    if (r < 0)
        return tell_unreachable(invocation, r);
    if (call->timeout_ns > 0) {
        const struct timeval timeout = {.tv_sec = (time_t)(call->timeout_ns / NS_PER_SECOND) + 1};
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    }
    send_all(fd, buffer_text(&text), text.length);
    return read_answer(fd, line, user);
}
