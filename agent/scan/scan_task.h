/* One file on its way through the dispatcher, and the bounded lanes in which walkers put files that
 * need a scan. Walkers wait while their lane is full, so a tree of any size needs no memory. */
#ifndef AGENT_SCAN_SCAN_TASK_H
#define AGENT_SCAN_SCAN_TASK_H

#include "agent/respond/responder.h"
#include "agent/scan/backlog.h"
#include "common/attributes.h"
#include "common/files/file.h"
#include "scanner/client/scan_result.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/stat.h>

struct dispatcher;
struct scan_job;

/* In the order of importance; see lane_strides in dispatcher_begin.c for their shares. */
enum scan_lane {
    SCAN_LANE_WRITTEN, /* the backlog's three classes */
    SCAN_LANE_ARRIVED,
    SCAN_LANE_FOUND,
    SCAN_LANE_FOLD, /* tasks of walkers: of folded directories, */
    SCAN_LANE_DEMAND,
    SCAN_LANE_BACKGROUND,
    SCAN_LANES
};

struct scan_task {
    struct scan_task *next, *previous; /* in the list that holds it */
    char *path;
    int fd; /* -1 until it is opened */
    struct file_identity identity;
    struct scan_job *job;     /* NULL: of the backlog */
    struct backlog_item item; /* of the backlog; its path is ours */
    enum scan_cause cause;
    enum scan_lane lane;
    struct dispatcher *dispatcher;
    bool act;
    bool cacheable, leased; /* see dispatcher_begin.c: may the verdict be remembered */
    unsigned attempts;      /* scans of a file that kept changing, or tries to open it */
    int error;              /* why it could not be opened */
    struct scan_result result;
    /* Of scan_pipeline_ask: NULL unless somebody waits. */
    void (*answered)(void *user, const struct scan_result *result, bool untouched);
    void *answered_user;
    uint64_t until_ns; /* monotonic: when they have gone */
    uid_t asking_user;
    bool untouched;
};

struct scan_task_list {
    struct scan_task *first, *last;
    size_t count;
};

void scan_task_list_add(struct scan_task_list *list, struct scan_task *task);
void scan_task_list_remove(struct scan_task_list *list, struct scan_task *task);
struct scan_task *scan_task_list_take(struct scan_task_list *list); /* NULL when empty */

/* Takes path and fd, also when it fails (NULL). */
struct scan_task *scan_task_new(char *path, int fd, const struct stat *status);
/* Closes and frees. NULL is legal. */
struct scan_task *scan_task_free(struct scan_task *task);

/* Opens a regular file for a scan; -ENXIO, -EISDIR, -ELOOP: it is none. Quicker than
 * file_open_regular, because a name that turns into a FIFO between the look and the opening may be
 * opened here (and is let go): it cannot hold us, and only root could put a device there. */
int scan_task_open(int directory_fd, const char *path, int *ret_fd) MUST_USE;

struct scan_lanes;

int scan_lanes_new(size_t lane_tasks, struct scan_lanes **ret_lanes) MUST_USE;
/* Frees the tasks that are left. */
struct scan_lanes *scan_lanes_free(struct scan_lanes *lanes);
/* Waits for room; hands task over. -ECANCELED when *cancelled becomes true meanwhile (after
 * scan_lanes_wake); the task is still the caller's. */
int scan_lanes_push(struct scan_lanes *lanes, struct scan_task *task,
                    const atomic_bool *cancelled) MUST_USE;
/* NULL when the lane is empty. */
struct scan_task *scan_lanes_take(struct scan_lanes *lanes, enum scan_lane lane);
/* One whose job is cancelled, from any lane; NULL when there is none. */
struct scan_task *scan_lanes_take_cancelled(struct scan_lanes *lanes);
size_t scan_lanes_count(struct scan_lanes *lanes);
/* All that wait look at their cancelled flag. */
void scan_lanes_wake(struct scan_lanes *lanes);

#endif
