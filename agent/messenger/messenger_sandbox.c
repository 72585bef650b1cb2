/* The messenger's confinement, on one screen.
 *
 * Owns: the order of the steps and the list of system calls. Must not own: the techniques
 * (common/sandbox). It needs no path but those that say who is called what (names) and whom the
 * system trusts (certificates), all readable by anybody. */
#include "agent/messenger/messenger_sandbox.h"

#include "common/log/log.h"
#include "common/sandbox/privileges.h"

#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define USER             "yagura-messenger"
#define FALLBACK_USER    "nobody"
#define MOST_DESCRIPTORS 64

/* What libcurl, OpenSSL and the resolver's threads of glibc call; found with strace. */
static const char *const calls[] = {
    "socket",
    "connect",
    "bind",
    "getsockname",
    "getpeername",
    "getsockopt",
    "setsockopt",
    "socketpair",
    "sendto",
    "recvfrom",
    "sendmsg",
    "recvmsg",
    "sendmmsg",
    "recvmmsg",
    "shutdown",
    "poll",
    "ppoll",
    "pipe2",
    "eventfd2",
    "ioctl",
    "read",
    "write",
    "readv",
    "writev",
    "pread64",
    "lseek",
    "close",
    "fcntl",
    "dup",
    "open",
    "openat",
    "stat",
    "lstat",
    "fstat",
    "newfstatat",
    "statx",
    "statfs",
    "fstatfs",
    "access",
    "faccessat",
    "faccessat2",
    "readlink",
    "readlinkat",
    "getdents64",
    "memfd_create",
    "ftruncate",
    "mmap",
    "munmap",
    "mremap",
    "mprotect",
    "madvise",
    "brk",
    "futex",
    "clone",
    "clone3",
    "set_robust_list",
    "rseq",
    "rt_sigaction",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sigaltstack",
    "clock_gettime",
    "clock_nanosleep",
    "nanosleep",
    "gettimeofday",
    "time",
    "getrandom",
    "getpid",
    "gettid",
    "getuid",
    "geteuid",
    "getgid",
    "getegid",
    "uname",
    "sysinfo",
    "prlimit64",
    "getrlimit",
    "sched_getaffinity",
    "sched_yield",
    "tgkill",
    "prctl",
    "restart_syscall",
    "exit",
    "exit_group",
};

/* Names and trust. Directories, because resolv.conf and the like are replaced by renaming. */
static const struct privileges_path paths[] = {
    {.path = "/etc"},
    {.path = "/run/systemd/resolve"},
    {.path = "/run/resolvconf"},
    {.path = "/run/NetworkManager"},
    {.path = "/usr/share/ca-certificates"},
    {.path = "/usr/local/share/ca-certificates"},
    {.path = "/usr/share/pki"},
    {.path = "/var/lib/ca-certificates"},
    {.path = "/usr/share/zoneinfo"},
    {.path = "/usr/lib"},
    {.path = "/usr/lib64"},
    {.path = "/lib"},
    {.path = "/lib64"},
};

static int drop_user(void)
{
    if (geteuid() != 0)
        return 0;
    const struct passwd *user = getpwnam(USER);
    if (user == NULL)
        user = getpwnam(FALLBACK_USER);
    return user != NULL ? privileges_drop_to(user->pw_uid, user->pw_gid) : -ENOENT;
}

static bool kernel_lacks(int error)
{
    return error == -ENOSYS || error == -EOPNOTSUPP;
}

int messenger_sandbox_enter(void)
{
    const struct rlimit none = {0, 0}, descriptors = {MOST_DESCRIPTORS, MOST_DESCRIPTORS};

    if (setrlimit(RLIMIT_CORE, &none) < 0 ||
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){1 << 24, 1 << 24}) < 0 ||
        setrlimit(RLIMIT_NOFILE, &descriptors) < 0)
        return -errno;
    int r = drop_user();
    if (r < 0)
        return r;
    /* Changing the user cleared it, and secrets stay out of core files and other processes' reach.
     */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0)
        return -errno;
    r = privileges_no_new();
    if (r < 0)
        return r;
    r = privileges_landlock_online(paths, ARRAY_LENGTH(paths));
    if (kernel_lacks(r))
        log_warning("sandbox_step_missing", "step", "landlock", "error", log_error_text(r), NULL);
    else if (r < 0)
        return r;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    (void)calls; /* the sanitizers make calls of their own */
    return 0;
#else
    return privileges_seccomp(calls, ARRAY_LENGTH(calls), false);
#endif
}
