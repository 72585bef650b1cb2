/* Activation's parameters. Owns: their names, and what their values must look like. Must not own:
 * credentials and requests (common/aws). */
#include "agent/messenger/parameter_store.h"

#include "common/crypto/random.h"
#include "common/json/json_writer.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#define TARGET     "AmazonSSM.GetParameters"
#define NAME_BYTES (LINK_TEXT_BYTES + 32)

/* What they are, in the order of struct wanted's values. */
enum parameter { URL, TOKEN, TENANT_ID, PIN, POLICY, GROUP, PARAMETERS };

static const char *const own_names[PARAMETERS] = {
    [URL] = "activation-url", [TOKEN] = "token",   [TENANT_ID] = "tenant-id",
    [PIN] = "ca-pin",         [POLICY] = "policy", [GROUP] = "group"};

struct alias {
    const char *name;
    enum parameter parameter;
};
/* dsManagerUrl is asked for, as Trend's package does, and of no use here. */
static const struct alias aliases[] = {{"dsActivationUrl", URL},
                                       {"dsToken", TOKEN},
                                       {"dsTenantId", TENANT_ID},
                                       {"dsManagerUrl", PARAMETERS}};

struct values {
    char text[PARAMETERS][LINK_TEXT_BYTES]; /* "" = not there */
    char name[PARAMETERS][NAME_BYTES];      /* the parameter it came from, or is looked for under */
};

/* One exchange, and what it is told with. */
struct fetch {
    struct aws_client *client;
    const char *prefix;
    struct values values;
    char denied[NAME_BYTES]; /* a parameter that may not be read; "" */
    char *problem;
    size_t problem_size;
};

#define FAIL(fetch, outcome, ...) \
    ((void)text_format((fetch)->problem, (fetch)->problem_size, __VA_ARGS__), (outcome))

/* ---- names ---- */

static void name_all(struct fetch *fetch)
{
    for (size_t i = 0; i < PARAMETERS; i++)
        (void)text_format(fetch->values.name[i], NAME_BYTES, "%s%s", fetch->prefix, own_names[i]);
}

/* PARAMETERS: not one of ours. */
static enum parameter parameter_of(const struct fetch *fetch, const char *name)
{
    for (size_t i = 0; i < PARAMETERS; i++)
        if (text_equal(name, fetch->values.name[i]))
            return (enum parameter)i;
    for (size_t i = 0; i < ARRAY_LENGTH(aliases); i++)
        if (text_equal(name, aliases[i].name))
            return aliases[i].parameter;
    return PARAMETERS;
}

/* ---- values ---- */

/* What a SecureString looks like that was not decrypted: the base64 of KMS's own format. */
static bool is_ciphertext(const char *value)
{
    return text_starts_with(value, "AQICA") || text_starts_with(value, "AQECA") ||
           text_starts_with(value, "kms:");
}

static int take_value(struct fetch *fetch, const char *name, const char *value)
{
    enum parameter parameter = parameter_of(fetch, name);

    if (parameter == PARAMETERS)
        return 0;
    value += strspn(value, " \t\r\n");
    size_t length = strlen(value);
    while (length > 0 && strchr(" \t\r\n", value[length - 1]) != NULL)
        length--;
    if (is_ciphertext(value))
        return FAIL(fetch, -EBADMSG,
                    "the parameter %s holds ciphertext: store the plain value as a SecureString "
                    "(aws ssm put-parameter --type SecureString --overwrite --name %s)",
                    name, name);
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)value[i] < ' ')
            return FAIL(fetch, -EBADMSG, "the parameter %s has line breaks or control characters",
                        name);
    if (text_format(fetch->values.text[parameter], LINK_TEXT_BYTES, "%.*s", (int)length, value) < 0)
        return FAIL(fetch, -EBADMSG, "the parameter %s is longer than %d bytes", name,
                    LINK_TEXT_BYTES - 1);
    (void)text_copy(fetch->values.name[parameter], NAME_BYTES, name);
    return 0;
}

static int take_parameters(struct fetch *fetch, const struct buffer *body)
{
    json_t *root = json_loadb(buffer_text(body), body->length, 0, NULL), *parameter;
    json_t *parameters = json_object_get(root, "Parameters");
    size_t index;
    int r = 0;

    if (!json_is_array(parameters))
        r = FAIL(fetch, -EBADMSG,
                 "what answers for Parameter Store is not it: look at endpoint and proxy");
    json_array_foreach(parameters, index, parameter)
    {
        const char *name = json_string_value(json_object_get(parameter, "Name"));
        const char *value = json_string_value(json_object_get(parameter, "Value"));
        if (r == 0 && name != NULL && value != NULL)
            r = take_value(fetch, name, value);
    }
    json_decref(root);
    return r;
}

/* ---- requests ---- */

static enum parameter_outcome outcome_of(enum aws_outcome outcome)
{
    switch (outcome) {
    case AWS_OK:
        return PARAMETERS_FOUND;
    case AWS_THROTTLED:
        return PARAMETERS_THROTTLED;
    case AWS_UNREACHABLE:
    case AWS_UNAVAILABLE:
        return PARAMETERS_LATER;
    case AWS_NOT_CONFIGURED:
    case AWS_NO_CREDENTIALS:
    case AWS_UNTRUSTED:
    case AWS_BAD_CREDENTIALS:
    case AWS_DENIED:
    case AWS_NOT_FOUND:
    case AWS_REFUSED:
    case AWS_CHANGED:
    case AWS_CANCELLED:
    case AWS_TAKER_FAILED:
        break;
    }
    return PARAMETERS_REFUSED;
}

/* A missing permission to read, or one for the key that a SecureString is encrypted with. */
static void tell_denied(struct fetch *fetch, const char *name, const struct aws_answer *answer)
{
    char region[AWS_REGION_BYTES] = "";
    bool of_key = strstr(answer->message, "kms:") != NULL || strstr(answer->code, "KMS") != NULL;
    bool host_management =
        strstr(answer->message, "AWSSystemsManagerDefaultEC2InstanceManagement") != NULL;

    (void)text_copy(fetch->denied, sizeof fetch->denied, name);
    (void)aws_client_region(fetch->client, region, fetch->problem, fetch->problem_size);
    (void)text_format(fetch->problem, fetch->problem_size,
                      "%s in %s may not be read with %s: allow %s%s (%.150s)", name, region,
                      aws_client_credential_source(fetch->client),
                      of_key ? "kms:Decrypt on the key of that SecureString"
                             : "ssm:GetParameters on that parameter",
                      host_management ? " in the role of Default Host Management, whose own policy "
                                        "does not, or attach an instance profile"
                                      : "",
                      answer->message[0] != '\0' ? answer->message : answer->code);
}

static enum aws_outcome request(struct fetch *fetch, const char *const *names, size_t count,
                                int *ret_error)
{
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(16384);
    struct json_writer json;
    struct aws_answer answer;

    *ret_error = 0;
    json_writer_init(&json, &body);
    json_write_object_begin(&json);
    json_write_key(&json, "Names");
    json_write_array_begin(&json);
    for (size_t i = 0; i < count; i++)
        json_write_string(&json, names[i]);
    json_write_array_end(&json);
    json_write_field_bool(&json, "WithDecryption", true);
    json_write_object_end(&json);
    enum aws_outcome outcome =
        aws_client_json(fetch->client, "ssm", TARGET, buffer_text(&body), &answer);
    if (outcome == AWS_OK)
        *ret_error = take_parameters(fetch, &answer.http.body);
    else if (outcome == AWS_DENIED)
        tell_denied(fetch, names[0], &answer);
    else
        (void)text_format(fetch->problem, fetch->problem_size, "Parameter Store: %.460s",
                          answer.problem);
    aws_answer_done(&answer); /* wipes the values */
    return outcome;
}

/* One by one, because one forbidden name forbids the whole request. What may not be read counts as
 * absent, and is told when it turns out to be needed. */
static enum parameter_outcome request_singly(struct fetch *fetch, const char *const *names,
                                             size_t count)
{
    char first[LINK_TEXT_BYTES] = "", first_name[NAME_BYTES] = "";

    for (size_t i = 0; i < count; i++) {
        int r;
        enum aws_outcome outcome = request(fetch, &names[i], 1, &r);
        if (outcome == AWS_DENIED && first[0] == '\0') {
            (void)text_copy(first, sizeof first, fetch->problem);
            (void)text_copy(first_name, sizeof first_name, names[i]);
        }
        if (r < 0)
            return PARAMETERS_REFUSED;
        if (outcome != AWS_OK && outcome != AWS_DENIED)
            return outcome_of(outcome);
    }
    (void)text_copy(fetch->problem, fetch->problem_size, first);
    (void)text_copy(fetch->denied, sizeof fetch->denied, first_name);
    return PARAMETERS_FOUND;
}

static enum parameter_outcome request_all(struct fetch *fetch, const char *const *names,
                                          size_t count)
{
    int r;

    enum aws_outcome outcome = request(fetch, names, count, &r);
    if (r < 0)
        return PARAMETERS_REFUSED;
    return outcome == AWS_DENIED ? request_singly(fetch, names, count) : outcome_of(outcome);
}

static enum parameter_outcome request_own(struct fetch *fetch)
{
    const char *names[PARAMETERS];

    for (size_t i = 0; i < PARAMETERS; i++)
        names[i] = fetch->values.name[i];
    return request_all(fetch, names, PARAMETERS);
}

/* What is wrong with our own names is worth more to a reader than that Trend's are not there. */
static enum parameter_outcome request_aliases(struct fetch *fetch)
{
    const char *names[ARRAY_LENGTH(aliases)];
    char denied[NAME_BYTES], problem[LINK_TEXT_BYTES];

    (void)text_copy(denied, sizeof denied, fetch->denied);
    (void)text_copy(problem, sizeof problem, fetch->problem);
    for (size_t i = 0; i < ARRAY_LENGTH(aliases); i++)
        names[i] = aliases[i].name;
    fetch->denied[0] = '\0';
    enum parameter_outcome outcome = request_all(fetch, names, ARRAY_LENGTH(aliases));
    if (denied[0] != '\0' && outcome == PARAMETERS_FOUND && fetch->values.text[URL][0] == '\0') {
        (void)text_copy(fetch->denied, sizeof fetch->denied, denied);
        (void)text_copy(fetch->problem, fetch->problem_size, problem);
    } else if (outcome == PARAMETERS_FOUND && fetch->values.text[URL][0] == '\0') {
        fetch->denied[0] = '\0'; /* absent under our own names: that is what is to be mended */
    }
    return outcome;
}

/* ---- what was found ---- */

static enum parameter_outcome miss(struct fetch *fetch, enum parameter parameter)
{
    const char *name = fetch->values.name[parameter];
    char region[AWS_REGION_BYTES] = "?";

    if (fetch->denied[0] != '\0')
        return PARAMETERS_REFUSED; /* told already */
    (void)aws_client_region(fetch->client, region, fetch->problem, fetch->problem_size);
    return FAIL(fetch, PARAMETERS_REFUSED,
                "Parameter Store in %s has no value for %s: aws ssm put-parameter --type %s --name "
                "%s --value ... --region %s",
                region, name, parameter == TOKEN ? "SecureString" : "String", name, region);
}

/* "dsm://host:4120/" is how Trend's products write https://host:4120. */
static int read_url(const char *given, char *url, size_t size)
{
    static const char scheme[] = "dsm://";

    if (text_starts_with(given, scheme))
        return text_format(url, size, "https://%s", given + strlen(scheme));
    return text_copy(url, size, given);
}

static enum parameter_outcome take(struct fetch *fetch, struct link_settings *settings,
                                   struct link_token *token)
{
    const struct values *values = &fetch->values;

    if (values->text[URL][0] == '\0')
        return miss(fetch, URL);
    if (values->text[TOKEN][0] == '\0')
        return miss(fetch, TOKEN);
    if (read_url(values->text[URL], settings->url, sizeof settings->url) < 0 ||
        !text_starts_with(settings->url, "https://") || strlen(settings->url) <= strlen("https://"))
        return FAIL(fetch, PARAMETERS_REFUSED,
                    "the parameter %s must be https://HOST:4120 or dsm://HOST:4120/",
                    values->name[URL]);
    if (text_copy(settings->tenant_id, sizeof settings->tenant_id, values->text[TENANT_ID]) < 0 ||
        text_copy(settings->policy, sizeof settings->policy, values->text[POLICY]) < 0 ||
        text_copy(settings->group, sizeof settings->group, values->text[GROUP]) < 0)
        return FAIL(fetch, PARAMETERS_REFUSED, "%s, %s or %s is too long", values->name[TENANT_ID],
                    values->name[POLICY], values->name[GROUP]);
    (void)text_copy(settings->pin, sizeof settings->pin, values->text[PIN]);
    (void)text_copy(token->text, sizeof token->text, values->text[TOKEN]);
    fetch->problem[0] = '\0';
    return PARAMETERS_FOUND;
}

enum parameter_outcome parameter_store_fetch(struct aws_client *client, const char *prefix,
                                             struct link_settings *settings,
                                             struct link_token *ret_token, char *problem,
                                             size_t problem_size)
{
    struct fetch fetch = {
        .client = client, .prefix = prefix, .problem = problem, .problem_size = problem_size};

    problem[0] = '\0';
    name_all(&fetch);
    enum parameter_outcome outcome = request_own(&fetch);
    if (outcome == PARAMETERS_FOUND && fetch.values.text[URL][0] == '\0' &&
        fetch.values.text[TOKEN][0] == '\0')
        outcome = request_aliases(&fetch);
    if (outcome == PARAMETERS_FOUND)
        outcome = take(&fetch, settings, ret_token);
    explicit_bzero(&fetch.values, sizeof fetch.values);
    return outcome;
}

/* ---- when to try again ---- */

/* Uniform in 0..most; without randomness the middle. */
static uint64_t random_up_to(uint64_t most)
{
    uint64_t value;

    return random_bytes(&value, sizeof value) < 0 ? most / 2 : value % (most + 1);
}

uint64_t parameter_attempts_delay(struct parameter_attempts *attempts,
                                  enum parameter_outcome outcome, struct delay *delay)
{
    enum { MOST_DOUBLINGS = 4 };
    const uint64_t interval = PARAMETER_INTERVAL_NS;

    if (outcome == PARAMETERS_THROTTLED) {
        unsigned doublings = MIN(attempts->throttled, (unsigned)MOST_DOUBLINGS);
        attempts->throttled++;
        return NS_PER_SECOND + random_up_to((5 * NS_PER_SECOND) << doublings);
    }
    if (attempts->used >= PARAMETER_ATTEMPTS)
        return interval + delay_after_failure(delay, 0, false);
    attempts->used++;
    attempts->throttled = 0;
    return interval - interval / 10 + random_up_to(interval / 5);
}
