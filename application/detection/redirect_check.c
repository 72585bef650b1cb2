#include "application/detection/redirect_check.h"

#include "application/events/json_scan.h"

struct answer {
    struct json_item status, headers, multi_headers;
};

/* The answer of a streaming function begins with the same JSON, and NULs follow. */
static void read_answer(struct span response, struct answer *answer)
{
    size_t end = span_find(response, '\0');
    struct json_item whole = json_whole(span_first(response, end));
    struct json_cursor cursor = json_enter(&whole);
    struct json_item value;
    struct span key;
    while (whole.kind == JSON_MAP && json_member(&cursor, &key, &value)) {
        if (span_is(key, "statusCode"))
            answer->status = value;
        else if (span_is(key, "headers"))
            answer->headers = value;
        else if (span_is(key, "multiValueHeaders"))
            answer->multi_headers = value;
    }
}

static struct span find_location(struct arena *arena, const struct json_item *headers)
{
    struct json_cursor cursor = json_enter(headers);
    struct json_item value;
    struct span key;
    while (headers->kind == JSON_MAP && json_member(&cursor, &key, &value)) {
        if (!span_alike(key, SPAN("location")))
            continue;
        struct json_cursor inside = json_enter(&value);
        if (value.kind == JSON_LIST && !json_element(&inside, &value))
            return SPAN_NONE;
        return value.kind == JSON_TEXT ? json_unescape(arena, &value) : SPAN_NONE;
    }
    return SPAN_NONE;
}

/* The host of "https://user@host:port/", "//host" and, as browsers read it, "/\host". */
static struct span host_of(struct span location)
{
    size_t at = 0;
    location = span_trim(location);
    while (at < location.length && location.data[at] != ':' && location.data[at] != '/' &&
           location.data[at] != '\\')
        at++;
    if (at < location.length && location.data[at] == ':')
        at++;
    struct span rest = span_from(location, at);
    size_t slashes = 0;
    while (slashes < rest.length && (rest.data[slashes] == '/' || rest.data[slashes] == '\\'))
        slashes++;
    if (slashes < 2)
        return SPAN_NONE;
    rest = span_from(rest, slashes);
    size_t end = 0;
    while (end < rest.length && strchr("/\\?#", rest.data[end]) == NULL)
        end++;
    rest = span_first(rest, end);
    for (size_t i = rest.length; i > 0; i--) {
        if (rest.data[i - 1] == '@')
            return span_from(rest, i);
    }
    return rest;
}

static struct span without_port(struct span host)
{
    return span_begins(host, "[") ? host : span_first(host, span_find(host, ':'));
}

/* Whether the request named the place: a value of it is in the location, host and all. */
static const struct request_value *named_by(const struct request *request, struct span location,
                                            struct span host)
{
    static const enum request_list lists[] = {REQUEST_ARGUMENTS_GET, REQUEST_ARGUMENTS_POST,
                                              REQUEST_FILENAME};
    for (size_t i = 0; i < ARRAY_LENGTH(lists); i++) {
        const struct request_values *values = &request->lists[lists[i]];
        for (size_t j = 0; j < values->count; j++) {
            struct span text = span_trim(values->values[j].text);
            if (text.length >= host.length && span_contains(text, host) &&
                (span_contains(location, text) || span_contains(text, location)))
                return &values->values[j];
        }
    }
    return NULL;
}

void redirect_check(struct judgement *judgement, struct span response)
{
    struct answer answer = {0};
    read_answer(response, &answer);
    struct span status = answer.status.span;
    if (status.length != 3 || status.data[0] != '3')
        return;
    struct span location = find_location(judgement->arena, &answer.headers);
    if (location.length == 0)
        location = find_location(judgement->arena, &answer.multi_headers);
    struct span host = without_port(host_of(location));
    if (host.length == 0 || span_alike(host, without_port(judgement->view->host)) ||
        detection_policy_host_allowed(judgement->policy, host))
        return;
    const struct request_value *value = named_by(judgement->request, location, host);
    if (value != NULL)
        (void)judgement_find(judgement,
                             &(struct judgement_match){.protection = PROTECTION_OPEN_REDIRECT,
                                                       .rule = RULE_REDIRECT,
                                                       .score = SCORE_CRITICAL,
                                                       .message = SPAN("Open redirect"),
                                                       .list = SPAN("ARGS"),
                                                       .name = value->name,
                                                       .text = location});
}
