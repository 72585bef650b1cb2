/* Owns the webhook: a POST of {"events": [...]} with the time and HMAC-SHA256 of time, a dot and
 * the body, so that the receiver can tell who sent it and when. 2xx takes it; 400, 413 and 422
 * refuse what is in it; all else is tried again. */
#include "common/http_client/http_client.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "console/forward/address_guard.h"
#include "console/forward/sink.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_NS     (10 * NS_PER_SECOND)
#define BODY_MAXIMUM   (8 * 1024 * 1024)
#define ANSWER_MAXIMUM 65536
#define MAC_BYTES      32

struct webhook {
    struct sink sink;
    struct http_client *client;
    char url[2048];
    char key[257];
};

static void close_webhook(struct sink *sink)
{
    struct webhook *webhook = (struct webhook *)sink;
    (void)http_client_free(webhook->client);
    OPENSSL_cleanse(webhook, sizeof(*webhook));
    free(webhook);
}

static int open_webhook(const struct destination *destination, struct sink **ret_sink,
                        char problem[static SINK_PROBLEM_BYTES])
{
    struct http_trust trust = {.authority = destination->authority};
    struct webhook *webhook = calloc(1, sizeof(*webhook));
    if (!webhook)
        return -ENOMEM;
    (void)text_copy(webhook->url, sizeof(webhook->url), destination->url);
    (void)text_copy(webhook->key, sizeof(webhook->key), destination->key);
    int r = http_client_new(&trust, &webhook->client);
    if (r == 0)
        r = http_client_set_proxy(webhook->client, "", "*"); /* a proxy would resolve the name */
    if (r < 0) {
        (void)text_copy(problem, SINK_PROBLEM_BYTES, "the authority cannot be read");
        close_webhook(&webhook->sink);
        return r;
    }
    http_client_guard_addresses(webhook->client, address_is_allowed);
    *ret_sink = &webhook->sink;
    return 0;
}

static int sign(const char *key, const char *time, const struct buffer *body,
                char ret_text[static 2 * MAC_BYTES + 4])
{
    uint8_t mac[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    AUTO_BUFFER struct buffer signed_text = BUFFER_WITH_MAXIMUM(BODY_MAXIMUM + 64);
    int r = buffer_append_format(&signed_text, "%s.", time);
    if (r == 0)
        r = buffer_append(&signed_text, body->data, body->length);
    if (r < 0)
        return r;
    if (!HMAC(EVP_sha256(), key, (int)strlen(key), (const uint8_t *)signed_text.data,
              signed_text.length, mac, &length) ||
        length != MAC_BYTES)
        return -EIO;
    memcpy(ret_text, "v1=", 3);
    text_hex(ret_text + 3, mac, MAC_BYTES);
    return 0;
}

static bool refuses_content(long status)
{
    return status == 400 || status == 413 || status == 422;
}

static void post(struct webhook *webhook, const struct buffer *body, struct sink_outcome *outcome)
{
    char time[32], signature[2 * MAC_BYTES + 4];
    struct http_answer answer;
    (void)text_format(time, sizeof(time), "%llu",
                      (unsigned long long)(clock_realtime_ns() / NS_PER_SECOND));
    outcome->error = sign(webhook->key, time, body, signature);
    if (outcome->error < 0)
        return;
    const struct http_header headers[] = {{"X-Yagura-Timestamp", time},
                                          {"X-Yagura-Signature", signature}};
    const struct http_request request = {.method = "POST",
                                         .url = webhook->url,
                                         .headers = headers,
                                         .header_count = ARRAY_LENGTH(headers),
                                         .content_type = "application/json",
                                         .body = body->data,
                                         .body_length = body->length,
                                         .connect_timeout_ns = TIMEOUT_NS,
                                         .timeout_ns = TIMEOUT_NS,
                                         .maximum_answer = ANSWER_MAXIMUM};
    int r = http_client_perform(webhook->client, &request, &answer);
    if (r < 0) {
        outcome->error = r == -EBADMSG ? -EIO : r;
        (void)text_copy(outcome->problem, sizeof(outcome->problem), answer.problem);
    } else if (answer.status < 200 || answer.status > 299) {
        outcome->error = refuses_content(answer.status) ? -EBADMSG : -EAGAIN;
        outcome->wait_s = answer.retry_after_s;
        (void)text_format(outcome->problem, sizeof(outcome->problem), "it answered %ld",
                          answer.status);
    }
    http_answer_done(&answer);
}

static int append_events(struct buffer *body, const struct sink_event *events, size_t count)
{
    int r = buffer_append_text(body, "{\"events\":[");
    for (size_t i = 0; r == 0 && i < count; i++) {
        r = i ? buffer_append_text(body, ",") : 0;
        if (r == 0)
            r = buffer_append_text(body, events[i].json);
    }
    return r < 0 ? r : buffer_append_text(body, "]}");
}

/* What was refused together is sent one by one, to find the event that is meant. */
static void send_webhook(struct sink *sink, const struct sink_event *events, size_t count,
                         struct sink_outcome *outcome)
{
    struct webhook *webhook = (struct webhook *)sink;
    size_t at_once = count;
    while (outcome->sent < count) {
        AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(BODY_MAXIMUM);
        outcome->error = append_events(&body, events + outcome->sent, at_once);
        if (outcome->error == 0)
            post(webhook, &body, outcome);
        if (outcome->error == -EBADMSG && at_once > 1) {
            at_once = 1;
            continue;
        }
        if (outcome->error < 0)
            return;
        outcome->sent += at_once;
    }
}

const struct sink_kind WEBHOOK_SINK = {open_webhook, send_webhook, close_webhook};
