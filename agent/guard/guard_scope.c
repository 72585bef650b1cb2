/* Owns the lists of trees. */
#include "agent/guard/guard_scope.h"

#include "common/limits.h"
#include "common/text/text.h"

#include <errno.h>
#include <string.h>

int guard_trees_add(struct guard_trees *trees, const char *path, size_t length)
{
    while (length > 1 && path[length - 1] == '/')
        length--;
    if (length == 0 || path[0] != '/' || memchr(path, '\0', length) != NULL)
        return -EINVAL;
    if (trees->count == LIMIT_SETTINGS_LIST)
        return -E2BIG;
    if (trees->count == trees->room) {
        size_t room = MAX(trees->room * 2, 16);
        char **paths = reallocarray(trees->paths, room, sizeof *paths);
        if (paths == NULL)
            return -ENOMEM;
        trees->paths = paths;
        trees->room = room;
    }
    char *copy = text_new(path, length);
    if (copy == NULL)
        return -ENOMEM;
    trees->paths[trees->count++] = copy;
    return 0;
}

static void free_trees(struct guard_trees *trees)
{
    for (size_t i = 0; i < trees->count; i++)
        free(trees->paths[i]);
    free(trees->paths);
    *trees = (struct guard_trees){.paths = NULL};
}

void guard_scope_done(struct guard_scope *scope)
{
    free_trees(&scope->protect);
    free_trees(&scope->leave);
}

static bool is_at_or_below(const char *path, const char *top)
{
    size_t length = strlen(top);

    if (length == 1)
        return true;
    return strncmp(path, top, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

bool guard_trees_contain(const struct guard_trees *trees, const char *path)
{
    for (size_t i = 0; i < trees->count; i++)
        if (is_at_or_below(path, trees->paths[i]))
            return true;
    return false;
}

bool guard_scope_contains(const struct guard_scope *scope, const char *path)
{
    if (path[0] == '\0')
        return true;
    return guard_trees_contain(&scope->protect, path) && !guard_trees_contain(&scope->leave, path);
}

bool guard_scope_is_system(const char *path)
{
    static const char *const tops[] = {"/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/etc"};

    for (size_t i = 0; i < ARRAY_LENGTH(tops); i++)
        if (is_at_or_below(path, tops[i]))
            return true;
    return false;
}
