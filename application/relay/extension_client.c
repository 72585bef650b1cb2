/* Two requests, and the three words of their answers that matter. */
#include "application/relay/extension_client.h"

#include "application/relay/body_transfer.h"
#include "common/buffers/buffer.h"
#include "common/text/text.h"

#include <errno.h>
#include <string.h>

/* Reads one answer: its head stays at the front of the stream. -EPROTO unless it is 200. */
static int read_answer(struct extension_client *client, size_t *ret_head, struct http_head *head)
{
    int r = byte_stream_read_head(&client->stream, ret_head);

    if (r == 0)
        r = http_head_parse_response(byte_stream_data(&client->stream), *ret_head, false, head);
    return r == 0 && head->status != 200 ? -EPROTO : r;
}

static int read_body(struct extension_client *client, const struct http_head *head,
                     struct buffer *content)
{
    struct body_transfer transfer;

    body_transfer_begin(&transfer, head);
    if (body_transfer_collect(&transfer, &client->stream, content) != BODY_ENDED)
        return -EPIPE;
    if (head->body == HTTP_BODY_CHUNKED)
        return chunked_body_decode(content->data, content->length, content->data, &content->length);
    return 0;
}

static int connect_again(struct extension_client *client)
{
    int fd = -1;
    int r = byte_stream_connect(&client->address, &fd);

    byte_stream_replace(&client->stream, fd);
    return r;
}

static int send_request(struct extension_client *client, const struct buffer *request)
{
    int r = byte_stream_is_idle(&client->stream) ? 0 : connect_again(client);

    return r < 0 ? r : byte_stream_send(client->stream.fd, request->data, request->length);
}

int extension_register(struct extension_client *client, const struct sockaddr_in *address,
                       const char *name, bool invocations)
{
    AUTO_BUFFER struct buffer request = BUFFER_WITH_MAXIMUM(1024);
    AUTO_BUFFER struct buffer content = BUFFER_WITH_MAXIMUM(RELAY_EXTENSION_BYTES);
    const char *body =
        invocations ? "{\"events\":[\"INVOKE\",\"SHUTDOWN\"]}" : "{\"events\":[\"SHUTDOWN\"]}";
    struct http_text value;
    struct http_head head = {0};
    size_t length = 0;

    *client = (struct extension_client){.address = *address};
    int r = byte_stream_open(&client->stream, -1);
    if (r == 0)
        r = buffer_append_format(&request,
                                 "POST /2020-01-01/extension/register HTTP/1.1\r\nHost: lambda\r\n"
                                 "Lambda-Extension-Name: %s\r\nContent-Type: application/json\r\n"
                                 "Content-Length: %zu\r\n\r\n%s",
                                 name, strlen(body), body);
    if (r == 0)
        r = send_request(client, &request);
    if (r == 0)
        r = read_answer(client, &length, &head);
    if (r < 0)
        return r;
    if (http_head_field(byte_stream_data(&client->stream), length, "Lambda-Extension-Identifier",
                        &value) &&
        value.length < sizeof client->identifier)
        memcpy(client->identifier, value.bytes, value.length);
    byte_stream_use(&client->stream, length);
    r = read_body(client, &head, &content);
    return r == 0 && client->identifier[0] == '\0' ? -EPROTO : r;
}

/* What stands behind "key": in one object without nested ones of the same key. */
static const char *find_value(const char *json, size_t length, const char *key, size_t *ret_left)
{
    const char *at = length > 0 ? memmem(json, length, key, strlen(key)) : NULL;

    if (at == NULL)
        return NULL;
    at += strlen(key);
    while (at < json + length && (*at == ' ' || *at == ':' || *at == '\n' || *at == '\t'))
        at++;
    *ret_left = (size_t)(json + length - at);
    return at;
}

static void read_text(const char *json, size_t length, const char *key, char *text, size_t size)
{
    size_t left = 0;
    const char *at = find_value(json, length, key, &left);

    text[0] = '\0';
    if (at == NULL || left < 2 || *at != '"')
        return;
    const char *end = memchr(at + 1, '"', left - 1);
    if (end == NULL || (size_t)(end - at - 1) >= size)
        return;
    memcpy(text, at + 1, (size_t)(end - at - 1));
    text[end - at - 1] = '\0';
}

static uint64_t read_number(const char *json, size_t length, const char *key)
{
    size_t left = 0, digits = 0;
    const char *at = find_value(json, length, key, &left);
    char text[24] = "";
    uint64_t value = 0;

    while (at != NULL && digits < left && digits + 1 < sizeof text && at[digits] >= '0' &&
           at[digits] <= '9')
        digits++;
    if (digits > 0)
        memcpy(text, at, digits);
    return text_parse_u64(text, &value) == 0 ? value : 0;
}

void extension_event_read(const char *json, size_t length, struct extension_event *ret_event)
{
    char type[16];

    *ret_event = (struct extension_event){0};
    read_text(json, length, "\"eventType\"", type, sizeof type);
    read_text(json, length, "\"requestId\"", ret_event->request_id, sizeof ret_event->request_id);
    read_text(json, length, "\"invokedFunctionArn\"", ret_event->function_arn,
              sizeof ret_event->function_arn);
    ret_event->deadline_ms = read_number(json, length, "\"deadlineMs\"");
    ret_event->shutdown = text_equal(type, "SHUTDOWN");
}

static int ask_next(struct extension_client *client, const struct buffer *request,
                    struct buffer *content)
{
    struct http_head head = {0};
    size_t length = 0;

    int r = send_request(client, request);
    if (r == 0)
        r = read_answer(client, &length, &head);
    if (r < 0)
        return r;
    byte_stream_use(&client->stream, length);
    return read_body(client, &head, content);
}

int extension_next(struct extension_client *client, struct extension_event *ret_event)
{
    AUTO_BUFFER struct buffer request = BUFFER_WITH_MAXIMUM(1024);
    AUTO_BUFFER struct buffer content = BUFFER_WITH_MAXIMUM(RELAY_EXTENSION_BYTES);

    int r = buffer_append_format(&request,
                                 "GET /2020-01-01/extension/event/next HTTP/1.1\r\nHost: lambda\r\n"
                                 "Lambda-Extension-Identifier: %s\r\n\r\n",
                                 client->identifier);
    if (r == 0)
        r = ask_next(client, &request, &content);
    if (r < 0 && r != -EPROTO) {
        /* The connection slept, and died, with the sandbox: once more on a new one. */
        byte_stream_replace(&client->stream, -1);
        buffer_clear(&content);
        r = ask_next(client, &request, &content);
    }
    if (r == 0)
        extension_event_read(buffer_text(&content), content.length, ret_event);
    return r;
}

void extension_client_done(struct extension_client *client)
{
    byte_stream_done(&client->stream);
}
