/* The Runtime API and the Extensions API of the stand-in, over the relay's own framing functions.
 */
#include "application/relay/body_transfer.h"
#include "application/relay/byte_stream.h"
#include "application/relay/endpoint.h"
#include "common/buffers/buffer.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "tests/stand-ins/lambda/sandbox.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#define MOST_BODY    (32U << 20)
#define FUNCTION_ARN "arn:aws:lambda:eu-central-1:123456789012:function:sample"

struct api {
    struct sandbox *sandbox;
    struct byte_stream stream;
    unsigned generation;
    char *head;
    size_t head_length;
    struct http_head request;
    struct buffer body; /* as it came */
};

static int send_text(struct api *api, const char *text)
{
    return byte_stream_send(api->stream.fd, text, strlen(text));
}

static int reply(struct api *api, const char *status, const char *fields, const char *body)
{
    AUTO_FREE char *text =
        text_format_new("HTTP/1.1 %s\r\n%sContent-Type: application/json\r\nContent-Length: %zu\r\n"
                        "\r\n%s",
                        status, fields, strlen(body), body);
    return text != NULL ? send_text(api, text) : -ENOMEM;
}

static int send_content(struct api *api, const struct sandbox_event *event, const char *fields)
{
    AUTO_BUFFER struct buffer message = BUFFER_WITH_MAXIMUM(2 * MOST_BODY);
    size_t piece = event->length / 3 + 1;

    (void)buffer_append_format(&message, "HTTP/1.1 200 OK\r\n%s", fields);
    if (!api->sandbox->options.chunked) {
        (void)buffer_append_format(&message, "Content-Length: %zu\r\n\r\n", event->length);
        (void)buffer_append(&message, event->text, event->length);
    } else {
        (void)buffer_append_text(&message, "Transfer-Encoding: chunked\r\n\r\n");
        for (size_t at = 0; at < event->length; at += piece) {
            size_t length = MIN(piece, event->length - at);
            (void)buffer_append_format(&message, "%zX\r\n", length);
            (void)buffer_append(&message, event->text + at, length);
            (void)buffer_append_text(&message, "\r\n");
        }
        (void)buffer_append_text(&message, "0\r\n\r\n");
    }
    int r = buffer_failed(&message);
    return r < 0 ? r : byte_stream_send(api->stream.fd, message.data, message.length);
}

/* With lock: the next event, once there is one that may run; NULL when there is nothing any more.
 */
static struct sandbox_event *await_event(struct api *api)
{
    struct sandbox *sandbox = api->sandbox;

    while (api->generation == sandbox->generation && !sandbox->shutdown) {
        if (sandbox->extension_ready && sandbox->next < sandbox->count &&
            sandbox->running < sandbox->options.concurrency) {
            struct sandbox_event *event = &sandbox->events[sandbox->next++];
            event->outcome = OUTCOME_RUNNING;
            event->began_ns = clock_monotonic_ns();
            sandbox->running++;
            if (sandbox->options.extension != NULL && sandbox->options.concurrency == 1)
                sandbox->extension_ready = false; /* until it asks again */
            (void)pthread_cond_broadcast(&sandbox->changed);
            return event;
        }
        (void)pthread_cond_wait(&sandbox->changed, &sandbox->lock);
    }
    return NULL;
}

static int runtime_next(struct api *api)
{
    struct sandbox *sandbox = api->sandbox;
    AUTO_FREE char *fields = NULL;

    (void)pthread_mutex_lock(&sandbox->lock);
    sandbox->asked = sandbox->asked || api->generation == sandbox->generation;
    const struct sandbox_event *event = await_event(api);
    (void)pthread_mutex_unlock(&sandbox->lock);
    if (event == NULL)
        return -EPIPE;
    uint64_t deadline_ms = clock_realtime_ns() / NS_PER_MS + sandbox->options.timeout_ms;
    fields =
        text_format_new("Content-Type: application/json\r\n"
                        "Lambda-Runtime-Aws-Request-Id: %s\r\n"
                        "Lambda-Runtime-Deadline-Ms: %llu\r\n"
                        "Lambda-Runtime-Invoked-Function-Arn: " FUNCTION_ARN "\r\n"
                        "Lambda-Runtime-Trace-Id: Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700\r\n",
                        event->request_id, (unsigned long long)deadline_ms);
    return fields != NULL ? send_content(api, event, fields) : -ENOMEM;
}

/* What stands between the last chunk and the end. */
static char *trailers_of(const struct buffer *raw)
{
    for (size_t at = raw->length; at >= 5; at--)
        if (memcmp(raw->data + at - 5, "\r\n0\r\n", 5) == 0)
            return text_new(raw->data + at, raw->length - at - 2);
    return NULL;
}

static int runtime_answer(struct api *api, const struct endpoint *endpoint)
{
    struct sandbox *sandbox = api->sandbox;
    bool found = false;

    (void)pthread_mutex_lock(&sandbox->lock);
    for (size_t i = sandbox->next; i > 0 && !found; i--) {
        struct sandbox_event *event = &sandbox->events[i - 1];
        if (event->outcome != OUTCOME_RUNNING ||
            !http_text_is(endpoint->request_id, event->request_id))
            continue;
        found = true;
        event->ended_ns = clock_monotonic_ns();
        event->outcome = endpoint->kind == ENDPOINT_RESPONSE ? OUTCOME_RESPONSE : OUTCOME_ERROR;
        event->head = text_new(api->head, api->head_length);
        event->answer = malloc(api->body.length + 1);
        event->answer_length = api->body.length;
        if (event->answer != NULL && api->request.body == HTTP_BODY_CHUNKED) {
            event->trailers = trailers_of(&api->body);
            (void)!chunked_body_decode(api->body.data, api->body.length, event->answer,
                                       &event->answer_length);
        } else if (event->answer != NULL) {
            memcpy(event->answer, buffer_text(&api->body), api->body.length);
        }
        sandbox->running--;
        sandbox->ended++;
        (void)pthread_cond_broadcast(&sandbox->changed);
    }
    (void)pthread_mutex_unlock(&sandbox->lock);
    return found ? reply(api, "202 Accepted", "", "{\"status\":\"OK\"}\n")
                 : reply(api, "400 Bad Request", "",
                         "{\"errorType\":\"InvalidRequestID\",\"errorMessage\":\"unknown\"}");
}

static int extension_register(struct api *api)
{
    struct sandbox *sandbox = api->sandbox;

    (void)pthread_mutex_lock(&sandbox->lock);
    sandbox->registered = true;
    (void)pthread_cond_broadcast(&sandbox->changed);
    (void)pthread_mutex_unlock(&sandbox->lock);
    return reply(api, "200 OK",
                 "Lambda-Extension-Identifier: 9f4d3a1e-0000-4000-8000-000000000001\r\n",
                 "{\"functionName\":\"sample\",\"functionVersion\":\"$LATEST\",\"handler\":\"h\"}");
}

static int extension_next(struct api *api)
{
    struct sandbox *sandbox = api->sandbox;
    AUTO_FREE char *body = NULL;

    (void)pthread_mutex_lock(&sandbox->lock);
    sandbox->extension_ready = true;
    (void)pthread_cond_broadcast(&sandbox->changed);
    while (!sandbox->shutdown && api->generation == sandbox->generation &&
           sandbox->announced >= sandbox->next)
        (void)pthread_cond_wait(&sandbox->changed, &sandbox->lock);
    uint64_t now_ms = clock_realtime_ns() / NS_PER_MS;
    if (sandbox->shutdown)
        body = text_format_new("{\"eventType\":\"SHUTDOWN\",\"shutdownReason\":\"spindown\","
                               "\"deadlineMs\":%llu}",
                               (unsigned long long)now_ms + 2000);
    else if (api->generation == sandbox->generation)
        body = text_format_new("{\"eventType\":\"INVOKE\",\"deadlineMs\":%llu,\"requestId\":\"%s\","
                               "\"invokedFunctionArn\":\"" FUNCTION_ARN "\"}",
                               (unsigned long long)(now_ms + sandbox->options.timeout_ms),
                               sandbox->events[sandbox->announced++].request_id);
    (void)pthread_mutex_unlock(&sandbox->lock);
    return body != NULL ? reply(api, "200 OK", "", body) : -EPIPE;
}

static int answer(struct api *api)
{
    struct endpoint endpoint = endpoint_of(&api->request);
    struct http_text target = api->request.target;

    if (endpoint.kind == ENDPOINT_NEXT)
        return runtime_next(api);
    if (endpoint.kind == ENDPOINT_RESPONSE || endpoint.kind == ENDPOINT_ERROR)
        return runtime_answer(api, &endpoint);
    if (http_text_is(target, "/2020-01-01/extension/register"))
        return extension_register(api);
    if (http_text_is(target, "/2020-01-01/extension/event/next"))
        return extension_next(api);
    if (http_text_is(target, "/2018-06-01/runtime/restore/next"))
        return reply(api, "200 OK", "", "");
    if (http_text_is(target, "/2022-07-01/telemetry"))
        return reply(api, "200 OK", "", "\"OK\"");
    return reply(api, "404 Not Found", "", "{}");
}

static int serve_one(struct api *api)
{
    struct body_transfer transfer;
    struct http_text value;

    int r = byte_stream_read_head(&api->stream, &api->head_length);
    if (r < 0)
        return r;
    api->head = text_new(byte_stream_data(&api->stream), api->head_length);
    if (api->head == NULL)
        return -ENOMEM;
    byte_stream_use(&api->stream, api->head_length);
    r = http_head_parse_request(api->head, api->head_length, &api->request);
    if (r == 0 && http_head_field(api->head, api->head_length, "Expect", &value))
        r = send_text(api, "HTTP/1.1 100 Continue\r\n\r\n");
    body_transfer_begin(&transfer, &api->request);
    if (r == 0 && body_transfer_collect(&transfer, &api->stream, &api->body) != BODY_ENDED)
        r = -EPIPE;
    if (r == 0)
        r = answer(api);
    return r == 0 && api->request.closes ? -ECONNRESET : r;
}

static void *serve(void *argument)
{
    struct api *api = argument;
    int r;

    do {
        r = serve_one(api);
        free(api->head);
        api->head = NULL;
        buffer_clear(&api->body);
    } while (r == 0);
    buffer_done(&api->body);
    byte_stream_done(&api->stream);
    free(api);
    return NULL;
}

static void take(struct sandbox *sandbox, int fd)
{
    struct api *api = calloc(1, sizeof *api);
    pthread_t thread;
    int one = 1;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (api == NULL || byte_stream_open(&api->stream, fd) < 0) {
        (void)close(fd);
        free(api);
        return;
    }
    api->sandbox = sandbox;
    api->body = BUFFER_WITH_MAXIMUM(MOST_BODY);
    (void)pthread_mutex_lock(&sandbox->lock);
    api->generation = sandbox->generation;
    (void)pthread_mutex_unlock(&sandbox->lock);
    if (pthread_create(&thread, NULL, serve, api) == 0) {
        (void)pthread_detach(thread);
        return;
    }
    byte_stream_done(&api->stream);
    free(api);
}

struct listener {
    struct sandbox *sandbox;
    int fd;
};

static void *accept_all(void *argument)
{
    const struct listener *listener = argument;

    for (;;) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            take(listener->sandbox, fd);
        else if (errno != EINTR && errno != ECONNABORTED)
            return NULL;
    }
}

int sandbox_serve(struct sandbox *sandbox)
{
    static struct listener listener;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    pthread_t thread;

    listener =
        (struct listener){.sandbox = sandbox, .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    if (listener.fd < 0 || bind(listener.fd, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(listener.fd, 64) < 0 ||
        getsockname(listener.fd, (struct sockaddr *)&address, &length) < 0)
        return -errno;
    (void)text_format(sandbox->address, sizeof sandbox->address, "127.0.0.1:%u",
                      ntohs(address.sin_port));
    return -pthread_create(&thread, NULL, accept_all, &listener);
}
