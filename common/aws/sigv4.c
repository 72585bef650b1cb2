/* Signature Version 4. Owns: the canonical form of a request. Must not own: sending it, or where
 * credentials come from. Hands off: header values. */
#include "common/aws/sigv4.h"

#include "common/crypto/hash.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#define MOST_CANONICAL_BYTES (256 * 1024)
#define SCOPE_BYTES          128
#define SIGV4_LONGEST_LINK_S 604800

static bool is_unreserved(unsigned char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '-' || byte == '.' || byte == '_' || byte == '~';
}

/* What stays is appended as long as it lasts: messages are long, and are signed each. */
static void append_encoded(struct buffer *out, const char *text, char stays, bool blank_is_plus)
{
    static const char digits[] = "0123456789ABCDEF";

    for (const char *run = text; *run != '\0'; run = text) {
        while (is_unreserved((unsigned char)*text) || (*text == stays && *text != '\0'))
            text++;
        (void)buffer_append(out, run, (size_t)(text - run));
        if (*text == '\0')
            return;
        unsigned char byte = (unsigned char)*text++;
        const char code[] = {'%', digits[byte >> 4], digits[byte & 15]};
        if (byte == ' ' && blank_is_plus)
            (void)buffer_append(out, "+", 1);
        else
            (void)buffer_append(out, code, sizeof code);
    }
}

void sigv4_append_encoded(struct buffer *out, const char *text, bool slash_stays)
{
    append_encoded(out, text, slash_stays ? '/' : '\0', false);
}

void sigv4_append_form(struct buffer *out, const char *text)
{
    append_encoded(out, text, '\0', true);
}

static int compare_names(const void *a, const void *b)
{
    const struct aws_pair *left = a, *right = b;
    int order = strcmp(left->name, right->name);

    return order != 0 ? order : strcmp(left->value, right->value);
}

/* Sorted by encoded name, then by encoded value. */
static int append_query(struct buffer *out, const struct sigv4_request *request)
{
    struct aws_pair sorted[SIGV4_MOST_QUERY];
    struct buffer names[SIGV4_MOST_QUERY], values[SIGV4_MOST_QUERY];
    size_t count = request->query_count;
    int r = 0;

    if (count > SIGV4_MOST_QUERY)
        return -E2BIG;
    for (size_t i = 0; i < count; i++) {
        names[i] = BUFFER_WITH_MAXIMUM(MOST_CANONICAL_BYTES);
        values[i] = BUFFER_WITH_MAXIMUM(MOST_CANONICAL_BYTES);
        sigv4_append_encoded(&names[i], request->query[i].name, false);
        sigv4_append_encoded(&values[i], request->query[i].value, false);
        if (r == 0)
            r = MIN(buffer_failed(&names[i]), buffer_failed(&values[i]));
        sorted[i] = (struct aws_pair){buffer_text(&names[i]), buffer_text(&values[i])};
    }
    qsort(sorted, count, sizeof sorted[0], compare_names);
    for (size_t i = 0; i < count; i++)
        (void)buffer_append_format(out, "%s%s=%s", i > 0 ? "&" : "", sorted[i].name,
                                   sorted[i].value);
    for (size_t i = 0; i < count; i++) {
        buffer_done(&names[i]);
        buffer_done(&values[i]);
    }
    return r;
}

/* A header name in lower case and its value, blanks trimmed and runs of them made one. */
static void append_header_value(struct buffer *out, const char *value)
{
    bool blank = false;

    for (value += strspn(value, " \t"); *value != '\0'; value++) {
        if (*value == ' ' || *value == '\t') {
            blank = true;
            continue;
        }
        if (blank)
            (void)buffer_append_text(out, " ");
        blank = false;
        (void)buffer_append(out, value, 1);
    }
}

struct header_list {
    struct aws_pair pairs[SIGV4_MOST_HEADERS + 4];
    char names[SIGV4_MOST_HEADERS + 4][64]; /* lower case */
    size_t count;
};

static int add_header(struct header_list *list, const char *name, const char *value)
{
    if (list->count == ARRAY_LENGTH(list->pairs))
        return -E2BIG;
    char *lower = list->names[list->count];
    int r = text_copy(lower, sizeof list->names[0], name);
    for (char *c = lower; *c != '\0'; c++)
        *c = (char)tolower((unsigned char)*c);
    list->pairs[list->count++] = (struct aws_pair){lower, value};
    return r;
}

static int collect_headers(struct header_list *list, const struct sigv4_request *request,
                           const struct aws_credentials *credentials,
                           const struct sigv4_signature *signature)
{
    int r = add_header(list, "host", request->host);

    if (r == 0)
        r = add_header(list, "x-amz-date", signature->date);
    if (r == 0 && signature->content_hash[0] != '\0')
        r = add_header(list, "x-amz-content-sha256", signature->content_hash);
    if (r == 0 && credentials->session_token != NULL)
        r = add_header(list, "x-amz-security-token", credentials->session_token);
    for (size_t i = 0; r == 0 && i < request->header_count; i++)
        r = add_header(list, request->headers[i].name, request->headers[i].value);
    qsort(list->pairs, list->count, sizeof list->pairs[0], compare_names);
    return r;
}

static void append_signed_names(struct buffer *out, const struct header_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        (void)buffer_append_format(out, "%s%s", i > 0 ? ";" : "", list->pairs[i].name);
}

static int hash_hex(const void *bytes, size_t length, char hex[static SIGV4_HASH_BYTES])
{
    uint8_t digest[SHA256_BYTES];

    int r = hash_sha256(bytes, length, digest);
    if (r == 0)
        text_hex(hex, digest, sizeof digest);
    return r;
}

static int append_canonical_request(struct buffer *out, const struct sigv4_request *request,
                                    const struct header_list *list, const char *payload_hash)
{
    (void)buffer_append_format(out, "%s\n", request->method);
    sigv4_append_encoded(out, request->path, true);
    (void)buffer_append_text(out, "\n");
    int r = append_query(out, request);
    (void)buffer_append_text(out, "\n");
    for (size_t i = 0; i < list->count; i++) {
        (void)buffer_append_format(out, "%s:", list->pairs[i].name);
        append_header_value(out, list->pairs[i].value);
        (void)buffer_append_text(out, "\n");
    }
    (void)buffer_append_text(out, "\n");
    append_signed_names(out, list);
    (void)buffer_append_format(out, "\n%s", payload_hash);
    return r < 0 ? r : buffer_failed(out);
}

static int hmac(const void *key, size_t key_length, const char *text,
                uint8_t ret_digest[static SHA256_BYTES])
{
    size_t length;

    return EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key, key_length,
                     (const unsigned char *)text, strlen(text), ret_digest, SHA256_BYTES,
                     &length) != NULL
               ? 0
               : -ENOMEM;
}

/* The key of a day, region and service, and with it the signature. */
static int make_signature(const struct sigv4_request *request,
                          const struct aws_credentials *credentials, const char *date,
                          const char *string_to_sign, char hex[static SIGV4_HASH_BYTES])
{
    AUTO_BUFFER struct buffer secret = BUFFER_WITH_MAXIMUM(512);
    const char *const parts[] = {date, request->region, request->service, "aws4_request",
                                 string_to_sign};
    uint8_t digest[SHA256_BYTES];

    int r = buffer_append_format(&secret, "AWS4%s", credentials->secret_access_key);
    if (r == 0)
        r = hmac(buffer_text(&secret), secret.length, parts[0], digest);
    for (size_t i = 1; r == 0 && i < ARRAY_LENGTH(parts); i++)
        r = hmac(digest, sizeof digest, parts[i], digest);
    if (secret.data != NULL)
        explicit_bzero(secret.data, secret.capacity);
    if (r == 0)
        text_hex(hex, digest, sizeof digest);
    explicit_bzero(digest, sizeof digest);
    return r;
}

static int format_date(char text[static SIGV4_DATE_BYTES], uint64_t time_ns)
{
    time_t seconds = (time_t)(time_ns / NS_PER_SECOND);
    struct tm utc;

    if (gmtime_r(&seconds, &utc) == NULL ||
        strftime(text, SIGV4_DATE_BYTES, "%Y%m%dT%H%M%SZ", &utc) == 0)
        return -ERANGE;
    return 0;
}

/* day, region, service */
static int format_scope(char scope[static SCOPE_BYTES], const struct sigv4_request *request,
                        const char *date)
{
    int r = text_format(scope, SCOPE_BYTES, "%.8s/%s/%s/aws4_request", date, request->region,
                        request->service);

    return r < 0 ? r : 0;
}

static int sign_hash(const struct sigv4_request *request, const struct aws_credentials *credentials,
                     const char *date, const char *canonical_hash,
                     char hex[static SIGV4_HASH_BYTES])
{
    char scope[SCOPE_BYTES], day[9], text[512];

    (void)text_copy(day, sizeof day, date); /* the first eight characters */
    int r = format_scope(scope, request, date);
    if (r < 0)
        return r;
    r = text_format(text, sizeof text, "AWS4-HMAC-SHA256\n%s\n%s\n%s", date, scope, canonical_hash);
    if (r < 0)
        return r;
    return make_signature(request, credentials, day, text, hex);
}

static int write_authorization(const struct sigv4_request *request,
                               const struct aws_credentials *credentials,
                               const struct header_list *list, const char *canonical_hash,
                               struct sigv4_signature *signature)
{
    char scope[SCOPE_BYTES], hex[SIGV4_HASH_BYTES];

    int r = sign_hash(request, credentials, signature->date, canonical_hash, hex);
    if (r < 0)
        return r;
    r = format_scope(scope, request, signature->date);
    if (r < 0)
        return r;
    (void)buffer_append_format(&signature->authorization,
                               "AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=",
                               credentials->access_key_id, scope);
    append_signed_names(&signature->authorization, list);
    return buffer_append_format(&signature->authorization, ", Signature=%s", hex);
}

static int write_target(const struct sigv4_request *request, struct buffer *target)
{
    sigv4_append_encoded(target, request->path, true);
    if (request->query_count > 0)
        (void)buffer_append_text(target, "?");
    int r = append_query(target, request);
    return r < 0 ? r : buffer_failed(target);
}

int sigv4_sign(const struct sigv4_request *request, const struct aws_credentials *credentials,
               struct sigv4_signature *ret_signature)
{
    struct sigv4_signature signature = {
        .target = BUFFER_WITH_MAXIMUM(MOST_CANONICAL_BYTES),
        .authorization = BUFFER_WITH_MAXIMUM(MOST_CANONICAL_BYTES),
    };
    AUTO_BUFFER struct buffer canonical = BUFFER_WITH_MAXIMUM(MOST_CANONICAL_BYTES);
    struct header_list headers = {.count = 0};
    char payload_hash[SIGV4_HASH_BYTES], canonical_hash[SIGV4_HASH_BYTES];
    bool hash_is_sent = request->unsigned_payload || text_equal(request->service, "s3");

    int r = format_date(signature.date, request->time_ns);
    if (r == 0 && request->unsigned_payload)
        r = text_copy(payload_hash, sizeof payload_hash, "UNSIGNED-PAYLOAD");
    else if (r == 0)
        r = hash_hex(request->body, request->body_length, payload_hash);
    if (r == 0 && hash_is_sent)
        r = text_copy(signature.content_hash, sizeof signature.content_hash, payload_hash);
    if (r == 0)
        r = collect_headers(&headers, request, credentials, &signature);
    if (r == 0)
        r = append_canonical_request(&canonical, request, &headers, payload_hash);
    if (r == 0)
        r = hash_hex(buffer_text(&canonical), canonical.length, canonical_hash);
    if (r == 0)
        r = write_authorization(request, credentials, &headers, canonical_hash, &signature);
    if (r == 0)
        r = write_target(request, &signature.target);
    if (r < 0) {
        sigv4_signature_done(&signature);
        return r;
    }
    *ret_signature = signature;
    return 0;
}

/* ---- links ---- */

static int add_query(struct aws_pair *query, size_t *count, const char *name, const char *value)
{
    if (*count == SIGV4_MOST_QUERY)
        return -E2BIG;
    query[(*count)++] = (struct aws_pair){name, value};
    return 0;
}

/* The request with what a link says of itself added to its query. */
static int complete_query(const struct sigv4_request *request,
                          const struct aws_credentials *credentials, const char *credential,
                          const char *date, const char *expires,
                          struct aws_pair query[static SIGV4_MOST_QUERY], size_t *ret_count)
{
    const struct aws_pair own[] = {
        {"X-Amz-Algorithm", "AWS4-HMAC-SHA256"},
        {"X-Amz-Credential", credential},
        {"X-Amz-Date", date},
        {"X-Amz-Expires", expires},
        {"X-Amz-SignedHeaders", "host"},
        {"X-Amz-Security-Token", credentials->session_token},
    };
    size_t count = 0;
    int r = 0;

    for (size_t i = 0; r == 0 && i < request->query_count; i++)
        r = add_query(query, &count, request->query[i].name, request->query[i].value);
    for (size_t i = 0; r == 0 && i < ARRAY_LENGTH(own); i++)
        if (own[i].value != NULL)
            r = add_query(query, &count, own[i].name, own[i].value);
    *ret_count = count;
    return r;
}

static int sign_link(const struct sigv4_request *request, const struct aws_credentials *credentials,
                     const char *date, struct buffer *target)
{
    AUTO_BUFFER struct buffer canonical = BUFFER_WITH_MAXIMUM(MOST_CANONICAL_BYTES);
    struct header_list headers = {.count = 0};
    char canonical_hash[SIGV4_HASH_BYTES], hex[SIGV4_HASH_BYTES];

    int r = add_header(&headers, "host", request->host);
    if (r == 0)
        r = append_canonical_request(&canonical, request, &headers, "UNSIGNED-PAYLOAD");
    if (r == 0)
        r = hash_hex(buffer_text(&canonical), canonical.length, canonical_hash);
    if (r == 0)
        r = sign_hash(request, credentials, date, canonical_hash, hex);
    if (r == 0)
        r = write_target(request, target);
    return r < 0 ? r : buffer_append_format(target, "&X-Amz-Signature=%s", hex);
}

int sigv4_presign(const struct sigv4_request *request, const struct aws_credentials *credentials,
                  uint32_t expires_s, struct buffer *target)
{
    struct aws_pair query[SIGV4_MOST_QUERY];
    struct sigv4_request link = *request;
    char date[SIGV4_DATE_BYTES], scope[SCOPE_BYTES], credential[SCOPE_BYTES + 160], expires[12];

    if (expires_s == 0 || expires_s > SIGV4_LONGEST_LINK_S || request->header_count > 0)
        return -EINVAL;
    int r = format_date(date, request->time_ns);
    if (r == 0)
        r = format_scope(scope, request, date);
    if (r < 0)
        return r;
    r = text_format(credential, sizeof credential, "%s/%s", credentials->access_key_id, scope);
    if (r < 0)
        return r;
    (void)text_format(expires, sizeof expires, "%u", expires_s);
    r = complete_query(request, credentials, credential, date, expires, query, &link.query_count);
    if (r < 0)
        return r;
    link.query = query;
    return sign_link(&link, credentials, date, target);
}

void sigv4_signature_done(struct sigv4_signature *signature)
{
    buffer_done(&signature->target);
    buffer_done(&signature->authorization);
}
