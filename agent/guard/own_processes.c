/* Owns what is read from /proc about a process: nothing that it wrote itself but its name, which is
 * skipped. */
#include "agent/guard/own_processes.h"

#include "common/files/file.h"
#include "common/text/text.h"
#include "scanner/client/proc_text.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define AGENT_UNIT    "/yagura-agent.service"
#define JOURNAL_GROUP "/system.slice/systemd-journald.service"
#define NOBODY        65534
#define GENERATIONS   8 /* agent, loader, worker; helpers and what they start */

/* Reads a file of the process' folder; its first bytes, terminated. False: it has none. */
static bool read_proc(pid_t pid, const char *name, char *text, size_t size)
{
    char path[64];
    AUTO_CLOSE int fd = -1;

    if (text_format(path, sizeof path, "/proc/%d/%s", (int)pid, name) < 0 ||
        file_open_at(AT_FDCWD, path, O_RDONLY, 0, &fd) < 0)
        return false;
    ssize_t length = file_read(fd, text, size - 1);
    text[MAX(length, 0)] = '\0';
    return length > 0;
}

/* The process' group of the unified hierarchy, as the kernel sees it: "0::/path". */
static bool read_group(pid_t pid, char *group, size_t size)
{
    char text[4096];

    if (!read_proc(pid, "cgroup", text, sizeof text))
        return false;
    char *line = text_starts_with(text, "0::") ? text : strstr(text, "\n0::");
    if (line == NULL)
        return false;
    line += *line == '\n' ? 4 : 3;
    line[strcspn(line, "\n")] = '\0';
    return text_copy(group, size, line) >= 0;
}

void own_processes_init(struct own_processes *own)
{
    *own = (struct own_processes){.self = getpid(), .agent = getppid()};
    if (!read_group(own->self, own->service, sizeof own->service))
        own->service[0] = '\0';
    own_processes_cut_service(own->service);
}

void own_processes_cut_service(char *group)
{
    const size_t length = sizeof AGENT_UNIT - 1;
    char *unit = strstr(group, AGENT_UNIT);

    while (unit != NULL && unit[length] != '/' && unit[length] != '\0')
        unit = strstr(unit + 1, AGENT_UNIT);
    if (unit != NULL)
        unit[length] = '\0';
    else
        group[0] = '\0';
}

bool own_processes_contain(const struct own_processes *own, pid_t pid)
{
    return pid == own->agent || pid == own->self || pid == 1;
}

/* A service's group, or one of those it is divided into. Only root puts anybody there. None is in
 * that of "". */
static bool is_in_group(const char *group, const char *service)
{
    size_t length = strlen(service);

    return length > 0 && text_starts_with(group, service) &&
           (group[length] == '\0' || group[length] == '/');
}

static pid_t parent_of(pid_t pid)
{
    char text[512];

    return read_proc(pid, "stat", text, sizeof text) ? proc_text_parent(text) : 0;
}

bool own_processes_include(const struct own_processes *own, pid_t pid)
{
    char group[1024];

    if (pid <= 0)
        return false;
    if (read_group(pid, group, sizeof group) &&
        (is_in_group(group, own->service) || is_in_group(group, JOURNAL_GROUP)))
        return true;
    pid_t parent = pid;
    for (int i = 0; i < GENERATIONS && parent > 1; i++) {
        parent = parent_of(parent);
        if (parent == own->agent)
            return true;
    }
    return false;
}

uid_t own_processes_user(pid_t pid)
{
    char path[32];
    struct stat status;

    if (text_format(path, sizeof path, "/proc/%d", (int)pid) < 0 || stat(path, &status) < 0)
        return NOBODY;
    return status.st_uid;
}
