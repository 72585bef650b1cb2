/* Requests to AWS services: credentials found and refreshed, region and endpoint found, signed,
 * sent, repeated. Built on http_client and sigv4.
 *
 *   aws_settings_from_environment(&settings, &variable);
 *   aws_client_new(&settings, NULL, &client);
 *   aws_client_query(client, "sns", NULL, "2010-03-31", "Publish", pairs, 2, &answer);
 *   if (answer.outcome != AWS_OK)  log answer.problem
 *   aws_answer_done(&answer);
 *
 * A client belongs to one thread; a call blocks, at most for aws_client_set_patience. Nothing is
 * logged here. Source of the rules of repetition:
 * https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html */
#ifndef COMMON_AWS_AWS_CLIENT_H
#define COMMON_AWS_AWS_CLIENT_H

#include "common/attributes.h"
#include "common/aws/aws_files.h"
#include "common/aws/aws_settings.h"
#include "common/aws/sigv4.h"
#include "common/buffers/buffer.h"
#include "common/http_client/http_client.h"

#include <stdbool.h>
#include <stdint.h>

struct aws_client;
struct instance_metadata;

/* What a request came to. */
enum aws_outcome {
    AWS_OK,
    AWS_NOT_CONFIGURED,  /* no region, or a setting that cannot be used: a person must act */
    AWS_NO_CREDENTIALS,  /* none were found: a person must act */
    AWS_UNREACHABLE,     /* no answer: try again later */
    AWS_UNTRUSTED,       /* TLS: not the server we trust */
    AWS_THROTTLED,       /* too many requests, after all repetitions */
    AWS_UNAVAILABLE,     /* 5xx, or an answer that is not the service's */
    AWS_BAD_CREDENTIALS, /* refused: expired, unknown, wrong signature */
    AWS_DENIED,          /* the credentials are good, the permission is missing */
    AWS_NOT_FOUND,       /* 404, or the service's own word for it */
    AWS_REFUSED,         /* any other 4xx; S3's redirections */
    AWS_CHANGED,         /* 412: not, or no longer, the content that was asked for */
    AWS_CANCELLED,       /* aws_client_set_cancel said so */
    AWS_TAKER_FAILED,    /* where the answer's body goes (sink), or the request's comes from */
};
const char *aws_outcome_name(enum aws_outcome outcome);

struct aws_answer {
    enum aws_outcome outcome;
    char code[96];           /* the service's word for the error: "AccessDeniedException"; "" */
    char message[768];       /* the service's text, escaped; "" */
    char problem[768];       /* what was wrong and what to do, for a person; "" when OK */
    int taker_error;         /* -errno of sink or source */
    unsigned attempts;       /* requests that were sent */
    struct http_answer http; /* status, body and headers of the last answer */
};
void aws_answer_done(struct aws_answer *answer);

/* settings are copied; opener NULL: files are opened by their paths. No request is made yet.
 * -ENOMEM; -EBADMSG when the authority cannot be read, or the proxy is not one. */
int aws_client_new(const struct aws_settings *settings, const struct aws_file_opener *opener,
                   struct aws_client **ret_client) MUST_USE;
struct aws_client *aws_client_free(struct aws_client *client);

/* How long a call may go on to repeat, the default 60 s; and at most how many requests, the default
 * 4. Of more than that, no more than 4 may have been without any answer. */
void aws_client_set_patience(struct aws_client *client, uint64_t patience_ns, unsigned attempts);
/* Replaces the sleep between repetitions: for virtual time, and to be woken early. */
void aws_client_set_sleep(struct aws_client *client, void (*sleep_ns)(void *user, uint64_t ns),
                          void *user);

/* Ends a request early, AWS_CANCELLED, and repeats none: asked about once a second while one goes
 * on, and more often before one is repeated, in the client's thread. NULL = never. */
void aws_client_set_cancel(struct aws_client *client, bool (*asked)(void *user), void *user);
/* For asked: whether the service may have begun to read a request that has no answer yet. */
bool aws_client_has_sent(const struct aws_client *client);

/* The region in use: from settings, the profile, or the instance's metadata. */
enum aws_outcome aws_client_region(struct aws_client *client,
                                   char ret_region[static AWS_REGION_BYTES], char *problem,
                                   size_t problem_size);
/* Where the credentials of the last call came from, for a person: "the instance's role NAME". */
const char *aws_client_credential_source(const struct aws_client *client);
/* The instance's metadata, for other facts; the client's. */
struct instance_metadata *aws_client_metadata(struct aws_client *client);

struct aws_call {
    const char *service; /* "ssm" */
    const char *region;  /* NULL = the client's */
    const char *method;  /* NULL = "POST" */
    const char *bucket;  /* S3 only */
    const char *label;   /* before the host's name, where the service wants one; NULL = none */
    const char *path;    /* raw, NULL = "/"; for S3 "/" and the key */
    const struct aws_pair *query;
    size_t query_count;
    const struct aws_pair *headers; /* signed; names in any case; not Host, not X-Amz-Date */
    size_t header_count;
    const char *content_type;
    const void *body;
    size_t body_length;
    /* A body that is not in memory, sent with UNSIGNED-PAYLOAD and once: it is not repeated. */
    const struct http_source *source;
    bool unsigned_payload;        /* only where the service takes it */
    const struct http_sink *sink; /* begin is called again for each repetition */
    size_t maximum_answer;        /* 0 = 1 MiB */
    uint64_t timeout_ns;          /* of one request; 0 = 30 s */
    uint64_t stall_timeout_ns;    /* of one request without a byte; 0 = as timeout_ns */
};

/* Each makes one request, repeated as long as that helps. The answer is set in every case and freed
 * with aws_answer_done; its outcome is returned. */
enum aws_outcome aws_client_send(struct aws_client *client, const struct aws_call *call,
                                 struct aws_answer *ret_answer);
/* A link for whoever holds it, by GET, good for expires_s: method, headers and bodies of the call
 * are not looked at. Appends the URL. No request is made but what credentials and region need. */
enum aws_outcome aws_client_presign(struct aws_client *client, const struct aws_call *call,
                                    uint32_t expires_s, struct buffer *url, char *problem,
                                    size_t problem_size);
/* JSON 1.1 (SSM): target "AmazonSSM.GetParameters". */
enum aws_outcome aws_client_json(struct aws_client *client, const char *service, const char *target,
                                 const char *json, struct aws_answer *ret_answer);
/* Query (SNS, STS): form-encoded, answers in XML. region NULL = the client's. */
enum aws_outcome aws_client_query(struct aws_client *client, const char *service,
                                  const char *region, const char *version, const char *action,
                                  const struct aws_pair *pairs, size_t count,
                                  struct aws_answer *ret_answer);

#endif
