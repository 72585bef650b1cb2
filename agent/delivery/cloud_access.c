/* Root's side of AWS. Owns: which settings win, and opening the files. Must not: read what is in
 * them, or speak to AWS. Hands off: descriptors to the messenger. */
#include "agent/delivery/cloud_access.h"

#include "agent/delivery/host_facts.h"
#include "common/text/text.h"

#include <errno.h>
#include <string.h>

struct cloud_access {
    struct console_files *files;
    struct link_cloud configured; /* by configuration and environment */
    struct link_cloud ordered;    /* by an order, this run's with its secrets */
    bool left;
};

/* ---- settings ---- */

static const char *of_caller(void *user, const char *name)
{
    return json_string_value(json_object_get(user, name));
}

static void take_order(const json_t *order, struct link_cloud *cloud)
{
    const char *region = json_string_value(json_object_get(order, "region"));

    if (region != NULL)
        (void)text_copy(cloud->aws.region, sizeof cloud->aws.region, region);
}

static int refuse_variable(const char *variable, char *problem, size_t size)
{
    (void)text_format(problem, size, "the environment variable %s is too long", variable);
    return -EINVAL;
}

static int take_config(const struct agent_config *config, struct aws_settings *aws, char *problem,
                       size_t size)
{
    struct aws_settings configured = {.fips = text_equal(config->aws_fips, "yes"),
                                      .dual_stack = text_equal(config->aws_dual_stack, "yes")};

    if (text_copy(configured.region, sizeof configured.region, config->aws_region) < 0 ||
        text_copy(configured.profile, sizeof configured.profile, config->aws_profile) < 0 ||
        text_copy(configured.credentials_file, sizeof configured.credentials_file,
                  config->aws_credentials_file) < 0 ||
        text_copy(configured.service_endpoints[0], sizeof configured.service_endpoints[0],
                  config->aws_ssm_endpoint) < 0 ||
        text_copy(configured.proxy, sizeof configured.proxy, config->aws_proxy) < 0) {
        (void)text_copy(problem, size, "agent.conf: a value for AWS is too long");
        return -EINVAL;
    }
    aws_settings_merge(aws, &configured);
    return 0;
}

static int take_prefix(const struct agent_config *config, const json_t *order,
                       struct link_cloud *cloud, char *problem, size_t size)
{
    const char *prefix = json_string_value(json_object_get(order, "prefix"));

    if (prefix == NULL)
        prefix = config->parameter_prefix;
    if (link_cloud_read_prefix(prefix, cloud->prefix, sizeof cloud->prefix) == 0)
        return 0;
    (void)text_format(problem, size,
                      "the prefix \"%.200s\" is none of parameters: a slash, then letters, digits "
                      "and ._-/",
                      prefix);
    return -EINVAL;
}

/* Absolute ones, for whom the messenger tells about them. */
static void name_files(struct aws_settings *aws)
{
    char path[AWS_TEXT_BYTES];

    if (aws_file_path(aws, AWS_FILE_CREDENTIALS, path) == 0)
        (void)text_copy(aws->credentials_file, sizeof aws->credentials_file, path);
    if (aws_file_path(aws, AWS_FILE_CONFIG, path) == 0)
        (void)text_copy(aws->config_file, sizeof aws->config_file, path);
}

int cloud_access_read(const struct agent_config *config, const json_t *order,
                      struct link_cloud *ret_cloud, char *problem, size_t problem_size)
{
    json_t *environment = json_object_get(order, "environment");
    const char *variable = "";

    *ret_cloud = (struct link_cloud){
        .parameters = order != NULL || text_equal(config->activate_from, "parameter-store")};
    take_order(order, ret_cloud);
    int r = take_prefix(config, order, ret_cloud, problem, problem_size);
    if (r == 0 && environment != NULL &&
        aws_settings_from(&ret_cloud->aws, of_caller, environment, &variable) < 0)
        r = refuse_variable(variable, problem, problem_size);
    if (r == 0)
        r = take_config(config, &ret_cloud->aws, problem, problem_size);
    if (r == 0 && aws_settings_from_environment(&ret_cloud->aws, &variable) < 0)
        r = refuse_variable(variable, problem, problem_size);
    if (r < 0)
        return r;
    name_files(&ret_cloud->aws);
    ret_cloud->instance = host_facts_is_instance() || ret_cloud->aws.metadata_endpoint[0] != '\0';
    return 0;
}

/* ---- orders ---- */

int cloud_access_new(const struct link_cloud *configured, struct console_files *files,
                     struct cloud_access **ret_access)
{
    AUTO_FREE struct console_cloud *kept = calloc(1, sizeof *kept);
    struct cloud_access *access = calloc(1, sizeof *access);
    if (access == NULL || kept == NULL) {
        free(access);
        return -ENOMEM;
    }
    access->files = files;
    access->configured = *configured;
    if (console_files_read_cloud(files, kept) == 0) {
        access->left = kept->left;
        access->ordered = kept->cloud;
        access->ordered.instance = configured->instance;
        aws_settings_merge(&access->ordered.aws, &configured->aws);
    }
    *ret_access = access;
    return 0;
}

struct cloud_access *cloud_access_free(struct cloud_access *access)
{
    if (access != NULL)
        explicit_bzero(access, sizeof *access);
    free(access);
    return NULL;
}

static const struct link_cloud *in_force(const struct cloud_access *access)
{
    return access->ordered.parameters ? &access->ordered : &access->configured;
}

bool cloud_access_has_parameters(const struct cloud_access *access)
{
    return !access->left && in_force(access)->parameters;
}

static int keep(const struct cloud_access *access)
{
    AUTO_FREE struct console_cloud *kept = calloc(1, sizeof *kept);

    if (kept == NULL)
        return -ENOMEM;
    kept->left = access->left;
    kept->cloud = access->ordered;
    int r = console_files_write_cloud(access->files, kept);
    explicit_bzero(kept, sizeof *kept);
    return r;
}

int cloud_access_order(struct cloud_access *access, const struct link_cloud *cloud)
{
    access->ordered = *cloud;
    access->left = false;
    return keep(access);
}

static void forget_order(struct cloud_access *access)
{
    explicit_bzero(&access->ordered, sizeof access->ordered);
}

int cloud_access_leave(struct cloud_access *access)
{
    forget_order(access);
    access->left = true;
    return keep(access);
}

int cloud_access_settle(struct cloud_access *access)
{
    bool known = !access->ordered.parameters && !access->left;

    forget_order(access);
    access->left = false;
    return known ? 0 : keep(access);
}

/* ---- the messenger ---- */

/* With nothing to sign, no secret is needed: only the instance's identity is asked for. */
static void forget_all_but_metadata(struct aws_settings *aws)
{
    struct aws_settings kept = {.metadata_disabled = aws->metadata_disabled};

    (void)text_copy(kept.metadata_endpoint, sizeof kept.metadata_endpoint, aws->metadata_endpoint);
    aws_settings_wipe(aws);
    *aws = kept;
}

int cloud_access_introduce(const struct cloud_access *access, int socket, bool ask)
{
    AUTO_FREE struct link_cloud *cloud = calloc(1, sizeof *cloud);

    if (cloud == NULL)
        return -ENOMEM;
    *cloud = *in_force(access);
    cloud->parameters = ask;
    if (!ask)
        forget_all_but_metadata(&cloud->aws);
    int r = link_send_cloud(socket, cloud);
    explicit_bzero(cloud, sizeof *cloud);
    return r;
}

int cloud_access_send_files(const struct cloud_access *access, int socket)
{
    const struct link_cloud *cloud = in_force(access);
    struct link_files files = {.error = {0}};
    int r = 0;

    for (size_t i = 0; r == 0 && i < AWS_FILES; i++) {
        AUTO_CLOSE int fd = -1;
        files.error[i] = aws_file_open(&cloud->aws, (enum aws_file)i, &fd);
        if (files.error[i] == 0)
            r = link_send_file(socket, (enum aws_file)i, fd);
    }
    return r < 0 ? r : link_send_files_done(socket, &files);
}
