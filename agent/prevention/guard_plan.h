/* What a guard is told before it begins: from the policy and the mounts there are. */
#ifndef AGENT_PREVENTION_GUARD_PLAN_H
#define AGENT_PREVENTION_GUARD_PLAN_H

#include "agent/prevention/prevention.h"
#include "common/attributes.h"

struct message_writer;
struct mount_entry;
struct mounts;
struct prevention_plan;

/* Copies the options. -ENOMEM, -EINVAL (a pattern). */
int guard_plan_new(const struct prevention_options *options,
                   struct prevention_plan **ret_plan) MUST_USE;
struct prevention_plan *guard_plan_free(struct prevention_plan *plan);

/* As the guard judges a path: protected, and not our own. */
bool guard_plan_protects(const struct prevention_plan *plan, const char *path);

/* The mounts there are. */
int guard_plan_mounts(struct mounts **ret_mounts) MUST_USE;

/* Sends all of it. -ENODATA: no path is on a local file system; -errno of the socket. */
int guard_plan_send(const struct prevention_plan *plan, const struct mounts *mounts, int socket,
                    struct message_writer *word) MUST_USE;

/* Calls mark for the mount each path lies on, and for those at or below it: of local file systems,
 * whose opens the kernel tells and whose files can be looked at without waiting for others. */
int guard_plan_marks(const struct prevention_plan *plan, const struct mounts *mounts,
                     int (*mark)(void *user, const struct mount_entry *mount), void *user) MUST_USE;
/* Changes when the marks do, or the devices they are on. */
uint64_t guard_plan_fingerprint(const struct prevention_plan *plan, const struct mounts *mounts);
/* Has this inotify descriptor tell (IN_UNMOUNT) when a file system that is to be marked has gone,
 * and its mark with it: another one may have its device. Best effort. */
void guard_plan_watch(const struct prevention_plan *plan, const struct mounts *mounts, int inotify);

#endif
