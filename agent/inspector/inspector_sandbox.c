/* Owns: the order in which things are given up. */
#include "agent/inspector/inspector_sandbox.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>

#define USER          "yagura-inspector"
#define FALLBACK_USER "nobody"

enum { MOST_CALLS = 96 };

static const char *const common_calls[] = {
    "read",        "pread64",   "openat",         "openat2",        "close",      "fstat",
    "newfstatat",  "stat",      "statx",          "lseek",          "getdents64", "fcntl",
    "mmap",        "munmap",    "mremap",         "mprotect",       "madvise",    "brk",
    "recvmsg",     "sendmsg",   "recvfrom",       "sendto",         "poll",       "ppoll",
    "write",       "futex",     "rt_sigreturn",   "rt_sigprocmask", "getrandom",  "clock_gettime",
    "getpid",      "gettid",    "tgkill",         "exit",           "exit_group", "rseq",
    "sched_yield", "sysinfo",   "lstat",          "access",         "faccessat",  "faccessat2",
    "geteuid",     "nanosleep", "clock_nanosleep"};

static int limit_resources(const struct inspector_sandbox *sandbox)
{
    const struct rlimit none = {0, 0};
    const struct rlimit memory = {sandbox->most_memory, sandbox->most_memory};
    const struct rlimit descriptors = {sandbox->most_descriptors, sandbox->most_descriptors};

    if (setrlimit(RLIMIT_NOFILE, &descriptors) < 0 || setrlimit(RLIMIT_CORE, &none) < 0 ||
        setrlimit(RLIMIT_FSIZE, &none) < 0)
        return -errno;
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    if (setrlimit(RLIMIT_AS, &memory) < 0)
        return -errno;
#else
    (void)memory;
#endif
    return 0;
}

static int drop_user(const char *group_name)
{
    const struct passwd *user;
    const struct group *group;

    if (geteuid() != 0)
        return 0;
    user = getpwnam(USER);
    if (!user)
        user = getpwnam(FALLBACK_USER);
    if (!user)
        return -ENOENT;
    group = group_name ? getgrnam(group_name) : NULL;
    return privileges_drop_to(user->pw_uid, group ? group->gr_gid : user->pw_gid);
}

static int allow_calls(const struct inspector_sandbox *sandbox)
{
    const char *calls[MOST_CALLS];
    size_t count = ARRAY_LENGTH(common_calls);

    if (count + sandbox->more_call_count > MOST_CALLS)
        return -E2BIG;
    memcpy(calls, common_calls, sizeof(common_calls));
    for (size_t i = 0; i < sandbox->more_call_count; i++)
        calls[count++] = sandbox->more_calls[i];
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return 0; /* the sanitizers make calls of their own */
#else
    return privileges_seccomp(calls, count, false);
#endif
}

int inspector_confine(const struct inspector_sandbox *sandbox)
{
    int r;

    r = limit_resources(sandbox);
    if (r < 0)
        return r;
    (void)!privileges_unshare(); /* Landlock and seccomp also keep the network away */
    r = drop_user(sandbox->group);
    if (r < 0)
        return r;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        return -errno;
    r = privileges_no_new();
    if (r < 0)
        return r;
    r = privileges_landlock(sandbox->paths, sandbox->path_count);
    if (r < 0 && r != -ENOSYS && r != -EOPNOTSUPP)
        return r;
    return allow_calls(sandbox);
}
