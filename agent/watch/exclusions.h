/* What is not watched, as users of Deep Security write it:
 *
 *   directories  "/a/b/" (with or without the last slash): that directory and all below it; a "*"
 *                stands for any run of bytes within one level; a name without a slash, as
 *                "node_modules", excludes every directory of that name.
 *   files        "/a/b/core" is a path, "core" a name anywhere; "*" within one level in both.
 *   extensions   "log" (or ".log"): what stands behind the last dot of a name; not ".log" itself.
 *
 * Matching is by bytes and case. Immutable once made: any number of threads may ask. */
#ifndef AGENT_WATCH_EXCLUSIONS_H
#define AGENT_WATCH_EXCLUSIONS_H

#include "common/attributes.h"

#include <stdbool.h>
#include <stddef.h>

struct exclusions;

struct exclusion_lists {
    const char *const *directories; /* each list NULL or NULL-terminated */
    const char *const *files;
    const char *const *extensions;
    const char *const *own_directories; /* always excluded */
};

/* Whether a pattern can be understood: -EINVAL for a relative path with a slash, a "." or ".."
 * part, or a slash in an extension. */
int exclusion_check_directory(const char *pattern) MUST_USE;
int exclusion_check_file(const char *pattern) MUST_USE;
int exclusion_check_extension(const char *pattern) MUST_USE;

/* Copies the lists. -EINVAL as above, -ENOMEM. */
int exclusions_new(const struct exclusion_lists *lists,
                   struct exclusions **ret_exclusions) MUST_USE;
struct exclusions *exclusions_free(struct exclusions *exclusions);
/* Same patterns in the same order. */
bool exclusions_equal(const struct exclusions *a, const struct exclusions *b);

/* Is this very directory excluded? Whoever descends asks for every level. path is absolute without
 * a slash at its end; its last name_length bytes are the name. */
bool exclusions_match_directory(const struct exclusions *exclusions, const char *path,
                                size_t path_length, size_t name_length);
/* Is it, or any directory above it? */
bool exclusions_cover_directory(const struct exclusions *exclusions, const char *path,
                                size_t path_length);
/* Is this file excluded, its directory not being so? */
bool exclusions_match_file(const struct exclusions *exclusions, const char *path,
                           size_t path_length, size_t name_length);

/* "*" stands for any run of bytes but "/". */
bool exclusion_glob(const char *pattern, size_t pattern_length, const char *text, size_t length);

#endif
