/* The HTTP service. Owns: the listening socket, libmicrohttpd, the scanners of its threads. */
#include "storage/gate/gate_server.h"

#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

#define MOST_CONNECTIONS 64
#define MOST_HEAD_BYTES  32768
#define IDLE_S           30
#define REQUEST_TIME_NS  (60 * NS_PER_SECOND)
#define BACKLOG          128

struct gate_server {
    struct MHD_Daemon *daemon;
    struct gate *gate;
    struct scan_resources *resources;
    uint16_t port;
    pthread_mutex_t lock; /* of the idle scanners */
    struct object_scanner *idle[MOST_CONNECTIONS];
    size_t idle_count;
};

/* ---- scanners, one for each request that goes on ---- */

static struct object_scanner *take_scanner(struct gate_server *server)
{
    struct object_scanner *scanner = NULL;

    (void)pthread_mutex_lock(&server->lock);
    if (server->idle_count > 0)
        scanner = server->idle[--server->idle_count];
    (void)pthread_mutex_unlock(&server->lock);
    if (scanner == NULL && object_scanner_new(server->resources, &scanner) < 0)
        return NULL;
    return scanner;
}

static void give_back(struct gate_server *server, struct object_scanner *scanner)
{
    (void)pthread_mutex_lock(&server->lock);
    if (server->idle_count < ARRAY_LENGTH(server->idle)) {
        server->idle[server->idle_count++] = scanner;
        scanner = NULL;
    }
    (void)pthread_mutex_unlock(&server->lock);
    (void)object_scanner_free(scanner);
}

/* ---- a request ---- */

static int read_target(const char *method, const char *target, struct gate_request *request)
{
    size_t length = strcspn(target, "?");

    *request = (struct gate_request){.head = text_equal(method, MHD_HTTP_METHOD_HEAD)};
    if (length != strlen(GATE_PATH) || strncmp(target, GATE_PATH, length) != 0)
        return -ENOENT;
    if (!request->head && !text_equal(method, MHD_HTTP_METHOD_GET))
        return -EPERM;
    return gate_request_read_query(target[length] == '?' ? target + length + 1 : "", request);
}

static enum MHD_Result queue_answer(struct MHD_Connection *connection,
                                    const struct gate_answer *answer)
{
    AUTO_BUFFER struct buffer json = BUFFER_WITH_MAXIMUM(4096);
    char seconds[16];

    if (gate_answer_write(answer, &json) < 0)
        return MHD_NO;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(json.length, json.data, MHD_RESPMEM_MUST_COPY);
    if (response == NULL)
        return MHD_NO;
    (void)MHD_add_response_header(response, "Content-Type", "application/json");
    (void)MHD_add_response_header(response, "Cache-Control", "no-store");
    (void)MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    (void)MHD_add_response_header(response, "Connection", "close");
    if (answer->location.length > 0)
        (void)MHD_add_response_header(response, "Location", buffer_text(&answer->location));
    if (answer->retry_after_s > 0) {
        (void)text_format(seconds, sizeof seconds, "%u", answer->retry_after_s);
        (void)MHD_add_response_header(response, "Retry-After", seconds);
    }
    enum MHD_Result queued = MHD_queue_response(connection, answer->status, response);
    MHD_destroy_response(response);
    return queued;
}

static bool has_body(struct MHD_Connection *connection)
{
    const char *length = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Content-Length");

    return (length != NULL && !text_equal(length, "0")) ||
           MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Transfer-Encoding") != NULL;
}

/* The engine is there, or comes: a balancer does not end us while signatures load. */
static void serve_health(struct gate_server *server, struct gate_answer *answer)
{
    char signatures[SCAN_SIGNATURES_BYTES];

    scan_service_signatures(server->resources->service, signatures);
    *answer = (struct gate_answer){.status = 200, .verdict = ""};
    (void)text_copy(answer->problem, sizeof answer->problem,
                    signatures[0] != '\0' ? "" : "signatures are being loaded");
}

static void serve_object(struct gate_server *server, const char *method, const char *target,
                         struct gate_answer *answer)
{
    struct object_scanner *scanner = take_scanner(server);
    struct gate_request request;

    if (scanner == NULL) {
        *answer = (struct gate_answer){.status = 503, .verdict = "", .retry_after_s = 2};
        return;
    }
    int r = read_target(method, target, &request);
    gate_serve(server->gate, scanner, &request, r, clock_monotonic_ns() + REQUEST_TIME_NS, answer);
    give_back(server, scanner);
}

static enum MHD_Result handle(void *user, struct MHD_Connection *connection, const char *url UNUSED,
                              const char *method, const char *version UNUSED,
                              const char *body UNUSED, size_t *body_length, void **slot)
{
    struct gate_server *server = user;
    struct gate_answer answer;
    char *target = *slot;

    if (target == NULL || *body_length > 0 || has_body(connection))
        return MHD_NO;
    if (text_equal(target, GATE_HEALTH_PATH) && text_equal(method, MHD_HTTP_METHOD_GET))
        serve_health(server, &answer);
    else
        serve_object(server, method, target, &answer);
    enum MHD_Result sent = queue_answer(connection, &answer);
    gate_answer_done(&answer);
    return sent;
}

static void *keep_target(void *user UNUSED, const char *target,
                         struct MHD_Connection *connection UNUSED)
{
    return text_new(target, strlen(target));
}

static void forget_target(void *user UNUSED, struct MHD_Connection *connection UNUSED, void **slot,
                          enum MHD_RequestTerminationCode code UNUSED)
{
    free(*slot);
    *slot = NULL;
}

/* Encoded it is read by us; the address in a log is nobody's. */
static size_t leave_encoded(void *user UNUSED, struct MHD_Connection *connection UNUSED, char *text)
{
    return strlen(text);
}

/* ---- listening ---- */

static int read_address(const char *listen, struct sockaddr_storage *address, socklen_t *length)
{
    struct sockaddr_in *four = (struct sockaddr_in *)address;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)address;
    const char *colon = strrchr(listen, ':');
    char host[64];
    uint64_t port;

    *address = (struct sockaddr_storage){.ss_family = AF_INET};
    if (colon == NULL || text_parse_u64(colon + 1, &port) < 0 || port > 65535)
        return -EINVAL;
    bool is_six = listen[0] == '[' && colon > listen + 1 && colon[-1] == ']';
    if (text_format(host, sizeof host, "%.*s", (int)(colon - listen) - 2 * is_six,
                    listen + is_six) < 0)
        return -EINVAL;
    if (is_six) {
        *six = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
        *length = sizeof *six;
        return inet_pton(AF_INET6, host, &six->sin6_addr) == 1 ? 0 : -EINVAL;
    }
    *four = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    *length = sizeof *four;
    return inet_pton(AF_INET, host, &four->sin_addr) == 1 ? 0 : -EINVAL;
}

static int open_listener(const char *text, uint16_t *ret_port)
{
    struct sockaddr_storage address;
    const int on = 1;
    socklen_t length;

    int r = read_address(text, &address, &length);
    if (r < 0)
        return r;
    AUTO_CLOSE int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(fd, (struct sockaddr *)&address, length) < 0 || listen(fd, BACKLOG) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) < 0)
        return -errno;
    *ret_port = ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                                    : ((struct sockaddr_in *)&address)->sin_port);
    return TAKE_FD(fd);
}

static struct MHD_Daemon *start_daemon(struct gate_server *server, int fd)
{
    return MHD_start_daemon(
        MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_ITC, 0, NULL, NULL,
        handle, server, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)MOST_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MOST_HEAD_BYTES, MHD_OPTION_URI_LOG_CALLBACK,
        keep_target, server, MHD_OPTION_NOTIFY_COMPLETED, forget_target, server,
        MHD_OPTION_UNESCAPE_CALLBACK, leave_encoded, server, MHD_OPTION_END);
}

int gate_server_start(const char *listen, struct gate *gate, struct scan_resources *resources,
                      struct gate_server **ret_server)
{
    struct gate_server *server = calloc(1, sizeof *server);

    if (server == NULL)
        return -ENOMEM;
    server->gate = gate;
    server->resources = resources;
    (void)pthread_mutex_init(&server->lock, NULL);
    int fd = open_listener(listen, &server->port);
    if (fd >= 0)
        server->daemon = start_daemon(server, fd);
    if (fd >= 0 && server->daemon == NULL)
        (void)close(fd);
    if (server->daemon == NULL)
        return (void)gate_server_stop(server), fd < 0 ? fd : -ENOMEM;
    *ret_server = server;
    return 0;
}

uint16_t gate_server_port(const struct gate_server *server)
{
    return server->port;
}

struct gate_server *gate_server_stop(struct gate_server *server)
{
    if (server == NULL)
        return NULL;
    if (server->daemon != NULL)
        MHD_stop_daemon(server->daemon);
    while (server->idle_count > 0)
        (void)object_scanner_free(server->idle[--server->idle_count]);
    (void)pthread_mutex_destroy(&server->lock);
    free(server);
    return NULL;
}
