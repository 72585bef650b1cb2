/* A list of system calls, written as a filter by hand: libseccomp would cost a cold start more time
 * than the rules do. No files, no network, no processes, no signals. Source: seccomp(2). */
#include "application/relay/inspector_sandbox.h"

#include "common/log/log.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define MEMORY_BYTES                                                             \
    (512UL << 20) /* address space of data; the engine has its own, lower limits \
                   */

#ifdef __x86_64__
#define OWN_ARCHITECTURE AUDIT_ARCH_X86_64
#else
#define OWN_ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define ALLOW(call)                                         \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_##call, 0, 1), \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static struct sock_filter filter[] = {
    LOAD(arch),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OWN_ARCHITECTURE, 1, 0),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    LOAD(nr),
    ALLOW(recvfrom),
    ALLOW(sendto),
    ALLOW(write), /* of a line about what went wrong */
    ALLOW(clock_gettime),
    ALLOW(mmap),
    ALLOW(munmap),
    ALLOW(mremap),
    ALLOW(madvise),
    ALLOW(brk),
    ALLOW(futex),
    ALLOW(getrandom),
    ALLOW(rt_sigreturn),
    ALLOW(restart_syscall),
    ALLOW(exit),
    ALLOW(exit_group),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
};

int inspector_sandbox_enter(void)
{
    const struct rlimit none = {0, 0};

    if (setrlimit(RLIMIT_CORE, &none) < 0)
        return -errno;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    (void)filter; /* the sanitizers make calls of their own, and take memory */
    return 0;
#else
    const struct rlimit memory = {MEMORY_BYTES, MEMORY_BYTES};
    struct sock_fprog program = {.len = ARRAY_LENGTH(filter), .filter = filter};

    if (setrlimit(RLIMIT_DATA, &memory) < 0)
        return -errno;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0)
        return 0;
    log_warning("sandbox_step_missing", "step", "seccomp", "error", log_error_text(-errno), NULL);
    return 0;
#endif
}
