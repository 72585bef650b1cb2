/* seccomp: which system calls a process may still make.
 *
 * Owns: building and loading the filter, and, in debug mode, naming the denied call. Must not own:
 * the list, which stands in the program that knows its needs. */
#include "common/sandbox/privileges.h"

#include "common/text/text.h"

#include <errno.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/syscall.h>

#define NAMED_CALLS 512
#define NAME_BYTES  32

/* Filled before the filter is loaded: the signal handler may not allocate. */
static char call_names[NAMED_CALLS][NAME_BYTES];

static void remember_names(void)
{
    for (int call = 0; call < NAMED_CALLS; call++) {
        AUTO_FREE char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, call);
        (void)text_format(call_names[call], NAME_BYTES, "%s\n", name != NULL ? name : "unknown");
    }
}

static void name_denied_call(int signal_number, siginfo_t *info, void *context)
{
    (void)signal_number;
    (void)context;
    static const char text[] = "seccomp denied system call ";
    (void)!write(STDERR_FILENO, text, sizeof(text) - 1);
    const char *name = info->si_syscall >= 0 && info->si_syscall < NAMED_CALLS
                           ? call_names[info->si_syscall]
                           : "unknown\n";
    (void)!write(STDERR_FILENO, name, strlen(name));
    /* SIGSYS is blocked here: the same call again makes the kernel kill us with it. */
    (void)syscall(info->si_syscall);
}

static int install_handler(void)
{
    struct sigaction action = {.sa_sigaction = name_denied_call, .sa_flags = SA_SIGINFO};
    remember_names();
    return sigaction(SIGSYS, &action, NULL) < 0 ? -errno : 0;
}

static void release_filter(scmp_filter_ctx *filter)
{
    if (*filter != NULL)
        seccomp_release(*filter);
}

int privileges_seccomp(const char *const *calls, size_t count, bool debug)
{
    CLEANUP(release_filter)
    scmp_filter_ctx filter = seccomp_init(debug ? SCMP_ACT_TRAP : SCMP_ACT_KILL_PROCESS);
    if (filter == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        int call = seccomp_syscall_resolve_name(calls[i]);
        if (call == __NR_SCMP_ERROR || call < 0)
            continue;
        int result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0);
        if (result < 0)
            return result;
    }
    if (debug) {
        int result = install_handler();
        if (result < 0)
            return result;
    }
    return seccomp_load(filter);
}
