/* Settings from the environment. Owns the names of the variables. Must not own: which credentials
 * win in the end (credential_chain.c). */
#include "common/aws/aws_settings.h"

#include "common/text/text.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

const char *const aws_endpoint_services[AWS_ENDPOINT_SERVICES] = {"ssm", "s3", "sns", "sqs", "sts"};

struct variable {
    const char *name;
    size_t offset, size;
};
#define VARIABLE(name, field)                                                                 \
    {                                                                                         \
        name, offsetof(struct aws_settings, field), sizeof(((struct aws_settings *)0)->field) \
    }

/* The first that is set wins. BWS_REGION and AWS_SSM_REGION_NAME: of the Systems Manager agent. */
static const struct variable texts[] = {
    VARIABLE("AWS_REGION", region),
    VARIABLE("AWS_DEFAULT_REGION", region),
    VARIABLE("BWS_REGION", region),
    VARIABLE("AWS_SSM_REGION_NAME", region),
    VARIABLE("AWS_PROFILE", profile),
    VARIABLE("AWS_DEFAULT_PROFILE", profile),
    VARIABLE("AWS_SHARED_CREDENTIALS_FILE", credentials_file),
    VARIABLE("AWS_CONFIG_FILE", config_file),
    VARIABLE("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", container_relative_uri),
    VARIABLE("AWS_CONTAINER_CREDENTIALS_FULL_URI", container_full_uri),
    VARIABLE("AWS_CONTAINER_AUTHORIZATION_TOKEN", container_token),
    VARIABLE("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", container_token_file),
    VARIABLE("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata_endpoint),
    VARIABLE("AWS_CA_BUNDLE", authority_file),
    VARIABLE("https_proxy", proxy),
    VARIABLE("HTTPS_PROXY", proxy),
    VARIABLE("no_proxy", no_proxy),
    VARIABLE("NO_PROXY", no_proxy),
};

static const struct variable keys[] = {
    VARIABLE("AWS_ACCESS_KEY_ID", keys.access_key_id),
    VARIABLE("AWS_SECRET_ACCESS_KEY", keys.secret_access_key),
    VARIABLE("AWS_SESSION_TOKEN", keys.session_token),
};

static const struct variable endpoints[] = {
    VARIABLE("AWS_ENDPOINT_URL", endpoint),
    VARIABLE("AWS_ENDPOINT_URL_SSM", service_endpoints[0]),
    VARIABLE("AWS_ENDPOINT_URL_S3", service_endpoints[1]),
    VARIABLE("AWS_ENDPOINT_URL_SNS", service_endpoints[2]),
    VARIABLE("AWS_ENDPOINT_URL_SQS", service_endpoints[3]),
    VARIABLE("AWS_ENDPOINT_URL_STS", service_endpoints[4]),
};

#define METADATA_MODE     "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"
#define METADATA_DISABLED "AWS_EC2_METADATA_DISABLED"
#define IGNORE_ENDPOINTS  "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"
#define USE_FIPS          "AWS_USE_FIPS_ENDPOINT"
#define USE_DUAL_STACK    "AWS_USE_DUALSTACK_ENDPOINT"
#define WEB_IDENTITY      "AWS_WEB_IDENTITY_TOKEN_FILE"

static const char *const others[] = {METADATA_MODE, METADATA_DISABLED, IGNORE_ENDPOINTS,
                                     USE_FIPS,      USE_DUAL_STACK,    WEB_IDENTITY};

struct environment {
    const char *(*lookup)(void *user, const char *name);
    void *user;
};

static const char *look_up(const struct environment *environment, const char *name)
{
    return environment->lookup(environment->user, name);
}

static int take_variables(struct aws_settings *settings, const struct environment *environment,
                          const struct variable *variables, size_t count, const char **ret_variable)
{
    for (size_t i = 0; i < count; i++) {
        char *field = (char *)settings + variables[i].offset;
        const char *value = field[0] == '\0' ? look_up(environment, variables[i].name) : NULL;
        if (value == NULL)
            continue;
        if (text_copy(field, variables[i].size, value) < 0) {
            explicit_bzero(field, variables[i].size);
            *ret_variable = variables[i].name;
            return -ENAMETOOLONG;
        }
    }
    return 0;
}

static bool is_true(const struct environment *environment, const char *name)
{
    const char *value = look_up(environment, name);

    return value != NULL && strcasecmp(value, "true") == 0;
}

static void take_metadata_mode(struct aws_settings *settings, const struct environment *environment)
{
    const char *mode = look_up(environment, METADATA_MODE);

    if (mode != NULL && strcasecmp(mode, "ipv6") == 0 && settings->metadata_endpoint[0] == '\0')
        (void)text_copy(settings->metadata_endpoint, sizeof settings->metadata_endpoint,
                        "http://[fd00:ec2::254]");
}

int aws_settings_from(struct aws_settings *settings,
                      const char *(*lookup)(void *user, const char *name), void *user,
                      const char **ret_variable)
{
    const struct environment environment = {lookup, user};
    /* A profile that was configured stands above keys that happen to be in the environment, and
     * keys come whole from one place. */
    bool with_keys = settings->profile[0] == '\0' && settings->keys.access_key_id[0] == '\0';

    int r = take_variables(settings, &environment, texts, ARRAY_LENGTH(texts), ret_variable);
    if (r == 0 && with_keys)
        r = take_variables(settings, &environment, keys, ARRAY_LENGTH(keys), ret_variable);
    if (r == 0 && !is_true(&environment, IGNORE_ENDPOINTS))
        r = take_variables(settings, &environment, endpoints, ARRAY_LENGTH(endpoints),
                           ret_variable);
    if (r < 0)
        return r;
    take_metadata_mode(settings, &environment);
    settings->metadata_disabled |= is_true(&environment, METADATA_DISABLED);
    settings->fips |= is_true(&environment, USE_FIPS);
    settings->dual_stack |= is_true(&environment, USE_DUAL_STACK);
    settings->web_identity |= look_up(&environment, WEB_IDENTITY) != NULL;
    return 0;
}

static const char *of_process(void *user UNUSED, const char *name)
{
    return getenv(name);
}

int aws_settings_from_environment(struct aws_settings *settings, const char **ret_variable)
{
    return aws_settings_from(settings, of_process, NULL, ret_variable);
}

const char *const *aws_settings_variables(void)
{
    enum {
        TEXTS = ARRAY_LENGTH(texts),
        KEYS = ARRAY_LENGTH(keys),
        ENDPOINTS = ARRAY_LENGTH(endpoints)
    };
    static const char *names[TEXTS + KEYS + ENDPOINTS + ARRAY_LENGTH(others) + 1];
    size_t count = 0;

    for (size_t i = 0; i < TEXTS; i++)
        names[count++] = texts[i].name;
    for (size_t i = 0; i < KEYS; i++)
        names[count++] = keys[i].name;
    for (size_t i = 0; i < ENDPOINTS; i++)
        names[count++] = endpoints[i].name;
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++)
        names[count++] = others[i];
    return names;
}

static void merge_texts(struct aws_settings *settings, const struct aws_settings *other,
                        const struct variable *variables, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char *field = (char *)settings + variables[i].offset;
        if (field[0] == '\0')
            (void)text_copy(field, variables[i].size, (const char *)other + variables[i].offset);
    }
}

void aws_settings_merge(struct aws_settings *settings, const struct aws_settings *other)
{
    if (settings->profile[0] == '\0' && settings->keys.access_key_id[0] == '\0')
        merge_texts(settings, other, keys, ARRAY_LENGTH(keys));
    merge_texts(settings, other, texts, ARRAY_LENGTH(texts));
    merge_texts(settings, other, endpoints, ARRAY_LENGTH(endpoints));
    settings->metadata_disabled |= other->metadata_disabled;
    settings->fips |= other->fips;
    settings->dual_stack |= other->dual_stack;
    settings->web_identity |= other->web_identity;
}

bool aws_region_is_valid(const char *region)
{
    size_t length = strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-");

    return length > 0 && length < AWS_REGION_BYTES && region[length] == '\0' && region[0] != '-';
}

void aws_settings_wipe(struct aws_settings *settings)
{
    explicit_bzero(settings, sizeof *settings);
}
