/* Owns the fcntl calls of a lease; neither the descriptor nor the signal's handler. The owner
 * is a thread, not the process: a signal to the process would end it wherever a thread has it
 * unblocked. */
#include "agent/scan/file_lease.h"

#include <errno.h>
#include <fcntl.h>
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
