/* "scanner-<pid of the client>-XXXXXX" below the configured directory.
 *
 * Owns: the name, by which leftovers of a killed client are known. Must not own: the content, which
 * is on a private tmpfs that vanished with its loader. */
#include "scanner/client/temporary_directory.h"

#include "common/files/file.h"
#include "common/text/text.h"
#include "scanner/client/proc_text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PREFIX "scanner-"

int temporary_directory_make(const char *parent, char *ret_path, size_t size)
{
    int result = text_format(ret_path, size, "%s/" PREFIX "%d-XXXXXX", parent, getpid());
    if (result < 0)
        return result;
    if (mkdtemp(ret_path) != NULL)
        return 0;
    if (errno != ENOENT)
        return -errno;
    result = file_make_directories(parent, 0700);
    if (result < 0)
        return result;
    (void)text_format(ret_path, size, "%s/" PREFIX "%d-XXXXXX", parent, getpid());
    return mkdtemp(ret_path) != NULL ? 0 : -errno;
}

static bool is_left_over(const char *name)
{
    if (!text_starts_with(name, PREFIX))
        return false;
    const char *number = name + strlen(PREFIX);
    uint64_t pid = proc_text_number(number);
    return pid > 0 && pid <= INT32_MAX && number[strspn(number, "0123456789")] == '-' &&
           kill((pid_t)pid, 0) < 0 && errno == ESRCH;
}

static void close_directory(DIR **directory)
{
    if (*directory != NULL)
        (void)closedir(*directory);
}

void temporary_directory_clean(const char *parent)
{
    int fd = -1;
    if (file_open_directory(parent, true, &fd) < 0)
        return;
    CLEANUP(close_directory) DIR *directory = fdopendir(fd);
    if (directory == NULL) {
        (void)close(fd);
        return;
    }
    const struct dirent *entry;
    while ((entry = readdir(directory)) != NULL) {
        if (is_left_over(entry->d_name))
            (void)!file_remove_tree(fd, entry->d_name);
    }
}
