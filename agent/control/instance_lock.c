/* Owns the lock file: never removed, as removing it would let two agents hold two of them. */
#include "agent/control/instance_lock.h"

#include "common/files/file.h"
#include "common/text/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <time.h>

#define LOCK_NAME  "agent.lock"
#define PID_BYTES  24
#define MOST_TRIES 500 /* of 10 ms */

struct instance_lock {
    int fd;
};

static int open_lock(const char *directory, int flags, int *ret_fd)
{
    AUTO_CLOSE int directory_fd = -1;
    int r = file_open_directory(directory, true, &directory_fd);
    if (r < 0)
        return r;
    return file_open_at(directory_fd, LOCK_NAME, flags, 0600, ret_fd);
}

static bool is_alive(pid_t pid)
{
    return pid > 0 && (kill(pid, 0) == 0 || errno == EPERM);
}

/* A child that an agent was just starting holds a copy of its descriptor until it executes or dies
 * with its parent: after a kill -9 that takes a moment, which is waited for. A living holder is
 * not. */
static int lock_file(int fd, const char *directory)
{
    const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    for (int tries = 0;; tries++) {
        if (fcntl(fd, F_OFD_SETLK, &range) == 0)
            return 0;
        if (errno != EAGAIN && errno != EACCES)
            return -errno;
        if (tries == MOST_TRIES || is_alive(instance_lock_holder(directory)))
            return -EBUSY;
        (void)nanosleep(&pause, NULL);
    }
}

int instance_lock_take(const char *directory, struct instance_lock **ret_lock)
{
    AUTO_CLOSE int fd = -1;
    int r = open_lock(directory, O_RDWR | O_CREAT, &fd);
    if (r < 0)
        return r;
    r = lock_file(fd, directory);
    if (r < 0)
        return r;
    struct instance_lock *lock = calloc(1, sizeof(*lock));
    if (lock == NULL)
        return -ENOMEM;
    /* Only for the message of a second agent: a full disk must not keep the first from starting. */
    char text[PID_BYTES];
    int length = text_format(text, sizeof(text), "%d\n", getpid());
    if (ftruncate(fd, 0) == 0 && length > 0)
        (void)!pwrite(fd, text, (size_t)length, 0);
    lock->fd = TAKE_FD(fd);
    *ret_lock = lock;
    return 0;
}

pid_t instance_lock_holder(const char *directory)
{
    AUTO_CLOSE int fd = -1;
    char text[PID_BYTES];
    uint64_t pid = 0;
    if (open_lock(directory, O_RDONLY, &fd) < 0)
        return 0;
    ssize_t length = file_read(fd, text, sizeof(text) - 1);
    if (length <= 0)
        return 0;
    text[length] = '\0';
    text[strcspn(text, "\n")] = '\0';
    return text_parse_u64(text, &pid) == 0 && pid <= INT_MAX ? (pid_t)pid : 0;
}

struct instance_lock *instance_lock_release(struct instance_lock *lock)
{
    if (lock == NULL)
        return NULL;
    (void)close(lock->fd);
    free(lock);
    return NULL;
}
