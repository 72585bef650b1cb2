/* The path of a file for which the guard had none: it takes only what the kernel has in memory, and
 * that is not always all of a path. */
#ifndef AGENT_PREVENTION_OPEN_PATH_H
#define AGENT_PREVENTION_OPEN_PATH_H

#include "common/attributes.h"

#include <limits.h>
#include <stdbool.h>

/* Whether the path that the kernel tells for fd leads to the same file in our mount namespace; path
 * is set then, and "" otherwise. Waits for a local disk at most, whatever is mounted or named how.
 */
bool open_path_find(int fd, char path[static PATH_MAX]) MUST_USE;

#endif
