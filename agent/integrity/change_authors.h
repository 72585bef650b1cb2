/* Who changed a file: a fanotify group that is told of every change on the file systems of the
 * monitored paths, with the process that made it. Best effort beside inotify, which finds the
 * changes: a process that has gone, or a change that was one of too many, is not known. Own thread.
 */
#ifndef AGENT_INTEGRITY_CHANGE_AUTHORS_H
#define AGENT_INTEGRITY_CHANGE_AUTHORS_H

#include "agent/integrity/integrity_rules.h"
#include "agent/prevention/process_facts.h"
#include "common/attributes.h"

#include <stdbool.h>
#include <stddef.h>

struct change_authors;

/* rules: a reference is taken. -EPERM (no CAP_SYS_ADMIN), -ENOSYS, -EINVAL (before Linux 5.9),
 * -ENOMEM. File systems that do not tell are left out. */
int change_authors_start(struct integrity_rules *rules,
                         struct change_authors **ret_authors) MUST_USE;
struct change_authors *change_authors_stop(struct change_authors *authors);

/* Who changed the path last, lately; false: nobody knows. Thread-safe. authors may be NULL. */
bool change_authors_find(struct change_authors *authors, const char *path, size_t length,
                         struct process_facts *ret_facts);

#endif
