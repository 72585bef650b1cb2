/* The files of one control group, version 2. */
#ifndef AGENT_RESOURCES_CONTROL_GROUP_H
#define AGENT_RESOURCES_CONTROL_GROUP_H

#include "common/attributes.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The group that may be divided: directory, or when that is "" the one of this process, if whoever
 * made it marked it as delegated (systemd: the attribute trusted.delegate). -EACCES: it was not;
 * -ENOENT: no version 2 hierarchy; -errno. ret_path gets its path. */
int control_group_find(const char *directory, char *ret_path, size_t size, int *ret_fd) MUST_USE;

/* A group below; one that is there is fine. */
int control_group_make(int parent_fd, const char *name, int *ret_fd) MUST_USE;
/* Passes the controllers of CPU and memory on to the groups below, as far as they are here: which
 * are not is found out when they are written to. */
int control_group_enable(int fd) MUST_USE;
int control_group_add(int fd, pid_t pid) MUST_USE;

/* A number; 0 writes "max". The writers and the reader may be given the descriptor -1: -EBADF, 0.
 */
int control_group_write(int fd, const char *file, uint64_t value) MUST_USE;
/* quota_us of each period_us; 0: all. */
int control_group_write_quota(int fd, uint64_t quota_us, uint64_t period_us) MUST_USE;
/* A number of a file, or the one behind a key in it; 0 when it cannot be read. */
uint64_t control_group_read(int fd, const char *file, const char *key);

#endif
