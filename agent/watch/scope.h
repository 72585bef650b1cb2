/* What is watched: the paths, less the exclusions. Immutable and counted: walkers keep the scope
 * they began with while a new one is put in place. */
#ifndef AGENT_WATCH_SCOPE_H
#define AGENT_WATCH_SCOPE_H

#include "common/attributes.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct exclusions;
struct stat;
struct watch_options;

struct scope_path {
    char *text; /* absolute, no slash at the end but "/" itself */
    size_t length;
};

struct scope {
    atomic_uint references;
    struct scope_path *paths; /* none lies below another */
    size_t path_count;
    struct exclusions *exclusions;
    const char *own_prefix; /* as in watch_options */
};

/* -EINVAL: a path is relative or has "." or ".." parts, or an exclusion cannot be understood. */
int scope_new(const struct watch_options *options, struct scope **ret_scope) MUST_USE;
struct scope *scope_ref(struct scope *scope);
struct scope *scope_unref(struct scope *scope);

/* Is path a watched path itself, or below one? */
bool scope_contains(const struct scope *scope, const char *path, size_t length);
/* Is path on the way to a watched path, or one itself? */
bool scope_leads(const struct scope *scope, const char *path, size_t length);

/* Does name begin as our own directories do? Then scope_is_own decides by owner and mode, because
 * anybody can make a directory of that name. */
bool scope_may_be_own(const struct scope *scope, const char *name);
bool scope_is_own(const struct stat *status);

#endif
