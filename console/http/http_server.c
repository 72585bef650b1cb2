/* Owns the listeners and a request's life. Must not know what a route does, who a user is, or SQL.
 * Hands whole requests to handlers, and takes answers back from any thread. */
#include "console/http/http_server.h"

#include "common/buffers/spare.h"
#include "common/text/text.h"
#include "console/http/http_internal.h"

#include <errno.h>
#include <netdb.h>

#define HEADERS_MAXIMUM 64
#define LISTEN_BACKLOG  1024
#define TLS_PRIORITIES  "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

/* --- a connection's life */

static void notice_connection(void *user UNUSED, struct MHD_Connection *connection UNUSED,
                              void **socket_context,
                              enum MHD_ConnectionNotificationCode notification)
{
    if (notification == MHD_CONNECTION_NOTIFY_STARTED) {
        *socket_context = calloc(1, sizeof(struct connection_facts));
    } else {
        free(*socket_context);
        *socket_context = NULL;
    }
}

/* --- a request's life */

static void *begin_request(void *user, const char *target, struct MHD_Connection *connection)
{
    size_t length = strlen(target), path_length = strcspn(target, "?");
    size_t bytes = sizeof(struct http_request) + length + 1 + path_length + 1;
    struct http_request *request = spare_take(bytes);
    if (!request)
        return NULL;
    char *texts = (char *)(request + 1);
    *request = (struct http_request){.server = user,
                                     .connection = connection,
                                     .bytes = bytes,
                                     .target = texts,
                                     .path = texts + length + 1};
    memcpy(texts, target, length + 1);
    memcpy(texts + length + 1, target, path_length);
    texts[length + 1 + path_length] = '\0';
    request->query = texts + path_length + (target[path_length] ? 1 : 0);
    return request;
}

void http_request_free(struct http_request *request)
{
    if (request->response)
        MHD_destroy_response(request->response);
    if (request->release_context)
        request->release_context(request->context);
    buffer_done(&request->body);
    free(request->segments);
    free(request->response_headers);
    spare_give(request, request->bytes);
}

/* Its loop has it back, and answers; gone: nobody waits for the answer any more. */
static void answer_held(struct http_request *request, bool gone)
{
    http_handler *answer = request->answer;
    if (!answer)
        return;
    request->answer = NULL;
    request->held = false;
    if (request->suspended)
        http_loop_resume(request->loop);
    if (!gone)
        answer(request, request->answer_user);
    http_server_release(request->server);
}

static void end_request(void *user UNUSED, struct MHD_Connection *connection UNUSED,
                        void **request_slot, enum MHD_RequestTerminationCode code UNUSED)
{
    struct http_request *request = *request_slot;
    *request_slot = NULL;
    if (!request)
        return;
    if (request->held && !http_held_leave(request))
        return; /* whoever finishes it frees it */
    answer_held(request, true);
    http_request_free(request);
}

struct header_list {
    struct http_header headers[HEADERS_MAXIMUM];
    size_t count;
    bool overflow;
};

static enum MHD_Result collect_header(void *user, enum MHD_ValueKind kind UNUSED, const char *name,
                                      size_t name_length, const char *value, size_t value_length)
{
    struct header_list *list = user;
    if (list->count == HEADERS_MAXIMUM) {
        list->overflow = true;
        return MHD_NO;
    }
    list->headers[list->count++] =
        (struct http_header){name, value ? value : "", name_length, value ? value_length : 0};
    return MHD_YES;
}

static void read_address(struct http_request *request)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *address = info ? info->client_addr : NULL;
    if (!address)
        return;
    if (address->sa_family == AF_INET) {
        (void)inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)address)->sin_addr,
                        request->address, sizeof(request->address));
    } else if (address->sa_family == AF_INET6) {
        const struct in6_addr *six =
            &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
        if (IN6_IS_ADDR_V4MAPPED(six))
            (void)inet_ntop(AF_INET, &six->s6_addr[12], request->address, sizeof(request->address));
        else
            (void)inet_ntop(AF_INET6, six, request->address, sizeof(request->address));
    }
}

static void refuse_head(struct http_request *request, unsigned status, const char *code,
                        const char *detail)
{
    request->refused = true;
    http_respond_problem(request, status, code, "%s", detail);
}

static void inspect_head(struct http_request *request, const char *method, const char *version)
{
    struct header_list list = {.count = 0};
    (void)MHD_get_connection_values_n(request->connection, MHD_HEADER_KIND, collect_header, &list);
    if (list.overflow) {
        refuse_head(request, 431, "too_many_headers", "send at most 64 headers");
        return;
    }
    struct request_head head = {.method = method,
                                .target = request->target,
                                .version = version,
                                .headers = list.headers,
                                .header_count = list.count};
#if MHD_VERSION < 0x01000000
    /* From 1.0 on the library's own strict level does this. */
    const union MHD_ConnectionInfo *size =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    head.head_bytes = size ? size->header_size : 0;
#endif
    struct request_guard_result result;
    if (request_guard_check(&head, request->server->options.hosts, &result) < 0) {
        refuse_head(request, result.status, result.code, result.detail);
        return;
    }
    read_address(request);
    http_route_choose(request, &result);
}

static enum MHD_Result queue_answer(struct http_request *request)
{
    struct MHD_Response *response = request->response;
    request->response = NULL;
    if (!response)
        return MHD_NO;
    enum MHD_Result queued = MHD_queue_response(request->connection, request->status, response);
    MHD_destroy_response(response);
    return queued;
}

static void dispatch(struct http_request *request)
{
    struct http_server *server = request->server;
    if (atomic_load(&server->draining)) {
        http_response_header(request, "Retry-After", "5");
        http_response_header(request, "Connection", "close");
        http_respond_problem(request, 503, "stopping", "the console is being stopped");
        return;
    }
    if (server->options.admit &&
        !server->options.admit(request, request->route, server->options.user))
        return;
    request->route->handler(request, server->options.user);
}

static enum MHD_Result serve(void *user UNUSED, struct MHD_Connection *connection UNUSED,
                             const char *url UNUSED, const char *method, const char *version,
                             const char *bytes, size_t *length, void **request_slot)
{
    struct http_request *request = *request_slot;
    if (!request)
        return MHD_NO;
    if (!request->started) {
        request->started = true;
        request->method = method;
        inspect_head(request, method, version);
        return request->response ? queue_answer(request) : MHD_YES;
    }
    if (*length > 0) {
        int r = buffer_append(&request->body, bytes, *length);
        *length = 0;
        return r < 0 ? MHD_NO : MHD_YES;
    }
    if (!request->dispatched && !request->held) {
        dispatch(request);
        if (request->held)
            return MHD_YES; /* the library asks again when it has looked after the others */
    } else if (request->held && !http_held_take(request)) {
        return MHD_YES;
    }
    answer_held(request, false);
    return queue_answer(request);
}

/* --- the listener */

static int open_listener(const char *address, uint16_t port, int *ret_fd)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                             .ai_socktype = SOCK_STREAM};
    char service[8];
    struct addrinfo *found = NULL;
    (void)text_format(service, sizeof(service), "%u", port);
    if (getaddrinfo(address[0] ? address : "::", service, &hints, &found) != 0)
        return -EINVAL;
    AUTO_CLOSE int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int r = fd < 0 ? -errno : 0;
    if (r == -EAFNOSUPPORT && !address[0]) { /* a host without IPv6 */
        freeaddrinfo(found);
        return open_listener("0.0.0.0", port, ret_fd);
    }
    int on = 1, off = 0;
    if (r == 0 && found->ai_family == AF_INET6 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, address[0] ? &on : &off, sizeof(int)) < 0)
        r = -errno;
    if (r == 0 &&
        (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
         bind(fd, found->ai_addr, found->ai_addrlen) < 0 || listen(fd, LISTEN_BACKLOG) < 0))
        r = -errno;
    freeaddrinfo(found);
    if (r == 0)
        *ret_fd = TAKE_FD(fd);
    return r;
}

static uint16_t port_of(int fd)
{
    union {
        struct sockaddr any;
        struct sockaddr_in four;
        struct sockaddr_in6 six;
    } address = {.six = {.sin6_port = 0}};
    socklen_t length = sizeof(address);
    if (getsockname(fd, &address.any, &length) < 0)
        return 0;
    return ntohs(address.any.sa_family == AF_INET6 ? address.six.sin6_port : address.four.sin_port);
}

int http_server_start(const struct http_server_options *options, struct http_server **ret_server)
{
    AUTO_CLOSE int fd = -1;
    int r = open_listener(options->address, options->port, &fd);
    if (r < 0)
        return r;
    struct http_server *server = calloc(1, sizeof(*server));
    if (!server)
        return -ENOMEM;
    server->options = *options;
    server->port = port_of(fd);
    (void)pthread_mutex_init(&server->lock, NULL);
    (void)pthread_cond_init(&server->idle, NULL);

    unsigned flags = MHD_USE_TLS | MHD_USE_ITC | MHD_ALLOW_SUSPEND_RESUME;
    flags |= options->threads ? MHD_USE_EPOLL_INTERNAL_THREAD
                              : MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_THREAD_PER_CONNECTION;
    struct MHD_OptionItem extra[4];
    size_t count = 0;
    if (options->threads > 1)
        extra[count++] =
            (struct MHD_OptionItem){MHD_OPTION_THREAD_POOL_SIZE, (intptr_t)options->threads, NULL};
    if (options->client_authority_pem)
        extra[count++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_TRUST, 0,
                                                 (void *)(uintptr_t)options->client_authority_pem};
#if MHD_VERSION >= 0x01000000
    extra[count++] = (struct MHD_OptionItem){MHD_OPTION_CLIENT_DISCIPLINE_LVL, 2, NULL};
#endif
    extra[count] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
    server->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, serve, server, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_URI_LOG_CALLBACK, begin_request, server, MHD_OPTION_NOTIFY_COMPLETED,
        end_request, server, MHD_OPTION_NOTIFY_CONNECTION, notice_connection, server,
        MHD_OPTION_CONNECTION_LIMIT, options->connections, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        options->connections_per_address, MHD_OPTION_CONNECTION_TIMEOUT, options->idle_seconds,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, options->head_bytes, MHD_OPTION_HTTPS_PRIORITIES,
        TLS_PRIORITIES, MHD_OPTION_HTTPS_CERT_CALLBACK, http_identity_show, MHD_OPTION_ARRAY, extra,
        MHD_OPTION_END);
    if (!server->daemon) {
        r = errno ? -errno : -EIO;
        (void)pthread_cond_destroy(&server->idle);
        (void)pthread_mutex_destroy(&server->lock);
        free(server);
        return r;
    }
    (void)TAKE_FD(fd); /* the library closes it */
    *ret_server = server;
    return 0;
}

uint16_t http_server_port(const struct http_server *server)
{
    return server->port;
}

void http_server_drain(struct http_server *server)
{
    atomic_store(&server->draining, true);
}

struct http_server *http_server_stop(struct http_server *server)
{
    if (!server)
        return NULL;
    http_server_drain(server);
    /* The library aborts the process when it is stopped with suspended connections. */
    (void)pthread_mutex_lock(&server->lock);
    while (atomic_load(&server->held) > 0)
        (void)pthread_cond_wait(&server->idle, &server->lock);
    (void)pthread_mutex_unlock(&server->lock);
    MHD_stop_daemon(server->daemon);
    (void)pthread_cond_destroy(&server->idle);
    (void)pthread_mutex_destroy(&server->lock);
    free(server);
    return NULL;
}
