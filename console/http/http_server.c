/* Owns the listeners, a request's life and the shape of answers. Must not know what a route does,
 * who a user is, or SQL. Hands whole requests to handlers, and takes answers back from any thread.
 */
#include "console/http/http_server.h"

#include "common/crypto/hash.h"
#include "common/json/json_writer.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "console/http/request_guard.h"

#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <microhttpd.h>
#include <netdb.h>
#include <pthread.h>
#include <stdarg.h>

#define HEADERS_MAXIMUM          64
#define RESPONSE_HEADERS_MAXIMUM 12
#define SEGMENTS_MAXIMUM         8
#define SEGMENT_BYTES            128
#define CHAIN_MAXIMUM            8
#define LISTEN_BACKLOG           1024
#define STREAM_BLOCK_BYTES       32768
#define TLS_PRIORITIES           "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

/* What a connection keeps between requests. */
struct connection_facts {
    bool checked;
    enum http_certificate certificate;
    char digest[65];
    int64_t expires_s;
};

struct response_header {
    const char *name;
    char value[512];
};

struct http_server {
    struct MHD_Daemon *daemon;
    struct http_server_options options;
    uint16_t port;
    pthread_mutex_t lock;
    pthread_cond_t idle;
    unsigned held;
    bool draining;
};

struct http_request {
    struct http_server *server;
    struct MHD_Connection *connection;
    const struct http_route *route;
    char *target; /* as it came */
    char *path;   /* before the "?" */
    const char *query;
    const char *method;
    char segments[SEGMENTS_MAXIMUM][SEGMENT_BYTES];
    size_t segment_count;
    struct buffer body;
    bool started, refused, dispatched, held;
    struct response_header response_headers[RESPONSE_HEADERS_MAXIMUM];
    size_t response_header_count;
    struct MHD_Response *response; /* set by the answer; under the server's lock while held */
    unsigned status;
    char address[INET6_ADDRSTRLEN];
    void *context;
    void (*release_context)(void *context);
};

/* --- identity */

struct identity {
    gnutls_pcert_st chain[CHAIN_MAXIMUM];
    unsigned length;
    gnutls_privkey_t key;
    struct identity *older; /* handshakes may still use it */
};

static pthread_rwlock_t identity_lock = PTHREAD_RWLOCK_INITIALIZER;
static struct identity *current_identity;

int http_identity_load(const char *certificate_chain_pem, const char *key_pem)
{
    struct identity *identity = calloc(1, sizeof(*identity));
    if (!identity)
        return -ENOMEM;
    gnutls_datum_t chain = {(unsigned char *)(uintptr_t)certificate_chain_pem,
                            (unsigned)strlen(certificate_chain_pem)};
    gnutls_datum_t key = {(unsigned char *)(uintptr_t)key_pem, (unsigned)strlen(key_pem)};
    identity->length = CHAIN_MAXIMUM;
    if (gnutls_pcert_list_import_x509_raw(identity->chain, &identity->length, &chain,
                                          GNUTLS_X509_FMT_PEM, 0) < 0)
        goto bad_chain;
    if (gnutls_privkey_init(&identity->key) < 0)
        goto bad_key;
    if (gnutls_privkey_import_x509_raw(identity->key, &key, GNUTLS_X509_FMT_PEM, NULL, 0) < 0)
        goto mismatch;
    gnutls_certificate_credentials_t probe;
    if (gnutls_certificate_allocate_credentials(&probe) < 0)
        goto mismatch;
    /* Refuses a key that is not the certificate's. */
    int fits = gnutls_certificate_set_x509_key_mem(probe, &chain, &key, GNUTLS_X509_FMT_PEM);
    gnutls_certificate_free_credentials(probe);
    if (fits < 0)
        goto mismatch;

    (void)pthread_rwlock_wrlock(&identity_lock);
    identity->older = current_identity;
    current_identity = identity;
    (void)pthread_rwlock_unlock(&identity_lock);
    return 0;
mismatch:
    gnutls_privkey_deinit(identity->key);
bad_key:
    for (unsigned i = 0; i < identity->length; i++)
        gnutls_pcert_deinit(&identity->chain[i]);
bad_chain:
    free(identity);
    return -EBADMSG;
}

static int show_identity(gnutls_session_t session UNUSED, const gnutls_datum_t *authorities UNUSED,
                         int authority_count UNUSED, const gnutls_pk_algorithm_t *algorithms UNUSED,
                         int algorithm_count UNUSED, gnutls_pcert_st **ret_chain,
                         unsigned *ret_length, gnutls_privkey_t *ret_key)
{
    (void)pthread_rwlock_rdlock(&identity_lock);
    struct identity *identity = current_identity;
    (void)pthread_rwlock_unlock(&identity_lock);
    if (!identity)
        return -1;
    *ret_chain = identity->chain;
    *ret_length = identity->length;
    *ret_key = identity->key;
    return 0;
}

/* --- answers */

static void add_header(struct MHD_Response *response, const char *name, const char *value)
{
    (void)MHD_add_response_header(response, name, value);
}

static struct MHD_Response *empty_response(void)
{
    return MHD_create_response_from_buffer(0, (void *)(uintptr_t) "", MHD_RESPMEM_PERSISTENT);
}

/* Hands the finished answer to the connection's thread. response may be NULL (out of memory): the
 * connection is then broken off. */
static void complete(struct http_request *request, unsigned status, const char *content_type,
                     struct MHD_Response *response)
{
    if (!response) {
        response = empty_response();
        status = 500;
    }
    if (response) {
        if (content_type)
            add_header(response, "Content-Type", content_type);
        add_header(response, "X-Content-Type-Options", "nosniff");
        add_header(response, "Cache-Control", "no-store");
        add_header(response, "Strict-Transport-Security", "max-age=31536000");
        for (size_t i = 0; i < request->response_header_count; i++)
            add_header(response, request->response_headers[i].name,
                       request->response_headers[i].value);
        if (request->refused)
            add_header(response, "Connection", "close");
    }
    struct http_server *server = request->server;
    (void)pthread_mutex_lock(&server->lock);
    request->status = status;
    request->response = response;
    request->dispatched = true;
    bool held = request->held;
    struct MHD_Connection *connection = request->connection;
    (void)pthread_mutex_unlock(&server->lock);
    if (!held)
        return;
    /* From here on the request belongs to its connection's thread again. */
    MHD_resume_connection(connection);
    (void)pthread_mutex_lock(&server->lock);
    if (--server->held == 0)
        (void)pthread_cond_broadcast(&server->idle);
    (void)pthread_mutex_unlock(&server->lock);
}

void http_response_header(struct http_request *request, const char *name, const char *value)
{
    if (request->response_header_count == RESPONSE_HEADERS_MAXIMUM || strpbrk(value, "\r\n"))
        return;
    struct response_header *header = &request->response_headers[request->response_header_count];
    if (text_copy(header->value, sizeof(header->value), value) < 0)
        return;
    header->name = name;
    request->response_header_count++;
}

void http_respond(struct http_request *request, unsigned status, const char *content_type,
                  const void *body, size_t length)
{
    complete(request, status, content_type,
             length ? MHD_create_response_from_buffer(length, (void *)(uintptr_t)body,
                                                      MHD_RESPMEM_MUST_COPY)
                    : empty_response());
}

void http_respond_buffer(struct http_request *request, unsigned status, const char *content_type,
                         struct buffer *body)
{
    if (buffer_failed(body) < 0) {
        buffer_clear(body);
        http_respond_problem(request, 500, "answer_too_large",
                             "the answer did not fit; ask for a smaller page");
        return;
    }
    size_t length = body->length;
    char *bytes = buffer_take(body);
    struct MHD_Response *response =
        bytes ? MHD_create_response_from_buffer(length, bytes, MHD_RESPMEM_MUST_FREE)
              : empty_response();
    if (!response)
        free(bytes);
    complete(request, status, content_type, response);
}

static const char *status_title(unsigned status)
{
    static const struct {
        unsigned status;
        const char *title;
    } titles[] = {{400, "Bad request"},
                  {401, "Not signed in"},
                  {403, "Not allowed"},
                  {404, "Not found"},
                  {405, "Method not allowed"},
                  {409, "Conflict"},
                  {411, "Length required"},
                  {412, "Changed meanwhile"},
                  {413, "Too large"},
                  {415, "Wrong content type"},
                  {422, "Not acceptable as it is"},
                  {428, "Precondition required"},
                  {429, "Too many requests"},
                  {500, "Internal error"},
                  {503, "Not available now"},
                  {505, "HTTP version not supported"}};
    for (size_t i = 0; i < ARRAY_LENGTH(titles); i++)
        if (titles[i].status == status)
            return titles[i].title;
    return "Error";
}

void http_respond_problem(struct http_request *request, unsigned status, const char *code,
                          const char *format, ...)
{
    char detail[1024];
    va_list arguments;
    va_start(arguments, format);
    (void)text_format_list(detail, sizeof(detail), format, arguments);
    va_end(arguments);

    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(16384);
    struct json_writer json;
    json_writer_init(&json, &body);
    json_write_object_begin(&json);
    json_write_field_string(&json, "type", "about:blank");
    json_write_field_string(&json, "title", status_title(status));
    json_write_field_unsigned(&json, "status", status);
    json_write_field_string(&json, "code", code);
    json_write_field_string(&json, "detail", detail);
    json_write_object_end(&json);
    http_respond(request, status, "application/problem+json", buffer_text(&body), body.length);
}

struct stream {
    http_fill *fill;
    void (*release)(void *user);
    void *user;
};

static ssize_t read_stream(void *user, uint64_t position UNUSED, char *bytes, size_t size)
{
    struct stream *stream = user;
    ssize_t length = stream->fill(stream->user, bytes, size);
    if (length > 0)
        return length;
    return length == 0 ? MHD_CONTENT_READER_END_OF_STREAM : MHD_CONTENT_READER_END_WITH_ERROR;
}

static void free_stream(void *user)
{
    struct stream *stream = user;
    stream->release(stream->user);
    free(stream);
}

void http_respond_stream(struct http_request *request, const char *content_type, http_fill *fill,
                         void (*release)(void *user), void *user)
{
    struct stream *stream = malloc(sizeof(*stream));
    struct MHD_Response *response = NULL;
    if (stream) {
        *stream = (struct stream){fill, release, user};
        response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK_BYTES,
                                                     read_stream, stream, free_stream);
    }
    if (!response) {
        free(stream);
        release(user);
    }
    complete(request, 200, content_type, response);
}

void http_request_hold(struct http_request *request)
{
    struct http_server *server = request->server;
    (void)pthread_mutex_lock(&server->lock);
    request->held = true;
    server->held++;
    (void)pthread_mutex_unlock(&server->lock);
    MHD_suspend_connection(request->connection);
}

/* --- what a handler asks */

const char *http_request_method(const struct http_request *request)
{
    return request->method;
}

const char *http_request_path(const struct http_request *request)
{
    return request->path;
}

const struct http_route *http_request_route(const struct http_request *request)
{
    return request->route;
}

const char *http_request_segment(const struct http_request *request, size_t i)
{
    return i < request->segment_count ? request->segments[i] : "";
}

struct header_search {
    const char *name, *value;
    unsigned found;
};

static enum MHD_Result match_header(void *user, enum MHD_ValueKind kind UNUSED, const char *name,
                                    const char *value)
{
    struct header_search *search = user;
    if (strcasecmp(name, search->name) == 0) {
        search->value = value;
        search->found++;
    }
    return MHD_YES;
}

const char *http_request_header(const struct http_request *request, const char *name)
{
    struct header_search search = {.name = name};
    (void)MHD_get_connection_values(request->connection, MHD_HEADER_KIND, match_header, &search);
    return search.found == 1 ? search.value : NULL;
}

/* Steps to the next "name=value" of the query; false at the end. */
static bool next_parameter(const char **at, const char **ret_name, size_t *ret_name_length,
                           const char **ret_value, size_t *ret_value_length)
{
    while (**at == '&')
        (*at)++;
    if (!**at)
        return false;
    size_t length = strcspn(*at, "&");
    const char *equals = memchr(*at, '=', length);
    *ret_name = *at;
    *ret_name_length = equals ? (size_t)(equals - *at) : length;
    *ret_value = equals ? equals + 1 : *at + length;
    *ret_value_length = equals ? length - *ret_name_length - 1 : 0;
    *at += length;
    return true;
}

int http_request_query(const struct http_request *request, const char *name, char *buffer,
                       size_t size)
{
    const char *at = request->query;
    const char *found_name, *value;
    size_t name_length, value_length;
    int found = 0;
    while (next_parameter(&at, &found_name, &name_length, &value, &value_length)) {
        if (name_length != strlen(name) || strncmp(found_name, name, name_length) != 0)
            continue;
        if (found++ || request_guard_decode_query(value, value_length, buffer, size) < 0)
            return -EINVAL;
    }
    return found;
}

bool http_request_query_names(const struct http_request *request,
                              bool (*each)(void *user, const char *name), void *user)
{
    const char *at = request->query;
    const char *found_name, *value;
    size_t name_length, value_length;
    while (next_parameter(&at, &found_name, &name_length, &value, &value_length)) {
        char name[64];
        if (request_guard_decode_query(found_name, name_length, name, sizeof(name)) < 0 ||
            !each(user, name))
            return false;
    }
    return true;
}

const char *http_request_body(const struct http_request *request, size_t *ret_length)
{
    *ret_length = request->body.length;
    return buffer_text(&request->body);
}

const char *http_request_address(const struct http_request *request)
{
    return request->address;
}

void http_request_set_context(struct http_request *request, void *context,
                              void (*release)(void *context))
{
    request->context = context;
    request->release_context = release;
}

void *http_request_context(const struct http_request *request)
{
    return request->context;
}

/* --- client certificates */

static void check_certificate(gnutls_session_t session, struct connection_facts *facts)
{
    unsigned count = 0;
    const gnutls_datum_t *chain = gnutls_certificate_get_peers(session, &count);
    facts->certificate = HTTP_CERTIFICATE_NONE;
    if (!chain || count == 0)
        return;
    facts->certificate = HTTP_CERTIFICATE_REFUSED;
    uint8_t digest[SHA256_BYTES];
    if (hash_sha256(chain[0].data, chain[0].size, digest) < 0)
        return;
    text_hex(facts->digest, digest, sizeof(digest));

    gnutls_x509_crt_t certificate;
    if (gnutls_x509_crt_init(&certificate) < 0)
        return;
    if (gnutls_x509_crt_import(certificate, &chain[0], GNUTLS_X509_FMT_DER) == 0)
        facts->expires_s = (int64_t)gnutls_x509_crt_get_expiration_time(certificate);
    gnutls_x509_crt_deinit(certificate);

    gnutls_typed_vdata_st purpose = {GNUTLS_DT_KEY_PURPOSE_OID,
                                     (unsigned char *)(uintptr_t)GNUTLS_KP_TLS_WWW_CLIENT, 0};
    unsigned status = 0;
    if (gnutls_certificate_verify_peers(session, &purpose, 1, &status) < 0)
        return;
    if (status == 0)
        facts->certificate = HTTP_CERTIFICATE_VALID;
    else if ((status & ~(unsigned)GNUTLS_CERT_INVALID) == GNUTLS_CERT_EXPIRED)
        facts->certificate = HTTP_CERTIFICATE_EXPIRED;
}

enum http_certificate http_request_certificate(struct http_request *request,
                                               char ret_digest[static 65])
{
    ret_digest[0] = '\0';
    const union MHD_ConnectionInfo *context =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    const union MHD_ConnectionInfo *session =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    struct connection_facts *facts = context ? context->socket_context : NULL;
    if (!facts || !session || !session->tls_session)
        return HTTP_CERTIFICATE_NONE;
    if (!facts->checked) {
        check_certificate(session->tls_session, facts);
        facts->checked = true;
    }
    (void)text_copy(ret_digest, 65, facts->digest);
    /* The connection may outlive the certificate. */
    if (facts->certificate == HTTP_CERTIFICATE_VALID &&
        (int64_t)(clock_realtime_ns() / NS_PER_SECOND) >= facts->expires_s)
        return HTTP_CERTIFICATE_EXPIRED;
    return facts->certificate;
}

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

/* --- routing */

static bool segment_is_plain(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~-", text[i]))
            return false;
    return length > 0;
}

static bool match_pattern(struct http_request *request, const char *pattern)
{
    const char *path = request->path;
    request->segment_count = 0;
    while (*pattern && *path) {
        size_t pattern_length = strcspn(pattern + 1, "/");
        size_t path_length = strcspn(path + 1, "/");
        if (pattern[1] == '{') {
            if (!segment_is_plain(path + 1, path_length) || path_length >= SEGMENT_BYTES ||
                request->segment_count == SEGMENTS_MAXIMUM)
                return false;
            char *segment = request->segments[request->segment_count++];
            memcpy(segment, path + 1, path_length);
            segment[path_length] = '\0';
        } else if (pattern_length != path_length ||
                   strncmp(pattern + 1, path + 1, path_length) != 0) {
            return false;
        }
        pattern += pattern_length + 1;
        path += path_length + 1;
    }
    return !*pattern && !*path;
}

/* Finds the route and checks method and size; refuses by answering. */
static void choose_route(struct http_request *request, const struct request_guard_result *guard)
{
    const struct http_server_options *options = &request->server->options;
    char allowed[128] = "";
    for (size_t i = 0; i < options->route_count && !request->route; i++) {
        const struct http_route *route = &options->routes[i];
        if (!match_pattern(request, route->pattern))
            continue;
        if (text_equal(route->method, request->method)) {
            request->route = route;
        } else {
            size_t used = strlen(allowed);
            (void)text_format(allowed + used, sizeof(allowed) - used, "%s%s", used ? ", " : "",
                              route->method);
        }
    }
    request->refused = guard->has_body; /* its body is not read: close */
    if (!request->route && allowed[0]) {
        http_response_header(request, "Allow", allowed);
        http_respond_problem(request, 405, "method_not_allowed", "%s takes %s", request->path,
                             allowed);
    } else if (!request->route) {
        http_respond_problem(request, 404, "no_such_path", "there is nothing at this path");
    } else if (guard->content_length > request->route->body_limit) {
        http_respond_problem(request, 413, "body_too_large", "the body may have %zu bytes at most",
                             request->route->body_limit);
    } else {
        request->refused = false;
        buffer_init(&request->body, request->route->body_limit);
    }
}

/* --- a request's life */

static void *begin_request(void *user, const char *target, struct MHD_Connection *connection)
{
    struct http_request *request = calloc(1, sizeof(*request));
    if (!request)
        return NULL;
    request->server = user;
    request->connection = connection;
    request->target = strdup(target);
    size_t path_length = strcspn(target, "?");
    request->path = strndup(target, path_length);
    if (!request->target || !request->path) {
        free(request->target);
        free(request->path);
        free(request);
        return NULL;
    }
    request->query = request->target + path_length + (target[path_length] ? 1 : 0);
    return request;
}

static void end_request(void *user UNUSED, struct MHD_Connection *connection UNUSED,
                        void **request_slot, enum MHD_RequestTerminationCode code UNUSED)
{
    struct http_request *request = *request_slot;
    *request_slot = NULL;
    if (!request)
        return;
    if (request->response)
        MHD_destroy_response(request->response);
    if (request->release_context)
        request->release_context(request->context);
    buffer_done(&request->body);
    free(request->target);
    free(request->path);
    free(request);
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
    choose_route(request, &result);
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
    (void)pthread_mutex_lock(&server->lock);
    bool draining = server->draining;
    (void)pthread_mutex_unlock(&server->lock);
    if (draining) {
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
            return MHD_YES; /* answered later, by whoever holds it */
    }
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
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)LIMIT_HTTP_HEAD_BYTES,
        MHD_OPTION_HTTPS_PRIORITIES, TLS_PRIORITIES, MHD_OPTION_HTTPS_CERT_CALLBACK, show_identity,
        MHD_OPTION_ARRAY, extra, MHD_OPTION_END);
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
    (void)pthread_mutex_lock(&server->lock);
    server->draining = true;
    (void)pthread_mutex_unlock(&server->lock);
}

struct http_server *http_server_stop(struct http_server *server)
{
    if (!server)
        return NULL;
    http_server_drain(server);
    /* The library aborts the process when it is stopped with suspended connections. */
    (void)pthread_mutex_lock(&server->lock);
    while (server->held > 0)
        (void)pthread_cond_wait(&server->idle, &server->lock);
    (void)pthread_mutex_unlock(&server->lock);
    MHD_stop_daemon(server->daemon);
    (void)pthread_cond_destroy(&server->idle);
    (void)pthread_mutex_destroy(&server->lock);
    free(server);
    return NULL;
}
