/* The worker's confinement, on one screen.
 *
 * Owns: the order of the steps and the list of system calls. Must not own: the techniques
 * (common/sandbox). After this a worker has one socket, its memory, and one empty directory. */
#include "scanner/worker_sandbox.h"

#include "common/attributes.h"
#include "common/files/file.h"
#include "common/sandbox/privileges.h"
#include "scanner/client/proc_text.h"
#include "scanner/client/scanner_message.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZER_BUILD 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZER_BUILD 1
#endif
#endif
#ifndef SANITIZER_BUILD
#define SANITIZER_BUILD 0
#endif

#define MOST_OPEN_FILES 256
#define MOST_MEMORY     (2ULL << 30) /* beyond what the engine already takes */

/* Found with strace over 1,040 files of 60 types; removing any of the first group kills scans. */
static const char *const calls[] = {
    "recvmsg",
    "recvfrom",
    "sendmsg",
    "sendto",
    "read",
    "write",
    "pread64",
    "lseek",
    "close",
    "newfstatat",
    "openat",
    "mkdir",
    "mkdirat",
    "rmdir",
    "unlink",
    "unlinkat",
    "chmod",
    "fchmodat",
    "getdents64",
    "fcntl",
    "mmap",
    "munmap",
    "brk",
    "futex",
    "clock_gettime",
    "exit_group",
    /* What the same libraries call under memory pressure, on other architectures or in other
     * versions; none reaches beyond the process and its directory. */
    "mremap",
    "madvise",
    "fstat",
    "ftruncate",
    "getpid",
    "gettid",
    "getrandom",
    "gettimeofday",
    "rt_sigreturn",
    "rt_sigprocmask",
    "restart_syscall",
    "exit",
    "stat",
    "lstat",
    "open",
    "fadvise64",
    "readlink",
    "readlinkat",
    "access",
    "faccessat",
    "faccessat2",
    "rename",
    "renameat",
    "statx",
    "umask",
    "fchmod",
    "getuid",
    "geteuid",
    "getgid",
    "getegid",
    "sched_yield",
    "sysinfo",
    "time",
    "sched_getaffinity",
    "dup",
    "writev",
    "pwrite64",
    "readv",
    "preadv",
    "fsync",
    "getcwd",
    "uname",
    "clock_nanosleep",
    "nanosleep",
    "ppoll",
    "poll",
#if SANITIZER_BUILD
    "sigaltstack",
    "rt_sigaction",
    "mprotect",
    "prctl",
    "tgkill",
    "kill",
    "ioctl",
    "prlimit64",
    "getrlimit",
    "set_robust_list",
    "rseq",
    "clone",
    "clone3",
    "ptrace",
    "wait4",
    "rt_sigtimedwait",
#endif
};

static void limit_resource(int resource, rlim_t value)
{
    struct rlimit limit;
    if (getrlimit(resource, &limit) < 0)
        return;
    limit.rlim_cur = MIN(value, limit.rlim_max);
    limit.rlim_max = limit.rlim_cur;
    (void)setrlimit(resource, &limit);
}

/* Address space in use now, from /proc/self/statm; 0 when unknown. */
static uint64_t memory_in_use(void)
{
    AUTO_CLOSE int fd = -1;
    char text[64];
    if (file_open_following("/proc/self/statm", O_RDONLY, 0, &fd) < 0)
        return 0;
    ssize_t length = read(fd, text, sizeof(text) - 1);
    if (length <= 0)
        return 0;
    text[length] = '\0';
    return proc_text_number(text) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void limit_resources(const struct worker_sandbox_options *options)
{
    (void)signal(SIGXFSZ, SIG_IGN); /* a full temporary file is an error of write, not death */
    limit_resource(RLIMIT_CORE, 0);
    limit_resource(RLIMIT_NOFILE, MOST_OPEN_FILES);
    limit_resource(RLIMIT_FSIZE, options->temporary_bytes);
    uint64_t in_use = memory_in_use();
    if (in_use > 0 && !SANITIZER_BUILD)
        limit_resource(RLIMIT_AS, in_use + MOST_MEMORY);
}

bool worker_sandbox_is_wider(void)
{
    return SANITIZER_BUILD;
}

int worker_sandbox_enter(const struct worker_sandbox_options *options, uint32_t *ret_reached)
{
    limit_resources(options);
    if (fchdir(options->directory_fd) < 0)
        return -errno;
    uint32_t reached = 0;
    int result = privileges_no_new();
    if (result < 0)
        return result;
    const struct privileges_path own_directory = {.path = ".", .writable = true};
    if (privileges_landlock(&own_directory, 1) == 0)
        reached |= SCANNER_SANDBOX_LANDLOCK;
    if (privileges_seccomp(calls, ARRAY_LENGTH(calls), options->seccomp_debug) == 0)
        reached |= SCANNER_SANDBOX_SECCOMP | (SANITIZER_BUILD ? SCANNER_SANDBOX_SANITIZER : 0U);
    if (reached == 0 && !options->accept_unconfined)
        return -EPERM;
    *ret_reached = reached;
    return 0;
}
