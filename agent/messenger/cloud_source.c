/* What root said of AWS, and what came of it. Owns: the files' descriptors, the count of attempts,
 * the instance's identity. */
#include "agent/messenger/cloud_source.h"

#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* Within one attempt: a whole fleet may ask in the same second. */
#define PATIENCE_NS   (120 * NS_PER_SECOND)
#define MOST_REQUESTS 10

struct cloud_source {
    struct link_cloud cloud;
    int files[AWS_FILES]; /* -1 = none */
    struct link_files errors;
    struct parameter_attempts attempts;
    bool identity_known;
    struct instance_identity identity;
};

int cloud_source_new(const struct link_cloud *cloud, struct cloud_source **ret_source)
{
    struct cloud_source *source = calloc(1, sizeof *source);
    if (source == NULL)
        return -ENOMEM;
    source->cloud = *cloud;
    for (size_t i = 0; i < AWS_FILES; i++)
        source->files[i] = -1;
    *ret_source = source;
    return 0;
}

struct cloud_source *cloud_source_free(struct cloud_source *source)
{
    if (source == NULL)
        return NULL;
    cloud_source_begin(source);
    explicit_bzero(source, sizeof *source);
    free(source);
    return NULL;
}

bool cloud_source_has_parameters(const struct cloud_source *source)
{
    return source != NULL && source->cloud.parameters;
}

void cloud_source_settle(struct cloud_source *source)
{
    if (source == NULL)
        return;
    source->cloud.parameters = false;
    explicit_bzero(&source->cloud.aws.keys, sizeof source->cloud.aws.keys);
}

void cloud_source_begin(struct cloud_source *source)
{
    for (size_t i = 0; i < AWS_FILES; i++) {
        if (source->files[i] >= 0)
            (void)close(source->files[i]);
        source->files[i] = -1;
    }
}

void cloud_source_take_file(struct cloud_source *source, enum aws_file file, int fd)
{
    if (source->files[file] >= 0)
        (void)close(source->files[file]);
    source->files[file] = fd;
}

/* As if opened anew: from the beginning. */
static int open_file(void *user, enum aws_file file, int *ret_fd)
{
    struct cloud_source *source = user;

    if (source->files[file] < 0)
        return source->errors.error[file] < 0 ? source->errors.error[file] : -ENOENT;
    if (lseek(source->files[file], 0, SEEK_SET) < 0)
        return -errno;
    int fd = fcntl(source->files[file], F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    *ret_fd = fd;
    return 0;
}

enum parameter_outcome cloud_source_fetch(struct cloud_source *source,
                                          const struct link_files *errors,
                                          struct link_settings *settings,
                                          struct link_token *ret_token, char *problem,
                                          size_t problem_size)
{
    const struct aws_file_opener opener = {.open = open_file, .user = source};
    struct aws_client *client = NULL;

    source->errors = *errors;
    int r = aws_client_new(&source->cloud.aws, &opener, &client);
    if (r < 0) {
        (void)text_format(problem, problem_size, "AWS cannot be asked (%s): look at %s",
                          log_error_text(r),
                          source->cloud.aws.authority_file[0] != '\0'
                              ? source->cloud.aws.authority_file
                              : "the proxy's URL");
        return PARAMETERS_REFUSED;
    }
    aws_client_set_patience(client, PATIENCE_NS, MOST_REQUESTS);
    enum parameter_outcome outcome = parameter_store_fetch(client, source->cloud.prefix, settings,
                                                           ret_token, problem, problem_size);
    (void)aws_client_free(client);
    cloud_source_begin(source);
    return outcome;
}

const struct instance_identity *cloud_source_identity(struct cloud_source *source, char *problem,
                                                      size_t problem_size)
{
    struct instance_metadata *metadata = NULL;

    problem[0] = '\0';
    if (!source->cloud.instance || source->identity_known)
        return &source->identity;
    if (instance_metadata_new(&source->cloud.aws, &metadata) < 0) {
        (void)text_copy(problem, problem_size, "out of memory");
        return &source->identity;
    }
    source->identity_known =
        instance_identity_fetch(metadata, &source->identity, problem, problem_size) == METADATA_OK;
    (void)instance_metadata_free(metadata);
    return &source->identity;
}

uint64_t cloud_source_delay(struct cloud_source *source, enum parameter_outcome outcome,
                            struct delay *delay)
{
    return parameter_attempts_delay(&source->attempts, outcome, delay);
}
