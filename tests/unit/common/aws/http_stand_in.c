/* The server of the tests. Owns: its thread and connections. */
#include "tests/unit/common/aws/http_stand_in.h"

#include "common/text/text.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

static void require(bool held)
{
    if (!held)
        abort();
}

void stand_in_write(char *answer, size_t size, int status, const char *lines, const char *body)
{
    require(
        text_format(answer, size,
                    "HTTP/1.1 %d Answer\r\nContent-Length: %zu\r\nConnection: close\r\n%s\r\n%s",
                    status, strlen(body), lines, body) > 0);
}

void stand_in_header(const struct stand_in_request *request, const char *name, char *value,
                     size_t size)
{
    size_t length = strlen(name);

    value[0] = '\0';
    for (const char *line = request->head; line != NULL; line = strchr(line, '\n')) {
        line += line[0] == '\n';
        if (strncasecmp(line, name, length) == 0 && line[length] == ':') {
            line += length + 1 + strspn(line + length + 1, " ");
            require(text_format(value, size, "%.*s", (int)strcspn(line, "\r\n"), line) >= 0);
            return;
        }
    }
}

/* Until the head is whole and the body as long as it says. False: the peer went away. */
static bool receive(int fd, struct stand_in_request *request)
{
    static const char end[] = "\r\n\r\n";
    char text[sizeof request->head + sizeof request->body] = "", number[32];
    size_t length = 0;
    uint64_t wanted = 0;

    for (;;) {
        ssize_t got = recv(fd, text + length, sizeof text - 1 - length, 0);
        if (got <= 0)
            return false;
        length += (size_t)got;
        text[length] = '\0';
        const char *body = strstr(text, end);
        if (body == NULL)
            continue;
        body += strlen(end);
        require(text_format(request->head, sizeof request->head, "%.*s", (int)(body - text), text) >
                0);
        stand_in_header(request, "Content-Length", number, sizeof number);
        require(number[0] == '\0' || text_parse_u64(number, &wanted) == 0);
        if (strlen(body) < wanted)
            continue;
        require(text_copy(request->body, sizeof request->body, body) == 0);
        return true;
    }
}

static void read_line(struct stand_in_request *request)
{
    const char *line = request->head;
    size_t method = strcspn(line, " "), target = strcspn(line + method + 1, " ");

    require(text_format(request->method, sizeof request->method, "%.*s", (int)method, line) > 0);
    require(text_format(request->target, sizeof request->target, "%.*s", (int)target,
                        line + method + 1) > 0);
}

static void serve_one(struct stand_in *stand_in, int fd)
{
    struct stand_in_request *request = calloc(1, sizeof *request);
    char answer[32768] = "";

    require(request != NULL);
    if (receive(fd, request)) {
        read_line(request);
        stand_in->requests++;
        stand_in->answer(stand_in->user, request, answer, sizeof answer);
        if (answer[0] != '\0')
            (void)send(fd, answer, strlen(answer), MSG_NOSIGNAL);
    }
    free(request);
    if (answer[0] != '\0' || stand_in->silent_count == ARRAY_LENGTH(stand_in->silent))
        (void)close(fd);
    else
        stand_in->silent[stand_in->silent_count++] = fd;
}

static void *serve(void *user)
{
    struct stand_in *stand_in = user;

    for (;;) {
        int fd = accept(stand_in->listener, NULL, NULL);
        if (fd < 0)
            return NULL;
        serve_one(stand_in, fd);
    }
}

void stand_in_start(struct stand_in *stand_in)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof address;

    stand_in->requests = stand_in->silent_count = 0;
    stand_in->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    require(bind(stand_in->listener, (struct sockaddr *)&address, length) == 0);
    require(listen(stand_in->listener, 64) == 0);
    require(getsockname(stand_in->listener, (struct sockaddr *)&address, &length) == 0);
    stand_in->port = ntohs(address.sin_port);
    require(text_format(stand_in->url, sizeof stand_in->url, "http://127.0.0.1:%u",
                        stand_in->port) > 0);
    require(pthread_create(&stand_in->thread, NULL, serve, stand_in) == 0);
}

void stand_in_stop(struct stand_in *stand_in)
{
    (void)shutdown(stand_in->listener, SHUT_RDWR);
    require(pthread_join(stand_in->thread, NULL) == 0);
    (void)close(stand_in->listener);
    for (unsigned i = 0; i < stand_in->silent_count; i++)
        (void)close(stand_in->silent[i]);
}
