/* Owns: the exclusion patterns and their matching. Must not own: when they are asked (walk.c,
 * reader.c). Patterns without "*" are looked up in a hash set, so that thousands cost no time. */
#include "agent/watch/exclusions.h"

#include <errno.h>
#include <stdint.h>

#include "agent/watch/name_hash.h"
#include "common/limits.h"
#include "common/text/text.h"

/* Patterns of one kind, for one of: whole paths, names. */
struct pattern_set {
    char **patterns; /* without a slash at the end */
    size_t count;
    uint32_t *buckets; /* position + 1 of a literal pattern; open addressing; 0: free */
    size_t bucket_count;
    char **globs; /* those of patterns that hold "*" */
    size_t glob_count;
};

struct exclusions {
    struct pattern_set directory_paths, directory_names, file_paths, file_names, extensions;
};

bool exclusion_glob(const char *pattern, size_t pattern_length, const char *text, size_t length)
{
    size_t p = 0, t = 0, star = SIZE_MAX, retry = 0;

    while (t < length) {
        if (p < pattern_length && pattern[p] == '*') {
            star = p++;
            retry = t;
        } else if (p < pattern_length && pattern[p] == text[t]) {
            p++;
            t++;
        } else if (star != SIZE_MAX && text[retry] != '/') {
            /* The last star takes one byte more. */
            p = star + 1;
            t = ++retry;
        } else {
            return false;
        }
    }
    while (p < pattern_length && pattern[p] == '*')
        p++;
    return p == pattern_length;
}

static size_t trimmed_length(const char *pattern)
{
    size_t length = strlen(pattern);

    while (length > 1 && pattern[length - 1] == '/')
        length--;
    return length;
}

/* Absolute, no empty, "." or ".." parts (slashes at the end do not count). */
static bool is_plain_path(const char *path, size_t length)
{
    size_t start = 1;

    if (length == 0 || path[0] != '/' || length > LIMIT_PATH_BYTES)
        return false;
    for (size_t end = 1; end <= length && length > 1; end++) {
        size_t part = end - start;

        if (end < length && path[end] != '/')
            continue;
        if (part == 0 || (part == 1 && path[start] == '.') ||
            (part == 2 && path[start] == '.' && path[start + 1] == '.'))
            return false;
        start = end + 1;
    }
    return true;
}

static int check_path_or_name(const char *pattern, size_t length)
{
    if (memchr(pattern, '/', length) == NULL)
        return length > 0 && !text_equal(pattern, ".") && !text_equal(pattern, "..") ? 0 : -EINVAL;
    return is_plain_path(pattern, length) ? 0 : -EINVAL;
}

int exclusion_check_directory(const char *pattern)
{
    return check_path_or_name(pattern, trimmed_length(pattern));
}

int exclusion_check_file(const char *pattern)
{
    return check_path_or_name(pattern, strlen(pattern));
}

int exclusion_check_extension(const char *pattern)
{
    pattern += pattern[0] == '.';
    return pattern[0] != '\0' && strchr(pattern, '/') == NULL ? 0 : -EINVAL;
}

static int set_add(struct pattern_set *set, const char *pattern, size_t length)
{
    char **patterns = realloc(set->patterns, (set->count + 1) * sizeof(*patterns));

    if (patterns == NULL)
        return -ENOMEM;
    set->patterns = patterns;
    patterns[set->count] = strndup(pattern, length);
    if (patterns[set->count] == NULL)
        return -ENOMEM;
    set->count++;
    return 0;
}

static size_t first_bucket(const struct pattern_set *set, const char *text, size_t length)
{
    return (size_t)name_hash(0, text, length) & (set->bucket_count - 1);
}

/* Sorts the collected patterns into the hash set and the globs. */
static int set_index(struct pattern_set *set, bool globs)
{
    set->bucket_count = 8;
    while (set->bucket_count < set->count * 2)
        set->bucket_count *= 2;
    set->buckets = calloc(set->bucket_count, sizeof(*set->buckets));
    set->globs = calloc(set->count + 1, sizeof(*set->globs));
    if (set->buckets == NULL || set->globs == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < set->count; i++) {
        char *pattern = set->patterns[i];
        size_t bucket;

        if (globs && strchr(pattern, '*') != NULL) {
            set->globs[set->glob_count++] = pattern;
            continue;
        }
        bucket = first_bucket(set, pattern, strlen(pattern));
        while (set->buckets[bucket] != 0)
            bucket = (bucket + 1) & (set->bucket_count - 1);
        set->buckets[bucket] = (uint32_t)i + 1;
    }
    return 0;
}

static bool set_match(const struct pattern_set *set, const char *text, size_t length)
{
    if (set->count == 0)
        return false;
    for (size_t bucket = first_bucket(set, text, length); set->buckets[bucket] != 0;
         bucket = (bucket + 1) & (set->bucket_count - 1)) {
        const char *pattern = set->patterns[set->buckets[bucket] - 1];

        if (strlen(pattern) == length && memcmp(pattern, text, length) == 0)
            return true;
    }
    for (size_t i = 0; i < set->glob_count; i++) {
        if (exclusion_glob(set->globs[i], strlen(set->globs[i]), text, length))
            return true;
    }
    return false;
}

static void set_done(struct pattern_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        free(set->patterns[i]);
    free(set->patterns);
    free(set->buckets);
    free(set->globs);
}

static bool set_equal(const struct pattern_set *a, const struct pattern_set *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        if (!text_equal(a->patterns[i], b->patterns[i]))
            return false;
    }
    return true;
}

static int add_directories(struct exclusions *exclusions, const char *const *list)
{
    for (; list != NULL && *list != NULL; list++) {
        size_t length = trimmed_length(*list);
        bool is_path = memchr(*list, '/', length) != NULL;

        int r = exclusion_check_directory(*list);
        if (r == 0)
            r = set_add(is_path ? &exclusions->directory_paths : &exclusions->directory_names,
                        *list, length);
        if (r < 0)
            return r;
    }
    return 0;
}

static int add_files(struct exclusions *exclusions, const char *const *list)
{
    for (; list != NULL && *list != NULL; list++) {
        bool is_path = strchr(*list, '/') != NULL;

        int r = exclusion_check_file(*list);
        if (r == 0)
            r = set_add(is_path ? &exclusions->file_paths : &exclusions->file_names, *list,
                        strlen(*list));
        if (r < 0)
            return r;
    }
    return 0;
}

static int add_extensions(struct exclusions *exclusions, const char *const *list)
{
    for (; list != NULL && *list != NULL; list++) {
        const char *extension = *list + (**list == '.');

        int r = exclusion_check_extension(*list);
        if (r == 0)
            r = set_add(&exclusions->extensions, extension, strlen(extension));
        if (r < 0)
            return r;
    }
    return 0;
}

static int build(struct exclusions *exclusions, const struct exclusion_lists *lists)
{
    int r = add_directories(exclusions, lists->directories);

    if (r == 0)
        r = add_directories(exclusions, lists->own_directories);
    if (r == 0)
        r = add_files(exclusions, lists->files);
    if (r == 0)
        r = add_extensions(exclusions, lists->extensions);
    if (r == 0)
        r = set_index(&exclusions->directory_paths, true);
    if (r == 0)
        r = set_index(&exclusions->directory_names, true);
    if (r == 0)
        r = set_index(&exclusions->file_paths, true);
    if (r == 0)
        r = set_index(&exclusions->file_names, true);
    if (r == 0)
        r = set_index(&exclusions->extensions, false);
    return r;
}

int exclusions_new(const struct exclusion_lists *lists, struct exclusions **ret_exclusions)
{
    struct exclusions *exclusions = calloc(1, sizeof(*exclusions));

    if (exclusions == NULL)
        return -ENOMEM;
    int r = build(exclusions, lists);
    if (r < 0) {
        (void)exclusions_free(exclusions);
        return r;
    }
    *ret_exclusions = exclusions;
    return 0;
}

struct exclusions *exclusions_free(struct exclusions *exclusions)
{
    if (exclusions == NULL)
        return NULL;
    set_done(&exclusions->directory_paths);
    set_done(&exclusions->directory_names);
    set_done(&exclusions->file_paths);
    set_done(&exclusions->file_names);
    set_done(&exclusions->extensions);
    free(exclusions);
    return NULL;
}

bool exclusions_equal(const struct exclusions *a, const struct exclusions *b)
{
    return set_equal(&a->directory_paths, &b->directory_paths) &&
           set_equal(&a->directory_names, &b->directory_names) &&
           set_equal(&a->file_paths, &b->file_paths) && set_equal(&a->file_names, &b->file_names) &&
           set_equal(&a->extensions, &b->extensions);
}

bool exclusions_match_directory(const struct exclusions *exclusions, const char *path,
                                size_t path_length, size_t name_length)
{
    return set_match(&exclusions->directory_paths, path, path_length) ||
           set_match(&exclusions->directory_names, path + path_length - name_length, name_length);
}

bool exclusions_cover_directory(const struct exclusions *exclusions, const char *path,
                                size_t path_length)
{
    size_t start = 1;

    if (exclusions_match_directory(exclusions, "/", 1, 0))
        return true;
    for (size_t end = 1; end <= path_length && path_length > 1; end++) {
        if (end < path_length && path[end] != '/')
            continue;
        if (exclusions_match_directory(exclusions, path, end, end - start))
            return true;
        start = end + 1;
    }
    return false;
}

static bool extension_matches(const struct exclusions *exclusions, const char *name, size_t length)
{
    const char *dot;

    if (exclusions->extensions.count == 0)
        return false;
    dot = memrchr(name, '.', length);
    if (dot == NULL || dot == name)
        return false;
    return set_match(&exclusions->extensions, dot + 1, length - (size_t)(dot + 1 - name));
}

bool exclusions_match_file(const struct exclusions *exclusions, const char *path,
                           size_t path_length, size_t name_length)
{
    const char *name = path + path_length - name_length;

    return extension_matches(exclusions, name, name_length) ||
           set_match(&exclusions->file_names, name, name_length) ||
           set_match(&exclusions->file_paths, path, path_length);
}
