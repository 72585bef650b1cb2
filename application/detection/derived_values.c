#include "application/detection/derived_values.h"

#include "application/events/request.h"

/* Shorter text that happens to be of Base64's letters is a word. */
#define BASE64_LEAST 12

static void add(struct judgement *judgement, struct span name, struct span text)
{
    struct request *request = judgement->request;
    if (text.length > 0)
        request_add(request, REQUEST_ARGUMENTS_POST, name, text);
}

static bool is_text(struct span text)
{
    size_t odd = 0;
    for (size_t i = 0; i < text.length; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        odd += byte >= 0x7f || (byte < 0x20 && !byte_is_space((char)byte)) ? 1 : 0;
    }
    return odd * 10 <= text.length;
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

/* What a value is behind one more Base64 or percent encoding, when it is anything. */
static void add_decoded(struct judgement *judgement, struct span name, struct span text)
{
    struct arena *arena = judgement->arena;
    struct span plain = text;
    if (looks_like_base64(text)) {
        plain = base64_read(arena, text);
        if (plain.length >= BASE64_LEAST / 2 && is_text(plain))
            add(judgement, name, plain);
        else
            plain = text;
    }
    if (span_find(plain, '%') == plain.length)
        return;
    struct span undone = percent_decode(arena, plain, false);
    if (undone.length > 0 && undone.length != plain.length)
        add(judgement, name, undone);
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

static void add_headers(struct judgement *judgement)
{
    const struct event_view *view = judgement->view;
    for (size_t i = 0; i < view->header_count; i++) {
        if (is_usual(view->headers[i].name))
            continue;
        add(judgement, view->headers[i].name, view->headers[i].value);
        add_decoded(judgement, view->headers[i].name, view->headers[i].value);
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
    if (paths->count == 0 || is_plain_path(paths->values[0].text))
        return;
    struct span path = span_from(paths->values[0].text, 1);
    add(judgement, SPAN("path"), path);
    add_decoded(judgement, SPAN("path"), path);
    for (size_t i = path.length; i > 0; i--) {
        if (path.data[i - 1] == '/') {
            add(judgement, SPAN("path"), span_from(path, i));
            return;
        }
    }
}

/* A body nobody took apart, because its type is missing or wrong. */
static void add_body(struct judgement *judgement)
{
    struct request *request = judgement->request;
    struct span body = span_trim(request->body);
    const struct request_values *processor = &request->lists[REQUEST_BODY_PROCESSOR];
    if (body.length == 0 || processor->count == 0)
        return;
    if (processor->values[0].text.length > 0 && !request->body_malformed)
        return;
    if (span_is(processor->values[0].text, "MULTIPART"))
        return;
    if (processor->values[0].text.length == 0 && (body.data[0] == '{' || body.data[0] == '['))
        body_json_read(request, body);
    else if (processor->values[0].text.length == 0 && body.data[0] == '<')
        body_xml_read(request, body);
    else if (is_text(span_first(body, 4096)))
        add(judgement, SPAN("body"), body);
}

void derived_values_add(struct judgement *judgement)
{
    add_body(judgement);
    add_of_list(judgement, REQUEST_ARGUMENTS_GET);
    add_of_list(judgement, REQUEST_ARGUMENTS_POST);
    add_of_list(judgement, REQUEST_COOKIES);
    add_headers(judgement);
    add_path(judgement);
}
