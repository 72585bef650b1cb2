/* Exclusion patterns from a policy against the names outsiders choose. Input: pattern, NUL, path.
 * Properties: the glob agrees with a plain table, a pattern without a star matches only
 * itself, and matching ends soon whatever the pattern. */
#include <stdint.h>

#include "agent/watch/exclusions.h"
#include "common/text/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SHORT 64U /* bytes; the table below has their product */

/* The definition, as simple as it can be: which beginnings of the text a beginning of the pattern
 * matches, one row a byte of the pattern. */
static bool plain_glob(const char *pattern, size_t pattern_length, const char *text, size_t length)
{
    bool row[SHORT + 1] = {true}, above[SHORT + 1];

    for (size_t i = 0; i < pattern_length; i++) {
        bool star = pattern[i] == '*';

        memcpy(above, row, sizeof(row));
        row[0] = star && above[0];
        for (size_t j = 0; j < length; j++)
            row[j + 1] = star ? above[j + 1] || (row[j] && text[j] != '/')
                              : above[j] && pattern[i] == text[j];
    }
    return row[length];
}

static void check_lists(const char *pattern, const char *path, size_t path_length)
{
    const char *list[] = {pattern, NULL};
    const char *slash = strrchr(path, '/');
    size_t name_length = path_length - (size_t)(slash + 1 - path);
    struct exclusion_lists lists = {0};
    struct exclusions *exclusions = NULL;

    if (exclusion_check_directory(pattern) == 0)
        lists.directories = list;
    if (exclusion_check_file(pattern) == 0)
        lists.files = list;
    if (exclusion_check_extension(pattern) == 0)
        lists.extensions = list;
    if (exclusions_new(&lists, &exclusions) < 0)
        abort();
    bool directory = exclusions_match_directory(exclusions, path, path_length, name_length);
    if (directory && !exclusions_cover_directory(exclusions, path, path_length) &&
        strstr(path, "//") == NULL)
        abort();
    (void)exclusions_match_file(exclusions, path, path_length, name_length);
    (void)exclusions_free(exclusions);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *pattern = text_new(data, size);
    size_t pattern_length = pattern == NULL ? 0 : strlen(pattern);
    size_t used = pattern_length < size ? pattern_length + 1 : size;
    char *path = text_new(data + used, size - used);
    size_t path_length;

    if (pattern == NULL || path == NULL)
        abort();
    path_length = strlen(path);
    bool matches = exclusion_glob(pattern, pattern_length, path, path_length);
    if (pattern_length <= SHORT && path_length <= SHORT &&
        matches != plain_glob(pattern, pattern_length, path, path_length))
        abort();
    if (strchr(pattern, '*') == NULL && matches != (strcmp(pattern, path) == 0))
        abort();
    if (path[0] == '/')
        check_lists(pattern, path, path_length);
    free(pattern);
    free(path);
    return 0;
}
