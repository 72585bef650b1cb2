#include "application/events/request.h"

#include "application/limits.h"

void request_add(struct request *request, enum request_list list, struct span name,
                 struct span text)
{
    struct request_values *values = &request->lists[list];
    if (values->count == APPLICATION_LIMIT_ARGUMENTS) {
        request->partial = true;
        return;
    }
    if (values->count == values->capacity) {
        size_t capacity = values->capacity == 0 ? 4 : 2 * values->capacity;
        struct request_value *grown =
            arena_take(request->arena, capacity * sizeof(struct request_value));
        if (grown == NULL) {
            request->partial = true;
            return;
        }
        if (values->count > 0)
            memcpy(grown, values->values, values->count * sizeof(struct request_value));
        values->values = grown;
        values->capacity = capacity;
    }
    values->values[values->count++] = (struct request_value){name, text, NULL};
}

void request_pass_over(struct request *request, struct span text)
{
    text = span_trim(text);
    if (text.length == 0)
        return;
    if (request->passed_over_count == APPLICATION_LIMIT_PASSED_OVER)
        request->partial = true;
    else
        request->passed_over[request->passed_over_count++] = text;
}

void request_add_argument(struct request *request, struct span name, struct span text)
{
    request_add(request, REQUEST_ARGUMENTS_POST, name, text);
    request_add(request, REQUEST_ARGUMENTS_POST_NAMES, name, name);
}

void body_form_read(struct request *request, struct span text, enum request_list values,
                    enum request_list names)
{
    struct span rest = text;
    struct span piece;
    while (rest.length > 0 && span_next(&rest, '&', &piece)) {
        size_t equals = span_find(piece, '=');
        struct span name = percent_decode(request->arena, span_first(piece, equals), true);
        struct span value = percent_decode(request->arena, span_from(piece, equals + 1), true);
        request_add(request, values, name, value);
        request_add(request, names, name, name);
    }
}

static void add_single(struct request *request, enum request_list list, struct span text)
{
    request_add(request, list, SPAN_NONE, text);
}

/* "a=1; b=2": blanks before a name and after the last pair are not part of them. */
static void read_cookies(struct request *request, struct span header)
{
    struct span rest = header;
    struct span pair;
    while (rest.length > 0 && byte_is_space(rest.data[rest.length - 1]))
        rest.length--;
    while (rest.length > 0 && span_next(&rest, ';', &pair)) {
        size_t equals = span_find(pair, '=');
        struct span name = span_first(pair, equals);
        while (name.length > 0 && byte_is_space(name.data[0]))
            name = span_from(name, 1);
        if (name.length == 0)
            continue;
        request_add(request, REQUEST_COOKIES, name, span_from(pair, equals + 1));
        request_add(request, REQUEST_COOKIE_NAMES, name, name);
    }
}

static void read_headers(struct request *request)
{
    for (size_t i = 0; i < request->view->header_count; i++) {
        const struct event_field *header = &request->view->headers[i];
        request_add(request, REQUEST_HEADERS, header->name, header->value);
        request_add(request, REQUEST_HEADER_NAMES, header->name, header->name);
        if (span_alike(header->name, SPAN("cookie")))
            read_cookies(request, header->value);
    }
}

static void read_target(struct request *request)
{
    const struct event_view *view = request->view;
    struct span whole[] = {view->path, SPAN("?"), view->query};
    struct span raw = view->query.length == 0 ? view->path : arena_join(request->arena, whole, 3);
    struct span line[] = {view->method, SPAN(" "), raw, SPAN(" "), view->protocol};
    struct span decoded = percent_decode(request->arena, raw, false);
    struct span filename = span_first(decoded, span_find(decoded, '?'));
    size_t slash = filename.length;
    while (slash > 0 && filename.data[slash - 1] != '/' && filename.data[slash - 1] != '\\')
        slash--;
    add_single(request, REQUEST_URI_RAW, raw);
    add_single(request, REQUEST_URI, decoded);
    add_single(request, REQUEST_FILENAME, filename);
    add_single(request, REQUEST_BASENAME, slash > 0 ? span_from(filename, slash) : SPAN(""));
    add_single(request, REQUEST_LINE, arena_join(request->arena, line, ARRAY_LENGTH(line)));
    add_single(request, REQUEST_METHOD, view->method);
    add_single(request, REQUEST_PROTOCOL, view->protocol);
    add_single(request, REQUEST_QUERY, view->query);
    add_single(request, REQUEST_ADDRESS, view->source);
    body_form_read(request, view->query, REQUEST_ARGUMENTS_GET, REQUEST_ARGUMENTS_GET_NAMES);
}

enum body_kind { BODY_PLAIN, BODY_FORM, BODY_JSON, BODY_XML, BODY_MULTIPART };

/* "application/json", "application/vnd.api+json; charset=utf-8"; XML alike. */
static bool is_of(struct span type, const char *format)
{
    struct span name = span_trim(span_first(type, span_find(type, ';')));
    struct span wanted = span_of(format);
    if (name.length < wanted.length + 1)
        return false;
    char before = name.data[name.length - wanted.length - 1];
    return span_alike(span_from(name, name.length - wanted.length), wanted) &&
           (before == '/' || before == '+');
}

static enum body_kind kind_of_body(const struct event_view *view)
{
    struct span type = span_trim(event_view_header(view, "content-type"));
    if (span_begins_alike(type, "multipart/form-data"))
        return BODY_MULTIPART;
    if (span_begins_alike(type, "application/x-www-form-urlencoded"))
        return BODY_FORM;
    if (is_of(type, "json"))
        return BODY_JSON;
    return is_of(type, "xml") ? BODY_XML : BODY_PLAIN;
}

static void add_length(struct request *request)
{
    char digits[24];
    size_t at = sizeof(digits);
    if (event_view_header(request->view, "content-length").data != NULL)
        return;
    for (size_t rest = request->body.length; rest > 0; rest /= 10)
        digits[--at] = (char)('0' + rest % 10);
    struct span text = arena_copy(request->arena, (struct span){digits + at, sizeof(digits) - at});
    request_add(request, REQUEST_HEADERS, SPAN("Content-Length"), text);
    request_add(request, REQUEST_HEADER_NAMES, SPAN("Content-Length"), SPAN("Content-Length"));
}

enum content_coding { CODING_NONE, CODING_DEFLATE, CODING_BROTLI, CODING_UNKNOWN };

static enum content_coding coding_of(struct span name)
{
    if (name.length == 0 || span_alike(name, SPAN("identity")))
        return CODING_NONE;
    if (span_alike(name, SPAN("br")))
        return CODING_BROTLI;
    return span_alike(name, SPAN("gzip")) || span_alike(name, SPAN("x-gzip")) ||
                   span_alike(name, SPAN("deflate"))
               ? CODING_DEFLATE
               : CODING_UNKNOWN;
}

/* The body that the application is likely to see. The other one, which it sees when it takes the
 * header lightly, is left to be looked at too. */
static struct span undo_coding(struct request *request, struct span body, struct span name)
{
    enum content_coding coding = coding_of(name);
    if (coding == CODING_NONE || body.length == 0)
        return body;
    if (coding == CODING_UNKNOWN)
        request->partial = true; /* what it means is not known here */
    struct inflated inflated = coding == CODING_BROTLI ? brotli_read(request->arena, body)
                                                       : inflate_read(request->arena, body);
    request->partial = request->partial || inflated.outcome == INFLATE_CUT;
    if (inflated.outcome == INFLATE_FAILED) {
        request_pass_over(request, inflated.plain);
        return body;
    }
    request_pass_over(request, body);
    request_pass_over(request, inflated.rest);
    return inflated.plain;
}

/* "gzip, br": the last one was done last (RFC 9110, 8.4). */
static struct span undo_codings(struct request *request, struct span body, struct span header)
{
    for (size_t i = 0; i < APPLICATION_LIMIT_CODINGS; i++) {
        size_t comma = header.length;
        while (comma > 0 && header.data[comma - 1] != ',')
            comma--;
        body = undo_coding(request, body, span_trim(span_from(header, comma)));
        if (comma == 0)
            return body;
        header = span_first(header, comma - 1);
    }
    request->partial = true;
    return body;
}

static void read_body(struct request *request, const struct request_options *options)
{
    static const char *const processors[] = {"", "URLENCODED", "JSON", "XML", "MULTIPART"};
    const struct event_view *view = request->view;
    enum body_kind kind = kind_of_body(view);
    struct span body = view->body;
    struct span encoding = event_view_header(view, "content-encoding");
    if (view->body_base64)
        body = base64_read(request->arena, body);
    if (options->inflate && body.length > 0)
        body = undo_codings(request, body, encoding);
    request->body = body;
    if (options->length && body.length > 0)
        add_length(request);
    add_single(request, REQUEST_BODY_PROCESSOR, span_of(processors[kind]));
    if (body.length == 0)
        return;
    if (kind != BODY_MULTIPART || options->whole_body)
        add_single(request, REQUEST_BODY, body);
    if (kind == BODY_FORM)
        body_form_read(request, body, REQUEST_ARGUMENTS_POST, REQUEST_ARGUMENTS_POST_NAMES);
    else if (kind == BODY_JSON)
        body_json_read(request, body);
    else if (kind == BODY_XML)
        body_xml_read(request, body);
    else if (kind == BODY_MULTIPART)
        body_multipart_read(request, body, event_view_header(view, "content-type"));
}

void request_read(const struct event_view *view, const struct request_options *options,
                  struct arena *arena, struct request *request)
{
    *request = (struct request){.arena = arena, .view = view, .partial = view->partial};
    read_target(request);
    read_headers(request);
    read_body(request, options);
    request->partial = request->partial || arena->exhausted;
}
