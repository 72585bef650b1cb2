/* Finding a detected file's name, and moving it away and back. Not for others than respond_*.c. */
#ifndef AGENT_RESPOND_RESPOND_MOVE_H
#define AGENT_RESPOND_RESPOND_MOVE_H

#include "agent/respond/respond_task.h"

/* Opens the directory in which the very file stands: by its path, and when that names something
 * else by now, by where the kernel says the open descriptor's file is (then the path in the facts
 * is changed to that). ret_name lies in the facts' path. -ENOENT when it has no name any more,
 * -ELOOP, -errno. */
int respond_locate(struct task *task, int *ret_parent_fd, const char **ret_name) MUST_USE;
/* The facts' path without its last part, "/" at least; valid until the next call in this thread. */
const char *respond_parent_of(const struct task *task);

/* Where it will be moved to stands in the intent, so that a restart finds it there. The directory
 * is not kept open: many tasks may wait, and a mount must not be held. */
int respond_choose_holding(struct task *task) MUST_USE;
/* Opens that directory as holding_fd, unless it is open. */
int respond_open_holding(struct task *task) MUST_USE;
/* Moves the file into the holding directory and makes sure it is the right one; another inode goes
 * back. Finds one that an earlier run moved. */
int respond_move(struct task *task) MUST_USE;
/* After a restart, with holding_fd: whether it lies in the holding directory. */
bool respond_lies_moved(const struct task *task);
/* What respond_move moved goes back to its place, never overwriting. */
int respond_give_back(struct task *task) MUST_USE;
/* Its name in the holding directory: what is to be deleted differs from what is to be sealed. */
#define MOVED_NAME_BYTES (UUID_TEXT_BYTES + 8)
#define DELETE_SUFFIX    ".delete"
void respond_moved_name(const struct task *task, char name[static MOVED_NAME_BYTES]);

#endif
