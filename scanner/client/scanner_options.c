/* The client's own copy of what it was told.
 *
 * Owns: the strings of a copy, and the bounds. Must not own: defaults of the policy. */
#include "scanner/client/scanner_options.h"

#include "common/limits.h"
#include "common/text/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LEAST_TEMPORARY_BYTES (16ULL << 20)

size_t scanner_options_database_count(const struct scanner_options *options)
{
    size_t count = 0;
    while (options->databases != NULL && options->databases[count] != NULL)
        count++;
    return count;
}

static char *copy_text(const char *text, bool *failed)
{
    if (text == NULL)
        return NULL;
    char *copy = strdup(text);
    *failed = *failed || copy == NULL;
    return copy;
}

static const char *const *copy_list(const char *const *list, size_t count, bool *failed)
{
    char **copy = calloc(count + 1, sizeof(*copy));
    if (copy == NULL) {
        *failed = true;
        return NULL;
    }
    for (size_t i = 0; i < count; i++)
        copy[i] = copy_text(list[i], failed);
    return (const char *const *)copy;
}

static size_t bounded_workers(size_t workers)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (workers == 0)
        workers = cores > 0 ? (size_t)cores : 1;
    return MIN(workers, LIMIT_SCANNER_WORKERS);
}

int scanner_options_copy(const struct scanner_options *options, struct scanner_options *ret_copy)
{
    size_t count = scanner_options_database_count(options);
    if (options->program == NULL || options->temporary_directory == NULL ||
        count > LIMIT_DATABASE_PATHS)
        return -EINVAL;
    bool failed = false;
    struct scanner_options copy = *options;
    copy.program = copy_text(options->program, &failed);
    copy.user = copy_text(options->user, &failed);
    copy.temporary_directory = copy_text(options->temporary_directory, &failed);
    copy.databases = copy_list(options->databases, count, &failed);
    copy.workers = bounded_workers(options->workers);
    copy.temporary_bytes = MAX(options->temporary_bytes, LEAST_TEMPORARY_BYTES);
    if (failed) {
        scanner_options_done(&copy);
        return -ENOMEM;
    }
    *ret_copy = copy;
    return 0;
}

void scanner_options_done(struct scanner_options *copy)
{
    for (size_t i = 0; copy->databases != NULL && copy->databases[i] != NULL; i++)
        free((char *)copy->databases[i]);
    free((void *)copy->databases);
    free((char *)copy->program);
    free((char *)copy->user);
    free((char *)copy->temporary_directory);
    *copy = (struct scanner_options){0};
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && text_equal(a, b));
}

static bool same_limits(const struct scanner_limits *a, const struct scanner_limits *b)
{
    return a->max_file_size == b->max_file_size && a->max_scan_size == b->max_scan_size &&
           a->max_files == b->max_files && a->max_recursion == b->max_recursion &&
           a->max_time_ns == b->max_time_ns && a->heuristics == b->heuristics &&
           a->report_encrypted == b->report_encrypted && a->detect_macros == b->detect_macros &&
           a->detect_broken == b->detect_broken &&
           a->unwanted_applications == b->unwanted_applications;
}

bool scanner_options_same_engine(const struct scanner_options *a, const struct scanner_options *b)
{
    size_t count = scanner_options_database_count(a);
    if (count != scanner_options_database_count(b))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!text_equal(a->databases[i], b->databases[i]))
            return false;
    }
    /* More workers than the loader has directories for need a new one. */
    return same_text(a->program, b->program) && same_text(a->user, b->user) &&
           same_text(a->temporary_directory, b->temporary_directory) &&
           a->temporary_bytes == b->temporary_bytes && a->seccomp_debug == b->seccomp_debug &&
           a->accept_unconfined == b->accept_unconfined && a->niceness == b->niceness &&
           b->workers <= a->workers && same_limits(&a->limits, &b->limits);
}
