/* yagura-preload.so: sees which files a function's process opens and which programs it starts,
 * tells or refuses what the rules deny, and passes everything else on. Loaded into Node, Python,
 * Java, Ruby and .NET by the wrapper; static programs (Go) do not see it.
 *
 * It must never break a function: no allocation, no lock, no state but what is read once from the
 * environment, errno as it was, nothing of the C library newer than glibc 2.26; what cannot be
 * found there is done by system call. Not hooked: calls that the C library makes inside itself. */
#include "application/preload/runtime_rules.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORT     __attribute__((visibility("default")))
#define TEXT_BYTES 1024

#if defined(__x86_64__)
__asm__(".symver dlsym, dlsym@GLIBC_2.2.5");
#elif defined(__aarch64__)
__asm__(".symver dlsym, dlsym@GLIBC_2.17");
#endif
#pragma weak dlsym

static const char default_files[] = "deny:/etc/shadow;deny:/etc/gshadow;deny:/proc/*/mem;"
                                    "deny:/proc/*/environ";
static const char default_commands[] = "deny:*/dev/tcp/*;deny:*bash -i*;deny:*/nc *;deny:*/ncat *;"
                                       "deny:*/socat *;deny:nc *;deny:ncat *;deny:socat *";

enum mode { MODE_UNREAD, MODE_OFF, MODE_REPORT, MODE_MITIGATE };

/* Set once; two threads that race write the same. */
static const char *file_rules, *command_rules;
static enum mode current;

static const char *setting(const char *name, const char *otherwise)
{
    const char *value = getenv(name);

    return value != NULL ? value : otherwise;
}

static enum mode mode(void)
{
    if (current == MODE_UNREAD) {
        const char *text = setting("YAGURA_APPLICATION_RUNTIME", "");
        file_rules = setting("YAGURA_APPLICATION_FILES", default_files);
        command_rules = setting("YAGURA_APPLICATION_COMMANDS", default_commands);
        current = strcmp(text, "mitigate") == 0 ? MODE_MITIGATE
                  : strcmp(text, "report") == 0 ? MODE_REPORT
                                                : MODE_OFF;
    }
    return current;
}

__attribute__((constructor)) static void read_settings(void)
{
    (void)mode();
}

static size_t append(char *line, size_t used, size_t size, const char *text)
{
    size_t length = strlen(text);
    size_t fits = length < size - used ? length : size - used;

    memcpy(line + used, text, fits);
    return used + fits;
}

/* Bytes that JSON or a terminal would take amiss become '?'. */
static size_t append_plain(char *line, size_t used, size_t size, const char *text)
{
    for (; *text != '\0' && used < size; text++)
        line[used++] = *text >= ' ' && *text < 127 && *text != '"' && *text != '\\' ? *text : '?';
    return used;
}

/* One line, one write, to the function's log. */
static void tell(const char *subject, const char *what, bool blocked)
{
    char line[2 * TEXT_BYTES];
    size_t room = sizeof line - 4, used = 0;

    used = append(line, used, room, "{\"module\":\"application\",\"kind\":\"");
    used = append(line, used, room, blocked ? "runtime_blocked" : "runtime_reported");
    used = append(line, used, room, blocked ? "\",\"severity\":3" : "\",\"severity\":2");
    used = append(line, used, room, ",\"subject\":\"");
    used = append(line, used, room, subject);
    used = append(line, used, room, "\",\"detail\":{\"what\":\"");
    used = append_plain(line, used, room, what);
    used += append(line + used, 0, 4, "\"}}\n");
    (void)!write(STDERR_FILENO, line, used);
}

/* True when it is to be refused; errno is then EACCES, and as it was otherwise. */
static bool refuses(const char *subject, const char *rules, const char *text)
{
    int before = errno;

    if (!runtime_rules_deny(rules, text))
        return false;
    bool blocked = mode() == MODE_MITIGATE;
    tell(subject, text, blocked);
    errno = blocked ? EACCES : before;
    return blocked;
}

/* The folder that a relative path begins in. */
static bool folder_of(int directory, char *text, size_t size)
{
    static const char descriptors[] = "/proc/self/fd/";
    char link[sizeof descriptors + 12];
    char digits[12];
    size_t used = sizeof descriptors - 1, count = 0;

    if (directory == AT_FDCWD)
        return syscall(SYS_getcwd, text, size) > 0 && text[0] == '/';
    if (directory < 0)
        return false;
    memcpy(link, descriptors, sizeof descriptors);
    do
        digits[count++] = (char)('0' + directory % 10);
    while ((directory /= 10) > 0);
    while (count > 0)
        link[used++] = digits[--count];
    link[used] = '\0';
    long length = syscall(SYS_readlinkat, AT_FDCWD, link, text, size - 1);
    if (length <= 0 || text[0] != '/')
        return false;
    text[length] = '\0';
    return true;
}

/* As it is written, and as what it leads to: "/etc/./shadow" is no other file. */
static bool refuses_file(int directory, const char *path)
{
    char text[2 * PATH_MAX];
    int before = errno;

    if (mode() < MODE_REPORT || path == NULL)
        return false;
    if (runtime_rules_deny(file_rules, path))
        return refuses("Illegal File Access", file_rules, path);
    bool known = (path[0] == '/' || folder_of(directory, text, PATH_MAX)) &&
                 runtime_rules_follow(text, sizeof text, path);
    errno = before;
    return known && refuses("Illegal File Access", file_rules, text);
}

static bool refuses_command(const char *path, char *const *argv)
{
    char text[TEXT_BYTES];

    if (mode() < MODE_REPORT || path == NULL)
        return false;
    runtime_rules_join(text, sizeof text, path, argv);
    return refuses("Remote Command Execution", command_rules, text);
}

static void *next_of(const char *name)
{
    int before = errno;
    void *found = dlsym != NULL ? dlsym(RTLD_NEXT, name) : NULL;

    errno = before;
    return found;
}

/* --- files. A pointer that two threads find at once is the same. */

static int open_by_call(int directory, const char *path, int flags, mode_t mode_bits)
{
    return (int)syscall(SYS_openat, directory, path, flags, mode_bits);
}

#define MODE_BITS(flags, last)                                            \
    ({                                                                    \
        mode_t bits_ = 0;                                                 \
        if (((flags)&O_CREAT) != 0 || ((flags)&O_TMPFILE) == O_TMPFILE) { \
            va_list list_;                                                \
            va_start(list_, last);                                        \
            bits_ = va_arg(list_, mode_t);                                \
            va_end(list_);                                                \
        }                                                                 \
        bits_;                                                            \
    })

#define DEFINE_OPEN(name, extra)                                                   \
    EXPORT int name(const char *path, int flags, ...)                              \
    {                                                                              \
        static int (*next)(const char *, int, ...);                                \
        mode_t bits = MODE_BITS(flags, flags);                                     \
        if (refuses_file(AT_FDCWD, path))                                          \
            return -1;                                                             \
        if (next == NULL)                                                          \
            next = (int (*)(const char *, int, ...))next_of(#name);                \
        return next != NULL ? next(path, flags, bits)                              \
                            : open_by_call(AT_FDCWD, path, flags | (extra), bits); \
    }

#define DEFINE_OPENAT(name, extra)                                                  \
    EXPORT int name(int directory, const char *path, int flags, ...)                \
    {                                                                               \
        static int (*next)(int, const char *, int, ...);                            \
        mode_t bits = MODE_BITS(flags, flags);                                      \
        if (refuses_file(directory, path))                                          \
            return -1;                                                              \
        if (next == NULL)                                                           \
            next = (int (*)(int, const char *, int, ...))next_of(#name);            \
        return next != NULL ? next(directory, path, flags, bits)                    \
                            : open_by_call(directory, path, flags | (extra), bits); \
    }

#define DEFINE_FOPEN(name)                                                  \
    EXPORT FILE *name(const char *path, const char *how)                    \
    {                                                                       \
        static FILE *(*next)(const char *, const char *);                   \
        if (refuses_file(AT_FDCWD, path))                                   \
            return NULL;                                                    \
        if (next == NULL)                                                   \
            next = (FILE * (*)(const char *, const char *)) next_of(#name); \
        if (next != NULL)                                                   \
            return next(path, how);                                         \
        errno = ENOSYS;                                                     \
        return NULL;                                                        \
    }

int open64(const char *path, int flags, ...);
int openat64(int directory, const char *path, int flags, ...);
FILE *fopen64(const char *path, const char *how);

DEFINE_OPEN(open, 0)
DEFINE_OPEN(open64, O_LARGEFILE)
DEFINE_OPENAT(openat, 0)
DEFINE_OPENAT(openat64, O_LARGEFILE)
DEFINE_FOPEN(fopen)
DEFINE_FOPEN(fopen64)

EXPORT int creat(const char *path, mode_t bits)
{
    return refuses_file(AT_FDCWD, path)
               ? -1
               : open_by_call(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, bits);
}

/* --- programs. Between vfork and exec only the stack is ours, which is all that is used. */

EXPORT int execve(const char *path, char *const argv[], char *const envp[])
{
    return refuses_command(path, argv) ? -1 : (int)syscall(SYS_execve, path, argv, envp);
}

EXPORT int execv(const char *path, char *const argv[])
{
    return refuses_command(path, argv) ? -1 : (int)syscall(SYS_execve, path, argv, environ);
}

EXPORT int execvp(const char *file, char *const argv[])
{
    int (*next)(const char *, char *const[]) =
        (int (*)(const char *, char *const[]))next_of("execvp");

    if (refuses_command(file, argv))
        return -1;
    return next != NULL ? next(file, argv) : (int)syscall(SYS_execve, file, argv, environ);
}

int execvpe(const char *file, char *const argv[], char *const envp[]);
EXPORT int execvpe(const char *file, char *const argv[], char *const envp[])
{
    int (*next)(const char *, char *const[], char *const[]) =
        (int (*)(const char *, char *const[], char *const[]))next_of("execvpe");

    if (refuses_command(file, argv))
        return -1;
    return next != NULL ? next(file, argv, envp) : (int)syscall(SYS_execve, file, argv, envp);
}

#define DEFINE_SPAWN(name)                                                                       \
    EXPORT int name(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,     \
                    const posix_spawnattr_t *attributes, char *const argv[], char *const envp[]) \
    {                                                                                            \
        static int (*next)(pid_t *, const char *, const posix_spawn_file_actions_t *,            \
                           const posix_spawnattr_t *, char *const[], char *const[]);             \
        if (refuses_command(path, argv))                                                         \
            return EACCES;                                                                       \
        if (next == NULL)                                                                        \
            next = (__typeof__(next))next_of(#name);                                             \
        return next != NULL ? next(pid, path, actions, attributes, argv, envp) : ENOSYS;         \
    }

DEFINE_SPAWN(posix_spawn)
DEFINE_SPAWN(posix_spawnp)

EXPORT int system(const char *command)
{
    static int (*next)(const char *);

    if (refuses_command(command, NULL))
        return -1;
    if (next == NULL)
        next = (int (*)(const char *))next_of("system");
    if (next != NULL)
        return next(command);
    errno = ENOSYS;
    return -1;
}

EXPORT FILE *popen(const char *command, const char *how)
{
    static FILE *(*next)(const char *, const char *);

    if (refuses_command(command, NULL))
        return NULL;
    if (next == NULL)
        next = (FILE * (*)(const char *, const char *)) next_of("popen");
    if (next != NULL)
        return next(command, how);
    errno = ENOSYS;
    return NULL;
}
