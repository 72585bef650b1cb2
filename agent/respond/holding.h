/* Where files are moved to before they are sealed: a root-only directory on the same mount, because
 * only a rename on one mount is atomic. On the mount of the state directory it is below that; on
 * others it is .yagura-quarantine-<host> at the mount's root, or in the nearest directory on the
 * way to the file that takes it. Where somebody else has that name already, it is followed by
 * "-" and 16 hexadecimal digits that nobody can guess; such a one is found again by the intents
 * only, not when the store is lost. Used by the responder's threads. */
#ifndef AGENT_RESPOND_HOLDING_H
#define AGENT_RESPOND_HOLDING_H

#include "common/attributes.h"

#include <stdbool.h>
#include <stdint.h>

struct holdings;

#define HOLDING_HOST_BYTES 17
#define HOLDING_PREFIX     ".yagura-quarantine-"

/* state_directory exists. host: 16 hexadecimal digits that tell our directories from another
 * installation's on a shared disk. */
int holdings_new(const char *state_directory, const char *host,
                 struct holdings **ret_holdings) MUST_USE;
struct holdings *holdings_free(struct holdings *holdings);

/* The directory for files in parent_fd (an open directory, O_PATH will do), whose path is
 * parent_path. ret_fd is owned by the caller; ret_path by holdings. Thread-safe. -EROFS, -EACCES,
 * -ENOSPC when none can be made, -errno. */
int holdings_find(struct holdings *holdings, int parent_fd, const char *parent_path, int *ret_fd,
                  const char **ret_path) MUST_USE;
/* Opens a directory that holdings_find gave earlier, perhaps before a restart. -EPERM when it is
 * not ours alone. */
int holdings_open(const char *path, int *ret_fd) MUST_USE;
/* Is path inside a directory of ours? Its name alone does not make it so. */
bool holdings_contain(const struct holdings *holdings, const char *path);
/* Calls visit for the place of our directory at every mount's root, whether it exists or not:
 * where files may lie that the store has forgotten. */
int holdings_each_place(const struct holdings *holdings,
                        void (*visit)(void *user, const char *path), void *user) MUST_USE;

/* Moves parent_fd/name to holding_fd/id. -ENOENT, -EXDEV, -EBUSY (a mount point), -EROFS, -EPERM
 * (immutable), -errno. */
int holding_take(int parent_fd, const char *name, int holding_fd, const char *id) MUST_USE;
/* The reverse, never overwriting: when name is taken again the file becomes
 * name.yagura-returned-<first 8 of id>. ret_name: buffer of NAME_MAX + 1, where it is now. */
int holding_give_back(int holding_fd, const char *id, int parent_fd, const char *name,
                      char ret_name[static 256]) MUST_USE;

#endif
