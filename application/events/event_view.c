#include "application/events/event_view.h"

#include "application/events/json_scan.h"
#include "application/limits.h"

/* The members of the event, and of what is inside, that decide and that are read. */
struct shape {
    struct json_item version, method, path, raw_path, raw_query, route_key, resource, type;
    struct json_item headers, multi_headers, query, multi_query, cookies, body, base64, context;
    bool authorizer; /* methodArn, routeArn */
    /* of requestContext */
    struct json_item elb, http, identity, connection, event_type, domain, request_id;
    /* of requestContext.http */
    struct json_item http_method, http_source, http_protocol;
    struct json_item context_protocol, identity_source;
};

struct wanted {
    const char *key;
    size_t offset; /* of a struct json_item in struct shape */
};
#define WANTED(key, member)                 \
    {                                       \
        key, offsetof(struct shape, member) \
    }

static const struct wanted top_members[] = {
    WANTED("version", version),
    WANTED("httpMethod", method),
    WANTED("path", path),
    WANTED("rawPath", raw_path),
    WANTED("rawQueryString", raw_query),
    WANTED("routeKey", route_key),
    WANTED("resource", resource),
    WANTED("type", type),
    WANTED("headers", headers),
    WANTED("multiValueHeaders", multi_headers),
    WANTED("queryStringParameters", query),
    WANTED("multiValueQueryStringParameters", multi_query),
    WANTED("cookies", cookies),
    WANTED("body", body),
    WANTED("isBase64Encoded", base64),
    WANTED("requestContext", context),
};
static const struct wanted context_members[] = {
    WANTED("elb", elb),
    WANTED("http", http),
    WANTED("identity", identity),
    WANTED("connectionId", connection),
    WANTED("eventType", event_type),
    WANTED("domainName", domain),
    WANTED("requestId", request_id),
    WANTED("protocol", context_protocol),
};
static const struct wanted http_members[] = {
    WANTED("method", http_method),
    WANTED("sourceIp", http_source),
    WANTED("protocol", http_protocol),
};
static const struct wanted identity_members[] = {
    WANTED("sourceIp", identity_source),
};

static void read_members(const struct json_item *map, const struct wanted *wanted, size_t count,
                         struct shape *shape)
{
    struct json_cursor cursor = json_enter(map);
    struct json_item value;
    struct span key;
    while (map->kind == JSON_MAP && json_member(&cursor, &key, &value)) {
        if (wanted == top_members && (span_is(key, "methodArn") || span_is(key, "routeArn")))
            shape->authorizer = true;
        for (size_t i = 0; i < count; i++) {
            if (span_is(key, wanted[i].key))
                *(struct json_item *)((char *)shape + wanted[i].offset) = value;
        }
    }
}

static enum event_kind kind_of(const struct shape *shape, struct arena *arena)
{
    if (shape->context.kind != JSON_MAP || shape->authorizer)
        return EVENT_OTHER;
    if (shape->elb.kind == JSON_MAP)
        return shape->method.kind == JSON_TEXT ? EVENT_LOAD_BALANCER : EVENT_OTHER;
    if (shape->connection.kind == JSON_TEXT && shape->event_type.kind == JSON_TEXT)
        return EVENT_WEBSOCKET;
    if (shape->http.kind == JSON_MAP && shape->http_method.kind == JSON_TEXT)
        return span_contains(json_unescape(arena, &shape->domain), SPAN(".lambda-url."))
                   ? EVENT_FUNCTION_URL
                   : EVENT_HTTP_API;
    return shape->method.kind == JSON_TEXT && shape->path.kind == JSON_TEXT ? EVENT_REST
                                                                            : EVENT_OTHER;
}

/* The text of item; nothing when it is no text. */
static struct span text_of(struct arena *arena, const struct json_item *item)
{
    return item->kind == JSON_TEXT ? json_unescape(arena, item) : SPAN_NONE;
}

static struct span unescape_key(struct arena *arena, struct span key)
{
    struct json_item item = {JSON_TEXT, span_find(key, '\\') < key.length, key};
    return json_unescape(arena, &item);
}

static void add_header(struct event_view *view, struct span name, struct span value)
{
    if (view->header_count >= APPLICATION_LIMIT_FIELDS) {
        view->partial = true;
        return;
    }
    view->headers[view->header_count++] = (struct event_field){name, value};
}

/* {"name": "value"} or {"name": ["value", ...]}. */
static void read_headers(const struct json_item *map, struct arena *arena, struct event_view *view)
{
    struct json_cursor cursor = json_enter(map);
    struct json_item value, element;
    struct span key;
    while (map->kind == JSON_MAP && json_member(&cursor, &key, &value)) {
        struct span name = unescape_key(arena, key);
        if (value.kind == JSON_TEXT)
            add_header(view, name, json_unescape(arena, &value));
        struct json_cursor inside = json_enter(&value);
        while (value.kind == JSON_LIST && json_element(&inside, &element)) {
            if (element.kind == JSON_TEXT)
                add_header(view, name, json_unescape(arena, &element));
        }
    }
}

static void read_cookies(const struct json_item *list, struct arena *arena, struct event_view *view)
{
    struct span pieces[2 * APPLICATION_LIMIT_FIELDS];
    size_t count = 0;
    struct json_cursor cursor = json_enter(list);
    struct json_item element;
    while (list->kind == JSON_LIST && json_element(&cursor, &element)) {
        if (element.kind != JSON_TEXT)
            continue;
        if (count + 2 > ARRAY_LENGTH(pieces)) {
            view->partial = true;
            break;
        }
        if (count > 0)
            pieces[count++] = SPAN("; ");
        pieces[count++] = json_unescape(arena, &element);
    }
    if (count > 0)
        add_header(view, SPAN("cookie"), arena_join(arena, pieces, count));
}

/* Appends text so that decoding it once gives it back. */
static char *put_encoded(char *to, struct span text)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.length; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        if (byte_is_letter((char)byte) || byte_is_digit((char)byte) ||
            (byte != 0 && strchr("-._~!$'()*,;:@/?", byte) != NULL)) {
            *to++ = (char)byte;
        } else {
            *to++ = '%';
            *to++ = digits[byte >> 4];
            *to++ = digits[byte & 15];
        }
    }
    return to;
}

struct query_writer {
    struct arena *arena;
    bool encode; /* the parts are decoded */
    char *start;
    char *to;
    char *end;
    bool full;
};

static void put_parameter(struct query_writer *writer, struct span name, struct span value)
{
    size_t most = 3 * (name.length + value.length) + 2;
    if ((size_t)(writer->end - writer->to) < most) {
        writer->full = true;
        return;
    }
    if (writer->to != writer->start)
        *writer->to++ = '&';
    struct span parts[] = {name, value};
    for (size_t i = 0; i < ARRAY_LENGTH(parts); i++) {
        if (i == 1)
            *writer->to++ = '=';
        if (writer->encode) {
            writer->to = put_encoded(writer->to, parts[i]);
        } else if (parts[i].length > 0) {
            memcpy(writer->to, parts[i].data, parts[i].length);
            writer->to += parts[i].length;
        }
    }
}

/* A query string out of {"name": "value"} or {"name": ["value", ...]}. Three bytes for one is the
 * most encoding makes, and what stands in JSON is never shorter than what it means; a name is
 * repeated for each of its values, hence the names' share. */
static struct span make_query(const struct json_item *map, bool encode, struct arena *arena,
                              struct event_view *view)
{
    if (map->kind != JSON_MAP || map->span.length <= 2)
        return SPAN_NONE;
    size_t room = 6 * map->span.length + 64;
    struct json_cursor cursor = json_enter(map);
    struct json_item value, element;
    struct span key;
    char *start = arena_take(arena, room);
    if (start == NULL)
        return SPAN_NONE;
    struct query_writer writer = {arena, encode, start, start, start + room, false};
    while (json_member(&cursor, &key, &value)) {
        struct span name = unescape_key(arena, key);
        if (value.kind == JSON_TEXT)
            put_parameter(&writer, name, json_unescape(arena, &value));
        struct json_cursor inside = json_enter(&value);
        while (value.kind == JSON_LIST && json_element(&inside, &element)) {
            if (element.kind == JSON_TEXT)
                put_parameter(&writer, name, json_unescape(arena, &element));
        }
    }
    view->partial = view->partial || writer.full;
    return (struct span){start, (size_t)(writer.to - start)};
}

/* The last address of the last X-Forwarded-For is the one the load balancer itself saw. */
static struct span last_forwarded(const struct event_view *view)
{
    struct span list = SPAN_NONE;
    for (size_t i = 0; i < view->header_count; i++) {
        if (span_alike(view->headers[i].name, SPAN("x-forwarded-for")))
            list = view->headers[i].value;
    }
    for (size_t i = list.length; i > 0; i--) {
        if (list.data[i - 1] == ',')
            return span_trim(span_from(list, i));
    }
    return span_trim(list);
}

static void read_facts(const struct shape *shape, struct arena *arena, struct event_view *view)
{
    bool second = view->kind == EVENT_HTTP_API || view->kind == EVENT_FUNCTION_URL;
    view->method = text_of(arena, second ? &shape->http_method : &shape->method);
    view->path = text_of(arena, second ? &shape->raw_path : &shape->path);
    view->route =
        text_of(arena, shape->resource.kind == JSON_TEXT ? &shape->resource : &shape->route_key);
    view->protocol = text_of(arena, second ? &shape->http_protocol : &shape->context_protocol);
    view->source = text_of(arena, second ? &shape->http_source : &shape->identity_source);
    view->request_id = text_of(arena, &shape->request_id);
    view->trace_id = event_view_header(view, "x-amzn-trace-id");
    view->host = event_view_header(view, "host");
    if (view->host.length == 0)
        view->host = text_of(arena, &shape->domain);
    if (view->kind == EVENT_LOAD_BALANCER)
        view->source = last_forwarded(view);
    if (view->method.length == 0)
        view->method = SPAN("GET"); /* a WebSocket's messages have none */
    if (view->path.length == 0)
        view->path = SPAN("/");
    if (!span_begins(view->protocol, "HTTP/"))
        view->protocol = SPAN("HTTP/1.1");
}

void event_view_read(struct span event, struct arena *arena, struct event_view *view)
{
    struct shape shape = {0};
    *view = (struct event_view){.kind = EVENT_OTHER};
    struct json_item whole = event.length > APPLICATION_LIMIT_EVENT
                                 ? (struct json_item){.kind = JSON_NOTHING}
                                 : json_whole(event);
    if (whole.kind != JSON_MAP)
        return;
    read_members(&whole, top_members, ARRAY_LENGTH(top_members), &shape);
    read_members(&shape.context, context_members, ARRAY_LENGTH(context_members), &shape);
    read_members(&shape.http, http_members, ARRAY_LENGTH(http_members), &shape);
    read_members(&shape.identity, identity_members, ARRAY_LENGTH(identity_members), &shape);
    view->kind = kind_of(&shape, arena);
    if (view->kind == EVENT_OTHER)
        return;
    view->headers = arena_take(arena, (APPLICATION_LIMIT_FIELDS) * sizeof(*view->headers));
    if (view->headers == NULL) {
        view->partial = true;
        return;
    }
    view->multi_value = shape.multi_headers.kind == JSON_MAP;
    read_headers(view->multi_value ? &shape.multi_headers : &shape.headers, arena, view);
    read_cookies(&shape.cookies, arena, view);
    read_facts(&shape, arena, view);
    view->query = text_of(arena, &shape.raw_query);
    if (shape.raw_query.kind != JSON_TEXT)
        view->query =
            make_query(shape.multi_query.kind == JSON_MAP ? &shape.multi_query : &shape.query,
                       view->kind != EVENT_LOAD_BALANCER, arena, view);
    view->body = text_of(arena, &shape.body);
    view->body_base64 = span_is(shape.base64.span, "true");
    view->partial = view->partial || arena->exhausted;
}

struct span event_view_header(const struct event_view *view, const char *name)
{
    for (size_t i = 0; i < view->header_count; i++) {
        if (span_alike(view->headers[i].name, span_of(name)))
            return view->headers[i].value;
    }
    return SPAN_NONE;
}
