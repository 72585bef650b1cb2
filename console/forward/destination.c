/* Owns what a destination's settings may be. Must not connect. */
#include "console/forward/destination.h"

#include "common/text/text.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#define PEM_MAXIMUM 12288
#define SYSLOG_PORT 6514
#define KEY_MINIMUM 16
#define KEY_MAXIMUM 256

static const char *const TYPES[] = {"syslog", "webhook", "sns"};

const char *destination_type_name(enum destination_type type)
{
    return TYPES[type];
}

int destination_type_parse(const char *name, enum destination_type *ret_type)
{
    for (size_t i = 0; i < ARRAY_LENGTH(TYPES); i++) {
        if (text_equal(TYPES[i], name)) {
            *ret_type = (enum destination_type)i;
            return 0;
        }
    }
    return -EINVAL;
}

static void read_pem(struct wire_reader *reader, const char *key, char **ret_pem)
{
    const char *pem = wire_read_text(reader, key, 0, PEM_MAXIMUM, "");
    if (reader->error || !pem[0])
        return;
    if (!strstr(pem, "-----BEGIN ")) {
        wire_fail(reader, "%s must be PEM", key);
        return;
    }
    *ret_pem = strdup(pem);
    if (!*ret_pem)
        reader->error = -ENOMEM;
}

static bool is_host(const char *text)
{
    size_t length = strlen(text);
    return length > 0 && text[0] != '-' && text[0] != '.' &&
           strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-:") ==
               length;
}

static void read_syslog(struct wire_reader *settings, struct wire_reader *secret,
                        struct destination *destination)
{
    static const char *const names[] = {"host", "port", "authority", NULL};
    static const char *const secrets[] = {"certificate", "key", NULL};
    wire_only(settings, names);
    wire_only(secret, secrets);
    const char *host = wire_read_text(settings, "host", 1, sizeof(destination->host) - 1, NULL);
    uint64_t port = json_object_get(settings->object, "port")
                        ? wire_read_number(settings, "port", false)
                        : SYSLOG_PORT;
    if (!settings->error && !is_host(host))
        wire_fail(settings, "host must be a name or an address");
    if (!settings->error && (port == 0 || port > UINT16_MAX))
        wire_fail(settings, "port must be 1 to 65535");
    (void)text_copy(destination->host, sizeof(destination->host), host ? host : "");
    destination->port = (uint16_t)port;
    read_pem(settings, "authority", &destination->authority);
    read_pem(secret, "certificate", &destination->certificate);
    read_pem(secret, "key", &destination->key);
    if (!secret->error && !destination->certificate != !destination->key)
        wire_fail(secret, "certificate and key come together");
}

/* https://HOST[:PORT]/...: no user, no fragment, no blanks, printable ASCII. */
static bool is_url(const char *url)
{
    if (!text_starts_with(url, "https://"))
        return false;
    for (const char *at = url; *at; at++)
        if (*at <= ' ' || *at >= 0x7f || *at == '#' || *at == '\\' || *at == '"')
            return false;
    const char *authority = url + strlen("https://");
    size_t length = strcspn(authority, "/?");
    return length > 0 && !memchr(authority, '@', length);
}

static void read_webhook(struct wire_reader *settings, struct wire_reader *secret,
                         struct destination *destination)
{
    static const char *const names[] = {"url", "authority", NULL};
    static const char *const secrets[] = {"key", NULL};
    wire_only(settings, names);
    wire_only(secret, secrets);
    const char *url = wire_read_text(settings, "url", 1, sizeof(destination->url) - 1, NULL);
    if (!settings->error && !is_url(url))
        wire_fail(settings, "url must be https://HOST/..., without user and fragment");
    (void)text_copy(destination->url, sizeof(destination->url), url ? url : "");
    read_pem(settings, "authority", &destination->authority);
    const char *key = wire_read_text(secret, "key", KEY_MINIMUM, KEY_MAXIMUM, NULL);
    destination->key = key ? strdup(key) : NULL;
}

/* arn:PARTITION:sns:REGION:ACCOUNT:NAME */
static bool read_region(const char *arn, char region[static AWS_REGION_BYTES])
{
    size_t part = 0;
    const char *at = arn;
    for (const char *end; (end = strchr(at, ':')); at = end + 1, part++) {
        size_t length = (size_t)(end - at);
        if ((part == 0 && strncmp(at, "arn:", 4) != 0) ||
            (part == 2 && strncmp(at, "sns:", 4) != 0))
            return false;
        if (part != 3)
            continue;
        if (length == 0 || length >= AWS_REGION_BYTES)
            return false;
        memcpy(region, at, length);
        region[length] = '\0';
    }
    return part == 5 && at[0] && aws_region_is_valid(region);
}

static void read_sns(struct wire_reader *settings, struct wire_reader *secret,
                     struct destination *destination)
{
    static const char *const names[] = {"topic_arn", NULL};
    static const char *const secrets[] = {"access_key_id", "secret_access_key", NULL};
    wire_only(settings, names);
    wire_only(secret, secrets);
    const char *arn =
        wire_read_text(settings, "topic_arn", 1, sizeof(destination->topic_arn) - 1, NULL);
    if (!settings->error && !read_region(arn, destination->region))
        wire_fail(settings, "topic_arn must be arn:aws:sns:REGION:ACCOUNT:NAME");
    (void)text_copy(destination->topic_arn, sizeof(destination->topic_arn), arn ? arn : "");
    (void)text_copy(destination->access_key_id, sizeof(destination->access_key_id),
                    wire_read_text(secret, "access_key_id", 0, AWS_KEY_ID_BYTES - 1, ""));
    (void)text_copy(destination->secret_access_key, sizeof(destination->secret_access_key),
                    wire_read_text(secret, "secret_access_key", 0, AWS_SECRET_BYTES - 1, ""));
    if (!secret->error && !destination->access_key_id[0] != !destination->secret_access_key[0])
        wire_fail(secret, "access_key_id and secret_access_key come together");
}

int destination_read(enum destination_type type, const json_t *settings, const json_t *secret,
                     struct destination *ret_destination, struct wire_problem *ret_problem)
{
    struct wire_reader of_settings = wire_reader_of(settings, ret_problem);
    struct wire_reader of_secret = wire_reader_of(secret, ret_problem);
    *ret_destination = (struct destination){.type = type};
    switch (type) {
    case DESTINATION_SYSLOG:
        read_syslog(&of_settings, &of_secret, ret_destination);
        break;
    case DESTINATION_WEBHOOK:
        read_webhook(&of_settings, &of_secret, ret_destination);
        break;
    case DESTINATION_SNS:
        read_sns(&of_settings, &of_secret, ret_destination);
        break;
    }
    return of_settings.error ? of_settings.error : of_secret.error;
}

static void wipe(char *text)
{
    if (text)
        OPENSSL_cleanse(text, strlen(text));
    free(text);
}

void destination_done(struct destination *destination)
{
    free(destination->authority);
    free(destination->certificate);
    wipe(destination->key);
    OPENSSL_cleanse(destination, sizeof(*destination));
}
