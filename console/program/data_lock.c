/* Owns the file console.lock. */
#include "console/program/data_lock.h"

#include "common/files/file.h"
#include "common/text/text.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

int data_lock_take(const char *data, int *ret_fd)
{
    AUTO_CLOSE int fd = -1;
    char path[4096];
    int r = text_format(path, sizeof(path), "%s/console.lock", data);
    if (r >= 0)
        r = file_open_following(path, O_RDWR | O_CREAT, 0600, &fd);
    if (r < 0)
        return r;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? -EBUSY : -errno;
    *ret_fd = TAKE_FD(fd);
    return 0;
}
