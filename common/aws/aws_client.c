/* The AWS client. Owns: the order of steps of a call (region, endpoint, credentials, signature,
 * request, repetition) and the difference between our clock and the service's. Hands off: each step
 * to its module. */
#include "common/aws/aws_client.h"

#include "common/aws/credential_chain.h"
#include "common/aws/endpoint.h"
#include "common/aws/instance_metadata.h"
#include "common/aws/retry.h"
#include "common/aws/service_error.h"
#include "common/files/file.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define DEFAULT_PATIENCE_NS (60 * NS_PER_SECOND)
#define DEFAULT_ATTEMPTS    4
#define DEFAULT_TIMEOUT_NS  (30 * NS_PER_SECOND)
#define DEFAULT_ANSWER      (1024 * 1024)
#define MOST_AUTHORITY      (1024 * 1024)
#define MOST_FORM_BYTES     (1024 * 1024)
#define SLEEP_PIECE_NS      (250 * NS_PER_MS) /* until it is asked whether to go on */
#define CLOCK_TOLERANCE_S   240               /* AWS allows 300 */
/* Those of the instance and its container are never behind a proxy; loopback only in tests. */
#define NEVER_BY_PROXY "169.254.169.254,169.254.170.2,169.254.170.23"

struct aws_client {
    struct aws_settings settings;
    struct aws_file_opener opener;
    struct http_client *http;
    struct instance_metadata *metadata;
    struct credential_chain *chain;
    struct aws_retry retry;
    bool profile_read;
    int64_t clock_offset_s; /* the service's clock minus ours */
    uint64_t patience_ns;
    unsigned attempts;
    void (*sleep_ns)(void *user, uint64_t ns);
    void *sleep_user;
    bool (*cancel)(void *user);
    void *cancel_user;
    bool asking; /* in an exchange */
};

const char *aws_outcome_name(enum aws_outcome outcome)
{
    static const char *const names[] = {"ok",          "not-configured",  "no-credentials",
                                        "unreachable", "untrusted",       "throttled",
                                        "unavailable", "bad-credentials", "denied",
                                        "not-found",   "refused"};

    return (size_t)outcome < ARRAY_LENGTH(names) ? names[outcome] : "unknown";
}

void aws_answer_done(struct aws_answer *answer)
{
    http_answer_done(&answer->http);
}

/* ---- a client ---- */

static int open_by_path(void *user, enum aws_file file, int *ret_fd)
{
    const struct aws_client *client = user;

    return aws_file_open(&client->settings, file, ret_fd);
}

static void sleep_really(void *user UNUSED, uint64_t ns)
{
    struct timespec left = timespec_from_ns(ns);

    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        ;
}

static int read_authority(struct aws_client *client, struct buffer *pem)
{
    AUTO_CLOSE int fd = -1;

    if (client->settings.authority_file[0] == '\0')
        return 0;
    int r = client->opener.open(client->opener.user, AWS_FILE_AUTHORITY, &fd);
    return r < 0 ? r : file_read_all_fd(fd, pem);
}

static int set_proxy(struct aws_client *client)
{
    const struct aws_settings *settings = &client->settings;
    char exceptions[sizeof settings->no_proxy + sizeof NEVER_BY_PROXY];

    (void)text_format(exceptions, sizeof exceptions, "%s%s" NEVER_BY_PROXY, settings->no_proxy,
                      settings->no_proxy[0] != '\0' ? "," : "");
    if (text_equal(settings->no_proxy, "*"))
        (void)text_copy(exceptions, sizeof exceptions, "*");
    return http_client_set_proxy(client->http, settings->proxy, exceptions);
}

static int start_http(struct aws_client *client)
{
    AUTO_BUFFER struct buffer authority = BUFFER_WITH_MAXIMUM(MOST_AUTHORITY);

    int r = read_authority(client, &authority);
    const struct http_trust trust = {.authority = buffer_text(&authority)};
    if (r == 0)
        r = http_client_new(&trust, &client->http);
    if (r < 0)
        return r == -ENOMEM ? r : -EBADMSG;
    http_client_allow_plain(client->http); /* for endpoints that were set to it */
    return set_proxy(client);
}

int aws_client_new(const struct aws_settings *settings, const struct aws_file_opener *opener,
                   struct aws_client **ret_client)
{
    struct aws_client *client = calloc(1, sizeof *client);
    if (client == NULL)
        return -ENOMEM;
    client->settings = *settings;
    client->opener =
        opener != NULL ? *opener : (struct aws_file_opener){.open = open_by_path, .user = client};
    client->retry = aws_retry_begin();
    client->sleep_ns = sleep_really;
    aws_client_set_patience(client, DEFAULT_PATIENCE_NS, DEFAULT_ATTEMPTS);
    int r = start_http(client);
    if (r == 0)
        r = instance_metadata_new(&client->settings, &client->metadata);
    if (r == 0)
        r = credential_chain_new(&client->settings, &client->opener, client->metadata,
                                 &client->chain);
    if (r < 0) {
        (void)aws_client_free(client);
        return r;
    }
    *ret_client = client;
    return 0;
}

struct aws_client *aws_client_free(struct aws_client *client)
{
    if (client == NULL)
        return NULL;
    (void)credential_chain_free(client->chain);
    (void)instance_metadata_free(client->metadata);
    (void)http_client_free(client->http);
    aws_settings_wipe(&client->settings);
    free(client);
    return NULL;
}

void aws_client_set_patience(struct aws_client *client, uint64_t patience_ns, unsigned attempts)
{
    client->patience_ns = patience_ns;
    client->attempts = attempts;
}

void aws_client_set_sleep(struct aws_client *client, void (*sleep_ns)(void *user, uint64_t ns),
                          void *user)
{
    client->sleep_ns = sleep_ns;
    client->sleep_user = user;
}

void aws_client_set_cancel(struct aws_client *client, bool (*asked)(void *user), void *user)
{
    client->cancel = asked;
    client->cancel_user = user;
    http_client_set_cancel(client->http, asked, user);
}

bool aws_client_has_sent(const struct aws_client *client)
{
    return client->asking && http_client_has_sent(client->http);
}

static bool is_cancelled(const struct aws_client *client)
{
    return client->cancel != NULL && client->cancel(client->cancel_user);
}

const char *aws_client_credential_source(const struct aws_client *client)
{
    return credential_chain_source(client->chain);
}

struct instance_metadata *aws_client_metadata(struct aws_client *client)
{
    return client->metadata;
}

/* ---- region and endpoint ---- */

static void take_default(char *field, size_t size, const char *value)
{
    if (field[0] == '\0')
        (void)text_copy(field, size, value);
}

/* What the profile says beside its keys, once. */
static enum aws_outcome read_profile(struct aws_client *client, char *problem, size_t size)
{
    struct aws_settings *settings = &client->settings;
    struct shared_profile profile;

    if (client->profile_read)
        return AWS_OK;
    enum aws_outcome outcome = credential_chain_profile(client->chain, &profile, problem, size);
    /* Without a profile that was asked for, a broken file is nobody's business but its keys'. */
    if (outcome != AWS_OK && settings->profile[0] != '\0')
        return outcome;
    if (outcome == AWS_OK) {
        take_default(settings->region, sizeof settings->region, profile.region);
        take_default(settings->endpoint, sizeof settings->endpoint, profile.endpoint);
        settings->fips |= text_equal(profile.fips, "true");
        settings->dual_stack |= text_equal(profile.dual_stack, "true");
        client->profile_read = true;
    }
    explicit_bzero(&profile, sizeof profile);
    return AWS_OK;
}

static enum aws_outcome ask_region(struct aws_client *client, char *problem, size_t size)
{
    struct aws_settings *settings = &client->settings;
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(4096);
    char reason[512];

    enum metadata_outcome found =
        instance_metadata_get(client->metadata, "meta-data/placement/region", &text, reason,
                              sizeof reason);
    if (found == METADATA_OK && aws_region_is_valid(buffer_text(&text))) {
        (void)text_copy(settings->region, sizeof settings->region, buffer_text(&text));
        return AWS_OK;
    }
    (void)text_format(problem, size, "no AWS region is known: set one (AWS_REGION, aws_region); %s",
                      found == METADATA_OK ? "the instance metadata gave none" : reason);
    return found == METADATA_FAILED ? AWS_UNREACHABLE : AWS_NOT_CONFIGURED;
}

enum aws_outcome aws_client_region(struct aws_client *client,
                                   char ret_region[static AWS_REGION_BYTES], char *problem,
                                   size_t problem_size)
{
    enum aws_outcome outcome = read_profile(client, problem, problem_size);

    if (outcome == AWS_OK && client->settings.region[0] == '\0')
        outcome = ask_region(client, problem, problem_size);
    if (outcome == AWS_OK)
        (void)text_copy(ret_region, AWS_REGION_BYTES, client->settings.region);
    return outcome;
}

/* What a call needs before its first request. */
struct preparation {
    char region[AWS_REGION_BYTES];
    struct aws_endpoint endpoint;
    struct buffer path; /* raw */
};

static enum aws_outcome prepare(struct aws_client *client, const struct aws_call *call,
                                struct preparation *preparation, char *problem, size_t size)
{
    enum aws_outcome outcome = read_profile(client, problem, size);

    if (outcome == AWS_OK && call->region != NULL)
        (void)text_format(preparation->region, sizeof preparation->region, "%s", call->region);
    else if (outcome == AWS_OK)
        outcome = aws_client_region(client, preparation->region, problem, size);
    if (outcome != AWS_OK)
        return outcome;
    if (aws_endpoint_find(&client->settings, call->service, preparation->region, call->bucket,
                          &preparation->endpoint, problem, size) < 0)
        return AWS_NOT_CONFIGURED;
    if (call->label != NULL && aws_endpoint_label(&client->settings, call->service, call->label,
                                                  &preparation->endpoint) < 0) {
        (void)text_copy(problem, size, "the request's host has no name");
        return AWS_NOT_CONFIGURED;
    }
    preparation->path = BUFFER_WITH_MAXIMUM(AWS_TEXT_BYTES * 16);
    (void)buffer_append_text(&preparation->path, preparation->endpoint.prefix);
    (void)buffer_append_text(&preparation->path, call->path != NULL ? call->path : "/");
    return AWS_OK;
}

/* ---- one request ---- */

struct head {
    struct http_header lines[SIGV4_MOST_HEADERS + 5];
    size_t count;
};

static void add(struct head *head, const char *name, const char *value)
{
    head->lines[head->count++] = (struct http_header){name, value};
}

static uint64_t service_time_ns(const struct aws_client *client)
{
    return clock_realtime_ns() + (uint64_t)client->clock_offset_s * NS_PER_SECOND;
}

/* The content type is signed, too: it is a header of ours like any other. */
static size_t collect_signed(const struct aws_call *call,
                             struct aws_pair pairs[static SIGV4_MOST_HEADERS])
{
    size_t count = 0;

    for (; count < call->header_count; count++)
        pairs[count] = call->headers[count];
    if (call->content_type != NULL)
        pairs[count++] = (struct aws_pair){"Content-Type", call->content_type};
    return count;
}

static int perform(struct aws_client *client, const struct aws_call *call,
                   const struct preparation *preparation, const struct sigv4_signature *signature,
                   const char *session_token, struct http_answer *ret_answer)
{
    AUTO_FREE char *url =
        text_format_new("%s%s", preparation->endpoint.origin, buffer_text(&signature->target));
    struct head head = {.count = 0};

    if (url == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < call->header_count; i++)
        add(&head, call->headers[i].name, call->headers[i].value);
    add(&head, "X-Amz-Date", signature->date);
    if (signature->content_hash[0] != '\0')
        add(&head, "X-Amz-Content-SHA256", signature->content_hash);
    if (session_token != NULL)
        add(&head, "X-Amz-Security-Token", session_token);
    add(&head, "Authorization", buffer_text(&signature->authorization));
    const struct http_request request = {
        .method = call->method != NULL ? call->method : "POST",
        .url = url,
        .headers = head.lines,
        .header_count = head.count,
        .content_type = call->content_type,
        .body = call->body,
        .body_length = call->body_length,
        .source = call->source,
        .sink = call->sink,
        .stall_timeout_ns = call->stall_timeout_ns,
        .timeout_ns = call->timeout_ns > 0 ? call->timeout_ns : DEFAULT_TIMEOUT_NS,
        .maximum_answer = call->maximum_answer > 0 ? call->maximum_answer : DEFAULT_ANSWER,
    };
    client->asking = true;
    int r = http_client_perform(client->http, &request, ret_answer);
    client->asking = false;
    return r;
}

static int sign(struct aws_client *client, const struct aws_call *call,
                const struct preparation *preparation, const struct aws_credentials *credentials,
                struct sigv4_signature *ret_signature)
{
    struct aws_pair pairs[SIGV4_MOST_HEADERS];

    if (call->header_count + 1 > SIGV4_MOST_HEADERS || buffer_failed(&preparation->path) < 0)
        return -E2BIG;
    const struct sigv4_request request = {
        .method = call->method != NULL ? call->method : "POST",
        .service = call->service,
        .region = preparation->region,
        .host = preparation->endpoint.host,
        .path = buffer_text(&preparation->path),
        .query = call->query,
        .query_count = call->query_count,
        .headers = pairs,
        .header_count = collect_signed(call, pairs),
        .body = call->body != NULL ? call->body : "",
        .body_length = call->body_length,
        .unsigned_payload = call->unsigned_payload || call->source != NULL,
        .time_ns = service_time_ns(client),
    };
    return sigv4_sign(&request, credentials, ret_signature);
}

static void read_failure(const struct aws_client *client, int error, const char *host,
                         struct aws_answer *answer)
{
    const char *words =
        answer->http.problem[0] != '\0' ? answer->http.problem : log_error_text(error);

    answer->outcome = error == -EKEYREJECTED ? AWS_UNTRUSTED : AWS_UNREACHABLE;
    if (answer->http.taker_failed) {
        answer->taker_error = error;
        answer->outcome = AWS_TAKER_FAILED;
        (void)text_format(answer->problem, sizeof answer->problem,
                          "what %s sends cannot be kept, or what it wants not be read: %s", host,
                          log_error_text(error));
    } else if (error == -ECANCELED) {
        answer->outcome = AWS_CANCELLED;
        (void)text_copy(answer->problem, sizeof answer->problem, "the request was ended early");
    } else if (error == -EKEYREJECTED)
        (void)text_format(answer->problem, sizeof answer->problem,
                          "the certificate of %s is not trusted (%s): correct the clock, or give "
                          "the authority (AWS_CA_BUNDLE)",
                          host, words);
    else if (client->settings.proxy[0] != '\0')
        (void)text_format(answer->problem, sizeof answer->problem,
                          "%s cannot be reached by the proxy that is set: %s", host, words);
    else
        (void)text_format(answer->problem, sizeof answer->problem, "%s cannot be reached: %s", host,
                          words);
}

static enum aws_outcome send_once(struct aws_client *client, const struct aws_call *call,
                                  const struct preparation *preparation, struct aws_answer *answer)
{
    struct aws_credentials credentials;
    struct sigv4_signature signature;

    answer->outcome =
        credential_chain_get(client->chain, &credentials, answer->problem, sizeof answer->problem);
    if (answer->outcome != AWS_OK)
        return answer->outcome;
    int r = sign(client, call, preparation, &credentials, &signature);
    if (r < 0) {
        (void)text_format(answer->problem, sizeof answer->problem,
                          "the request could not be signed: %s", log_error_text(r));
        return answer->outcome = AWS_NOT_CONFIGURED;
    }
    answer->attempts++;
    r = perform(client, call, preparation, &signature, credentials.session_token, &answer->http);
    sigv4_signature_done(&signature);
    if (r < 0)
        read_failure(client, r, preparation->endpoint.host, answer);
    else
        service_error_read(answer);
    return answer->outcome;
}

/* ---- what is wrong, for a person ---- */

static void describe(const struct aws_client *client, const char *host, struct aws_answer *answer)
{
    char words[sizeof answer->message + sizeof answer->code + 8];
    const char *source = credential_chain_source(client->chain);

    if (answer->http.status == 0 || answer->http.problem[0] != '\0' || answer->outcome == AWS_OK ||
        answer->outcome == AWS_TAKER_FAILED)
        return; /* told by whoever found it */
    (void)text_format(words, sizeof words, "%s%s%s", answer->code,
                      answer->code[0] != '\0' && answer->message[0] != '\0' ? ": " : "",
                      answer->message);
    if (answer->outcome == AWS_BAD_CREDENTIALS)
        (void)text_format(answer->problem, sizeof answer->problem,
                          "AWS does not accept the credentials of %s (%s): renew them%s", source,
                          words,
                          service_error_is_clock(answer) ? ", and correct this host's clock" : "");
    else if (answer->http.status == 407)
        (void)text_copy(answer->problem, sizeof answer->problem,
                        "the proxy wants a name and a password: write http://NAME:PASSWORD@HOST");
    else
        (void)text_format(answer->problem, sizeof answer->problem, "%s answered %ld%s%s", host,
                          answer->http.status, words[0] != '\0' ? ": " : "", words);
}

/* ---- repetition ---- */

/* Our clock is wrong when the service says so, and by how much its Date says. True: worth another
 * request. */
static bool repair_clock(struct aws_client *client, const struct aws_answer *answer)
{
    int64_t now = (int64_t)(service_time_ns(client) / NS_PER_SECOND);
    int64_t off = (int64_t)answer->http.date_s - now;

    if (answer->outcome != AWS_BAD_CREDENTIALS || answer->http.date_s == 0 ||
        (off > -CLOCK_TOLERANCE_S && off < CLOCK_TOLERANCE_S && !service_error_is_clock(answer)) ||
        off == 0)
        return false;
    client->clock_offset_s += off;
    return true;
}

struct course {
    unsigned requests; /* that count */
    unsigned silences; /* of them without an answer: more of these than usual help nobody */
    bool clock_repaired, credentials_renewed;
    uint64_t until_ns; /* monotonic */
};

static bool mend(struct aws_client *client, struct course *course, const struct aws_answer *answer)
{
    if (answer->outcome != AWS_BAD_CREDENTIALS)
        return false;
    if (!course->clock_repaired && repair_clock(client, answer))
        return course->clock_repaired = true;
    if (!course->credentials_renewed && credential_chain_refused(client->chain))
        return course->credentials_renewed = true;
    return false;
}

/* False: it is not worth while any more. */
static bool wait_to_repeat(struct aws_client *client, uint64_t delay_ns)
{
    while (delay_ns > 0 && client->cancel != NULL) {
        uint64_t piece_ns = MIN(delay_ns, SLEEP_PIECE_NS);
        if (is_cancelled(client))
            return false;
        client->sleep_ns(client->sleep_user, piece_ns);
        delay_ns -= piece_ns;
    }
    if (delay_ns > 0)
        client->sleep_ns(client->sleep_user, delay_ns);
    return !is_cancelled(client);
}

/* True: the answer was thrown away, try again. */
static bool go_on(struct aws_client *client, struct course *course, struct aws_answer *answer)
{
    uint64_t delay_ns = 0;

    if (answer->outcome == AWS_OK) {
        aws_retry_succeeded(&client->retry, course->requests);
        return false;
    }
    if (!mend(client, course, answer)) {
        course->requests++;
        course->silences += answer->outcome == AWS_UNREACHABLE;
        if (is_cancelled(client) || course->silences >= DEFAULT_ATTEMPTS || answer->attempts == 0 ||
            course->requests >= client->attempts ||
            !aws_retry_again(&client->retry, answer->outcome, course->requests,
                             answer->http.retry_after_s * NS_PER_SECOND, &delay_ns) ||
            clock_monotonic_ns() + delay_ns > course->until_ns)
            return false;
    }
    if (!wait_to_repeat(client, delay_ns))
        return false;
    http_answer_done(&answer->http);
    answer->http = (struct http_answer){.status = 0};
    return true;
}

enum aws_outcome aws_client_send(struct aws_client *client, const struct aws_call *call,
                                 struct aws_answer *ret_answer)
{
    struct preparation preparation = {.region = ""};
    struct course course = {.until_ns = clock_monotonic_ns() + client->patience_ns};

    *ret_answer = (struct aws_answer){.outcome = AWS_OK};
    ret_answer->outcome =
        prepare(client, call, &preparation, ret_answer->problem, sizeof ret_answer->problem);
    if (ret_answer->outcome == AWS_OK) {
        do {
            ret_answer->problem[0] = '\0';
            (void)send_once(client, call, &preparation, ret_answer);
        } while (call->source == NULL && go_on(client, &course, ret_answer));
        describe(client, preparation.endpoint.host, ret_answer);
    }
    buffer_done(&preparation.path);
    return ret_answer->outcome;
}

/* ---- links ---- */

static enum aws_outcome presign(struct aws_client *client, const struct aws_call *call,
                                const struct preparation *preparation, uint32_t expires_s,
                                struct buffer *url, char *problem, size_t size)
{
    struct aws_credentials credentials;

    enum aws_outcome outcome = credential_chain_get(client->chain, &credentials, problem, size);
    if (outcome != AWS_OK)
        return outcome;
    const struct sigv4_request request = {
        .method = call->method != NULL ? call->method : "GET",
        .service = call->service,
        .region = preparation->region,
        .host = preparation->endpoint.host,
        .path = buffer_text(&preparation->path),
        .query = call->query,
        .query_count = call->query_count,
        .time_ns = service_time_ns(client),
    };
    int r = buffer_failed(&preparation->path);
    if (r == 0)
        r = buffer_append_text(url, preparation->endpoint.origin);
    if (r == 0)
        r = sigv4_presign(&request, &credentials, expires_s, url);
    if (r == 0)
        return AWS_OK;
    (void)text_format(problem, size, "the link could not be signed: %s", log_error_text(r));
    return AWS_NOT_CONFIGURED;
}

enum aws_outcome aws_client_presign(struct aws_client *client, const struct aws_call *call,
                                    uint32_t expires_s, struct buffer *url, char *problem,
                                    size_t problem_size)
{
    struct preparation preparation = {.region = ""};

    enum aws_outcome outcome = prepare(client, call, &preparation, problem, problem_size);
    if (outcome == AWS_OK)
        outcome = presign(client, call, &preparation, expires_s, url, problem, problem_size);
    buffer_done(&preparation.path);
    return outcome;
}

/* ---- protocols ---- */

enum aws_outcome aws_client_json(struct aws_client *client, const char *service, const char *target,
                                 const char *json, struct aws_answer *ret_answer)
{
    const struct aws_pair header = {"X-Amz-Target", target};
    const struct aws_call call = {
        .service = service,
        .headers = &header,
        .header_count = 1,
        .content_type = "application/x-amz-json-1.1",
        .body = json,
        .body_length = strlen(json),
    };

    return aws_client_send(client, &call, ret_answer);
}

static void append_pair(struct buffer *form, const char *name, const char *value)
{
    if (form->length > 0)
        (void)buffer_append_text(form, "&");
    sigv4_append_form(form, name);
    (void)buffer_append_text(form, "=");
    sigv4_append_form(form, value);
}

enum aws_outcome aws_client_query(struct aws_client *client, const char *service,
                                  const char *region, const char *version, const char *action,
                                  const struct aws_pair *pairs, size_t count,
                                  struct aws_answer *ret_answer)
{
    AUTO_BUFFER struct buffer form = BUFFER_WITH_MAXIMUM(MOST_FORM_BYTES);

    append_pair(&form, "Action", action);
    append_pair(&form, "Version", version);
    for (size_t i = 0; i < count; i++)
        append_pair(&form, pairs[i].name, pairs[i].value);
    if (buffer_failed(&form) < 0) {
        *ret_answer = (struct aws_answer){.outcome = AWS_REFUSED};
        (void)text_copy(ret_answer->problem, sizeof ret_answer->problem,
                        "the request is longer than any service takes");
        return AWS_REFUSED;
    }
    const struct aws_call call = {
        .service = service,
        .region = region,
        .content_type = "application/x-www-form-urlencoded; charset=utf-8",
        .body = buffer_text(&form),
        .body_length = form.length,
    };
    return aws_client_send(client, &call, ret_answer);
}
