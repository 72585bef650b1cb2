/* Requests to the gate. Owns: their form, and who may make them. */
#include "storage/gate/gate_request.h"

#include "common/json/json_tree.h"
#include "common/text/text.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#define MOST_QUERY 16384

/* ---- the query ---- */

struct field {
    const char *name;
    char *text;
    size_t size;
    bool seen;
};

static int take_value(struct field *fields, size_t count, const char *name, const char *value)
{
    for (size_t i = 0; i < count; i++) {
        if (!text_equal(name, fields[i].name))
            continue;
        if (fields[i].seen)
            return -EBADMSG;
        fields[i].seen = true;
        return s3_decode_key(value, true, fields[i].text, fields[i].size) < 0 ? -EBADMSG : 0;
    }
    return text_starts_with(name, "X-Amz-") ? 0 : -EBADMSG;
}

/* Divides text, which is changed, at "&" and "=". */
static int take_pairs(char *text, struct field *fields, size_t count)
{
    for (char *pair = text, *next; pair != NULL && *pair != '\0'; pair = next) {
        next = strchr(pair, '&');
        if (next != NULL)
            *next++ = '\0';
        char *value = strchr(pair, '=');
        if (value == NULL)
            return -EBADMSG;
        *value++ = '\0';
        int r = take_value(fields, count, pair, value);
        if (r < 0)
            return r;
    }
    return 0;
}

int gate_request_read_query(const char *query, struct gate_request *request)
{
    char text[MOST_QUERY], expires[24] = "";
    struct field fields[] = {{"bucket", request->bucket, sizeof request->bucket, false},
                             {"key", request->key, sizeof request->key, false},
                             {"versionId", request->version, sizeof request->version, false},
                             {"expires", expires, sizeof expires, false},
                             {"token", request->token, sizeof request->token, false}};

    if (text_copy(text, sizeof text, query) < 0)
        return -EBADMSG;
    int r = take_pairs(text, fields, ARRAY_LENGTH(fields));
    if (r < 0)
        return r;
    if (expires[0] != '\0' && text_parse_u64(expires, &request->expires) < 0)
        return -EBADMSG;
    return request->bucket[0] != '\0' && request->key[0] != '\0' ? 0 : -EBADMSG;
}

/* ---- events ---- */

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

static int read_event(const struct json_node *root, struct gate_request *request)
{
    const struct json_node *context = inside(root, "requestContext", JSON_NODE_OBJECT);
    const struct json_node *http = inside(context, "http", JSON_NODE_OBJECT);
    const struct json_node *authorizer = inside(context, "authorizer", JSON_NODE_OBJECT);
    const struct json_node *iam = inside(authorizer, "iam", JSON_NODE_OBJECT);
    const char *method = text_at(http, "method");

    if (method[0] == '\0')
        return -EBADMSG;
    if (!text_equal(text_at(root, "rawPath"), GATE_PATH))
        return -ENOENT;
    if (!text_equal(method, "GET") && !text_equal(method, "HEAD"))
        return -EPERM;
    request->head = text_equal(method, "HEAD");
    request->identified = text_at(iam, "userArn")[0] != '\0';
    return gate_request_read_query(text_at(root, "rawQueryString"), request);
}

int gate_request_read_event(const char *json, size_t length, struct gate_request *ret_request)
{
    struct json_tree *tree = NULL;
    char problem[128];

    *ret_request = (struct gate_request){.head = false};
    int r = json_tree_parse(json, length, &tree, problem);
    if (r < 0)
        return r;
    r = read_event(json_tree_root(tree), ret_request);
    (void)json_tree_free(tree);
    return r;
}

/* ---- tokens ---- */

int gate_token_make(const char *secret, const char *bucket, const char *key, const char *version,
                    uint64_t expires, char ret_token[static SHA256_HEX_BYTES])
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(MOST_QUERY);
    uint8_t mac[SHA256_BYTES];
    size_t length;

    /* Each with its length, so that no two objects have one text. */
    int r =
        buffer_append_format(&text, "yagura-gate-1 %zu:%s %zu:%s %zu:%s %" PRIu64, strlen(bucket),
                             bucket, strlen(key), key, strlen(version), version, expires);
    if (r < 0)
        return r;
    if (EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, secret, strlen(secret),
                  (const unsigned char *)text.data, text.length, mac, sizeof mac, &length) == NULL)
        return -ENOMEM;
    text_hex(ret_token, mac, sizeof mac);
    return 0;
}

bool gate_request_is_allowed(const struct gate_request *request, const char *secret, uint64_t now_s)
{
    char token[SHA256_HEX_BYTES];

    if (request->identified)
        return true;
    if (secret[0] == '\0' || strlen(request->token) != sizeof token - 1 ||
        request->expires <= now_s || request->expires > now_s + GATE_LONGEST_LINK)
        return false;
    if (gate_token_make(secret, request->bucket, request->key, request->version, request->expires,
                        token) < 0)
        return false;
    return CRYPTO_memcmp(token, request->token, sizeof token) == 0;
}

int gate_request_write_link(const char *secret, const struct gate_request *request,
                            struct buffer *link)
{
    char token[SHA256_HEX_BYTES];

    int r = gate_token_make(secret, request->bucket, request->key, request->version,
                            request->expires, token);
    if (r < 0)
        return r;
    (void)buffer_append_format(link, GATE_PATH "?bucket=%s&key=", request->bucket);
    sigv4_append_encoded(link, request->key, false);
    if (request->version[0] != '\0') {
        (void)buffer_append_text(link, "&versionId=");
        sigv4_append_encoded(link, request->version, false);
    }
    return buffer_append_format(link, "&expires=%" PRIu64 "&token=%s", request->expires, token);
}
