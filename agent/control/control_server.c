/* The control socket. Owns the listening socket, the connections, and the table of commands.
 * Must not own what a command does: handlers do, registered by name.
 * Hands off a parsed request to its handler in the loop's thread; the connection itself is
 * control_request.c's. */
#include "agent/control/control_server.h"

#include "agent/control/control_connection.h"
#include "common/event_loop/event_loop.h"
#include "common/limits.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define LISTEN_BACKLOG   16
#define WATCH_PERIOD_NS  (1 * NS_PER_SECOND)
#define REQUEST_LIMIT_NS (10 * NS_PER_SECOND)
#define STALL_LIMIT_NS   (60 * NS_PER_SECOND)
#define ARRIVAL_PAUSE_NS (1 * NS_PER_SECOND) /* when one could not be taken in */

struct command {
    struct command *next;
    char *name;
    control_handler *handler;
    void *user;
};

struct control_server {
    struct event_loop *loop;
    int fd;
    int wake_fd; /* told by other threads that some connection has something to write */
    char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
    struct command *commands;
    struct control_request *clients[LIMIT_CONTROL_CLIENTS];
    struct event_timer *timer; /* runs while there are clients */
    struct event_timer *pause; /* until arrivals are looked at again */
    bool short_told;           /* of what we lack to take one in */
};

/* --- clients ---------------------------------------------------------------------------------- */

static void drop_client(struct control_server *server, size_t index)
{
    struct control_request *request = server->clients[index];
    server->clients[index] = NULL;
    int fd = control_connection_fd(request);
    event_loop_remove_fd(server->loop, fd);
    control_connection_close(request);
    (void)control_request_unref(request);
}

static struct command *find_command(const struct control_server *server, const char *name)
{
    struct command *command = server->commands;
    while (command != NULL && !text_equal(command->name, name))
        command = command->next;
    return command;
}

static void run_command(struct control_server *server, struct control_request *request,
                        const char *line, size_t length)
{
    json_error_t error;
    json_t *arguments = json_loadb(line, length, JSON_REJECT_DUPLICATES, &error);
    const char *name = json_string_value(json_object_get(arguments, "command"));
    struct command *command = name == NULL ? NULL : find_command(server, name);
    char shown[64];

    if (arguments == NULL)
        control_request_fail(request, 2, "the request is not JSON: %s", error.text);
    else if (name == NULL)
        control_request_fail(request, 2, "the request names no command");
    else if (command != NULL)
        command->handler(command->user, request, arguments);
    else {
        (void)text_escape(shown, sizeof(shown), name, strlen(name));
        control_request_fail(request, 2, "this agent (%s) knows no command \"%s\"", YAGURA_VERSION,
                             shown);
    }
    json_decref(arguments);
}

/* Takes what the client sent. < 0: drop it. */
static int read_client(struct control_server *server, struct control_request *request)
{
    const char *line = NULL;
    size_t length = 0;
    int r = control_connection_read(request, &line, &length);
    if (r == -EMSGSIZE) {
        control_request_fail(request, 2, "the request is longer than %d bytes",
                             LIMIT_CONTROL_REQUEST_BYTES);
        return 0;
    }
    if (r > 0)
        run_command(server, request, line, length);
    return r < 0 ? r : 0;
}

/* Writes what waits, and watches the socket for what is needed next. < 0: drop it. */
static int write_client(struct control_server *server, struct control_request *request)
{
    bool waiting = false;
    int r = control_connection_flush(request, &waiting);
    if (r < 0)
        return r;
    return event_loop_change_fd(server->loop, control_connection_fd(request),
                                waiting ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static ssize_t find_client(const struct control_server *server, int fd)
{
    for (size_t i = 0; i < ARRAY_LENGTH(server->clients); i++) {
        if (server->clients[i] != NULL && control_connection_fd(server->clients[i]) == fd)
            return (ssize_t)i;
    }
    return -1;
}

static void handle_client(void *user, int fd, uint32_t epoll_events)
{
    struct control_server *server = user;
    ssize_t index = find_client(server, fd);
    if (index < 0)
        return;
    struct control_request *request = server->clients[index];
    int r = 0;
    if ((epoll_events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
        r = read_client(server, request);
    if (r == 0)
        r = write_client(server, request);
    if (r < 0)
        drop_client(server, (size_t)index);
}

static void handle_wake(void *user, int fd, uint32_t epoll_events UNUSED)
{
    struct control_server *server = user;
    uint64_t count;
    (void)!read(fd, &count, sizeof(count));
    for (size_t i = 0; i < ARRAY_LENGTH(server->clients); i++) {
        if (server->clients[i] != NULL && write_client(server, server->clients[i]) < 0)
            drop_client(server, i);
    }
}

/* Once a second while somebody is connected: drops who does not ask, and who does not read. */
static void handle_timer(void *user)
{
    struct control_server *server = user;
    uint64_t now = clock_monotonic_ns();
    bool any = false;
    for (size_t i = 0; i < ARRAY_LENGTH(server->clients); i++) {
        if (server->clients[i] == NULL)
            continue;
        if (control_connection_is_stalled(server->clients[i], now, REQUEST_LIMIT_NS,
                                          STALL_LIMIT_NS))
            drop_client(server, i);
        else
            any = true;
    }
    if (!any)
        event_timer_stop(server->timer);
}

/* --- arrivals --------------------------------------------------------------------------------- */

/* Best effort: the connection ends right after. */
static void turn_away(int fd, const char *why)
{
    char line[256];
    int length = text_format(line, sizeof(line), "{\"error\":\"%s\",\"exit\":2}\n", why);
    if (length > 0)
        (void)!send(fd, line, (size_t)length, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static bool is_permitted(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return false;
    return peer.uid == 0 || peer.uid == geteuid();
}

static int add_client(struct control_server *server, int fd)
{
    for (size_t i = 0; i < ARRAY_LENGTH(server->clients); i++) {
        if (server->clients[i] != NULL)
            continue;
        int r = control_connection_new(fd, server->wake_fd, &server->clients[i]);
        if (r < 0)
            return r;
        r = event_loop_add_fd(server->loop, fd, EPOLLIN, handle_client, server);
        if (r < 0)
            drop_client(server, i);
        else
            event_timer_start(server->timer, WATCH_PERIOD_NS, WATCH_PERIOD_NS);
        return 0; /* fd belongs to the connection now */
    }
    return -EUSERS;
}

/* It stays in the kernel's queue, of which epoll would tell us again and again. */
static void pause_arrivals(struct control_server *server, int error)
{
    if (error == EAGAIN || error == EINTR || error == ECONNABORTED)
        return;
    if (!server->short_told)
        log_warning("yaguractl_waits", "error", log_error_text(-error), "effect",
                    "it is answered when the agent has room for it", NULL);
    server->short_told = true;
    (void)!event_loop_change_fd(server->loop, server->fd, 0);
    event_timer_start(server->pause, ARRIVAL_PAUSE_NS, 0);
}

static void end_pause(void *user)
{
    struct control_server *server = user;
    (void)!event_loop_change_fd(server->loop, server->fd, EPOLLIN);
}

static void handle_arrival(void *user, int listen_fd, uint32_t epoll_events UNUSED)
{
    struct control_server *server = user;
    for (unsigned i = 0; i < LISTEN_BACKLOG; i++) {
        AUTO_CLOSE int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            pause_arrivals(server, errno);
            return;
        }
        server->short_told = false;
        if (!is_permitted(fd)) {
            turn_away(fd, "only root may steer the agent; use sudo");
            continue;
        }
        int r = add_client(server, fd);
        if (r == 0)
            (void)TAKE_FD(fd);
        else if (r == -EUSERS)
            turn_away(fd, "too many yaguractl are connected; try again later");
        else
            turn_away(fd, "the agent is out of memory");
    }
}

/* --- start and stop --------------------------------------------------------------------------- */

/* Whether somebody serves the socket: 0 nobody (a leftover was removed), -EADDRINUSE, -errno. */
static int remove_leftover(const struct sockaddr_un *address)
{
    struct stat status;
    if (lstat(address->sun_path, &status) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISSOCK(status.st_mode))
        return -EEXIST;
    AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN)
        return -EADDRINUSE;
    if (errno != ECONNREFUSED)
        return -errno;
    return unlink(address->sun_path) < 0 ? -errno : 0;
}

static int listen_on(struct control_server *server)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)text_copy(address.sun_path, sizeof(address.sun_path), server->path);
    int r = remove_leftover(&address);
    if (r < 0)
        return r;
    AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    /* The mode of the socket's inode is taken over by bind: there is no moment with another mode.
     */
    if (fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return -errno;
    if (listen(fd, LISTEN_BACKLOG) < 0) {
        r = -errno;
        (void)unlink(server->path);
        return r;
    }
    server->fd = TAKE_FD(fd);
    return 0;
}

static int start(struct control_server *server)
{
    server->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (server->wake_fd < 0)
        return -errno;
    int r = event_timer_new(server->loop, handle_timer, server, &server->timer);
    if (r == 0)
        r = event_timer_new(server->loop, end_pause, server, &server->pause);
    if (r == 0)
        r = event_loop_add_fd(server->loop, server->wake_fd, EPOLLIN, handle_wake, server);
    if (r == 0)
        r = listen_on(server);
    if (r == 0)
        r = event_loop_add_fd(server->loop, server->fd, EPOLLIN, handle_arrival, server);
    return r;
}

int control_server_start(struct event_loop *loop, const char *socket_path,
                         struct control_server **ret_server)
{
    struct control_server *server = calloc(1, sizeof(*server));
    if (server == NULL)
        return -ENOMEM;
    server->loop = loop;
    server->fd = server->wake_fd = -1;
    int r = text_copy(server->path, sizeof(server->path), socket_path);
    if (r >= 0)
        r = start(server);
    if (r < 0) {
        control_server_stop(server);
        return r;
    }
    *ret_server = server;
    return 0;
}

struct control_server *control_server_stop(struct control_server *server)
{
    if (server == NULL)
        return NULL;
    if (server->fd >= 0) {
        event_loop_remove_fd(server->loop, server->fd);
        (void)unlink(server->path);
        (void)close(server->fd);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(server->clients); i++) {
        if (server->clients[i] != NULL)
            drop_client(server, i);
    }
    if (server->wake_fd >= 0) {
        event_loop_remove_fd(server->loop, server->wake_fd);
        (void)close(server->wake_fd);
    }
    (void)event_timer_free(server->timer);
    (void)event_timer_free(server->pause);
    for (struct command *command = server->commands; command != NULL;) {
        struct command *next = command->next;
        free(command->name);
        free(command);
        command = next;
    }
    free(server);
    return NULL;
}

int control_server_register(struct control_server *server, const char *command_name,
                            control_handler *handler, void *user)
{
    if (find_command(server, command_name) != NULL)
        return -EEXIST;
    struct command *command = calloc(1, sizeof(*command));
    if (command == NULL)
        return -ENOMEM;
    *command = (struct command){
        .name = strdup(command_name), .handler = handler, .user = user, .next = server->commands};
    if (command->name == NULL) {
        free(command);
        return -ENOMEM;
    }
    server->commands = command;
    return 0;
}
