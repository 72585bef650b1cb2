/* Errors of AWS services. Owns: the words for them. The body is an outsider's: a proxy may answer
 * in the service's place. */
#include "common/aws/service_error.h"

#include "common/text/text.h"

#include <jansson.h>
#include <string.h>

#define MOST_BODY_BYTES 65536

struct word {
    const char *code;
    enum aws_outcome outcome;
};

/* Source: the SDKs' standard retry mode, and the services' common errors. */
static const struct word words[] = {
    {"Throttling", AWS_THROTTLED},
    {"ThrottlingException", AWS_THROTTLED},
    {"ThrottledException", AWS_THROTTLED},
    {"Throttled", AWS_THROTTLED},
    {"RequestThrottled", AWS_THROTTLED},
    {"RequestThrottledException", AWS_THROTTLED},
    {"TooManyRequestsException", AWS_THROTTLED},
    {"ProvisionedThroughputExceededException", AWS_THROTTLED},
    {"RequestLimitExceeded", AWS_THROTTLED},
    {"BandwidthLimitExceeded", AWS_THROTTLED},
    {"KMSThrottlingException", AWS_THROTTLED},
    {"SlowDown", AWS_THROTTLED},
    {"PriorRequestNotComplete", AWS_THROTTLED},
    {"InternalError", AWS_UNAVAILABLE},
    {"InternalFailure", AWS_UNAVAILABLE},
    {"InternalServerError", AWS_UNAVAILABLE},
    {"ServiceUnavailable", AWS_UNAVAILABLE},
    {"RequestTimeout", AWS_UNAVAILABLE},
    {"RequestTimeoutException", AWS_UNAVAILABLE},
    {"UnrecognizedClientException", AWS_BAD_CREDENTIALS},
    {"InvalidClientTokenId", AWS_BAD_CREDENTIALS},
    {"InvalidAccessKeyId", AWS_BAD_CREDENTIALS},
    {"InvalidToken", AWS_BAD_CREDENTIALS},
    {"InvalidSignatureException", AWS_BAD_CREDENTIALS},
    {"SignatureDoesNotMatch", AWS_BAD_CREDENTIALS},
    {"IncompleteSignature", AWS_BAD_CREDENTIALS},
    {"IncompleteSignatureException", AWS_BAD_CREDENTIALS},
    {"MissingAuthenticationToken", AWS_BAD_CREDENTIALS},
    {"MissingAuthenticationTokenException", AWS_BAD_CREDENTIALS},
    {"ExpiredToken", AWS_BAD_CREDENTIALS},
    {"ExpiredTokenException", AWS_BAD_CREDENTIALS},
    {"TokenRefreshRequired", AWS_BAD_CREDENTIALS},
    {"RequestExpired", AWS_BAD_CREDENTIALS},
    {"RequestTimeTooSkewed", AWS_BAD_CREDENTIALS},
    {"AuthFailure", AWS_BAD_CREDENTIALS},
    {"AccessDenied", AWS_DENIED},
    {"AccessDeniedException", AWS_DENIED},
    {"AuthorizationError", AWS_DENIED},
    {"UnauthorizedOperation", AWS_DENIED},
    {"KMSAccessDeniedException", AWS_DENIED},
    {"ParameterNotFound", AWS_NOT_FOUND},
    {"ResourceNotFoundException", AWS_NOT_FOUND},
    {"NoSuchKey", AWS_NOT_FOUND},
    {"NoSuchBucket", AWS_NOT_FOUND},
    {"NotFound", AWS_NOT_FOUND},
    {"NoSuchVersion", AWS_NOT_FOUND},
    {"QueueDoesNotExist", AWS_NOT_FOUND},
    {"PreconditionFailed", AWS_CHANGED},
};

/* "com.amazonaws.ssm#AccessDeniedException:http://..." is AccessDeniedException. */
static void take_code(struct aws_answer *answer, const char *given, size_t length)
{
    const char *hash = memchr(given, '#', length);

    if (hash != NULL) {
        length -= (size_t)(hash - given) + 1;
        given = hash + 1;
    }
    const char *colon = memchr(given, ':', length);
    if (colon != NULL)
        length = (size_t)(colon - given);
    (void)text_escape(answer->code, sizeof answer->code, given, length);
}

static void take_message(struct aws_answer *answer, const char *given, size_t length)
{
    (void)text_escape(answer->message, sizeof answer->message, given, length);
}

/* ---- the three forms ---- */

static void read_json(struct aws_answer *answer, const char *text, size_t length)
{
    json_t *object = json_loadb(text, length, 0, NULL);
    const char *code = json_string_value(json_object_get(object, "__type"));
    const char *message = json_string_value(json_object_get(object, "message"));

    if (code == NULL)
        code = json_string_value(json_object_get(object, "code"));
    if (message == NULL)
        message = json_string_value(json_object_get(object, "Message"));
    if (code != NULL && answer->code[0] == '\0')
        take_code(answer, code, strlen(code));
    if (message != NULL)
        take_message(answer, message, strlen(message));
    json_decref(object);
}

/* The text of the first element of that name; these bodies have neither attributes nor nesting. */
static const char *element(const char *text, const char *open, const char *close,
                           size_t *ret_length)
{
    const char *begin = strstr(text, open);
    const char *end = begin != NULL ? strstr(begin, close) : NULL;

    if (end == NULL)
        return NULL;
    begin += strlen(open);
    *ret_length = (size_t)(end - begin);
    return begin;
}

static void read_xml(struct aws_answer *answer, const char *text)
{
    size_t length;

    const char *code = element(text, "<Code>", "</Code>", &length);
    if (code != NULL && answer->code[0] == '\0')
        take_code(answer, code, length);
    const char *message = element(text, "<Message>", "</Message>", &length);
    if (message != NULL)
        take_message(answer, message, length);
}

static void read_words(struct aws_answer *answer)
{
    const char *body = buffer_text(&answer->http.body);
    char header[160];

    if (http_answer_header(&answer->http, "x-amzn-ErrorType", header, sizeof header) == 0)
        take_code(answer, header, strlen(header));
    if (answer->http.body.length > MOST_BODY_BYTES)
        return;
    body += strspn(body, " \t\r\n");
    if (body[0] == '{')
        read_json(answer, body, strlen(body));
    else if (body[0] == '<')
        read_xml(answer, body);
}

/* ---- what it means ---- */

static bool names_region(const struct aws_answer *answer)
{
    char region[AWS_REGION_BYTES];

    return http_answer_header(&answer->http, "x-amz-bucket-region", region, sizeof region) == 0;
}

static enum aws_outcome outcome_of(const struct aws_answer *answer)
{
    long status = answer->http.status;

    for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
        if (text_equal(answer->code, words[i].code))
            return words[i].outcome;
    if (text_ends_with(answer->code, "NonExistentQueue"))
        return AWS_NOT_FOUND;
    if (status >= 300 && status < 400 && names_region(answer))
        return AWS_REFUSED; /* S3: the bucket is elsewhere. Other redirections are a proxy's */
    switch (status) {
    case 401:
        return AWS_BAD_CREDENTIALS;
    case 403:
        return AWS_DENIED;
    case 404:
        return AWS_NOT_FOUND;
    case 407:
        return AWS_UNREACHABLE; /* a proxy's */
    case 412:
        return AWS_CHANGED;
    case 429:
        return AWS_THROTTLED;
    default:
        return status >= 400 && status < 500 ? AWS_REFUSED : AWS_UNAVAILABLE;
    }
}

void service_error_read(struct aws_answer *answer)
{
    answer->code[0] = answer->message[0] = '\0';
    if (answer->http.status >= 200 && answer->http.status < 300) {
        answer->outcome = AWS_OK;
        return;
    }
    read_words(answer);
    answer->outcome = outcome_of(answer);
}

void service_error_read_body(struct aws_answer *answer)
{
    const char *body = buffer_text(&answer->http.body);

    if (answer->outcome != AWS_OK)
        return;
    if (answer->http.body.length <= MOST_BODY_BYTES)
        read_xml(answer, body);
    answer->outcome = answer->code[0] != '\0' ? outcome_of(answer) : AWS_UNAVAILABLE;
}

bool service_error_is_clock(const struct aws_answer *answer)
{
    return text_equal(answer->code, "RequestTimeTooSkewed") ||
           text_equal(answer->code, "RequestExpired") ||
           (answer->outcome == AWS_BAD_CREDENTIALS &&
            (strstr(answer->message, "Signature expired") != NULL ||
             strstr(answer->message, "Signature not yet current") != NULL));
}
