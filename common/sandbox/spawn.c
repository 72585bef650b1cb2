/* fork + exec of our own programs.
 *
 * Owns: what a child inherits (descriptors, environment, signals). Must not own: the child's life
 * after exec. Hands off: pid and pidfd to the caller, who reaps.
 *
 * Between fork and exec only async-signal-safe calls: the parent may have threads. */
#include "common/sandbox/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define FIRST_FD        3
#define MAXIMUM_FDS     8
#define ENVIRONMENT_MAX 8

/* Whoever places children into control groups. Set before threads start, and after they ended. */
static spawn_observer *observe;
static void *observe_user;

void spawn_observe(spawn_observer *observer, void *user)
{
    observe = observer;
    observe_user = user;
}

struct child_plan {
    const char *path;
    char *const *argv;
    char *environment[ENVIRONMENT_MAX];
    const int *fds;
    size_t fd_count;
    int output_fd; /* for standard output and error; -1: ours */
    int report_fd; /* carries the errno of what failed; closed by a successful exec */
    pid_t parent;
};

/* Pointers into our own environment: `NAME=value` strings stay valid until exec. */
static void select_environment(char *selected[static ENVIRONMENT_MAX])
{
    static const char *const names[] = {
        "PATH=",
        "LANG=",
        "TZ=",
        "JOURNAL_STREAM=",
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
        "ASAN_OPTIONS=",
        "UBSAN_OPTIONS=",
        "TSAN_OPTIONS=",
#endif
    };
    _Static_assert(ARRAY_LENGTH(names) < ENVIRONMENT_MAX, "room for the NULL");
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        for (char **entry = environ; entry != NULL && *entry != NULL; entry++) {
            if (strncmp(*entry, names[i], strlen(names[i])) == 0) {
                selected[count++] = *entry;
                break;
            }
        }
    }
    selected[count] = NULL;
}

/* fds[i] must become FIRST_FD + i although the numbers may overlap: first all out of the way. */
static int arrange_descriptors(const struct child_plan *plan, int *report_fd)
{
    int lowest_free = FIRST_FD + MAXIMUM_FDS;
    int moved[MAXIMUM_FDS];
    if (plan->output_fd >= 0 &&
        (dup2(plan->output_fd, STDOUT_FILENO) < 0 || dup2(plan->output_fd, STDERR_FILENO) < 0))
        return -errno;
    for (size_t i = 0; i < plan->fd_count; i++) {
        moved[i] = fcntl(plan->fds[i], F_DUPFD_CLOEXEC, lowest_free);
        if (moved[i] < 0)
            return -errno;
    }
    *report_fd = fcntl(plan->report_fd, F_DUPFD_CLOEXEC, lowest_free);
    if (*report_fd < 0)
        return -errno;
    for (size_t i = 0; i < plan->fd_count; i++) {
        if (dup2(moved[i], FIRST_FD + (int)i) < 0)
            return -errno;
    }
    int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0)
        return -errno;
    if (close_range((unsigned)FIRST_FD + (unsigned)plan->fd_count, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
        return -errno;
    return 0;
}

static int reset_signals(void)
{
    struct sigaction standard = {.sa_handler = SIG_DFL};
    for (int number = 1; number < NSIG; number++)
        (void)sigaction(number, &standard, NULL); /* KILL, STOP and reserved ones refuse */
    sigset_t none;
    sigemptyset(&none);
    return sigprocmask(SIG_SETMASK, &none, NULL) < 0 ? -errno : 0;
}

static void run_child(const struct child_plan *plan) __attribute__((noreturn));
static void run_child(const struct child_plan *plan)
{
    int report_fd = plan->report_fd;
    int result = reset_signals();
    if (result == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        result = -errno;
    if (result == 0 && getppid() != plan->parent)
        result = -ESRCH;
    if (result == 0)
        result = arrange_descriptors(plan, &report_fd);
    if (result == 0) {
        (void)execve(plan->path, plan->argv, plan->environment);
        result = -errno;
    }
    (void)!write(report_fd, &result, sizeof(result));
    _exit(127);
}

/* What stopped the child before exec; 0 when exec closed the pipe. */
static int await_exec(int report_fd)
{
    int failure = 0;
    ssize_t got;
    do {
        got = read(report_fd, &failure, sizeof(failure));
    } while (got < 0 && errno == EINTR);
    return got == (ssize_t)sizeof(failure) ? failure : 0;
}

static void reap(pid_t pid)
{
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
}

static int spawn(struct child_plan *plan, pid_t *ret_pid, int *ret_pidfd)
{
    if (plan->fd_count > MAXIMUM_FDS)
        return -EINVAL;
    select_environment(plan->environment);
    int report[2];
    if (pipe2(report, O_CLOEXEC) < 0)
        return -errno;
    AUTO_CLOSE int report_read = report[0];
    AUTO_CLOSE int report_write = report[1];
    plan->report_fd = report_write;
    plan->parent = getpid();

    pid_t pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0)
        run_child(plan);

    if (observe != NULL)
        observe(observe_user, plan->path, pid);
    (void)close(TAKE_FD(report_write));
    int result = await_exec(report_read);
    AUTO_CLOSE int pidfd = -1;
    if (result == 0 && ret_pidfd != NULL) {
        pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        result = pidfd < 0 ? -errno : 0;
        if (result < 0)
            (void)kill(pid, SIGKILL);
    }
    if (result < 0) {
        reap(pid);
        return result;
    }
    if (ret_pidfd != NULL)
        *ret_pidfd = TAKE_FD(pidfd);
    *ret_pid = pid;
    return 0;
}

int spawn_program(const char *path, char *const argv[], const int *fds, size_t fd_count,
                  pid_t *ret_pid, int *ret_pidfd)
{
    struct child_plan plan = {
        .path = path, .argv = argv, .fds = fds, .fd_count = fd_count, .output_fd = -1};

    return spawn(&plan, ret_pid, ret_pidfd);
}

int spawn_program_into(const char *path, char *const argv[], int output_fd, pid_t *ret_pid,
                       int *ret_pidfd)
{
    struct child_plan plan = {.path = path, .argv = argv, .output_fd = output_fd};

    return spawn(&plan, ret_pid, ret_pidfd);
}
