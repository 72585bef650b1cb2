/* Bodies of the REST API: the first line names a route that takes one, the rest is the body. The
 * handler reads it, and answers once; with a store that fails, whatever was read, it is an error.
 * Policies, reports of sensors and the texts of lists have targets of their own. */
#include "common/text/text.h"
#include "console/api/api_internal.h"
#include "console/http/http_internal.h"
#include "console/people/password.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

const char *__wrap_http_request_header(const struct http_request *request, const char *name);
void __wrap_http_response_header(struct http_request *request, const char *name, const char *value);
void __wrap_http_respond(struct http_request *request, unsigned status, const char *content_type,
                         const void *body, size_t length);
void __wrap_http_respond_buffer(struct http_request *request, unsigned status,
                                const char *content_type, struct buffer *body);
void __wrap_http_respond_problem(struct http_request *request, unsigned status, const char *code,
                                 const char *format, ...) PRINTF_LIKE(4, 5);
int __wrap_console_store_read(struct console_store *store, console_store_work *work, void *user);
int __wrap_console_store_write(struct console_store *store, console_store_work *work, void *user);
int __wrap_password_hash(const char *password, char ret_hash[static PASSWORD_HASH_BYTES]);

static unsigned answers, status_answered;

static void require(bool held)
{
    if (!held)
        abort();
}

static void answered(unsigned status)
{
    answers++;
    status_answered = status;
}

const char *__wrap_http_request_header(const struct http_request *request UNUSED, const char *name)
{
    static const char *const headers[][2] = {{"Content-Type", "application/json"},
                                             {"If-None-Match", "*"}};
    for (size_t i = 0; i < ARRAY_LENGTH(headers); i++)
        if (strcasecmp(headers[i][0], name) == 0)
            return headers[i][1];
    return NULL;
}

void __wrap_http_response_header(struct http_request *request UNUSED, const char *name UNUSED,
                                 const char *value)
{
    require(strpbrk(value, "\r\n") == NULL);
}

void __wrap_http_respond(struct http_request *request UNUSED, unsigned status,
                         const char *content_type UNUSED, const void *body UNUSED,
                         size_t length UNUSED)
{
    answered(status);
}

void __wrap_http_respond_buffer(struct http_request *request UNUSED, unsigned status,
                                const char *content_type UNUSED, struct buffer *body UNUSED)
{
    answered(status);
}

void __wrap_http_respond_problem(struct http_request *request UNUSED, unsigned status,
                                 const char *code, const char *format, ...)
{
    char detail[4096];
    va_list arguments;
    require(code[0] != '\0');
    va_start(arguments, format);
    (void)text_format_list(detail, sizeof detail, format, arguments);
    va_end(arguments);
    require(detail[0] != '\0');
    answered(status);
}

int __wrap_console_store_read(struct console_store *store UNUSED, console_store_work *work UNUSED,
                              void *user UNUSED)
{
    return -EIO;
}

int __wrap_console_store_write(struct console_store *store UNUSED, console_store_work *work UNUSED,
                               void *user UNUSED)
{
    return -EIO;
}

int __wrap_password_hash(const char *password, char ret_hash[static PASSWORD_HASH_BYTES])
{
    require(strlen(password) <= PASSWORD_MAXIMUM);
    ret_hash[0] = '\0';
    return 0;
}

static bool has_body_of_its_own(const struct http_route *route)
{
    static const char *const elsewhere[] = {"/sensor/report", "/policies/", "/signing-key/",
                                            "/signature-lists/{name}"};
    if (route->body_limit == 0)
        return false;
    for (size_t i = 0; i < ARRAY_LENGTH(elsewhere); i++)
        if (text_ends_with(route->pattern, elsewhere[i]) ||
            (text_ends_with(elsewhere[i], "/") && strstr(route->pattern, elsewhere[i]) != NULL))
            return false;
    return true;
}

/* "METHOD PATTERN" at the beginning, ended by a newline. NULL: there is none such with a body. */
static const struct http_route *route_of(const char *line, size_t length)
{
    char wanted[160];
    for (size_t i = 0; i < API_ROUTE_COUNT; i++) {
        const struct http_route *route = &API_ROUTES[i];
        int size = text_format(wanted, sizeof wanted, "%s %s", route->method, route->pattern);
        if (size > 0 && (size_t)size == length && memcmp(wanted, line, length) == 0)
            return has_body_of_its_own(route) ? route : NULL;
    }
    return NULL;
}

static void ask(struct http_request *request, struct api_service *service)
{
    answers = 0;
    request->route->handler(request, service);
    require(answers == 1);
    require(status_answered >= 400 && status_answered < 600);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char segments[HTTP_SEGMENTS_MAXIMUM][HTTP_SEGMENT_BYTES] = {
        "0198c5a4-0f5e-7d43-9d3f-2f1d6a3c9b10"};
    struct api_credentials credentials = {
        .viewer = {.actor = "user:fuzz",
                   .user_id = "0198c5a4-0f5e-7d43-9d3f-2f1d6a3c9b11",
                   .role = "administrator",
                   .permissions = UINT32_MAX}};
    struct agent_service agents = {.certificate_seconds = 1};
    struct api_service service = {.agents = &agents, .heartbeat_seconds = 60};
    const uint8_t *body = size > 0 ? memchr(data, '\n', size) : NULL;
    const struct http_route *route =
        body != NULL ? route_of((const char *)data, (size_t)(body - data)) : NULL;
    if (route == NULL)
        return 0;
    size -= (size_t)(++body - data);
    struct http_request request = {.route = route,
                                   .method = route->method,
                                   .path = route->pattern,
                                   .target = route->pattern,
                                   .query = "",
                                   .address = "192.0.2.1",
                                   .segments = segments,
                                   .segment_count = 1,
                                   .context = &credentials,
                                   .body = BUFFER_WITH_MAXIMUM(route->body_limit)};
    sign_in_limit_init(&service.sign_ins);
    if (size <= route->body_limit && buffer_append(&request.body, body, size) == 0)
        ask(&request, &service);
    buffer_done(&request.body);
    return 0;
}
