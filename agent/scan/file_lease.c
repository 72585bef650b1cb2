/* Owns the fcntl calls of a lease; neither the descriptor nor the signal's handler. The owner
 * is a thread, not the process: a signal to the process would end it wherever a thread has it
 * unblocked. */
#include "agent/scan/file_lease.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <threads.h>

int file_lease_take(int fd)
{
    static thread_local pid_t thread;

    if (thread == 0)
        thread = gettid();
    struct f_owner_ex owner = {.type = F_OWNER_TID, .pid = thread};
    if (fcntl(fd, F_SETOWN_EX, &owner) < 0 || fcntl(fd, F_SETLEASE, F_RDLCK) < 0)
        return -errno;
    return 0;
}

bool file_lease_holds(int fd)
{
    return fcntl(fd, F_GETLEASE) == F_RDLCK;
}

void file_lease_give_back(int fd)
{
    (void)fcntl(fd, F_SETLEASE, F_UNLCK);
}

enum file_evidence file_lease_evidence(int fd)
{
    struct statfs status;

    if (fstatfs(fd, &status) < 0 || status.f_type == OVERLAYFS_SUPER_MAGIC)
        return FILE_EVIDENCE_NONE;
    if (status.f_type == TMPFS_MAGIC || status.f_type == RAMFS_MAGIC)
        return FILE_EVIDENCE_LEASE;
    return FILE_EVIDENCE_FULL;
}
