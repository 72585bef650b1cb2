/* SHA-256 over what decides verdicts.
 *
 * Owns: what counts and what does not. Must not own: when it is computed (loader.c). */
#include "scanner/generation.h"

#include "common/crypto/hash.h"
#include "common/files/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static void free_hash(struct sha256 **hash)
{
    *hash = sha256_free(*hash);
}

static int add_text(struct sha256 *hash, const char *text)
{
    return sha256_update(hash, text, strlen(text) + 1);
}

static int add_number(struct sha256 *hash, uint64_t number)
{
    return sha256_update(hash, &number, sizeof(number));
}

static int add_file(struct sha256 *hash, const struct database_file *file)
{
    const char *slash = strrchr(file->path, '/');
    AUTO_CLOSE int fd = -1;
    int result = file_open_following(file->path, O_RDONLY | O_NONBLOCK, 0, &fd);
    uint8_t digest[SHA256_BYTES];
    if (result == 0)
        result = hash_sha256_fd(fd, UINT64_MAX, digest);
    if (result == 0)
        result = add_text(hash, slash != NULL ? slash + 1 : file->path);
    if (result == 0)
        result = sha256_update(hash, digest, sizeof(digest));
    return result;
}

static int add_limits(struct sha256 *hash, const struct scanner_limits *limits)
{
    const uint64_t numbers[] = {
        limits->max_file_size,         limits->max_scan_size, limits->max_files,
        limits->max_recursion,         limits->max_time_ns,   limits->heuristics,
        limits->report_encrypted,      limits->detect_macros, limits->detect_broken,
        limits->unwanted_applications,
    };
    for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++) {
        int result = add_number(hash, numbers[i]);
        if (result < 0)
            return result;
    }
    return 0;
}

int generation_compute(const struct database_files *files, const char *engine_version,
                       const struct scanner_limits *limits, uint64_t *ret_generation)
{
    CLEANUP(free_hash) struct sha256 *hash = NULL;
    int result = sha256_new(&hash);
    if (result == 0)
        result = add_text(hash, engine_version);
    if (result == 0)
        result = add_limits(hash, limits);
    for (size_t i = 0; result == 0 && i < files->count; i++)
        result = add_file(hash, &files->files[i]);
    uint8_t digest[SHA256_BYTES];
    if (result == 0)
        result = sha256_finish(hash, digest);
    if (result < 0)
        return result;
    uint64_t generation;
    memcpy(&generation, digest, sizeof(generation));
    *ret_generation = generation != 0 ? generation : 1;
    return 0;
}
