/* What is held: the event that next brought, and the handler's answer. */
#include "application/relay/event_guard.h"
#include "application/relay/invocations.h"
#include "application/relay/relay_private.h"
#include "common/log/log.h"
#include "common/text/text.h"

#include <errno.h>
#include <string.h>

#define FIELD_BYTES  512
#define PRELUDE_END  "\0\0\0\0\0\0\0\0"
#define HTTP_PRELUDE "application/vnd.awslambda.http-integration-response"

/* What Lambda says about an invocation beside its event. */
struct event_facts {
    char request_id[RELAY_REQUEST_ID_BYTES], trace_id[FIELD_BYTES], function_arn[FIELD_BYTES];
    uint64_t deadline_ms;
};

static void copy_field(const char *head, size_t length, const char *name, char *text, size_t size)
{
    struct http_text value;

    text[0] = '\0';
    if (http_head_field(head, length, name, &value))
        (void)text_escape(text, size, value.bytes, value.length);
}

static void read_facts(const char *head, size_t length, struct event_facts *ret_facts)
{
    char deadline[32];

    *ret_facts = (struct event_facts){0};
    copy_field(head, length, "Lambda-Runtime-Aws-Request-Id", ret_facts->request_id,
               sizeof ret_facts->request_id);
    copy_field(head, length, "Lambda-Runtime-Trace-Id", ret_facts->trace_id,
               sizeof ret_facts->trace_id);
    copy_field(head, length, "Lambda-Runtime-Invoked-Function-Arn", ret_facts->function_arn,
               sizeof ret_facts->function_arn);
    copy_field(head, length, "Lambda-Runtime-Deadline-Ms", deadline, sizeof deadline);
    if (text_parse_u64(deadline, &ret_facts->deadline_ms) < 0)
        ret_facts->deadline_ms = 0;
}

static struct guarded_event event_of(const struct event_facts *facts, const char *bytes,
                                     size_t length)
{
    return (struct guarded_event){.invocation = {.request_id = facts->request_id,
                                                 .trace_id = facts->trace_id,
                                                 .function_arn = facts->function_arn},
                                  .deadline_ms = facts->deadline_ms,
                                  .bytes = bytes,
                                  .length = length};
}

static bool judge(struct connection *connection, const struct event_facts *facts,
                  const struct http_head *response, const struct buffer *raw,
                  struct ruling *ret_ruling)
{
    struct event_guard *guard = connection->relay->options.guard;
    AUTO_FREE char *content = NULL;
    size_t length = raw->length;

    if (response->body != HTTP_BODY_CHUNKED) {
        struct guarded_event event = event_of(facts, buffer_text(raw), length);
        return event_guard_blocks(guard, &event, ret_ruling);
    }
    content = malloc(raw->length + 1);
    if (content == NULL || chunked_body_decode(raw->data, raw->length, content, &length) < 0)
        return false;
    struct guarded_event event = event_of(facts, content, length);
    return event_guard_blocks(guard, &event, ret_ruling);
}

/* The answer's statusCode and headers first, its body behind eight NUL: what a streaming function
 * posts. The body is the one of every 403 of ours. */
static const char streamed_prelude[] =
    "{\"statusCode\":403,\"headers\":{\"content-type\":\"application/json\"}}" PRELUDE_END
    "{\"message\":\"Forbidden\"}";

static int write_answer(const struct connection *connection, struct http_text prefix,
                        const char *request_id, const struct ruling *ruling, struct buffer *request)
{
    bool streams = atomic_load(&connection->relay->answers_stream);

    (void)buffer_append_format(
        request, "POST %.*s/runtime/invocation/%s/response HTTP/1.1\r\nHost: runtime\r\n",
        (int)prefix.length, prefix.bytes, request_id);
    if (!streams) {
        (void)buffer_append_format(request,
                                   "Content-Type: application/json\r\nContent-Length: %u\r\n\r\n",
                                   ruling->answer_length);
        return buffer_append(request, ruling->answer, ruling->answer_length);
    }
    (void)buffer_append_format(request,
                               "Content-Type: " HTTP_PRELUDE "\r\n"
                               "Lambda-Runtime-Function-Response-Mode: streaming\r\n"
                               "Transfer-Encoding: chunked\r\n\r\n%zx\r\n",
                               sizeof streamed_prelude - 1);
    (void)buffer_append(request, streamed_prelude, sizeof streamed_prelude - 1);
    return buffer_append_text(request, "\r\n0\r\n\r\n");
}

/* Posts it and reads what comes back, over a fresh connection when need be. */
static int post(struct connection *connection, const struct buffer *request)
{
    AUTO_BUFFER struct buffer ignored = BUFFER_WITH_MAXIMUM(RELAY_HEAD_BYTES);
    struct exchange answer = {.head = *request};
    struct body_transfer transfer;

    int r = connection_send_head(connection, &answer);
    if (r == 0)
        r = connection_await_response(connection, &answer);
    if (r < 0)
        return r;
    byte_stream_use(&connection->upstream, answer.response_head);
    body_transfer_begin(&transfer, &answer.response);
    bool whole = body_transfer_collect(&transfer, &connection->upstream, &ignored) == BODY_ENDED;
    if (!whole || answer.response.closes)
        byte_stream_replace(&connection->upstream, -1);
    return answer.response.status / 100 == 2 ? 0 : -EPROTO;
}

/* Answers the invocation in the handler's place. */
static int refuse(struct connection *connection, const struct exchange *exchange,
                  const struct event_facts *facts, const struct ruling *ruling)
{
    AUTO_BUFFER struct buffer request = BUFFER_WITH_MAXIMUM(RELAY_HEAD_BYTES);

    int r =
        write_answer(connection, exchange->endpoint.prefix, facts->request_id, ruling, &request);
    if (r == 0)
        r = post(connection, &request);
    if (r < 0 && r != -EPROTO) {
        byte_stream_replace(&connection->upstream, -1);
        r = post(connection, &request);
    }
    if (r < 0)
        log_error("refusal_not_taken", "request", facts->request_id, "error", log_error_text(r),
                  "effect", "the invocation ends without an answer", NULL);
    invocations_end(connection->relay->options.invocations, facts->request_id);
    return 1;
}

static int hand_on(struct connection *connection, const struct buffer *head,
                   const struct buffer *raw, struct body_transfer *transfer)
{
    int client = connection->client.fd;

    /* One send for most events: two would be two packets, and two wake-ups of the runtime. */
    AUTO_BUFFER struct buffer both = BUFFER_WITH_MAXIMUM(2 * RELAY_HEAD_BYTES);
    int r;
    if (head->length + raw->length < RELAY_HEAD_BYTES &&
        buffer_append(&both, head->data, head->length) == 0 &&
        buffer_append(&both, buffer_text(raw), raw->length) == 0) {
        r = byte_stream_send(client, both.data, both.length);
    } else {
        r = byte_stream_send(client, head->data, head->length);
        if (r == 0)
            r = byte_stream_send(client, buffer_text(raw), raw->length);
    }
    if (r == 0 && body_transfer_run(transfer, &connection->upstream, client, -1) != BODY_ENDED)
        r = -EPIPE;
    return r;
}

int connection_take_event(struct connection *connection, struct exchange *exchange)
{
    AUTO_BUFFER struct buffer head = BUFFER_WITH_MAXIMUM(RELAY_HEAD_BYTES);
    AUTO_BUFFER struct buffer raw = BUFFER_WITH_MAXIMUM(RELAY_EVENT_BYTES);
    struct byte_stream *upstream = &connection->upstream;
    struct ruling ruling;
    struct body_transfer transfer;
    struct event_facts facts;

    int r = buffer_append(&head, byte_stream_data(upstream), exchange->response_head);
    if (r < 0)
        return r;
    byte_stream_use(upstream, exchange->response_head);
    read_facts(head.data, head.length, &facts);
    invocations_begin(connection->relay->options.invocations, facts.request_id);
    body_transfer_begin(&transfer, &exchange->response);
    enum body_outcome outcome = body_transfer_collect(&transfer, upstream, &raw);
    if (outcome == BODY_BROKEN)
        return -EPIPE;
    if (exchange->response.closes && outcome == BODY_ENDED)
        byte_stream_replace(upstream, -1);
    if (outcome == BODY_ENDED && judge(connection, &facts, &exchange->response, &raw, &ruling))
        return refuse(connection, exchange, &facts, &ruling);
    (void)text_copy(connection->in_hand, sizeof connection->in_hand, facts.request_id);
    return hand_on(connection, &head, &raw, &transfer);
}

/* Small, whole, not streaming; and nobody waits to be told to go on. */
static bool is_looked_at(const struct exchange *exchange)
{
    struct http_text value;

    return exchange->endpoint.kind == ENDPOINT_RESPONSE &&
           exchange->request.body == HTTP_BODY_LENGTH &&
           exchange->request.body_length <= RELAY_ANSWER_BYTES &&
           !http_head_field(exchange->head.data, exchange->head.length, "Expect", &value);
}

static void learn_streaming(struct connection *connection, const struct exchange *exchange)
{
    struct http_text value;

    if (exchange->endpoint.kind != ENDPOINT_RESPONSE ||
        connection->relay->options.streaming != RELAY_STREAMING_LEARN)
        return;
    bool streams = http_head_field(exchange->head.data, exchange->head.length,
                                   "Lambda-Runtime-Function-Response-Mode", &value) &&
                   http_text_is(value, "streaming");
    atomic_store(&connection->relay->answers_stream, streams);
}

int connection_take_answer(struct connection *connection, struct exchange *exchange,
                           struct buffer *body)
{
    AUTO_BUFFER struct buffer request = BUFFER_WITH_MAXIMUM(RELAY_HEAD_BYTES);
    struct event_facts facts = {0};
    struct body_transfer transfer;
    struct ruling ruling;

    learn_streaming(connection, exchange);
    if (!is_looked_at(exchange))
        return 0;
    body_transfer_begin(&transfer, &exchange->request);
    if (body_transfer_collect(&transfer, &connection->client, body) != BODY_ENDED)
        return -EPIPE;
    memcpy(facts.request_id, exchange->endpoint.request_id.bytes,
           exchange->endpoint.request_id.length);
    struct guarded_event event = event_of(&facts, body->data, body->length);
    if (!event_guard_blocks_answer(connection->relay->options.guard, &event, &ruling))
        return 0;
    int r =
        write_answer(connection, exchange->endpoint.prefix, facts.request_id, &ruling, &request);
    if (r == 0) {
        struct exchange replaced = {.head = request};
        r = connection_send_head(connection, &replaced);
    }
    return r < 0 ? r : 1;
}
