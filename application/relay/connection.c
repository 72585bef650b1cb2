/* One connection of a runtime: requests one after the other, each handed to the Runtime API. */
#include "application/relay/invocations.h"
#include "application/relay/relay_private.h"
#include "common/log/log.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

static const char refusal[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n"
                              "Connection: close\r\n\r\n";

static const char hello[] =
    "HTTP/1.1 200 OK\r\nContent-Length: 18\r\nConnection: close\r\n\r\n" ENDPOINT_HELLO_WORD;

static int reconnect(struct connection *connection)
{
    int fd = -1;
    int r = byte_stream_connect(&connection->relay->options.upstream, &fd);

    byte_stream_replace(&connection->upstream, fd);
    if (r < 0)
        log_error("runtime_api_unreachable", "error", log_error_text(r), NULL);
    return r;
}

int connection_send_head(struct connection *connection, const struct exchange *exchange)
{
    int r = byte_stream_is_idle(&connection->upstream) ? 0 : reconnect(connection);

    return r < 0 ? r
                 : byte_stream_send(connection->upstream.fd, exchange->head.data,
                                    exchange->head.length);
}

/* Interim responses go on to the client at once. */
int connection_await_response(struct connection *connection, struct exchange *exchange)
{
    struct byte_stream *upstream = &connection->upstream;

    for (;;) {
        int r = byte_stream_read_head(upstream, &exchange->response_head);
        if (r == 0)
            r = http_head_parse_response(byte_stream_data(upstream), exchange->response_head,
                                         http_text_is(exchange->request.method, "HEAD"),
                                         &exchange->response);
        if (r < 0 || exchange->response.status >= 200)
            return r;
        if (exchange->response.status == 101)
            return -EPROTO; /* nobody asked for another protocol */
        r = byte_stream_send(connection->client.fd, byte_stream_data(upstream),
                             exchange->response_head);
        if (r < 0)
            return r;
        byte_stream_use(upstream, exchange->response_head);
    }
}

/* The request's body. 1: the response came before its end, so the connection cannot be used again;
 * 0: all is sent, or the Runtime API takes no more; -errno. */
static int send_body(struct connection *connection, struct exchange *exchange)
{
    struct body_transfer transfer;

    body_transfer_begin(&transfer, &exchange->request);
    for (;;) {
        switch (body_transfer_run(&transfer, &connection->client, connection->upstream.fd,
                                  connection->upstream.fd)) {
        case BODY_ENDED:
            return 0;
        case BODY_PEER_SPEAKS: {
            /* An interim response ("100 Continue") is handed on below; anything else is final. */
            int r = byte_stream_read_head(&connection->upstream, &exchange->response_head);
            if (r < 0)
                return r;
            r = http_head_parse_response(byte_stream_data(&connection->upstream),
                                         exchange->response_head, false, &exchange->response);
            if (r < 0 || exchange->response.status >= 200)
                return r < 0 ? r : 1;
            r = byte_stream_send(connection->client.fd, byte_stream_data(&connection->upstream),
                                 exchange->response_head);
            if (r < 0)
                return r;
            byte_stream_use(&connection->upstream, exchange->response_head);
            break;
        }
        case BODY_SINK_GONE:
            return 1;
        default:
            return -EPIPE;
        }
    }
}

static int relay_response(struct connection *connection, struct exchange *exchange)
{
    struct body_transfer transfer;

    int r = byte_stream_send(connection->client.fd, byte_stream_data(&connection->upstream),
                             exchange->response_head);
    if (r < 0)
        return r;
    byte_stream_use(&connection->upstream, exchange->response_head);
    body_transfer_begin(&transfer, &exchange->response);
    return body_transfer_run(&transfer, &connection->upstream, connection->client.fd, -1) ==
                   BODY_ENDED
               ? 0
               : -EPIPE;
}

/* Sends a request without a body and waits for its response, once more when a connection that had
 * been idle (and asleep with us) turns out to be dead. */
static int ask(struct connection *connection, struct exchange *exchange)
{
    bool was_open = connection->upstream.fd >= 0;
    int r = connection_send_head(connection, exchange);

    if (r == 0)
        r = connection_await_response(connection, exchange);
    if (r < 0 && was_open && exchange->endpoint.kind == ENDPOINT_NEXT) {
        byte_stream_replace(&connection->upstream, -1);
        r = connection_send_head(connection, exchange);
        if (r == 0)
            r = connection_await_response(connection, exchange);
    }
    return r;
}

static int do_next(struct connection *connection, struct exchange *exchange)
{
    int r;

    do {
        r = ask(connection, exchange);
        if (r < 0)
            return r;
        if (exchange->response.status != 200)
            return relay_response(connection, exchange);
        r = connection_take_event(connection, exchange);
    } while (r == 1);
    return r;
}

/* The handler's answer or error: with it the invocation is over. */
static void note_end(struct connection *connection, const struct exchange *exchange)
{
    char request_id[RELAY_REQUEST_ID_BYTES] = "";

    if (exchange->endpoint.kind != ENDPOINT_RESPONSE && exchange->endpoint.kind != ENDPOINT_ERROR)
        return;
    memcpy(request_id, exchange->endpoint.request_id.bytes, exchange->endpoint.request_id.length);
    invocations_end(connection->relay->options.invocations, request_id);
    connection->in_hand[0] = '\0';
}

static int do_other(struct connection *connection, struct exchange *exchange)
{
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(RELAY_ANSWER_BYTES);

    if (exchange->request.body == HTTP_BODY_NONE) {
        int r = ask(connection, exchange);
        return r < 0 ? r : relay_response(connection, exchange);
    }
    int r = connection_take_answer(connection, exchange, &body);
    if (r == 0 && body.length == 0) {
        r = connection_send_head(connection, exchange);
        if (r == 0)
            r = send_body(connection, exchange);
        exchange->last = exchange->last || r == 1;
    } else if (r == 0) {
        r = connection_send_head(connection, exchange);
        if (r == 0)
            r = byte_stream_send(connection->upstream.fd, body.data, body.length);
    }
    if (r >= 0 && exchange->response.status < 200)
        r = connection_await_response(connection, exchange);
    if (r >= 0)
        r = relay_response(connection, exchange);
    return r;
}

static int read_request(struct connection *connection, struct exchange *exchange)
{
    size_t length = 0;
    int r = byte_stream_read_head(&connection->client, &length);

    if (r == 0)
        r = buffer_append(&exchange->head, byte_stream_data(&connection->client), length);
    if (r == 0)
        r = http_head_parse_request(exchange->head.data, exchange->head.length, &exchange->request);
    if (r == 0)
        byte_stream_use(&connection->client, length);
    if (r == -EBADMSG || r == -EMSGSIZE)
        (void)!byte_stream_send(connection->client.fd, refusal, sizeof refusal - 1);
    return r;
}

static int answer(struct connection *connection, struct exchange *exchange)
{
    switch (exchange->endpoint.kind) {
    case ENDPOINT_NEXT:
        return do_next(connection, exchange);
    case ENDPOINT_HELLO:
        (void)!byte_stream_send(connection->client.fd, hello, sizeof hello - 1);
        return -ECONNRESET;
    default:
        return do_other(connection, exchange);
    }
}

static int serve_one(struct connection *connection)
{
    struct exchange exchange = {.head = BUFFER_WITH_MAXIMUM(RELAY_HEAD_BYTES)};

    int r = read_request(connection, &exchange);
    if (r == 0) {
        exchange.endpoint = endpoint_of(&exchange.request);
        r = answer(connection, &exchange);
        note_end(connection, &exchange);
        if (r == 0 && (exchange.last || exchange.request.closes || exchange.response.closes))
            r = -ECONNRESET;
    }
    buffer_done(&exchange.head);
    return r;
}

void connection_serve(struct connection *connection)
{
    int r;

    do
        r = serve_one(connection);
    while (r == 0);
    /* A runtime that goes away with an invocation in hand has crashed: nobody waits for it. */
    if (connection->in_hand[0] != '\0')
        invocations_end(connection->relay->options.invocations, connection->in_hand);
}
