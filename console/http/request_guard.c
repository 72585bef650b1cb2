/* Owns the rules of a request's head. Must not know the HTTP library, nor any route. Hands its
 * finding to http_server, which answers and closes. */
#include "console/http/request_guard.h"

#include "common/text/text.h"

#include <errno.h>

#define TOKEN_CHARACTERS \
    "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

static int refuse(struct request_guard_result *result, unsigned status, const char *code,
                  const char *detail)
{
    result->status = status;
    result->code = code;
    result->detail = detail;
    return -EPROTO;
}

static bool name_is(const struct http_header *header, const char *name)
{
    return header->name_length == strlen(name) &&
           strncasecmp(header->name, name, header->name_length) == 0;
}

static bool is_token(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (!text[i] || !strchr(TOKEN_CHARACTERS, text[i]))
            return false;
    return length > 0;
}

/* Printable ASCII, blanks inside, and bytes above 0x7f (obs-text). */
static bool is_field_value(const char *text, size_t length)
{
    if (length > 0 && (strchr(" \t", text[0]) || strchr(" \t", text[length - 1])))
        return false;
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        if ((byte < 0x20 && byte != '\t') || byte == 0x7f)
            return false;
    }
    return true;
}

/* Origin form only: "/path?query" of visible ASCII. No "#", and no absolute or authority form. */
static bool is_target(const char *target)
{
    if (target[0] != '/')
        return false;
    for (const char *at = target; *at; at++)
        if ((unsigned char)*at <= 0x20 || (unsigned char)*at >= 0x7f || *at == '#')
            return false;
    return true;
}

/* The size the head has when each line is written as "Name: value" CR LF. The library takes bare
 * LF, NUL, folded lines and odd blanks, and shows us the result only; the difference in size gives
 * them away. */
static size_t canonical_bytes(const struct request_head *head)
{
    size_t bytes = strlen(head->method) + strlen(head->target) + strlen(head->version) + 2 + 2;
    for (size_t i = 0; i < head->header_count; i++)
        bytes += head->headers[i].name_length + head->headers[i].value_length + 2 + 2;
    return bytes + 2;
}

static int check_length(const struct http_header *header, struct request_guard_result *result)
{
    char text[16];
    if (header->value_length == 0 || header->value_length >= sizeof(text) ||
        (header->value_length > 1 && header->value[0] == '0'))
        return refuse(result, 400, "bad_content_length",
                      "Content-Length must be a whole decimal number");
    memcpy(text, header->value, header->value_length);
    text[header->value_length] = '\0';
    if (text_parse_u64(text, &result->content_length) < 0)
        return refuse(result, 400, "bad_content_length",
                      "Content-Length must be a whole decimal number");
    result->has_body = result->content_length > 0;
    return 0;
}

static bool host_is_ours(const struct http_header *header, const char *const *hosts)
{
    const char *host = header->value;
    size_t length = header->value_length;
    size_t end = length;
    if (length > 0 && host[0] == '[') {
        const char *bracket = memchr(host, ']', length);
        if (!bracket)
            return false;
        end = (size_t)(bracket - host) + 1;
    } else {
        const char *colon = memchr(host, ':', length);
        if (colon)
            end = (size_t)(colon - host);
    }
    if (end < length) {
        size_t digits = length - end - 1;
        if (host[end] != ':' || digits == 0 || digits > 5)
            return false;
        for (size_t i = end + 1; i < length; i++)
            if (host[i] < '0' || host[i] > '9')
                return false;
    }
    if (end >= 2 && host[0] == '[') {
        host++;
        end -= 2;
    }
    for (size_t i = 0; hosts[i]; i++) {
        if (text_equal(hosts[i], "*"))
            return end > 0;
        if (strlen(hosts[i]) == end && strncasecmp(hosts[i], host, end) == 0)
            return true;
    }
    return false;
}

/* Counts of the headers that may stand once at most. */
struct singles {
    unsigned host, content_length, transfer_encoding, authorization, content_type, expect;
    const struct http_header *host_header, *length_header;
};

static void count_single(struct singles *singles, const struct http_header *header)
{
    if (name_is(header, "Host")) {
        singles->host++;
        singles->host_header = header;
    } else if (name_is(header, "Content-Length")) {
        singles->content_length++;
        singles->length_header = header;
    } else if (name_is(header, "Transfer-Encoding")) {
        singles->transfer_encoding++;
    } else if (name_is(header, "Authorization")) {
        singles->authorization++;
    } else if (name_is(header, "Content-Type")) {
        singles->content_type++;
    } else if (name_is(header, "Expect")) {
        singles->expect++;
    }
}

static int check_framing(const struct request_head *head, const struct singles *singles,
                         struct request_guard_result *result)
{
    if (singles->host > 1 || singles->content_length > 1 || singles->transfer_encoding > 1 ||
        singles->authorization > 1 || singles->content_type > 1 || singles->expect > 1)
        return refuse(result, 400, "repeated_header", "a header that may stand once is repeated");
    if (singles->transfer_encoding && singles->content_length)
        return refuse(result, 400, "two_lengths",
                      "Content-Length and Transfer-Encoding exclude each other");
    if (singles->transfer_encoding)
        return refuse(result, 411, "length_required",
                      "send the body with Content-Length, not with Transfer-Encoding");
    if (singles->length_header)
        return check_length(singles->length_header, result);
    if (text_equal(head->method, "POST") || text_equal(head->method, "PUT") ||
        text_equal(head->method, "PATCH"))
        return refuse(result, 411, "length_required", "send Content-Length, 0 for no body");
    return 0;
}

int request_guard_check(const struct request_head *head, const char *const *hosts,
                        struct request_guard_result *ret_result)
{
    *ret_result = (struct request_guard_result){0};
    if (!text_equal(head->version, "HTTP/1.1"))
        return refuse(ret_result, 505, "version_unsupported", "speak HTTP/1.1");
    if (!is_token(head->method, strlen(head->method)) || !is_target(head->target))
        return refuse(ret_result, 400, "bad_request_line", "the request line is malformed");

    struct singles singles = {0};
    for (size_t i = 0; i < head->header_count; i++) {
        const struct http_header *header = &head->headers[i];
        if (!is_token(header->name, header->name_length))
            return refuse(ret_result, 400, "bad_header_name", "a header's name is malformed");
        if (!is_field_value(header->value, header->value_length))
            return refuse(ret_result, 400, "bad_header_value", "a header holds control bytes");
        count_single(&singles, header);
    }
    int r = check_framing(head, &singles, ret_result);
    if (r < 0)
        return r;
    if (singles.host == 0)
        return refuse(ret_result, 400, "host_missing", "send a Host header");
    if (!host_is_ours(singles.host_header, hosts))
        return refuse(
            ret_result, 400, "host_unknown",
            "this console does not answer to that Host; add it to `names` in its settings");
    if (head->head_bytes && head->head_bytes != canonical_bytes(head))
        return refuse(ret_result, 400, "bad_header_line",
                      "write each header line as \"Name: value\" with one blank, ended by CR LF");
    return 0;
}

static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

int request_guard_decode_query(const char *text, size_t length, char *buffer, size_t size)
{
    size_t filled = 0;
    for (size_t i = 0; i < length; i++) {
        int byte = (unsigned char)text[i];
        if (byte == '+') {
            byte = ' ';
        } else if (byte == '%') {
            if (i + 2 >= length)
                return -EINVAL;
            int high = hex_value(text[i + 1]);
            int low = hex_value(text[i + 2]);
            if (high < 0 || low < 0)
                return -EINVAL;
            byte = high << 4 | low;
            i += 2;
        }
        if (byte < 0x20 || byte == 0x7f)
            return -EINVAL;
        if (filled + 1 >= size)
            return -ENAMETOOLONG;
        buffer[filled++] = (char)byte;
    }
    buffer[filled] = '\0';
    return text_is_utf8(buffer) ? 0 : -EINVAL;
}
