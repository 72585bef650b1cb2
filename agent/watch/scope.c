/* Owns: the watched paths and the exclusions of one configuration. */
#include "agent/watch/scope.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/watch/exclusions.h"
#include "agent/watch/watch.h"
#include "common/limits.h"
#include "common/text/text.h"

/* Is inner equal to outer or below it? */
static bool path_within(const char *inner, size_t inner_length, const char *outer,
                        size_t outer_length)
{
    if (outer_length == 1)
        return true;
    return inner_length >= outer_length && memcmp(inner, outer, outer_length) == 0 &&
           (inner_length == outer_length || inner[outer_length] == '/');
}

/* One slash between the parts, none at the end. -EINVAL. */
static int clean_path(const char *path, struct scope_path *ret_path)
{
    size_t size = strnlen(path, LIMIT_PATH_BYTES + 1);
    char *text;
    size_t length = 0;

    if (path[0] != '/' || size > LIMIT_PATH_BYTES)
        return -EINVAL;
    text = malloc(size + 1);
    if (text == NULL)
        return -ENOMEM;
    for (path += strspn(path, "/"); *path != '\0'; path += strspn(path, "/")) {
        size_t part = strcspn(path, "/");

        if ((part == 1 && path[0] == '.') || (part == 2 && path[0] == '.' && path[1] == '.')) {
            free(text);
            return -EINVAL;
        }
        text[length++] = '/';
        memcpy(text + length, path, part);
        length += part;
        path += part;
    }
    if (length == 0)
        text[length++] = '/';
    text[length] = '\0';
    *ret_path = (struct scope_path){.text = text, .length = length};
    return 0;
}

/* Adds path unless another holds it already, and drops those it holds. */
static int add_path(struct scope *scope, const char *text)
{
    struct scope_path path;
    size_t kept = 0;

    int r = clean_path(text, &path);
    if (r < 0)
        return r;
    if (scope_contains(scope, path.text, path.length)) {
        free(path.text);
        return 0;
    }
    for (size_t i = 0; i < scope->path_count; i++) {
        struct scope_path *old = &scope->paths[i];

        if (path_within(old->text, old->length, path.text, path.length))
            free(old->text);
        else
            scope->paths[kept++] = *old;
    }
    scope->paths[kept++] = path;
    scope->path_count = kept;
    return 0;
}

int scope_new(const struct watch_options *options, struct scope **ret_scope)
{
    struct exclusion_lists lists = {
        .directories = options->exclude_directories,
        .files = options->exclude_files,
        .extensions = options->exclude_extensions,
        .own_directories = options->own_directories,
    };
    struct scope *scope = calloc(1, sizeof(*scope));
    size_t count = 0;
    int r = -ENOMEM;

    if (scope == NULL)
        return -ENOMEM;
    atomic_init(&scope->references, 1);
    scope->own_prefix = options->own_prefix;
    while (options->paths[count] != NULL)
        count++;
    scope->paths = calloc(count + 1, sizeof(*scope->paths));
    if (scope->paths != NULL)
        r = exclusions_new(&lists, &scope->exclusions);
    for (size_t i = 0; i < count && r == 0; i++)
        r = add_path(scope, options->paths[i]);
    if (r < 0) {
        (void)scope_unref(scope);
        return r;
    }
    *ret_scope = scope;
    return 0;
}

struct scope *scope_ref(struct scope *scope)
{
    atomic_fetch_add(&scope->references, 1);
    return scope;
}

struct scope *scope_unref(struct scope *scope)
{
    if (scope == NULL || atomic_fetch_sub(&scope->references, 1) != 1)
        return NULL;
    for (size_t i = 0; i < scope->path_count; i++)
        free(scope->paths[i].text);
    free(scope->paths);
    (void)exclusions_free(scope->exclusions);
    free(scope);
    return NULL;
}

bool scope_contains(const struct scope *scope, const char *path, size_t length)
{
    for (size_t i = 0; i < scope->path_count; i++) {
        if (path_within(path, length, scope->paths[i].text, scope->paths[i].length))
            return true;
    }
    return false;
}

bool scope_leads(const struct scope *scope, const char *path, size_t length)
{
    for (size_t i = 0; i < scope->path_count; i++) {
        if (path_within(scope->paths[i].text, scope->paths[i].length, path, length))
            return true;
    }
    return false;
}

bool scope_may_be_own(const struct scope *scope, const char *name)
{
    return scope->own_prefix != NULL && text_starts_with(name, scope->own_prefix);
}

bool scope_is_own(const struct stat *status)
{
    return S_ISDIR(status->st_mode) && status->st_uid == geteuid() && (status->st_mode & 077) == 0;
}
