/* Events of Object Lambda. Owns: what is read of them. */
#include "storage/object_lambda/object_lambda_event.h"

#include "common/text/text.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#define MOST_NAMES 4096

static const struct json_node *inside(const struct json_node *object, const char *key,
                                      enum json_node_kind kind)
{
    const struct json_node *node =
        object != NULL && object->kind == JSON_NODE_OBJECT ? json_node_find(object, key) : NULL;

    return node != NULL && node->kind == kind ? node : NULL;
}

static const char *text_at(const struct json_node *object, const char *key)
{
    const struct json_node *node = inside(object, key, JSON_NODE_STRING);

    return node != NULL ? node->text : "";
}

static const char *header_of(const struct json_node *headers, const char *name, size_t length)
{
    const struct json_node *node = headers != NULL ? json_node_first(headers) : NULL;

    for (; node != NULL; node = json_node_next(node))
        if (node->kind == JSON_NODE_STRING && strlen(node->key) == length &&
            strncasecmp(node->key, name, length) == 0)
            return node->text;
    return NULL;
}

/* ---- headers that the link signs ---- */

static const char *key_of(const struct json_node *headers, const char *name, size_t length)
{
    for (const struct json_node *node = json_node_first(headers); node != NULL;
         node = json_node_next(node))
        if (strlen(node->key) == length && strncasecmp(node->key, name, length) == 0)
            return node->key;
    return NULL;
}

static int take_header(struct object_lambda_event *event, const struct json_node *headers,
                       const char *name, size_t length)
{
    const char *value = header_of(headers, name, length);

    if (length == strlen("host") && strncasecmp(name, "host", length) == 0)
        return 0;
    if (value == NULL || strpbrk(value, "\r\n") != NULL ||
        event->header_count == OBJECT_LAMBDA_MOST_HEADERS)
        return -EBADMSG;
    event->range_is_signed |= length == strlen("range") && strncasecmp(name, "range", length) == 0;
    event->headers[event->header_count++] =
        (struct http_header){key_of(headers, name, length), value};
    return 0;
}

/* "host;x-amz-checksum-mode", the ";" as %3B. */
static int take_signed(struct object_lambda_event *event, const struct json_node *headers)
{
    static const char parameter[] = "X-Amz-SignedHeaders=";
    const char *found = strstr(event->url, parameter);
    char encoded[MOST_NAMES], names[MOST_NAMES];
    int r = 0;

    if (found == NULL)
        return -EBADMSG;
    found += strlen(parameter);
    if (text_format(encoded, sizeof encoded, "%.*s", (int)MIN(strcspn(found, "&"), MOST_NAMES),
                    found) < 0 ||
        s3_decode_key(encoded, false, names, sizeof names) < 0)
        return -EBADMSG;
    for (const char *name = names; r == 0 && *name != '\0';) {
        size_t length = strcspn(name, ";");
        r = length > 0 ? take_header(event, headers, name, length) : -EBADMSG;
        name += length + (name[length] == ';');
    }
    return r;
}

/* ---- the event ---- */

static void take_key(struct object_lambda_event *event, const char *url)
{
    const char *host = strstr(url, "://");
    const char *path = host != NULL ? strchr(host + 3, '/') : NULL;
    char encoded[S3_KEY_BYTES * 3];

    if (path == NULL ||
        text_format(encoded, sizeof encoded, "%.*s",
                    (int)MIN(strcspn(path + 1, "?"), sizeof encoded), path + 1) < 0 ||
        s3_decode_key(encoded, false, event->key, sizeof event->key) < 0)
        event->key[0] = '\0';
}

/* What the template gave the access point to tell us. */
static void take_payload(struct object_lambda_event *event, const char *payload)
{
    struct json_tree *tree = NULL;
    char problem[128];

    if (json_tree_parse(payload, strlen(payload), &tree, problem) < 0)
        return;
    if (text_copy(event->bucket, sizeof event->bucket, text_at(json_tree_root(tree), "bucket")) < 0)
        event->bucket[0] = '\0';
    (void)json_tree_free(tree);
}

static int read_event(const struct json_node *root, struct object_lambda_event *event)
{
    const struct json_node *get = inside(root, "getObjectContext", JSON_NODE_OBJECT);
    const struct json_node *head = inside(root, "headObjectContext", JSON_NODE_OBJECT);
    const struct json_node *user = inside(root, "userRequest", JSON_NODE_OBJECT);
    const struct json_node *headers = inside(user, "headers", JSON_NODE_OBJECT);
    const struct json_node *configuration = inside(root, "configuration", JSON_NODE_OBJECT);

    if ((get == NULL) == (head == NULL) || headers == NULL)
        return -EBADMSG;
    event->head = head != NULL;
    event->url = text_at(event->head ? head : get, "inputS3Url");
    event->route = text_at(get, "outputRoute");
    event->token = text_at(get, "outputToken");
    if (event->url[0] == '\0' ||
        (!event->head && (event->route[0] == '\0' || event->token[0] == '\0' ||
                          strpbrk(event->token, "\r\n") != NULL)))
        return -EBADMSG;
    const char *range = header_of(headers, "range", strlen("range"));
    event->range = range != NULL ? range : "";
    take_key(event, text_at(user, "url"));
    take_payload(event, text_at(configuration, "payload"));
    return take_signed(event, headers);
}

int object_lambda_event_read(const char *json, size_t length, struct object_lambda_event *ret_event)
{
    struct object_lambda_event event = {.head = false};
    char problem[128];

    *ret_event = event;
    int r = json_tree_parse(json, length, &event.tree, problem);
    if (r < 0)
        return r;
    r = read_event(json_tree_root(event.tree), &event);
    if (r < 0)
        (void)json_tree_free(event.tree);
    else
        *ret_event = event;
    return r;
}

void object_lambda_event_done(struct object_lambda_event *event)
{
    event->tree = json_tree_free(event->tree);
}

/* ---- ranges ---- */

static int number_until(const char *text, char end, uint64_t *ret_value, const char **ret_rest)
{
    char digits[24];
    size_t length = strspn(text, "0123456789");

    if (length == 0 || text[length] != end ||
        text_format(digits, sizeof digits, "%.*s", (int)MIN(length, sizeof digits), text) < 0 ||
        text_parse_u64(digits, ret_value) < 0)
        return -EINVAL;
    *ret_rest = text + length;
    return 0;
}

int object_lambda_range(const char *text, uint64_t size, uint64_t *ret_first, uint64_t *ret_length)
{
    uint64_t first = 0, last = UINT64_MAX;
    const char *rest;

    if (!text_starts_with(text, "bytes="))
        return -EINVAL;
    text += strlen("bytes=");
    if (*text == '-') {
        if (number_until(text + 1, '\0', &last, &rest) < 0)
            return -EINVAL;
        if (last == 0 || size == 0)
            return -ERANGE;
        *ret_length = MIN(last, size);
        *ret_first = size - *ret_length;
        return 0;
    }
    if (number_until(text, '-', &first, &rest) < 0)
        return -EINVAL;
    if (rest[1] != '\0' && number_until(rest + 1, '\0', &last, &rest) < 0)
        return -EINVAL;
    if (last < first)
        return -EINVAL;
    if (first >= size)
        return -ERANGE;
    *ret_first = first;
    *ret_length = MIN(last, size - 1) - first + 1;
    return 0;
}

/* ---- where it leads ---- */

bool object_lambda_url_is_s3(const char *url, const char *endpoint)
{
    static const char *const ends[] = {".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu",
                                       ".c2s.ic.gov",    ".sc2s.sgov.gov",    ".api.aws"};
    size_t endpoint_length = strlen(endpoint);
    char host[512];

    if (endpoint_length > 0 && strncmp(url, endpoint, endpoint_length) == 0 &&
        (url[endpoint_length] == '/' || endpoint[endpoint_length - 1] == '/'))
        return true;
    if (!text_starts_with(url, "https://"))
        return false;
    url += strlen("https://");
    size_t length = strspn(url, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-");
    if (url[length] != '/' || text_format(host, sizeof host, "%.*s", (int)length, url) < 0)
        return false;
    for (size_t i = 0; i < ARRAY_LENGTH(ends); i++)
        if (text_ends_with(host, ends[i]))
            return true;
    return false;
}
