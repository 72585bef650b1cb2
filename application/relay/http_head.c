/* Reads heads of HTTP/1.1 strictly, and only as far as framing needs. */
#include "application/relay/http_head.h"

#include <errno.h>
#include <string.h>

#define MOST_LENGTH_DIGITS 15

size_t http_head_end(const char *bytes, size_t length)
{
    const char *end = length > 0 ? memmem(bytes, length, "\r\n\r\n", 4) : NULL;

    return end != NULL ? (size_t)(end - bytes) + 4 : 0;
}

bool http_text_is(struct http_text text, const char *word)
{
    return strlen(word) == text.length && strncasecmp(text.bytes, word, text.length) == 0;
}

static struct http_text trimmed(const char *bytes, size_t length)
{
    while (length > 0 && (bytes[0] == ' ' || bytes[0] == '\t')) {
        bytes++;
        length--;
    }
    while (length > 0 && (bytes[length - 1] == ' ' || bytes[length - 1] == '\t'))
        length--;
    return (struct http_text){bytes, length};
}

/* The line at *offset, without its end; false behind the last one. */
static bool next_line(const char *bytes, size_t length, size_t *offset, struct http_text *ret_line)
{
    if (*offset >= length)
        return false;
    const char *start = bytes + *offset;
    const char *end = memmem(start, length - *offset, "\r\n", 2);
    if (end == NULL || end == start)
        return false;
    *ret_line = (struct http_text){start, (size_t)(end - start)};
    *offset += ret_line->length + 2;
    return true;
}

static bool is_token(struct http_text text)
{
    for (size_t i = 0; i < text.length; i++) {
        unsigned char byte = (unsigned char)text.bytes[i];
        if (byte <= ' ' || byte >= 127 || strchr("()<>@,;:\\\"/[]?={}", byte) != NULL)
            return false;
    }
    return text.length > 0;
}

static bool is_plain(struct http_text text)
{
    return memchr(text.bytes, '\r', text.length) == NULL &&
           memchr(text.bytes, '\n', text.length) == NULL &&
           memchr(text.bytes, '\0', text.length) == NULL;
}

static bool split_field(struct http_text line, struct http_text *ret_name,
                        struct http_text *ret_value)
{
    const char *colon = memchr(line.bytes, ':', line.length);

    if (colon == NULL || !is_plain(line))
        return false;
    size_t name_length = (size_t)(colon - line.bytes);
    *ret_name = (struct http_text){line.bytes, name_length};
    *ret_value = trimmed(colon + 1, line.length - name_length - 1);
    return is_token(*ret_name);
}

static int parse_length(struct http_text text, uint64_t *ret_length)
{
    uint64_t value = 0;

    if (text.length == 0 || text.length > MOST_LENGTH_DIGITS)
        return -EBADMSG;
    for (size_t i = 0; i < text.length; i++) {
        if (text.bytes[i] < '0' || text.bytes[i] > '9')
            return -EBADMSG;
        value = value * 10 + (uint64_t)(text.bytes[i] - '0');
    }
    *ret_length = value;
    return 0;
}

/* One of the words of a comma-separated list. */
static bool lists(struct http_text list, const char *word)
{
    while (list.length > 0) {
        const char *comma = memchr(list.bytes, ',', list.length);
        size_t length = comma != NULL ? (size_t)(comma - list.bytes) : list.length;
        if (http_text_is(trimmed(list.bytes, length), word))
            return true;
        size_t used = MIN(length + 1, list.length);
        list.bytes += used;
        list.length -= used;
    }
    return false;
}

struct framing {
    bool has_length, chunked, close, keep_alive;
    uint64_t length;
};

static int take_field(struct framing *framing, struct http_text name, struct http_text value)
{
    uint64_t length = 0;

    if (http_text_is(name, "content-length")) {
        int r = parse_length(value, &length);
        if (r < 0 || (framing->has_length && framing->length != length))
            return -EBADMSG;
        framing->has_length = true;
        framing->length = length;
    } else if (http_text_is(name, "transfer-encoding")) {
        if (framing->chunked || !http_text_is(value, "chunked"))
            return -EBADMSG;
        framing->chunked = true;
    } else if (http_text_is(name, "connection")) {
        framing->close = framing->close || lists(value, "close");
        framing->keep_alive = framing->keep_alive || lists(value, "keep-alive");
    }
    return 0;
}

static int parse_fields(const char *bytes, size_t length, size_t offset, struct framing *framing)
{
    struct http_text line, name, value;
    int r = 0;

    while (r == 0 && next_line(bytes, length, &offset, &line))
        r = split_field(line, &name, &value) ? take_field(framing, name, value) : -EBADMSG;
    if (r == 0 && (offset + 2 != length || (framing->has_length && framing->chunked)))
        r = -EBADMSG;
    return r;
}

/* "HTTP/1.0" or "HTTP/1.1". */
static bool parse_version(const char *bytes, bool *ret_old)
{
    *ret_old = memcmp(bytes, "HTTP/1.0", 8) == 0;
    return *ret_old || memcmp(bytes, "HTTP/1.1", 8) == 0;
}

static void set_body(struct http_head *head, const struct framing *framing,
                     enum http_body otherwise)
{
    head->body = framing->chunked ? HTTP_BODY_CHUNKED : otherwise;
    if (framing->has_length) {
        head->body = framing->length > 0 ? HTTP_BODY_LENGTH : HTTP_BODY_NONE;
        head->body_length = framing->length;
    }
}

int http_head_parse_request(const char *bytes, size_t length, struct http_head *ret_head)
{
    struct framing framing = {0};
    struct http_head head = {0};
    struct http_text line;
    size_t offset = 0;
    bool old = false;

    *ret_head = head;
    if (!next_line(bytes, length, &offset, &line) || !is_plain(line))
        return -EBADMSG;
    const char *blank = memchr(line.bytes, ' ', line.length);
    const char *last = memrchr(line.bytes, ' ', line.length);
    if (blank == NULL || last <= blank + 1 || line.bytes + line.length - last != 9)
        return -EBADMSG;
    head.method = (struct http_text){line.bytes, (size_t)(blank - line.bytes)};
    head.target = (struct http_text){blank + 1, (size_t)(last - blank - 1)};
    if (!is_token(head.method) || memchr(head.target.bytes, ' ', head.target.length) != NULL ||
        !parse_version(last + 1, &old))
        return -EBADMSG;
    int r = parse_fields(bytes, length, offset, &framing);
    if (r < 0 || (old && framing.chunked))
        return -EBADMSG;
    set_body(&head, &framing, HTTP_BODY_NONE);
    head.closes = framing.close || (old && !framing.keep_alive);
    *ret_head = head;
    return 0;
}

static bool parse_status(struct http_text line, unsigned *ret_status)
{
    unsigned status = 0;

    if (line.length < 12 || line.bytes[8] != ' ' || (line.length > 12 && line.bytes[12] != ' '))
        return false;
    for (size_t i = 9; i < 12; i++) {
        if (line.bytes[i] < '0' || line.bytes[i] > '9')
            return false;
        status = status * 10 + (unsigned)(line.bytes[i] - '0');
    }
    *ret_status = status;
    return status >= 100;
}

int http_head_parse_response(const char *bytes, size_t length, bool answers_head,
                             struct http_head *ret_head)
{
    struct framing framing = {0};
    struct http_head head = {0};
    struct http_text line;
    size_t offset = 0;
    bool old = false;

    *ret_head = head;
    if (!next_line(bytes, length, &offset, &line) || !is_plain(line) ||
        !parse_status(line, &head.status) || !parse_version(line.bytes, &old) ||
        parse_fields(bytes, length, offset, &framing) < 0)
        return -EBADMSG;
    set_body(&head, &framing, HTTP_BODY_UNTIL_CLOSE);
    if (answers_head || head.status < 200 || head.status == 204 || head.status == 304)
        head.body = HTTP_BODY_NONE;
    head.closes =
        framing.close || (old && !framing.keep_alive) || head.body == HTTP_BODY_UNTIL_CLOSE;
    *ret_head = head;
    return 0;
}

bool http_head_field(const char *bytes, size_t length, const char *name,
                     struct http_text *ret_value)
{
    struct http_text line, found;
    size_t offset = 0;

    *ret_value = (struct http_text){NULL, 0};
    if (!next_line(bytes, length, &offset, &line))
        return false;
    while (next_line(bytes, length, &offset, &line))
        if (split_field(line, &found, ret_value) && http_text_is(found, name))
            return true;
    *ret_value = (struct http_text){NULL, 0};
    return false;
}
