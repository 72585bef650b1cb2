/* Owns the reading of /proc/PID. What a process chose itself (its executable's path) is escaped
 * when it is written. */
#include "agent/prevention/process_facts.h"

#include "common/files/file.h"
#include "common/json/json_writer.h"
#include "common/text/text.h"
#include "scanner/client/proc_text.h"

#include <fcntl.h>
#include <string.h>
#include <sys/fsuid.h>
#include <unistd.h>

#define MOST_USERS_BYTES ((size_t)1024 * 1024)

static bool read_text(pid_t pid, const char *name, char *text, size_t size)
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

/* A process shows its executable to its own user, and to CAP_SYS_PTRACE, which reads any memory and
 * which we therefore do not have: this thread looks as that user. */
static void read_executable(pid_t pid, uint32_t user, uint32_t group,
                            char executable[static PATH_MAX])
{
    char path[64];

    (void)text_format(path, sizeof path, "/proc/%d/exe", (int)pid);
    (void)setfsgid(group);
    (void)setfsuid(user);
    ssize_t length = readlink(path, executable, PATH_MAX);
    (void)setfsuid(geteuid());
    (void)setfsgid(getegid());
    executable[length > 0 && length < PATH_MAX ? length : 0] = '\0';
}

/* "Uid:\treal\teffective\t...", and Gid the same. */
static uint32_t read_real(const char *status, const char *name)
{
    const char *line = strstr(status, name);
    return line != NULL ? (uint32_t)proc_text_number(line + strlen(name)) : PROCESS_NO_USER;
}

static uint32_t read_effective(const char *status, const char *name)
{
    const char *line = strstr(status, name);
    const char *effective = line != NULL ? strchr(line + strlen(name), '\t') : NULL;
    return effective != NULL ? (uint32_t)proc_text_number(effective + 1) : PROCESS_NO_USER;
}

static uint32_t read_login(pid_t pid)
{
    char text[32];

    return read_text(pid, "loginuid", text, sizeof text) ? (uint32_t)proc_text_number(text)
                                                         : PROCESS_NO_USER;
}

void process_facts_find_container(const char *groups,
                                  char ret_container[static PROCESS_CONTAINER_BYTES])
{
    enum { DIGITS = PROCESS_CONTAINER_BYTES - 1 };

    ret_container[0] = '\0';
    for (const char *at = groups; *at != '\0';) {
        size_t length = strspn(at, "0123456789abcdef");
        if (length == DIGITS) {
            memcpy(ret_container, at, DIGITS);
            ret_container[DIGITS] = '\0';
        }
        at += MAX(length, 1);
    }
}

void process_facts_read(pid_t pid, struct process_facts *ret_facts)
{
    char groups[8192], status[4096];

    *ret_facts = (struct process_facts){
        .pid = pid,
        .user = PROCESS_NO_USER,
        .real_user = PROCESS_NO_USER,
        .login_user = PROCESS_NO_USER,
    };
    if (pid <= 0)
        return;
    if (read_text(pid, "status", status, sizeof status)) {
        ret_facts->user = read_effective(status, "\nUid:\t");
        ret_facts->real_user = read_real(status, "\nUid:\t");
        read_executable(pid, ret_facts->user, read_effective(status, "\nGid:\t"),
                        ret_facts->executable);
    }
    ret_facts->login_user = read_login(pid);
    if (read_text(pid, "cgroup", groups, sizeof groups))
        process_facts_find_container(groups, ret_facts->container);
}

/* "name:password:uid:..." */
static bool take_name(const char *line, uint32_t user, char name[static PROCESS_USER_BYTES])
{
    size_t length = strcspn(line, ":\n");
    const char *number = line[length] == ':' ? strchr(line + length + 1, ':') : NULL;

    if (number == NULL || length == 0 || length >= PROCESS_USER_BYTES || number[1] < '0' ||
        number[1] > '9' || proc_text_number(number + 1) != user)
        return false;
    memcpy(name, line, length);
    name[length] = '\0';
    return true;
}

/* The host's own list only: a name service may be far away, or on a file that waits for us. */
static bool find_user(uint32_t user, char name[static PROCESS_USER_BYTES])
{
    AUTO_BUFFER struct buffer list = BUFFER_WITH_MAXIMUM(MOST_USERS_BYTES);

    if (file_read_all("/etc/passwd", &list) < 0)
        return false;
    for (const char *line = buffer_text(&list); line != NULL;) {
        if (take_name(line, user, name))
            return true;
        const char *end = strchr(line, '\n');
        line = end != NULL ? end + 1 : NULL;
    }
    return false;
}

static void write_user(struct json_writer *json, uint32_t user, const char *number_key,
                       const char *name_key)
{
    char name[PROCESS_USER_BYTES];

    if (user == PROCESS_NO_USER)
        return;
    json_write_field_unsigned(json, number_key, user);
    if (find_user(user, name))
        json_write_field_string(json, name_key, name);
}

void process_facts_write(const struct process_facts *facts, struct json_writer *json)
{
    json_write_field_number(json, "pid", facts->pid);
    if (facts->executable[0] != '\0') {
        AUTO_FREE char *shown = text_escape_new(facts->executable, strlen(facts->executable));
        json_write_field_string(json, "executable", shown != NULL ? shown : "");
    }
    write_user(json, facts->user, "uid", "user");
    write_user(json, facts->login_user, "login_uid", "login_user");
    if (facts->container[0] != '\0')
        json_write_field_string(json, "container", facts->container);
}

pid_t process_facts_parent(pid_t pid, char ret_name[static PROCESS_NAME_BYTES])
{
    char text[512];

    ret_name[0] = '\0';
    if (pid <= 0 || !read_text(pid, "stat", text, sizeof text))
        return 0;
    pid_t parent = proc_text_parent(text);
    char *name = strchr(text, '('), *end = strrchr(text, ')');
    if (name == NULL || end == NULL || end < name)
        return 0;
    *end = '\0';
    (void)text_copy(ret_name, PROCESS_NAME_BYTES, name + 1);
    return parent;
}
