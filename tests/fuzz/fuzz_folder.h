/* A folder for one input of a target whose reader wants files. Properties are checked after it is
 * removed again, so that it stays only when the target crashes. */
#ifndef TESTS_FUZZ_FUZZ_FOLDER_H
#define TESTS_FUZZ_FUZZ_FOLDER_H

#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct fuzz_folder {
    char path[256];
};

static inline int fuzz_folder_unlink(const char *path, const struct stat *status, int kind,
                                     struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

/* Uses no heap of its own accord, and may fail when that is exhausted. */
static inline void fuzz_folder_remove(const struct fuzz_folder *folder)
{
    while (nftw(folder->path, fuzz_folder_unlink, 8, FTW_PHYS | FTW_DEPTH) != 0 &&
           access(folder->path, F_OK) == 0)
        ;
}

/* below: a folder in it, or NULL. */
static inline bool fuzz_folder_make(struct fuzz_folder *folder, const char *below)
{
    char path[320];
    const char *root = getenv("TMPDIR");
    (void)snprintf(folder->path, sizeof folder->path, "%s/yagura-fuzz-XXXXXX",
                   root != NULL ? root : "/tmp");
    if (mkdtemp(folder->path) == NULL)
        return false;
    (void)snprintf(path, sizeof path, "%s/%s", folder->path, below != NULL ? below : "");
    if (below == NULL || mkdir(path, 0700) == 0)
        return true;
    fuzz_folder_remove(folder);
    return false;
}

static inline void fuzz_folder_write(const struct fuzz_folder *folder, const char *name,
                                     const uint8_t *data, size_t size)
{
    char path[320];
    (void)snprintf(path, sizeof path, "%s/%s", folder->path, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    if (write(fd, data, size) != (ssize_t)size)
        (void)fprintf(stderr, "%s is not written whole\n", path);
    (void)close(fd);
}

#endif
