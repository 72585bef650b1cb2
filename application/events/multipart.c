/* A multipart/form-data body, taken apart in place: a file's bytes are not copied, not even looked
 * at, but for the search of the boundary. Source: RFC 7578, RFC 2046 section 5.1. */
#include "application/events/request.h"
#include "application/limits.h"

struct part {
    struct span name;
    struct span file_name;
    bool is_file;
    struct span type;
};

/* The value of parameter name in a header such as  form-data; name="a"; filename=b  . Quoted
 * values end at the quote that no backslash stands before, and keep their backslashes: browsers
 * send  %22  and file names with backslashes in them. */
static bool parameter_of(struct span header, const char *name, struct span *ret_value)
{
    size_t at = span_find(header, ';');
    while (at < header.length) {
        struct span rest = span_trim(span_from(header, at + 1));
        size_t equals = 0;
        while (equals < rest.length && rest.data[equals] != '=' && rest.data[equals] != ';')
            equals++;
        struct span key = span_trim(span_first(rest, equals));
        at = (size_t)(rest.data - header.data) + equals;
        if (equals == rest.length || rest.data[equals] == ';')
            continue;
        struct span value = span_from(rest, equals + 1);
        size_t length = 0;
        bool quoted = value.length > 0 && (value.data[0] == '"' || value.data[0] == '\'');
        if (quoted) {
            length = 1;
            while (length < value.length && value.data[length] != value.data[0])
                length += value.data[length] == '\\' && value.length - length > 1 ? 2 : 1;
            length = MIN(length, value.length);
        } else {
            length = span_find(value, ';');
        }
        at = (size_t)(value.data - header.data) + length;
        if (span_alike(key, span_of(name))) {
            *ret_value = quoted ? span_from(span_first(value, length), 1)
                                : span_trim(span_first(value, length));
            return true;
        }
        at += span_find(span_from(header, at), ';');
    }
    return false;
}

static void read_header(struct request *request, struct part *part, struct span line)
{
    size_t colon = span_find(line, ':');
    struct span name = span_trim(span_first(line, colon));
    struct span value = span_trim(span_from(line, colon + 1));
    (void)request;
    if (span_alike(name, SPAN("content-disposition"))) {
        (void)parameter_of(value, "name", &part->name);
        part->is_file = parameter_of(value, "filename", &part->file_name) ||
                        parameter_of(value, "filename*", &part->file_name);
    } else if (span_alike(name, SPAN("content-type"))) {
        part->type = value;
    }
}

/* The lines of a part's head; a line that begins with a blank goes on the one before and is read
 * as one of its own, which finds its parameters all the same. */
static void read_head(struct request *request, struct part *part, struct span head)
{
    struct span rest = head;
    struct span line;
    while (span_next(&rest, '\n', &line))
        read_header(request, part, line);
    rest = head;
    while (span_next(&rest, '\n', &line)) {
        if (span_trim(line).length > 0)
            request_add(request, REQUEST_PART_HEADERS, part->name, span_trim(line));
    }
}

/* Where the part's content begins: behind the first empty line. */
static size_t head_length(struct span part, size_t *ret_blank)
{
    const char *blank = memmem(part.data, part.length, "\r\n\r\n", 4);
    const char *bare =
        memmem(part.data, blank == NULL ? part.length : (size_t)(blank - part.data), "\n\n", 2);
    if (bare != NULL) {
        *ret_blank = 2;
        return (size_t)(bare - part.data);
    }
    *ret_blank = 4;
    return blank == NULL ? part.length : (size_t)(blank - part.data);
}

static void add_upload(struct request *request, const struct part *part, struct span content)
{
    request_add(request, REQUEST_FILES, part->name, part->file_name);
    request_add(request, REQUEST_FILES_NAMES, part->name, part->name);
    if (request->uploads == NULL)
        request->uploads =
            arena_take(request->arena, APPLICATION_LIMIT_PARTS * sizeof(*request->uploads));
    if (request->uploads == NULL || request->upload_count == APPLICATION_LIMIT_PARTS)
        return;
    request->uploads[request->upload_count++] =
        (struct request_upload){part->name, part->file_name, part->type, content};
    request->uploads_bytes += content.length;
}

/* What stands between two boundary lines. */
static void read_part(struct request *request, struct span text)
{
    struct part part = {0};
    size_t blank = 0;
    if (text.length >= 2 && text.data[0] == '\r' && text.data[1] == '\n')
        text = span_from(text, 2);
    else if (text.length >= 1 && text.data[0] == '\n')
        text = span_from(text, 1);
    if (text.length == 0) {
        request->body_malformed = true;
        return;
    }
    size_t head = head_length(text, &blank);
    struct span content = span_from(text, head + blank);
    read_head(request, &part, span_first(text, head));
    if (content.length >= 1 && content.data[content.length - 1] == '\n')
        content.length--;
    if (content.length >= 1 && content.data[content.length - 1] == '\r')
        content.length--;
    if (part.is_file)
        add_upload(request, &part, content);
    else
        request_add_argument(request, part.name, content);
}

/* The offset of the next delimiter, which begins a line, from offset on; text.length at the end. */
static size_t find_delimiter(struct span text, size_t offset, struct span delimiter)
{
    while (offset < text.length) {
        const char *found =
            memmem(text.data + offset, text.length - offset, delimiter.data, delimiter.length);
        if (found == NULL)
            return text.length;
        size_t at = (size_t)(found - text.data);
        if (at == 0 || text.data[at - 1] == '\n')
            return at;
        offset = at + 1;
    }
    return text.length;
}

void body_multipart_read(struct request *request, struct span text, struct span content_type)
{
    struct span boundary = SPAN_NONE;
    if (!parameter_of(content_type, "boundary", &boundary) || boundary.length == 0 ||
        boundary.length > 200) {
        request->body_malformed = true;
        request_pass_over(request, text);
        return;
    }
    struct span pieces[] = {SPAN("--"), boundary};
    struct span delimiter = arena_join(request->arena, pieces, 2);
    if (delimiter.data == NULL || text.length == 0)
        return;
    size_t at = find_delimiter(text, 0, delimiter);
    request_pass_over(request, span_first(text, at));
    for (size_t parts = 0; at < text.length; parts++) {
        size_t from = at + delimiter.length;
        if (span_begins(span_from(text, from), "--")) {
            request_pass_over(request, span_from(text, from + 2));
            return;
        }
        if (parts == APPLICATION_LIMIT_PARTS) {
            request->partial = true;
            return;
        }
        at = find_delimiter(text, from, delimiter);
        read_part(request, (struct span){text.data + from, at - from});
    }
    request->body_malformed = true; /* no closing delimiter */
}
