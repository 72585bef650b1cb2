/* Where the files of AWS's tools are. Owns: default paths, and opening them for a client that may.
 */
#include "common/aws/aws_files.h"

#include "common/files/file.h"
#include "common/text/text.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>

/* By the user, not by HOME, which a service does not have. */
static int home_path(const char *name, char path[static AWS_TEXT_BYTES])
{
    struct passwd entry, *found = NULL;
    char text[4096];

    path[0] = '\0';
    if (getpwuid_r(geteuid(), &entry, text, sizeof text, &found) != 0 || found == NULL ||
        found->pw_dir == NULL || found->pw_dir[0] != '/')
        return 0;
    int r = text_format(path, AWS_TEXT_BYTES, "%s/.aws/%s", found->pw_dir, name);
    return r < 0 ? r : 0;
}

int aws_file_path(const struct aws_settings *settings, enum aws_file file,
                  char path[static AWS_TEXT_BYTES])
{
    switch (file) {
    case AWS_FILE_CREDENTIALS:
        return settings->credentials_file[0] != '\0'
                   ? text_copy(path, AWS_TEXT_BYTES, settings->credentials_file)
                   : home_path("credentials", path);
    case AWS_FILE_CONFIG:
        return settings->config_file[0] != '\0'
                   ? text_copy(path, AWS_TEXT_BYTES, settings->config_file)
                   : home_path("config", path);
    case AWS_FILE_CONTAINER_TOKEN:
        return text_copy(path, AWS_TEXT_BYTES, settings->container_token_file);
    case AWS_FILE_AUTHORITY:
        return text_copy(path, AWS_TEXT_BYTES, settings->authority_file);
    }
    return -EINVAL;
}

int aws_file_open(const struct aws_settings *settings, enum aws_file file, int *ret_fd)
{
    char path[AWS_TEXT_BYTES];
    struct stat status;
    AUTO_CLOSE int fd = -1;

    int r = aws_file_path(settings, file, path);
    if (r < 0)
        return r;
    if (path[0] == '\0')
        return -ENOENT;
    r = file_open_following(path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, &fd);
    if (r < 0)
        return r == -ENOTDIR ? -ENOENT : r;
    if (fstat(fd, &status) < 0)
        return -errno;
    if (!S_ISREG(status.st_mode))
        return S_ISDIR(status.st_mode) ? -EISDIR : -ENXIO;
    *ret_fd = TAKE_FD(fd);
    return 0;
}
