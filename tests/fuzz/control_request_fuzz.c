/* What comes in on the control socket, in any pieces: one request of bounded length or none, and
 * fields of the right type or none. The first byte says where the input is cut. */
#include "agent/control/control_connection.h"
#include "agent/control/handlers_private.h"
#include "common/limits.h"
#include "common/text/text.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool held)
{
    if (!held)
        abort();
}

/* A path that was taken is absolute, bounded, and escapes to itself. */
static void check_path(const json_t *value)
{
    AUTO_FREE char *path = argument_path(value);
    if (path == NULL)
        return;
    AUTO_FREE char *escaped = text_escape_new(path, strlen(path));
    size_t length = 0;
    require(path[0] == '/' && strlen(path) <= json_string_length(value));
    require(escaped != NULL);
    AUTO_FREE char *back = malloc(strlen(escaped) + 1);
    require(back != NULL && text_unescape(back, strlen(escaped) + 1, escaped, &length) == 0);
    require(text_equal(back, path));
}

static void check_request(const char *line, size_t length)
{
    json_error_t error;
    json_t *arguments = json_loadb(line, length, JSON_REJECT_DUPLICATES, &error);
    const char *key;
    json_t *value;
    require(length <= LIMIT_CONTROL_REQUEST_BYTES && memchr(line, '\n', length) == NULL);
    json_object_foreach(arguments, key, value)
    {
        uint64_t number = 0;
        bool flag = false;
        require((argument_unsigned(arguments, key, &number) == 0) ==
                (json_is_integer(value) && json_integer_value(value) >= 0));
        require((argument_bool(arguments, key, &flag) == 0) == json_is_boolean(value));
        require((argument_text(arguments, key) != NULL) == json_is_string(value));
        check_path(value);
    }
    json_decref(arguments);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fds[2];
    struct control_request *request = NULL;
    const char *line = NULL;
    size_t length = 0, cut = size > 0 ? data[0] : 0;
    int r = 0;
    require(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
    require(control_connection_new(fds[0], -1, &request) == 0);
    for (size_t at = 1; at < size && r == 0;) {
        size_t piece = MIN(size - at, cut + 1);
        ssize_t sent = send(fds[1], data + at, piece, MSG_NOSIGNAL);
        require(sent > 0);
        at += (size_t)sent;
        do {
            r = control_connection_read(request, &line, &length);
        } while (r == 0 && piece > 16384 && (piece -= 16384) > 0);
        if (r > 0)
            check_request(line, length);
    }
    require(r == 0 || r == 1 || r == -EMSGSIZE || r == -ECONNRESET);
    (void)close(fds[1]);
    control_connection_close(request);
    (void)control_request_unref(request);
    return 0;
}
