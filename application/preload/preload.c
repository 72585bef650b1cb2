/* yagura-preload.so: sees which files a function's process opens and which programs it starts,
 * tells or refuses what the rules deny, and passes everything else on. Loaded into Node, Python,
 * Java, Ruby and .NET by the wrapper; static programs (Go) do not see it.
 *
 * It must never break a function: no allocation, no lock, errno as it was, no descriptor kept,
 * nothing of the C library newer than glibc 2.26; what cannot be found there is done by system
 * call. Not hooked: calls that the C library makes inside itself. */
#include "application/preload/runtime_judge.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
/* Words of a command in execl(); more than the kernel would pass on are not expected there. */
#define MOST_WORDS 4096

#if defined(__x86_64__)
__asm__(".symver dlsym, dlsym@GLIBC_2.2.5");
#elif defined(__aarch64__)
__asm__(".symver dlsym, dlsym@GLIBC_2.17");
#endif
#pragma weak dlsym

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
        if (runtime_judge_refuses_file(AT_FDCWD, path))                            \
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
        if (runtime_judge_refuses_file(directory, path))                            \
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
        if (runtime_judge_refuses_file(AT_FDCWD, path))                     \
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

/* What open() and openat() are in programs that were compiled with _FORTIFY_SOURCE. */
#define DEFINE_CHECKED_OPEN(name, extra)                                        \
    int name(const char *path, int flags);                                      \
    EXPORT int name(const char *path, int flags)                                \
    {                                                                           \
        static int (*next)(const char *, int);                                  \
        if (runtime_judge_refuses_file(AT_FDCWD, path))                         \
            return -1;                                                          \
        if (next == NULL)                                                       \
            next = (int (*)(const char *, int))next_of(#name);                  \
        return next != NULL ? next(path, flags)                                 \
                            : open_by_call(AT_FDCWD, path, flags | (extra), 0); \
    }

#define DEFINE_CHECKED_OPENAT(name, extra)                                       \
    int name(int directory, const char *path, int flags);                        \
    EXPORT int name(int directory, const char *path, int flags)                  \
    {                                                                            \
        static int (*next)(int, const char *, int);                              \
        if (runtime_judge_refuses_file(directory, path))                         \
            return -1;                                                           \
        if (next == NULL)                                                        \
            next = (int (*)(int, const char *, int))next_of(#name);              \
        return next != NULL ? next(directory, path, flags)                       \
                            : open_by_call(directory, path, flags | (extra), 0); \
    }

DEFINE_CHECKED_OPEN(__open_2, 0)
DEFINE_CHECKED_OPEN(__open64_2, O_LARGEFILE)
DEFINE_CHECKED_OPENAT(__openat_2, 0)
DEFINE_CHECKED_OPENAT(__openat64_2, O_LARGEFILE)

#define DEFINE_CREAT(name, extra)                                                                \
    EXPORT int name(const char *path, mode_t bits)                                               \
    {                                                                                            \
        return runtime_judge_refuses_file(AT_FDCWD, path)                                        \
                   ? -1                                                                          \
                   : open_by_call(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC | (extra), bits); \
    }

int creat64(const char *path, mode_t bits);
DEFINE_CREAT(creat, 0)
DEFINE_CREAT(creat64, O_LARGEFILE)

#define DEFINE_FREOPEN(name)                                                        \
    EXPORT FILE *name(const char *path, const char *how, FILE *stream)              \
    {                                                                               \
        static FILE *(*next)(const char *, const char *, FILE *);                   \
        if (path != NULL && runtime_judge_refuses_file(AT_FDCWD, path))             \
            return NULL;                                                            \
        if (next == NULL)                                                           \
            next = (FILE * (*)(const char *, const char *, FILE *)) next_of(#name); \
        if (next != NULL)                                                           \
            return next(path, how, stream);                                         \
        errno = ENOSYS;                                                             \
        return NULL;                                                                \
    }

FILE *freopen64(const char *path, const char *how, FILE *stream);
DEFINE_FREOPEN(freopen)
DEFINE_FREOPEN(freopen64)

/* --- programs. Between vfork and exec only the stack is ours, which is all that is used. */

EXPORT int execve(const char *path, char *const argv[], char *const envp[])
{
    return runtime_judge_refuses_command(path, argv) ? -1
                                                     : (int)syscall(SYS_execve, path, argv, envp);
}

EXPORT int execv(const char *path, char *const argv[])
{
    return runtime_judge_refuses_command(path, argv)
               ? -1
               : (int)syscall(SYS_execve, path, argv, environ);
}

EXPORT int execvp(const char *file, char *const argv[])
{
    int (*next)(const char *, char *const[]) =
        (int (*)(const char *, char *const[]))next_of("execvp");

    if (runtime_judge_refuses_command(file, argv))
        return -1;
    return next != NULL ? next(file, argv) : (int)syscall(SYS_execve, file, argv, environ);
}

int execvpe(const char *file, char *const argv[], char *const envp[]);
EXPORT int execvpe(const char *file, char *const argv[], char *const envp[])
{
    int (*next)(const char *, char *const[], char *const[]) =
        (int (*)(const char *, char *const[], char *const[]))next_of("execvpe");

    if (runtime_judge_refuses_command(file, argv))
        return -1;
    return next != NULL ? next(file, argv, envp) : (int)syscall(SYS_execve, file, argv, envp);
}

/* The words of execl() and its kin as a list. Two walks, the first to count; more than MOST_WORDS
 * do not start. LAST: what is done when the NULL that ends them was read. */
#define WITH_WORDS(first, start, LAST, call)                         \
    do {                                                             \
        va_list list_;                                               \
        size_t count_ = 1;                                           \
        va_start(list_, start);                                      \
        while (count_ < MOST_WORDS && va_arg(list_, char *) != NULL) \
            count_++;                                                \
        va_end(list_);                                               \
        if (count_ == MOST_WORDS)                                    \
            return errno = E2BIG, -1;                                \
        char *words[count_ + 1];                                     \
        words[0] = (char *)(uintptr_t)(first);                       \
        va_start(list_, start);                                      \
        for (size_t i_ = 1; i_ <= count_; i_++)                      \
            words[i_] = va_arg(list_, char *);                       \
        LAST;                                                        \
        va_end(list_);                                               \
        return call;                                                 \
    } while (0)

EXPORT int execl(const char *path, const char *word, ...)
{
    WITH_WORDS(word, word, (void)0, execv(path, words));
}

EXPORT int execlp(const char *file, const char *word, ...)
{
    WITH_WORDS(word, word, (void)0, execvp(file, words));
}

EXPORT int execle(const char *path, const char *word, ...)
{
    char *const *environment = NULL;

    WITH_WORDS(word, word, environment = va_arg(list_, char *const *),
               execve(path, words, environment));
}

#define DEFINE_SPAWN(name)                                                                       \
    EXPORT int name(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,     \
                    const posix_spawnattr_t *attributes, char *const argv[], char *const envp[]) \
    {                                                                                            \
        static int (*next)(pid_t *, const char *, const posix_spawn_file_actions_t *,            \
                           const posix_spawnattr_t *, char *const[], char *const[]);             \
        if (runtime_judge_refuses_command(path, argv))                                           \
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

    if (runtime_judge_refuses_command(command, NULL))
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

    if (runtime_judge_refuses_command(command, NULL))
        return NULL;
    if (next == NULL)
        next = (FILE * (*)(const char *, const char *)) next_of("popen");
    if (next != NULL)
        return next(command, how);
    errno = ENOSYS;
    return NULL;
}
