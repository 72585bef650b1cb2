/* What is known about AWS before the first request: from the configuration, then from the
 * environment, named as AWS's own tools name it. No secret is logged. Plain data: copy it, send it
 * to another process, wipe it with aws_settings_wipe.
 * Source: https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html */
#ifndef COMMON_AWS_AWS_SETTINGS_H
#define COMMON_AWS_AWS_SETTINGS_H

#include "common/attributes.h"

#include <stdbool.h>

#define AWS_TEXT_BYTES        512
#define AWS_REGION_BYTES      64
#define AWS_KEY_ID_BYTES      132 /* AWS says at most 128 characters */
#define AWS_SECRET_BYTES      260
#define AWS_TOKEN_BYTES       8192 /* no limit is promised; about 1 KB is usual */
#define AWS_ENDPOINT_SERVICES 5

/* Keys as text; "" = none. */
struct aws_keys {
    char access_key_id[AWS_KEY_ID_BYTES];
    char secret_access_key[AWS_SECRET_BYTES];
    char session_token[AWS_TOKEN_BYTES]; /* "" for long-lived keys */
};

/* "" and false = not said. */
struct aws_settings {
    char region[AWS_REGION_BYTES];
    char profile[AWS_TEXT_BYTES]; /* of the shared files; "" = "default" */
    struct aws_keys keys;
    char credentials_file[AWS_TEXT_BYTES]; /* "" = ~/.aws/credentials of the user we run as */
    char config_file[AWS_TEXT_BYTES];      /* "" = ~/.aws/config */
    char container_relative_uri[AWS_TEXT_BYTES], container_full_uri[AWS_TEXT_BYTES];
    char container_token[AWS_TOKEN_BYTES], container_token_file[AWS_TEXT_BYTES];
    char metadata_endpoint[AWS_TEXT_BYTES]; /* "" = http://169.254.169.254 */
    bool metadata_disabled;
    char endpoint[AWS_TEXT_BYTES]; /* for every service that has none of its own */
    char service_endpoints[AWS_ENDPOINT_SERVICES][AWS_TEXT_BYTES]; /* aws_endpoint_services */
    bool fips, dual_stack;
    char authority_file[AWS_TEXT_BYTES]; /* PEM, beside the system's trust store */
    char proxy[AWS_TEXT_BYTES];          /* for https; never for metadata and containers */
    char no_proxy[AWS_TEXT_BYTES * 2];
    bool web_identity; /* said in the environment; not supported, and told when nothing else is */
};

/* Lower case, as in endpoints: "ssm", "s3", "sns", "sqs", "sts". */
extern const char *const aws_endpoint_services[AWS_ENDPOINT_SERVICES];

/* Fills what is "" or false from an environment (AWS_REGION and so on, also the names that the
 * Systems Manager agent gives to scripts). -ENAMETOOLONG when a variable is too long; then
 * ret_variable is its name. lookup: its value, or NULL. */
int aws_settings_from_environment(struct aws_settings *settings,
                                  const char **ret_variable) MUST_USE;
int aws_settings_from(struct aws_settings *settings,
                      const char *(*lookup)(void *user, const char *name), void *user,
                      const char **ret_variable) MUST_USE;
/* The names of all such variables, NULL at the end: for whoever hands an environment on. */
const char *const *aws_settings_variables(void);
/* Fills what is "" or false from other; keys come whole from one place. */
void aws_settings_merge(struct aws_settings *settings, const struct aws_settings *other);
/* Letters of lower case, digits and dashes: fit to stand in a host name. */
bool aws_region_is_valid(const char *region);
void aws_settings_wipe(struct aws_settings *settings);

#endif
