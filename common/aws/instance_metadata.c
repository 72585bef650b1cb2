/* IMDSv2. Owns: the session token and its life. Must not own: what the texts mean. */
#include "common/aws/instance_metadata.h"

#include "common/http_client/http_client.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <string.h>

#define ENDPOINT           "http://169.254.169.254"
#define TOKEN_SECONDS      "21600"
#define TOKEN_NS           (21600 * NS_PER_SECOND)
#define TOKEN_MARGIN_NS    (60 * NS_PER_SECOND)
#define TOKEN_BYTES        512
#define CONNECT_TIMEOUT_NS (1 * NS_PER_SECOND)
#define TIMEOUT_NS         (2 * NS_PER_SECOND)
#define TRIES              3
#define HOP_LIMIT_TRIES    2 /* of requests that were taken and never answered */

struct instance_metadata {
    struct http_client *http;
    char endpoint[AWS_TEXT_BYTES];
    bool disabled;
    char token[TOKEN_BYTES]; /* "" = none */
    uint64_t token_until_ns; /* monotonic */
};

int instance_metadata_new(const struct aws_settings *settings,
                          struct instance_metadata **ret_metadata)
{
    const struct http_trust system = {.pin = NULL};
    struct instance_metadata *metadata = calloc(1, sizeof *metadata);
    if (metadata == NULL)
        return -ENOMEM;
    (void)text_copy(metadata->endpoint, sizeof metadata->endpoint,
                    settings->metadata_endpoint[0] != '\0' ? settings->metadata_endpoint
                                                           : ENDPOINT);
    for (size_t length = strlen(metadata->endpoint);
         length > 0 && metadata->endpoint[length - 1] == '/';)
        metadata->endpoint[--length] = '\0';
    metadata->disabled = settings->metadata_disabled;
    int r = http_client_new(&system, &metadata->http);
    if (r == 0) {
        http_client_allow_plain(metadata->http);
        r = http_client_set_proxy(metadata->http, "", "*");
    }
    if (r < 0) {
        (void)instance_metadata_free(metadata);
        return r;
    }
    *ret_metadata = metadata;
    return 0;
}

struct instance_metadata *instance_metadata_free(struct instance_metadata *metadata)
{
    if (metadata == NULL)
        return NULL;
    (void)http_client_free(metadata->http);
    explicit_bzero(metadata, sizeof *metadata);
    free(metadata);
    return NULL;
}

/* ---- one request ---- */

static int ask(struct instance_metadata *metadata, const char *method, const char *path,
               const struct http_header *header, size_t maximum, struct http_answer *ret_answer)
{
    char url[AWS_TEXT_BYTES * 2];
    const struct http_request request = {
        .method = method,
        .url = url,
        .headers = header,
        .header_count = header != NULL ? 1 : 0,
        .connect_timeout_ns = CONNECT_TIMEOUT_NS,
        .timeout_ns = TIMEOUT_NS,
        .maximum_answer = maximum,
    };

    *ret_answer = (struct http_answer){.status = 0};
    int r = text_format(url, sizeof url, "%s/latest/%s", metadata->endpoint, path);
    return r < 0 ? r : http_client_perform(metadata->http, &request, ret_answer);
}

static enum metadata_outcome fail(enum metadata_outcome outcome, char *problem, size_t size,
                                  const char *text)
{
    (void)text_copy(problem, size, text);
    return outcome;
}

static enum metadata_outcome fail_status(long status, const char *what, char *problem, size_t size)
{
    (void)text_format(problem, size, "the instance metadata answered %ld to %s", status, what);
    return METADATA_FAILED;
}

/* ---- the token ---- */

/* The token's answer may make fewer hops than any other: without a token the service refuses, and
 * so shows that it is there. What it says is not looked at. */
static bool answers_without_token(struct instance_metadata *metadata)
{
    struct http_answer answer;

    int r = ask(metadata, "GET", "meta-data/", NULL, TOKEN_BYTES, &answer);
    http_answer_done(&answer);
    return r == 0;
}

static enum metadata_outcome judge_silence(struct instance_metadata *metadata, bool connected,
                                           const char *curl_problem, char *problem, size_t size)
{
    if (connected && answers_without_token(metadata))
        return fail(METADATA_HOP_LIMIT, problem, size,
                    "the instance metadata answers, but its session token does not reach this "
                    "network: in a container the hop limit of 1 is too low; run aws ec2 "
                    "modify-instance-metadata-options --http-put-response-hop-limit 2 "
                    "--instance-id ID");
    (void)text_format(problem, size,
                      "no instance metadata at %s (%s): this is no EC2 instance, or "
                      "a firewall keeps them away",
                      metadata->endpoint, curl_problem);
    return METADATA_ABSENT;
}

static enum metadata_outcome take_token(struct instance_metadata *metadata,
                                        const struct http_answer *answer, char *problem,
                                        size_t size)
{
    const char *token = buffer_text(&answer->body);
    size_t length = strcspn(token, "\r\n");

    switch (answer->status) {
    case 200:
        break;
    case 403:
        return fail(METADATA_OFF, problem, size,
                    "the instance metadata are switched off: run aws ec2 "
                    "modify-instance-metadata-options --http-endpoint enabled --instance-id ID");
    case 404:
    case 405:
        return fail(METADATA_FAILED, problem, size,
                    "the instance metadata know no session tokens (IMDSv2), and version 1 is never "
                    "used");
    default:
        return fail_status(answer->status, "the request for a session token", problem, size);
    }
    if (length == 0 || length >= sizeof metadata->token)
        return fail(METADATA_FAILED, problem, size, "the instance metadata gave no session token");
    (void)text_format(metadata->token, sizeof metadata->token, "%.*s", (int)length, token);
    metadata->token_until_ns = clock_monotonic_ns() + TOKEN_NS - TOKEN_MARGIN_NS;
    return METADATA_OK;
}

static enum metadata_outcome fetch_token(struct instance_metadata *metadata, char *problem,
                                         size_t size)
{
    static const struct http_header life = {"X-aws-ec2-metadata-token-ttl-seconds", TOKEN_SECONDS};
    char curl_problem[256] = "";
    unsigned silences = 0;
    bool connected = false;

    for (unsigned try = 0; try < TRIES && silences < HOP_LIMIT_TRIES; try++) {
        struct http_answer answer;
        int r = ask(metadata, "PUT", "api/token", &life, TOKEN_BYTES, &answer);
        if (r == 0 && answer.status < 500) {
            enum metadata_outcome outcome = take_token(metadata, &answer, problem, size);
            http_answer_done(&answer);
            return outcome;
        }
        connected = answer.connected;
        silences += r == -ETIMEDOUT && connected;
        (void)text_copy(curl_problem, sizeof curl_problem,
                        r < 0 ? answer.problem : "it answered with an error of its own");
        http_answer_done(&answer);
    }
    return judge_silence(metadata, connected && silences > 0, curl_problem, problem, size);
}

static enum metadata_outcome ensure_token(struct instance_metadata *metadata, char *problem,
                                          size_t size)
{
    if (metadata->disabled)
        return fail(METADATA_DISABLED, problem, size,
                    "the instance metadata are not asked (AWS_EC2_METADATA_DISABLED)");
    if (metadata->token[0] != '\0' && clock_monotonic_ns() < metadata->token_until_ns)
        return METADATA_OK;
    metadata->token[0] = '\0';
    return fetch_token(metadata, problem, size);
}

/* ---- texts ---- */

/* METADATA_DISABLED stands for: the token is not accepted any more. */
static enum metadata_outcome fetch(struct instance_metadata *metadata, const char *path,
                                   struct buffer *content, char *problem, size_t size)
{
    const struct http_header token = {"X-aws-ec2-metadata-token", metadata->token};

    for (unsigned try = 0; try < TRIES; try++) {
        struct http_answer answer;
        int r = ask(metadata, "GET", path, &token, content->maximum, &answer);
        long status = answer.status;
        if (r == 0 && status == 200)
            r = buffer_append(content, buffer_text(&answer.body), answer.body.length);
        if (r < 0 || status >= 500)
            (void)text_format(problem, size, "the instance metadata do not give %s: %s", path,
                              r < 0 ? answer.problem : "an error of their own");
        http_answer_done(&answer);
        if (r < 0 || status >= 500)
            continue;
        if (status == 401)
            return METADATA_DISABLED;
        if (status == 404)
            return fail(METADATA_NOTHING, problem, size, "the instance metadata have no such text");
        return status == 200 ? METADATA_OK : fail_status(status, path, problem, size);
    }
    return METADATA_FAILED;
}

enum metadata_outcome instance_metadata_get(struct instance_metadata *metadata, const char *path,
                                            struct buffer *content, char *problem,
                                            size_t problem_size)
{
    enum metadata_outcome outcome = ensure_token(metadata, problem, problem_size);

    if (outcome != METADATA_OK)
        return outcome;
    outcome = fetch(metadata, path, content, problem, problem_size);
    if (outcome != METADATA_DISABLED)
        return outcome;
    metadata->token[0] = '\0'; /* the instance was stopped and started, or its clock jumped */
    outcome = ensure_token(metadata, problem, problem_size);
    if (outcome == METADATA_OK)
        outcome = fetch(metadata, path, content, problem, problem_size);
    return outcome == METADATA_DISABLED ? fail_status(401, path, problem, problem_size) : outcome;
}
