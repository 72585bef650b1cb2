/* Which files are the guard's business, by their paths. Made at the start, then only asked. */
#ifndef AGENT_GUARD_GUARD_SCOPE_H
#define AGENT_GUARD_GUARD_SCOPE_H

#include "common/attributes.h"

#include <stdbool.h>
#include <stddef.h>

struct guard_trees {
    char **paths;
    size_t count, room;
};

struct guard_scope {
    struct guard_trees protect, leave;
};

/* Adds a tree: absolute, length bytes, without NUL. -EINVAL, -E2BIG, -ENOMEM. */
int guard_trees_add(struct guard_trees *trees, const char *path, size_t length) MUST_USE;
void guard_scope_done(struct guard_scope *scope);

/* Whether path is the tree's top or below it. */
bool guard_trees_contain(const struct guard_trees *trees, const char *path);
/* Protected and not left alone. A path that is not known (too long, or another mount namespace's)
 * is
 * "": it is protected, for nobody hides a file by nesting it deeply or mounting it elsewhere. */
bool guard_scope_contains(const struct guard_scope *scope, const char *path);
/* Among the system's own files, where only root adds and moves them. */
bool guard_scope_is_system(const char *path);

#endif
