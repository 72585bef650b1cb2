/* Owns the shape of answers and their way back to the connection, from any thread. Must not know
 * who asked. */
#include "common/json/json_writer.h"
#include "common/text/text.h"
#include "console/http/http_internal.h"

#include <stdarg.h>

#define STREAM_BLOCK_BYTES 32768

static void add_header(struct MHD_Response *response, const char *name, const char *value)
{
    (void)MHD_add_response_header(response, name, value);
}

static struct MHD_Response *empty_response(void)
{
    return MHD_create_response_from_buffer(0, (void *)(uintptr_t) "", MHD_RESPMEM_PERSISTENT);
}

/* What an answer says of the cache, unless its handler said something else. */
static void add_cache_control(struct MHD_Response *response, const struct http_request *request)
{
    for (size_t i = 0; i < request->response_header_count; i++)
        if (text_equal(request->response_headers[i].name, "Cache-Control"))
            return;
    add_header(response, "Cache-Control", "no-store");
}

/* Hands the finished answer to the connection's thread: the loop's lock orders the two.
 * response may be NULL (out of memory): the connection is then broken off. */
static void complete(struct http_request *request, unsigned status, const char *content_type,
                     struct MHD_Response *response)
{
    if (response && request->starved) {
        MHD_destroy_response(response);
        response = NULL;
    }
    if (!response) {
        response = empty_response();
        status = 500;
    }
    if (response) {
        if (content_type)
            add_header(response, "Content-Type", content_type);
        add_header(response, "X-Content-Type-Options", "nosniff");
        add_cache_control(response, request);
        add_header(response, "Strict-Transport-Security", "max-age=31536000");
        for (size_t i = 0; i < request->response_header_count; i++)
            add_header(response, request->response_headers[i].name,
                       request->response_headers[i].value);
        if (request->refused)
            add_header(response, "Connection", "close");
    }
    struct http_server *server = request->server;
    bool held = request->held;
    request->status = status;
    request->response = response;
    request->dispatched = true;
    if (!held)
        return;
    /* From here on the request belongs to its connection's thread again. */
    http_held_ready(request);
    http_server_release(server);
}

void http_response_header(struct http_request *request, const char *name, const char *value)
{
    if (request->response_header_count == HTTP_RESPONSE_HEADERS_MAXIMUM || strpbrk(value, "\r\n"))
        return;
    if (!request->response_headers)
        request->response_headers =
            malloc(HTTP_RESPONSE_HEADERS_MAXIMUM * sizeof(*request->response_headers));
    request->starved |= !request->response_headers;
    if (!request->response_headers)
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
