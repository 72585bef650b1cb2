/* Where test files are written: one directory on each mount that is watched, and not excluded. */
#ifndef AGENT_HEALTH_MARKER_PLACES_H
#define AGENT_HEALTH_MARKER_PLACES_H

#include "common/attributes.h"

#include <stddef.h>

struct mounts;
struct scope;

/* The names, in the order of the mount table; freed with marker_places_free. -ENOMEM. */
int marker_places_of(const struct scope *scope, const struct mounts *mounts, char ***ret_places,
                     size_t *ret_count) MUST_USE;
char **marker_places_free(char **places, size_t count);

#endif
