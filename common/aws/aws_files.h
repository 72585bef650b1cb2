/* The files of AWS's tools, for the client and for whoever opens them in its stead. */
#ifndef COMMON_AWS_AWS_FILES_H
#define COMMON_AWS_AWS_FILES_H

#include "common/attributes.h"
#include "common/aws/aws_settings.h"

enum aws_file {
    AWS_FILE_CREDENTIALS,
    AWS_FILE_CONFIG,
    AWS_FILE_CONTAINER_TOKEN,
    AWS_FILE_AUTHORITY,
};
#define AWS_FILES 4

/* Where a client gets them from: 0 and a descriptor for reading, which the client closes; -ENOENT
 * when there is none; -errno. */
struct aws_file_opener {
    int (*open)(void *user, enum aws_file file, int *ret_fd);
    void *user;
};

/* "" when none is to be looked for. -ENAMETOOLONG. */
int aws_file_path(const struct aws_settings *settings, enum aws_file file,
                  char path[static AWS_TEXT_BYTES]) MUST_USE;
/* By that path, links followed, regular files only. -ENOENT, -errno. */
int aws_file_open(const struct aws_settings *settings, enum aws_file file, int *ret_fd) MUST_USE;

#endif
