/* The smallest runtime there is: next, and an answer that says nothing. What it measures is not
 * itself. */
#include "application/relay/body_transfer.h"
#include "application/relay/relay_settings.h"
#include "common/buffers/buffer.h"

#include <stdio.h>

static const char next[] = "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: a\r\n\r\n";

static int read_message(struct byte_stream *stream, struct buffer *head, struct buffer *body)
{
    struct body_transfer transfer;
    struct http_head parsed;
    size_t length = 0;

    int r = byte_stream_read_head(stream, &length);
    if (r == 0)
        r = http_head_parse_response(byte_stream_data(stream), length, false, &parsed);
    if (r == 0)
        r = buffer_append(head, byte_stream_data(stream), length);
    if (r < 0)
        return r;
    byte_stream_use(stream, length);
    body_transfer_begin(&transfer, &parsed);
    return body_transfer_collect(&transfer, stream, body) == BODY_ENDED ? 0 : -1;
}

static int serve_one(struct byte_stream *stream)
{
    AUTO_BUFFER struct buffer head = BUFFER_WITH_MAXIMUM(1 << 16);
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(16 << 20);
    AUTO_BUFFER struct buffer answer = BUFFER_WITH_MAXIMUM(4096);
    struct http_text id;

    int r = byte_stream_send(stream->fd, next, sizeof next - 1);
    if (r == 0)
        r = read_message(stream, &head, &body);
    if (r < 0 || !http_head_field(head.data, head.length, "Lambda-Runtime-Aws-Request-Id", &id))
        return -1;
    (void)buffer_append_format(&answer,
                               "POST /2018-06-01/runtime/invocation/%.*s/response HTTP/1.1\r\n"
                               "Host: a\r\nContent-Length: 18\r\n\r\n{\"statusCode\":200}",
                               (int)id.length, id.bytes);
    r = byte_stream_send(stream->fd, answer.data, answer.length);
    buffer_clear(&head);
    buffer_clear(&body);
    return r == 0 ? read_message(stream, &head, &body) : r;
}

int main(void)
{
    const char *api = getenv("AWS_LAMBDA_RUNTIME_API");
    struct byte_stream stream = {.fd = -1};
    struct sockaddr_in address;
    int fd = -1;

    if (api == NULL || relay_settings_address(api, &address) < 0 ||
        byte_stream_connect(&address, &fd) < 0 || byte_stream_open(&stream, fd) < 0)
        return (void)fputs("bench-runtime: no Runtime API\n", stderr), 1;
    while (serve_one(&stream) == 0)
        continue;
    byte_stream_done(&stream);
    return 0;
}
