#include "application/detection/derived_values.h"

#include "application/detection/prose.h"
#include "application/detection/transformations.h"
#include "application/events/request.h"

/* Shorter text that happens to be of Base64's letters is a word. */
#define BASE64_LEAST 12

static void add(struct judgement *judgement, struct span name, struct span text)
{
    struct request *request = judgement->request;
    if (text.length > 0)
        request_add(request, REQUEST_ARGUMENTS_POST, name, text);
}

/* Text in whatever language: control characters are what gives other bytes away. */
static bool is_text(struct span text)
{
    size_t odd = 0;
    for (size_t i = 0; i < text.length; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        odd += byte == 0x7f || (byte < 0x20 && !byte_is_space((char)byte)) ? 1 : 0;
    }
    return odd * 32 <= text.length;
}

/* What came out of letters that happen to be of Base64: ASCII, or UTF-8. */
static bool is_plain(struct span text)
{
    size_t odd = 0;
    for (size_t i = 0; i < text.length; i++)
        odd += (unsigned char)text.data[i] >= 0x7f ||
                       (text.data[i] < ' ' && !byte_is_space(text.data[i]))
                   ? 1
                   : 0;
    return odd * 10 <= text.length || (is_text(text) && utf8_like(text));
}

static bool looks_like_base64(struct span text)
{
    size_t padding = 0;
    if (text.length < BASE64_LEAST || text.length % 4 == 1)
        return false;
    for (size_t i = 0; i < text.length; i++) {
        char byte = text.data[i];
        if (byte == '=' && i + 2 >= text.length)
            padding++;
        else if (padding > 0 || !(byte_is_letter(byte) || byte_is_digit(byte) || byte == '+' ||
                                  byte == '/' || byte == '-' || byte == '_'))
            return false;
    }
    return true;
}

/* What stood behind Base64: a document (a cursor in JSON, a log-in's assertion in XML) is taken
 * apart, so that its markup is not taken for an attack; anything else is a value. */
static void add_document(struct judgement *judgement, struct span name, struct span text)
{
    struct request *request = judgement->request;
    struct span trimmed = span_trim(text);
    bool malformed = request->body_malformed;
    if (span_begins(trimmed, "{\"") || span_begins(trimmed, "[{\""))
        body_json_read(request, trimmed);
    else if (span_begins(trimmed, "<") && span_contains(trimmed, SPAN("xmlns")) &&
             !span_contains(trimmed, SPAN("<!")) && !span_contains(trimmed, SPAN("XInclude")))
        body_xml_read(request, trimmed);
    else
        add(judgement, name, text);
    request->body_malformed = malformed;
}

static void add_decoded(struct judgement *judgement, struct span name, struct span text);

/* One more encoding undone: a value, and what that is behind the next. */
static void add_undone(struct judgement *judgement, struct span name, struct span text,
                       struct span undone)
{
    if (undone.length == 0 || span_equal(undone, text))
        return;
    add(judgement, name, undone);
    add_decoded(judgement, name, undone);
}

static bool has_entity(struct span text)
{
    return span_find(text, '&') < text.length &&
           (span_contains(text, SPAN("&#")) || span_contains(text, SPAN("&lt;")) ||
            span_contains(text, SPAN("&quot;")) || span_contains(text, SPAN("&apos;")));
}

static void add_base64(struct judgement *judgement, struct span name, struct span text)
{
    struct span plain = base64_read(judgement->arena, text);
    if (plain.length < BASE64_LEAST / 2 || !is_plain(plain))
        return;
    add_document(judgement, name, plain);
    add_decoded(judgement, name, plain);
}

/* What a value is behind more encodings, when it is anything. */
static void add_decoded(struct judgement *judgement, struct span name, struct span text)
{
    struct arena *arena = judgement->arena;
    if (judgement->decodings == APPLICATION_LIMIT_DECODINGS)
        return;
    judgement->decodings++;
    if (looks_like_base64(text))
        add_base64(judgement, name, text);
    if (span_contains(text, SPAN("\\u00")) || span_contains(text, SPAN("\\x")))
        add_undone(judgement, name, text, transform(TRANSFORM_JS_DECODE, arena, text));
    if (has_entity(text))
        add_undone(judgement, name, text, transform(TRANSFORM_HTML_ENTITY_DECODE, arena, text));
    if (span_find(text, '%') < text.length)
        add_undone(judgement, name, text, percent_decode(arena, text, false));
    judgement->decodings--;
}

/* Cuts what is too long for one look into pieces that overlap, the value itself to the first. */
static void add_windows(struct judgement *judgement, struct request_value *value)
{
    struct span name = value->name;
    struct span rest = value->text;
    value->text = span_first(rest, APPLICATION_LIMIT_WINDOW);
    while (rest.length > APPLICATION_LIMIT_WINDOW) {
        rest = span_from(rest, APPLICATION_LIMIT_WINDOW - APPLICATION_LIMIT_WINDOW_OVERLAP);
        add(judgement, name, span_first(rest, APPLICATION_LIMIT_WINDOW));
    }
}

static void add_of_list(struct judgement *judgement, enum request_list list)
{
    struct request *request = judgement->request;
    size_t count = request->lists[list].count; /* what is added is not looked at again */
    for (size_t i = 0; i < count; i++) {
        if (request->lists[list].values[i].text.length > APPLICATION_LIMIT_WINDOW)
            add_windows(judgement, &request->lists[list].values[i]);
        struct request_value value = request->lists[list].values[i];
        add_decoded(judgement, value.name, value.text);
    }
}

/* Headers whose values browsers, gateways and tools make, or that are looked at elsewhere. */
static bool is_usual(struct span name)
{
    static const char *const begins[] = {"accept",       "sec-",           "x-amz",
                                         "x-forwarded-", "content-",       "if-",
                                         "cf-",          "cloudfront-",    "x-github-",
                                         "x-hub-",       "access-control-"};
    static const char *const names[] = {"host",
                                        "cookie",
                                        "authorization",
                                        "user-agent",
                                        "connection",
                                        "via",
                                        "te",
                                        "date",
                                        "cache-control",
                                        "pragma",
                                        "upgrade-insecure-requests",
                                        "dnt",
                                        "origin",
                                        "range",
                                        "expect",
                                        "transfer-encoding",
                                        "upgrade",
                                        "priority",
                                        "x-real-ip",
                                        "x-request-id",
                                        "traceparent",
                                        "tracestate",
                                        "proxy-authorization",
                                        "keep-alive",
                                        "x-csrf-token",
                                        "x-xsrf-token"};
    for (size_t i = 0; i < ARRAY_LENGTH(begins); i++) {
        if (span_begins_alike(name, begins[i]))
            return true;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        if (span_alike(name, span_of(names[i])))
            return true;
    }
    return false;
}

/* Headers that everybody sends and that have no use for quotes, brackets and the like. */
static bool is_simple(struct span name)
{
    static const char *const names[] = {"user-agent", "accept",          "accept-language",  "host",
                                        "origin",     "x-forwarded-for", "x-forwarded-host", "via"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        if (span_alike(name, span_of(names[i])))
            return true;
    }
    return false;
}

static bool is_odd(struct span value)
{
    for (size_t i = 0; i < value.length; i++) {
        if (value.data[i] != '\0' && strchr("'\"<>{}$|`\\%", value.data[i]) != NULL)
            return true;
    }
    return span_contains(value, SPAN("../"));
}

/* Of an address on the web only what its query says: the rest is somebody's ordinary page. */
static void add_referer(struct judgement *judgement, struct span value)
{
    size_t mark = span_find(value, '?');
    if (!span_begins_alike(value, "http"))
        add(judgement, SPAN("referer"), value);
    struct span query = span_from(value, mark + 1);
    query = span_first(query, span_find(query, '#'));
    struct span rest = query;
    struct span pair;
    while (rest.length > 0 && span_next(&rest, '&', &pair)) {
        struct span text =
            percent_decode(judgement->arena, span_from(pair, span_find(pair, '=') + 1), true);
        add(judgement, SPAN("referer"), text);
    }
}

static void add_headers(struct judgement *judgement)
{
    const struct event_view *view = judgement->view;
    for (size_t i = 0; i < view->header_count; i++) {
        const struct event_field *header = &view->headers[i];
        bool simple = is_simple(header->name);
        if (span_alike(header->name, SPAN("referer"))) {
            add_referer(judgement, header->value);
            continue;
        }
        if (!is_usual(header->name) || (simple && is_odd(header->value)))
            add(judgement, header->name, header->value);
        if (!is_usual(header->name) || simple)
            add_decoded(judgement, header->name, header->value);
    }
}

static bool is_plain_path(struct span path)
{
    for (size_t i = 0; i < path.length; i++) {
        char byte = path.data[i];
        if (!byte_is_letter(byte) && !byte_is_digit(byte) &&
            (byte == '\0' || strchr("/-_.~@:+,", byte) == NULL))
            return false;
    }
    return true;
}

/* The last segments of a path that has more than a path's bytes in it: parameters of routes. */
static void add_path(struct judgement *judgement)
{
    const struct request_values *paths = &judgement->request->lists[REQUEST_FILENAME];
    if (paths->count == 0)
        return;
    struct span path = span_from(paths->values[0].text, 1);
    struct span last = path;
    for (size_t i = path.length; i > 0 && last.length == path.length; i--) {
        if (path.data[i - 1] == '/')
            last = span_from(path, i);
    }
    add_decoded(judgement, SPAN("path"), last);
    if (is_plain_path(path))
        return;
    add(judgement, SPAN("path"), path);
    add_decoded(judgement, SPAN("path"), path);
    if (last.length < path.length)
        add(judgement, SPAN("path"), last);
}

/* What XML says, for the rules that look at arguments alone. */
static void add_xml(struct judgement *judgement, enum request_list list)
{
    const struct request_values *values = &judgement->request->lists[list];
    for (size_t i = 0; i < values->count; i++) {
        struct span text = span_trim(values->values[i].text);
        add(judgement, SPAN("xml"), text);
    }
}

/* JSON under whatever name: handlers parse what they expect, whatever the sender calls it. True
 * when it was JSON to its end. */
static bool add_json(struct request *request, struct span text)
{
    bool malformed = request->body_malformed;
    request->body_malformed = false;
    body_json_read(request, text);
    bool whole = !request->body_malformed;
    request->body_malformed = malformed;
    return whole;
}

static bool begins_json(struct span text)
{
    return text.length > 0 && (text.data[0] == '{' || text.data[0] == '[');
}

/* What the body's reader passed over is no file and no part: it is read as what it looks like. */
static void add_passed_over(struct judgement *judgement)
{
    struct request *request = judgement->request;
    for (size_t i = 0; i < request->passed_over_count; i++) {
        struct span text = request->passed_over[i];
        if (begins_json(text) && add_json(request, text))
            continue;
        if (!is_text(span_first(text, 4096)))
            continue;
        if (text.data[0] == '<')
            body_xml_read(request, text);
        add(judgement, SPAN("body"), text);
        if (span_find(text, '=') < text.length)
            body_form_read(request, text, REQUEST_ARGUMENTS_POST, REQUEST_ARGUMENTS_POST_NAMES);
    }
}

/* A body that its type's reader did not take apart, or not as what it is: the type is missing or
 * wrong. */
static void add_body(struct judgement *judgement)
{
    struct request *request = judgement->request;
    struct span body = span_trim(request->body);
    const struct request_values *processors = &request->lists[REQUEST_BODY_PROCESSOR];
    if (body.length == 0 || processors->count == 0)
        return;
    struct span processor = processors->values[0].text;
    bool multipart = span_is(processor, "MULTIPART");
    bool markup = body.data[0] == '<';
    if (!span_is(processor, "JSON") && begins_json(body) && add_json(request, body))
        return;
    if (markup && processor.length == 0) {
        body_xml_read(request, body);
        if (!request->body_malformed)
            return;
    }
    bool read =
        processor.length > 0 && !request->body_malformed && (markup || !span_is(processor, "XML"));
    if (!read && !multipart && is_text(span_first(body, 4096)))
        add(judgement, SPAN("body"), body);
}

void derived_values_add(struct judgement *judgement)
{
    add_body(judgement);
    add_passed_over(judgement);
    add_xml(judgement, REQUEST_XML_TEXT);
    if (judgement->request->lists[REQUEST_XML_PIECES].count > 1)
        add_xml(judgement, REQUEST_XML_PIECES);
    add_xml(judgement, REQUEST_XML_ATTRIBUTES);
    add_of_list(judgement, REQUEST_ARGUMENTS_GET);
    add_of_list(judgement, REQUEST_ARGUMENTS_POST);
    add_of_list(judgement, REQUEST_COOKIES);
    add_headers(judgement);
    add_path(judgement);
}
