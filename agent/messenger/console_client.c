/* The agent API of the console. Owns: URLs, time limits, and what a status code means to us. */
#include "agent/messenger/console_client.h"

#include "common/crypto/certificates.h"
#include "common/crypto/csr.h"
#include "common/crypto/keys.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "common/wire/wire.h"

#include <errno.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <string.h>

#define EXCHANGE_TIMEOUT_NS (60 * NS_PER_SECOND)
#define WAIT_GRACE_NS       (20 * NS_PER_SECOND) /* for a console that ends a wait late */

struct console_client {
    struct http_client *http;
    char url[LINK_TEXT_BYTES];
};

int console_client_new(const struct link_settings *settings, const struct link_identity *identity,
                       struct console_client **ret_client)
{
    const struct http_trust trust = {
        .pin = settings->pin,
        .authority = identity != NULL ? identity->authority : NULL,
        .certificate = identity != NULL ? identity->certificate : NULL,
        .key = identity != NULL ? identity->key : NULL,
    };
    struct console_client *client = calloc(1, sizeof *client);
    if (client == NULL)
        return -ENOMEM;
    (void)text_copy(client->url, sizeof client->url, settings->url);
    for (size_t length = strlen(client->url); length > 0 && client->url[length - 1] == '/';)
        client->url[--length] = '\0';
    int r = http_client_new(&trust, &client->http);
    if (r == 0) /* never what some environment says */
        r = http_client_set_proxy(client->http, settings->proxy, "");
    if (r < 0) {
        (void)console_client_free(client);
        return r;
    }
    *ret_client = client;
    return 0;
}

struct console_client *console_client_free(struct console_client *client)
{
    if (client == NULL)
        return NULL;
    (void)http_client_free(client->http);
    free(client);
    return NULL;
}

/* ---- outcomes ---- */

static enum console_outcome outcome_of_status(long status)
{
    if (status >= 200 && status < 300)
        return CONSOLE_OK;
    switch (status) {
    case 401:
        return CONSOLE_UNKNOWN;
    case 404:
        return CONSOLE_NOTHING;
    case 409:
        return CONSOLE_CLONE;
    case 410:
        return CONSOLE_GONE;
    case 408:
    case 429:
        return CONSOLE_BUSY;
    default:
        return status >= 500 ? CONSOLE_BUSY : CONSOLE_REFUSED;
    }
}

/* The "detail" or "title" of a problem+json, as text for a person. The server's words, escaped. */
static void read_problem(const struct http_answer *answer, struct console_result *result)
{
    json_t *problem =
        json_loadb(buffer_text(&answer->body), answer->body.length, JSON_REJECT_DUPLICATES, NULL);
    const char *words = json_string_value(json_object_get(problem, "detail"));

    if (words == NULL)
        words = json_string_value(json_object_get(problem, "title"));
    char shown[LINK_TEXT_BYTES - 64];
    (void)text_escape(shown, sizeof shown, words != NULL ? words : "",
                      words != NULL ? strlen(words) : 0);
    (void)text_format(result->problem, sizeof result->problem, "the console answered %ld: %s",
                      answer->status, shown);
    json_decref(problem);
}

static void read_failure(int error, const struct http_answer *answer, struct console_result *result)
{
    bool untrusted = error == -EKEYREJECTED;
    /* OpenSSL's words for a date that does not fit. */
    bool by_date = strstr(answer->problem, "not yet valid") != NULL ||
                   strstr(answer->problem, "expired") != NULL;
    bool by_pin = strstr(answer->problem, "pinned") != NULL;

    result->outcome = untrusted ? CONSOLE_UNTRUSTED : CONSOLE_UNREACHABLE;
    if (!untrusted)
        (void)text_format(result->problem, sizeof result->problem,
                          "the console cannot be reached: %s", answer->problem);
    else
        (void)text_format(result->problem, sizeof result->problem,
                          "the console's certificate is not trusted (%s): %s", answer->problem,
                          by_date  ? "correct this host's clock, or renew the certificate"
                          : by_pin ? "give the pin that yagura-console pin prints there"
                                   : "give the pin of its CA, or correct the URL");
}

struct call {
    const char *method, *path;
    const char *content_type; /* NULL: JSON */
    const char *body;         /* NULL: none */
    size_t length;
    const struct http_header *header; /* NULL: none */
    size_t most;                      /* bytes of the answer; 0: as of a document */
};

static void read_result(int error, const struct http_answer *answer, struct console_result *result)
{
    *result = (struct console_result){.outcome = CONSOLE_OK};
    if (error < 0) {
        read_failure(error, answer, result);
        return;
    }
    result->outcome = outcome_of_status(answer->status);
    result->retry_after_ns = MIN(answer->retry_after_s, 86400U) * NS_PER_SECOND;
    if (result->outcome != CONSOLE_OK)
        read_problem(answer, result);
}

/* One exchange; the answer's body goes to ret_body. */
static void perform(struct console_client *client, const struct call *call, struct buffer *ret_body,
                    struct console_result *result)
{
    char url[LINK_TEXT_BYTES + 64];
    struct http_answer answer;
    struct http_request request = {
        .method = call->method,
        .url = url,
        .content_type = call->content_type,
        .body = call->body,
        .body_length = call->length,
        .timeout_ns = EXCHANGE_TIMEOUT_NS,
        .headers = call->header,
        .header_count = call->header != NULL ? 1 : 0,
        /* Also what a problem says has room. */
        .maximum_answer = call->most > 0 ? call->most + 4096 : LIMIT_SIGNED_DOCUMENT_BYTES,
    };

    *ret_body = BUFFER_WITH_MAXIMUM(LIMIT_SIGNED_DOCUMENT_BYTES);
    (void)text_format(url, sizeof url, "%s%s", client->url, call->path);
    int r = http_client_perform(client->http, &request, &answer);
    read_result(r, &answer, result);
    if (result->outcome == CONSOLE_OK) {
        *ret_body = answer.body;
        answer.body = BUFFER_WITH_MAXIMUM(0);
    }
    http_answer_done(&answer);
}

static void exchange(struct console_client *client, const char *method, const char *path,
                     const struct buffer *body, struct buffer *ret_body,
                     struct console_result *result)
{
    const struct call call = {
        .method = method,
        .path = path,
        .body = body != NULL ? buffer_text(body) : NULL,
        .length = body != NULL ? body->length : 0,
    };

    perform(client, &call, ret_body, result);
}

static void refuse_answer(struct console_result *result, const char *what)
{
    result->outcome = CONSOLE_BUSY;
    (void)text_format(result->problem, sizeof result->problem,
                      "the console's answer is not understood (%s): update the older side", what);
}

/* ---- keys ---- */

/* A fresh key in key_pem, and its signing request, freed by the caller. */
static int make_request(char key_pem[static LINK_PEM_BYTES], char **ret_csr)
{
    AUTO_KEY EVP_PKEY *key = NULL;
    char *pem = NULL;

    int r = key_new_p256(&key);
    if (r == 0)
        r = key_to_pem(key, &pem);
    if (r == 0)
        r = text_copy(key_pem, LINK_PEM_BYTES, pem);
    if (r == 0)
        r = csr_new(key, ret_csr);
    if (pem != NULL)
        OPENSSL_cleanse(pem, strlen(pem));
    free(pem);
    return r;
}

static bool fits(char *field, size_t size, const char *text)
{
    return text_copy(field, size, text) == 0;
}

static bool take_reply(const struct wire_activation_reply *reply, struct link_identity *identity)
{
    identity->heartbeat_seconds = (uint32_t)MIN(reply->heartbeat_seconds, 86400U);
    return fits(identity->agent_id, sizeof identity->agent_id, reply->agent_id) &&
           fits(identity->certificate, sizeof identity->certificate, reply->certificate) &&
           fits(identity->authority, sizeof identity->authority, reply->authority) &&
           fits(identity->signing_key, sizeof identity->signing_key, reply->signing_key);
}

static void read_activation(const struct buffer *body, struct link_identity *identity,
                            struct buffer *move, struct console_result *result)
{
    struct wire_activation_reply reply;
    struct wire_problem problem;

    if (wire_activation_reply_decode(buffer_text(body), body->length, &reply, &problem) < 0) {
        refuse_answer(result, problem.text);
        return;
    }
    if (!take_reply(&reply, identity) || buffer_append_text(move, reply.move) < 0)
        refuse_answer(result, "a field is too long");
    wire_activation_reply_done(&reply);
}

static struct wire_host host_of(const struct link_settings *settings)
{
    return (struct wire_host){
        .hostname = settings->hostname,
        .machine_id = settings->machine_id,
        .boot_id = settings->boot_id,
        .os = settings->os,
        .agent_version = YAGURA_VERSION,
        .instance_id = settings->instance_id,
        .display_name = settings->display_name,
    };
}

static void fail_locally(struct console_result *result, const char *what)
{
    *result = (struct console_result){.outcome = CONSOLE_UNREACHABLE};
    (void)text_copy(result->problem, sizeof result->problem, what);
}

void console_client_activate(struct console_client *client,
                             const struct console_activation *activation,
                             struct link_identity *ret_identity, struct buffer *ret_move,
                             struct console_result *ret_result)
{
    const struct link_settings *settings = activation->settings;
    const struct instance_identity *instance = activation->instance;
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(LIMIT_SIGNED_DOCUMENT_BYTES);
    AUTO_BUFFER struct buffer answer = BUFFER_WITH_MAXIMUM(0);
    AUTO_FREE char *csr = NULL;

    memset(ret_identity, 0, sizeof *ret_identity);
    if (make_request(ret_identity->key, &csr) < 0) {
        fail_locally(ret_result, "no key could be made: the system is out of memory or entropy");
        return;
    }
    const struct wire_activation_request request = {
        .token = activation->token->text,
        .csr = csr,
        .tenant_id = settings->tenant_id,
        .policy = settings->policy,
        .group = settings->group,
        .session = settings->session,
        .host = host_of(settings),
        .identity_document = instance != NULL ? instance->document : "",
        .identity_signature = instance != NULL ? instance->signature : "",
    };
    if (wire_activation_request_encode(&request, &body) < 0) {
        fail_locally(ret_result, "the activation request is too long: shorten policy and group");
        return;
    }
    exchange(client, "POST", "/agent/v1/activate", &body, &answer, ret_result);
    explicit_bzero(body.data, body.capacity); /* the token */
    if (ret_result->outcome == CONSOLE_OK)
        read_activation(&answer, ret_identity, ret_move, ret_result);
}

/* What does not fit together would be an identity that nobody accepts. */
static bool is_pair(const struct link_identity *identity)
{
    AUTO_CERTIFICATE X509 *certificate = NULL;
    AUTO_KEY EVP_PKEY *key = NULL;

    return certificate_from_pem(identity->certificate, strlen(identity->certificate),
                                &certificate) == 0 &&
           key_from_pem(identity->key, strlen(identity->key), &key) == 0 &&
           X509_check_private_key(certificate, key) == 1;
}

bool console_client_is_due(const struct link_identity *identity, uint64_t now_ns)
{
    AUTO_CERTIFICATE X509 *certificate = NULL;
    int64_t from_s, until_s, now_s = (int64_t)(now_ns / NS_PER_SECOND);

    if (certificate_from_pem(identity->certificate, strlen(identity->certificate), &certificate) <
            0 ||
        certificate_validity(certificate, &from_s, &until_s) < 0)
        return false;
    int64_t life_s = until_s - from_s - CERTIFICATE_CLOCK_SKEW_SECONDS;
    return until_s - now_s < life_s / 3;
}

void console_client_renew(struct console_client *client, const struct link_identity *identity,
                          struct link_identity *ret_identity, struct console_result *ret_result)
{
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(LIMIT_SIGNED_DOCUMENT_BYTES);
    AUTO_BUFFER struct buffer answer = BUFFER_WITH_MAXIMUM(0);
    AUTO_FREE char *csr = NULL;
    struct wire_problem problem;
    const char *certificate;
    json_t *root = NULL;

    *ret_identity = *identity;
    if (make_request(ret_identity->key, &csr) < 0 || wire_text_encode("csr", csr, &body) < 0) {
        fail_locally(ret_result, "no key could be made: the system is out of memory or entropy");
        return;
    }
    exchange(client, "POST", "/agent/v1/renew", &body, &answer, ret_result);
    if (ret_result->outcome != CONSOLE_OK)
        return;
    if (wire_text_decode(buffer_text(&answer), answer.length, "certificate", LINK_PEM_BYTES - 1,
                         &root, &certificate, &problem) < 0) {
        refuse_answer(ret_result, problem.text);
        return;
    }
    (void)text_copy(ret_identity->certificate, sizeof ret_identity->certificate, certificate);
    /* The authority's own certificate is renewed too, every few years; old consoles do not tell. */
    const char *authority = json_string_value(json_object_get(root, "authority"));
    if (authority != NULL && strlen(authority) < sizeof ret_identity->authority)
        (void)text_copy(ret_identity->authority, sizeof ret_identity->authority, authority);
    json_decref(root);
    if (!is_pair(ret_identity))
        refuse_answer(ret_result, "the certificate is not for our key");
}

void console_client_beat(struct console_client *client, const char *body, size_t length,
                         struct buffer *ret_body, struct console_result *ret_result)
{
    const struct call call = {
        .method = "POST", .path = "/agent/v1/heartbeat", .body = body, .length = length};

    perform(client, &call, ret_body, ret_result);
}

void console_client_bundle(struct console_client *client, const char *command_id, const char *bytes,
                           size_t length, struct console_result *ret_result)
{
    AUTO_BUFFER struct buffer answer = BUFFER_WITH_MAXIMUM(0);
    char path[128];
    const struct call call = {.method = "POST",
                              .path = path,
                              .content_type = "application/x-tar",
                              .body = bytes,
                              .length = length};

    (void)text_format(path, sizeof path, "/agent/v1/commands/%s/bundle", command_id);
    perform(client, &call, &answer, ret_result);
}

void console_client_policy(struct console_client *client, struct buffer *ret_body,
                           struct console_result *ret_result)
{
    exchange(client, "GET", "/agent/v1/policy", NULL, ret_body, ret_result);
}

void console_client_signatures(struct console_client *client, struct buffer *ret_body,
                               struct console_result *ret_result)
{
    exchange(client, "GET", "/agent/v1/signatures", NULL, ret_body, ret_result);
}

void console_client_piece(struct console_client *client, const char *sha256, uint64_t offset,
                          uint64_t length, struct buffer *ret_body,
                          struct console_result *ret_result)
{
    char path[128], range[64];
    const struct http_header header = {"Range", range};
    const struct call call = {
        .method = "GET", .path = path, .header = &header, .most = (size_t)length};

    (void)text_format(path, sizeof path, "/agent/v1/signatures/files/%s", sha256);
    (void)text_format(range, sizeof range, "bytes=%llu-%llu", (unsigned long long)offset,
                      (unsigned long long)(offset + length - 1));
    perform(client, &call, ret_body, ret_result);
}

void console_client_leave(struct console_client *client, struct console_result *ret_result)
{
    AUTO_BUFFER struct buffer answer = BUFFER_WITH_MAXIMUM(0);

    exchange(client, "POST", "/agent/v1/deactivate", NULL, &answer, ret_result);
}

int console_client_wait(struct console_client *client, const char *told, uint64_t seconds)
{
    char url[2 * LINK_TEXT_BYTES];
    const struct http_request request = {
        .method = "GET",
        .url = url,
        .timeout_ns = seconds * NS_PER_SECOND + WAIT_GRACE_NS,
        .maximum_answer = 4096,
    };

    int r = text_format(url, sizeof url, "%s/agent/v1/wait?%s", client->url, told);
    return r < 0 ? r : http_client_begin(client->http, &request);
}

size_t console_client_polls(struct console_client *client, struct pollfd *polls, size_t most,
                            uint64_t *ret_wait_ns)
{
    return http_client_polls(client->http, polls, most, ret_wait_ns);
}

bool console_client_waited(struct console_client *client, struct console_result *ret_result,
                           bool *ret_news)
{
    struct http_answer answer;
    int r;

    if (!http_client_advance(client->http, &r, &answer))
        return false;
    read_result(r, &answer, ret_result);
    *ret_news = ret_result->outcome == CONSOLE_OK && answer.status == 200;
    http_answer_done(&answer);
    return true;
}
