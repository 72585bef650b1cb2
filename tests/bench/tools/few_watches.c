/* Runs a program in a user namespace of its own in which inotify allows few watches, so that
 * running out of them can be shown without touching the machine's sysctl. All ids are mapped to
 * themselves; the machine's own limit stays what it was. Needs root. */
#include "tests/bench/tools/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void write_text(const char *path, const char *text)
{
    const int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        tool_fail(errno, "open %s", path);
    tool_write_all(fd, text, strlen(text), path);
    (void)close(fd);
}

/* Only a process outside may map more than its own id; it waits for the namespace to exist. */
static void map_ids(pid_t pid, int ready)
{
    char byte;
    char path[64];

    if (read(ready, &byte, 1) != 1)
        tool_fail(errno, "wait for the namespace");
    (void)snprintf(path, sizeof(path), "/proc/%d/uid_map", (int)pid);
    write_text(path, "0 0 4294967295");
    (void)snprintf(path, sizeof(path), "/proc/%d/gid_map", (int)pid);
    write_text(path, "0 0 4294967295");
}

int main(int argument_count, char **arguments)
{
    int ready[2];
    int status = 0;

    if (argument_count < 3)
        tool_usage("WATCHES PROGRAM [ARGUMENT]...");
    (void)tool_number("WATCHES", arguments[1], 1, INT32_MAX);
    if (pipe2(ready, O_CLOEXEC) < 0)
        tool_fail(errno, "pipe");
    const pid_t self = getpid();
    const pid_t mapper = fork();
    if (mapper < 0)
        tool_fail(errno, "fork");
    if (mapper == 0) {
        (void)close(ready[1]);
        map_ids(self, ready[0]);
        _exit(0);
    }
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
        tool_fail(errno, "unshare");
    tool_write_all(ready[1], "x", 1, "pipe");
    if (waitpid(mapper, &status, 0) < 0 || status != 0)
        tool_fail(0, "ids could not be mapped");
    write_text("/proc/sys/user/max_inotify_watches", arguments[1]);
    execvp(arguments[2], arguments + 2);
    tool_fail(errno, "exec %s", arguments[2]);
}
