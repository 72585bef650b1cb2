/* Owns the match of a path with the routes' patterns. */
#include "common/text/text.h"
#include "console/http/http_internal.h"

/* Room for a body before it comes: who announces much need not send it. */
#define BODY_AT_ONCE_BYTES 4096U

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
            if (!segment_is_plain(path + 1, path_length) || path_length >= HTTP_SEGMENT_BYTES ||
                request->segment_count == HTTP_SEGMENTS_MAXIMUM)
                return false;
            if (!request->segments)
                request->segments = malloc(HTTP_SEGMENTS_MAXIMUM * sizeof(*request->segments));
            request->starved |= !request->segments;
            if (!request->segments)
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

void http_route_choose(struct http_request *request, const struct request_guard_result *guard)
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
        char *space;
        int r =
            buffer_reserve(&request->body, MIN(guard->content_length, BODY_AT_ONCE_BYTES), &space);
        request->starved |= r < 0;
    }
}
