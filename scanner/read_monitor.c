/* The program's pread64: the system call, and a note of what failed on the watched descriptor.
 *
 * Owns: the three words of state below. Must not own: the verdict (verdict_mapping.c). */
#include "scanner/read_monitor.h"

#include <errno.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static int watched_fd = -1;
static bool failed;
static bool shrank;

void read_monitor_watch(int fd)
{
    watched_fd = fd;
    failed = false;
    shrank = false;
}

bool read_monitor_failed(void)
{
    return failed;
}

bool read_monitor_shrank(void)
{
    return shrank;
}

/* With _FILE_OFFSET_BITS=64 the name below is pread64 on every target. */
ssize_t pread(int fd, void *buffer, size_t count, off_t offset)
{
    ssize_t got = syscall(SYS_pread64, fd, buffer, count, offset);
    if (fd == watched_fd && got <= 0 && count > 0) {
        if (got == 0)
            shrank = true;
        else if (errno != EINTR)
            failed = true;
    }
    return got;
}
