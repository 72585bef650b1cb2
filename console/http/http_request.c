/* Owns what a handler may ask about its request. Must not change it. */
#include "console/http/http_internal.h"

#include <errno.h>
#include <poll.h>

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

void http_request_forget_body(struct http_request *request)
{
    buffer_done(&request->body);
}

const char *http_request_address(const struct http_request *request)
{
    return request->address;
}

bool http_request_peer_left(const struct http_request *request)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct pollfd peer = {.fd = info ? info->connect_fd : -1, .events = POLLRDHUP};
    return poll(&peer, 1, 0) == 1 && (peer.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
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
