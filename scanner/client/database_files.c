/* Lists signature files.
 *
 * Owns: knowing their names and facts. Must not own: their content, or when to look (the client's
 * watch decides). Hands off: the list to the loader's generation and the client's watch. */
#include "scanner/client/database_files.h"

#include "common/limits.h"
#include "common/text/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* CLI_DBEXT of libclamav/readdb.h. */
static const char *const extensions[] = {
    "db",  "hdb", "hdu", "fp",  "mdb", "mdu", "hsb", "hsu",  "sfp",  "msb", "msu",  "ndb", "ndu",
    "ldb", "ldu", "sdb", "zmd", "rmd", "pdb", "gdb", "wdb",  "cbc",  "ftm", "cfg",  "cvd", "cld",
    "cud", "cdb", "cat", "crb", "idb", "ioc", "yar", "yara", "pwdb", "ign", "ign2", "imp",
};

bool database_name_is_signature(const char *name)
{
    const char *dot = strrchr(name, '.');
    if (dot == NULL || dot == name)
        return false;
    for (size_t i = 0; i < ARRAY_LENGTH(extensions); i++) {
        if (strcasecmp(dot + 1, extensions[i]) == 0)
            return true;
    }
    return false;
}

bool database_path_is_policy_list(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;

    return text_equal(name, DATABASE_POLICY_LIST) || text_starts_with(name, DATABASE_CONSOLE_LIST);
}

static int append_file(struct database_files *files, char *path, size_t source,
                       const struct stat *status)
{
    if (path == NULL)
        return -ENOMEM;
    if (files->count >= LIMIT_DATABASE_FILES) {
        free(path);
        return -E2BIG;
    }
    struct database_file *grown =
        reallocarray(files->files, files->count + 1, sizeof(*files->files));
    if (grown == NULL) {
        free(path);
        return -ENOMEM;
    }
    files->files = grown;
    files->files[files->count++] = (struct database_file){.path = path,
                                                          .source = source,
                                                          .identity = file_identity_of(status)};
    return 0;
}

static void close_directory(DIR **directory)
{
    if (*directory != NULL)
        (void)closedir(*directory);
}

static int list_folder(int folder_fd, const char *path, size_t source, struct database_files *files)
{
    int own_fd = fcntl(folder_fd, F_DUPFD_CLOEXEC, 3);
    CLEANUP(close_directory) DIR *directory = own_fd < 0 ? NULL : fdopendir(own_fd);
    if (directory == NULL) {
        int result = -errno;
        if (own_fd >= 0)
            (void)close(own_fd);
        return result;
    }
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(directory);
        if (entry == NULL)
            return -errno;
        struct stat status;
        if (!database_name_is_signature(entry->d_name) ||
            fstatat(folder_fd, entry->d_name, &status, 0) < 0 || !S_ISREG(status.st_mode))
            continue;
        char *file = text_format_new("%s/%s", path, entry->d_name);
        int result = append_file(files, file, source, &status);
        if (result < 0)
            return result;
    }
}

static int list_source(const char *path, size_t source, struct database_files *files)
{
    AUTO_CLOSE int fd = -1;
    int result = file_open_following(path, O_RDONLY | O_NONBLOCK, 0, &fd);
    if (result < 0)
        return result == -ENOENT || result == -ENOTDIR ? 0 : result;
    struct stat status;
    if (fstat(fd, &status) < 0)
        return -errno;
    if (S_ISDIR(status.st_mode))
        return list_folder(fd, path, source, files);
    return S_ISREG(status.st_mode) ? append_file(files, strdup(path), source, &status) : -EINVAL;
}

static int compare_files(const void *a, const void *b)
{
    const struct database_file *first = a;
    const struct database_file *second = b;
    if (first->source != second->source)
        return first->source < second->source ? -1 : 1;
    return strcmp(first->path, second->path);
}

int database_files_list(const char *const *paths, size_t count, struct database_files *ret_files,
                        const char **ret_failed)
{
    struct database_files files = {0};
    for (size_t i = 0; i < count; i++) {
        int result = list_source(paths[i], i, &files);
        if (result < 0) {
            database_files_done(&files);
            if (ret_failed != NULL)
                *ret_failed = paths[i];
            return result;
        }
    }
    if (files.count > 1)
        qsort(files.files, files.count, sizeof(*files.files), compare_files);
    *ret_files = files;
    return 0;
}

void database_files_done(struct database_files *files)
{
    for (size_t i = 0; i < files->count; i++)
        free(files->files[i].path);
    free(files->files);
    *files = (struct database_files){0};
}

/* FNV-1a: only told apart from the previous value, never from an attacker's. */
static uint64_t mix(uint64_t hash, const void *bytes, size_t length)
{
    const uint8_t *byte = bytes;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ byte[i]) * 0x100000001b3ULL;
    return hash;
}

uint64_t database_files_fingerprint(const struct database_files *files)
{
    uint64_t hash = 0xcbf29ce484222325ULL;
    for (size_t i = 0; i < files->count; i++) {
        const struct database_file *file = &files->files[i];
        hash = mix(hash, file->path, strlen(file->path) + 1);
        hash = mix(hash, &file->identity, sizeof(file->identity));
    }
    return hash;
}
