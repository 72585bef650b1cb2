/* The webhook. Owns: its secret, and what an answer means. */
#include "storage/actions/webhook.h"

#include "common/buffers/buffer.h"
#include "common/crypto/hash.h"
#include "common/http_client/http_client.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

#define TIMEOUT_NS     (20 * NS_PER_SECOND)
#define ANSWER_MAXIMUM 65536
#define TEXT_MAXIMUM   (1024 * 1024)

struct webhook {
    struct http_client *http;
    char *url, *secret;
};

struct webhook *webhook_free(struct webhook *webhook)
{
    if (webhook == NULL)
        return NULL;
    (void)http_client_free(webhook->http);
    if (webhook->secret != NULL)
        explicit_bzero(webhook->secret, strlen(webhook->secret));
    free(webhook->secret);
    free(webhook->url);
    free(webhook);
    return NULL;
}

static bool is_own_host(const char *url)
{
    return text_starts_with(url, "http://127.0.0.1:") || text_starts_with(url, "http://[::1]:") ||
           text_starts_with(url, "http://localhost:");
}

int webhook_new(const char *url, const char *pin, const char *secret, struct webhook **ret_webhook)
{
    const struct http_trust trust = {.pin = pin};
    struct webhook *webhook;

    if ((!text_starts_with(url, "https://") && !is_own_host(url)) || secret[0] == '\0')
        return -EINVAL;
    webhook = calloc(1, sizeof *webhook);
    if (webhook == NULL)
        return -ENOMEM;
    webhook->url = text_new(url, strlen(url));
    webhook->secret = text_new(secret, strlen(secret));
    int r = webhook->url == NULL || webhook->secret == NULL
                ? -ENOMEM
                : http_client_new(&trust, &webhook->http);
    if (r < 0) {
        (void)webhook_free(webhook);
        return r;
    }
    if (is_own_host(url))
        http_client_allow_plain(webhook->http);
    *ret_webhook = webhook;
    return 0;
}

int webhook_sign(const char *secret, const char *time, const char *text, size_t length,
                 char ret_signature[static WEBHOOK_SIGNATURE_BYTES])
{
    AUTO_BUFFER struct buffer signed_text = BUFFER_WITH_MAXIMUM(TEXT_MAXIMUM);
    uint8_t mac[SHA256_BYTES];
    size_t mac_length;

    (void)buffer_append_format(&signed_text, "%s.", time);
    int r = buffer_append(&signed_text, text, length);
    if (r < 0)
        return r;
    if (EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, secret, strlen(secret),
                  (const unsigned char *)signed_text.data, signed_text.length, mac, sizeof mac,
                  &mac_length) == NULL)
        return -ENOMEM;
    memcpy(ret_signature, "v1=", 3);
    text_hex(ret_signature + 3, mac, sizeof mac);
    return 0;
}

static bool refuses_content(long status)
{
    return status == 400 || status == 413 || status == 422;
}

int webhook_send(struct webhook *webhook, const char *text, size_t length, char *problem,
                 size_t problem_size)
{
    char time[32], signature[WEBHOOK_SIGNATURE_BYTES];
    struct http_answer answer;

    (void)text_format(time, sizeof time, "%llu",
                      (unsigned long long)(clock_realtime_ns() / NS_PER_SECOND));
    if (webhook_sign(webhook->secret, time, text, length, signature) < 0) {
        (void)text_copy(problem, problem_size, "memory is short");
        return -EAGAIN;
    }
    const struct http_header headers[] = {{"X-Yagura-Timestamp", time},
                                          {"X-Yagura-Signature", signature}};
    const struct http_request request = {.method = "POST",
                                         .url = webhook->url,
                                         .headers = headers,
                                         .header_count = ARRAY_LENGTH(headers),
                                         .content_type = "application/json",
                                         .body = text,
                                         .body_length = length,
                                         .timeout_ns = TIMEOUT_NS,
                                         .maximum_answer = ANSWER_MAXIMUM};
    int r = http_client_perform(webhook->http, &request, &answer);
    long status = answer.status;
    (void)text_copy(problem, problem_size, answer.problem);
    http_answer_done(&answer);
    if (r < 0)
        return -EAGAIN;
    if (status >= 200 && status <= 299)
        return 0;
    (void)text_format(problem, problem_size, "the webhook answered %ld", status);
    return refuses_content(status) ? -EBADMSG : -EAGAIN;
}
