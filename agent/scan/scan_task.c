/* Owns tasks that wait for the dispatcher. A lane that ran full lets walkers go on only when it is
 * half empty, so that threads do not take turns for every file. */
#include "agent/scan/scan_task.h"

#include "agent/scan/scan_job.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>

struct lane {
    struct scan_task *first, **end;
    size_t count;
    bool full;
};

struct scan_lanes {
    pthread_mutex_t lock;
    pthread_cond_t room;
    size_t lane_tasks;
    struct lane lanes[SCAN_LANES];
};

struct scan_task *scan_task_new(char *path, int fd, const struct stat *status)
{
    struct scan_task *task = path != NULL ? calloc(1, sizeof *task) : NULL;

    if (task == NULL) {
        free(path);
        if (fd >= 0)
            (void)close(fd);
        return NULL;
    }
    task->path = path;
    task->fd = fd;
    if (status != NULL)
        task->identity = file_identity_of(status);
    return task;
}

struct scan_task *scan_task_free(struct scan_task *task)
{
    if (task == NULL)
        return NULL;
    if (task->fd >= 0)
        (void)close(task->fd);
    free(task->path);
    free(task);
    return NULL;
}

static int regular_error(mode_t mode)
{
    if (S_ISREG(mode))
        return 0;
    if (S_ISDIR(mode))
        return -EISDIR;
    return S_ISLNK(mode) ? -ELOOP : -ENXIO;
}

int scan_task_open(int directory_fd, const char *path, int *ret_fd)
{
    AUTO_CLOSE int fd = -1;
    struct stat status;

    if (fstatat(directory_fd, path, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENAMETOOLONG ? file_open_regular(directory_fd, path, ret_fd, NULL) : -errno;
    int r = regular_error(status.st_mode);
    if (r == 0)
        r = file_open_at(directory_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, &fd);
    if (r == 0 && fstat(fd, &status) < 0)
        r = -errno;
    if (r == 0)
        r = regular_error(status.st_mode);
    if (r == 0)
        *ret_fd = TAKE_FD(fd);
    return r;
}

int scan_lanes_new(size_t lane_tasks, struct scan_lanes **ret_lanes)
{
    struct scan_lanes *lanes = calloc(1, sizeof *lanes);
    if (lanes == NULL)
        return -ENOMEM;
    (void)pthread_mutex_init(&lanes->lock, NULL);
    (void)pthread_cond_init(&lanes->room, NULL);
    lanes->lane_tasks = lane_tasks;
    for (int i = 0; i < SCAN_LANES; i++)
        lanes->lanes[i].end = &lanes->lanes[i].first;
    *ret_lanes = lanes;
    return 0;
}

struct scan_lanes *scan_lanes_free(struct scan_lanes *lanes)
{
    if (lanes == NULL)
        return NULL;
    for (int i = 0; i < SCAN_LANES; i++)
        for (struct scan_task *task = lanes->lanes[i].first, *next; task != NULL; task = next) {
            next = task->next;
            scan_task_free(task);
        }
    (void)pthread_cond_destroy(&lanes->room);
    (void)pthread_mutex_destroy(&lanes->lock);
    free(lanes);
    return NULL;
}

int scan_lanes_push(struct scan_lanes *lanes, struct scan_task *task, const atomic_bool *cancelled)
{
    struct lane *lane = &lanes->lanes[task->lane];

    (void)pthread_mutex_lock(&lanes->lock);
    while (lane->full && !atomic_load(cancelled))
        (void)pthread_cond_wait(&lanes->room, &lanes->lock);
    int r = atomic_load(cancelled) ? -ECANCELED : 0;
    if (r == 0) {
        task->next = NULL;
        *lane->end = task;
        lane->end = &task->next;
        lane->count++;
        lane->full = lane->count >= lanes->lane_tasks;
    }
    (void)pthread_mutex_unlock(&lanes->lock);
    return r;
}

static struct scan_task *take_at(struct scan_lanes *lanes, struct lane *lane,
                                 struct scan_task **link)
{
    struct scan_task *task = *link;

    *link = task->next;
    if (lane->end == &task->next)
        lane->end = link;
    lane->count--;
    task->next = NULL;
    if (lane->full && lane->count <= lanes->lane_tasks / 2) {
        lane->full = false;
        (void)pthread_cond_broadcast(&lanes->room);
    }
    return task;
}

struct scan_task *scan_lanes_take(struct scan_lanes *lanes, enum scan_lane number)
{
    struct lane *lane = &lanes->lanes[number];

    (void)pthread_mutex_lock(&lanes->lock);
    struct scan_task *task = lane->first != NULL ? take_at(lanes, lane, &lane->first) : NULL;
    (void)pthread_mutex_unlock(&lanes->lock);
    return task;
}

struct scan_task *scan_lanes_take_cancelled(struct scan_lanes *lanes)
{
    struct scan_task *task = NULL;

    (void)pthread_mutex_lock(&lanes->lock);
    for (int i = 0; i < SCAN_LANES && task == NULL; i++)
        for (struct scan_task **link = &lanes->lanes[i].first; *link != NULL && task == NULL;)
            if (scan_job_is_cancelled((*link)->job))
                task = take_at(lanes, &lanes->lanes[i], link);
            else
                link = &(*link)->next;
    (void)pthread_mutex_unlock(&lanes->lock);
    return task;
}

size_t scan_lanes_count(struct scan_lanes *lanes)
{
    size_t count = 0;

    (void)pthread_mutex_lock(&lanes->lock);
    for (int i = 0; i < SCAN_LANES; i++)
        count += lanes->lanes[i].count;
    (void)pthread_mutex_unlock(&lanes->lock);
    return count;
}

void scan_lanes_wake(struct scan_lanes *lanes)
{
    (void)pthread_mutex_lock(&lanes->lock);
    (void)pthread_cond_broadcast(&lanes->room);
    (void)pthread_mutex_unlock(&lanes->lock);
}

/* ---- lists ---- */

void scan_task_list_add(struct scan_task_list *list, struct scan_task *task)
{
    task->next = NULL;
    task->previous = list->last;
    *(list->last != NULL ? &list->last->next : &list->first) = task;
    list->last = task;
    list->count++;
}

void scan_task_list_remove(struct scan_task_list *list, struct scan_task *task)
{
    *(task->previous != NULL ? &task->previous->next : &list->first) = task->next;
    *(task->next != NULL ? &task->next->previous : &list->last) = task->previous;
    task->next = task->previous = NULL;
    list->count--;
}

struct scan_task *scan_task_list_take(struct scan_task_list *list)
{
    struct scan_task *task = list->first;

    if (task != NULL)
        scan_task_list_remove(list, task);
    return task;
}
