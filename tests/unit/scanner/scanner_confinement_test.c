/* Runs the loader's and the worker's real confinement in a forked child and tries, from within,
 * what an attacker who owns libclamav would try. */
#include "scanner/loader_sandbox.h"
#include "scanner/worker_sandbox.h"

#include "common/files/file.h"
#include "common/text/text.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { HARMLESS = 0, ESCAPED = 1, NOT_CONFINED = 2, BROKEN = 3 };

static char base[] = "/tmp/yagura-confinement-XXXXXX";
static char own[64];       /* the loader's directory */
static char databases[64]; /* readable to the loader */
static char secret[64];    /* a file nobody allowed */
static uint32_t reached_bits;

/* The loader's steps, then the worker's, then the attempt. */
static int confined(int (*attempt)(void))
{
    static struct scanner_configuration configuration;
    static struct loader_sandbox loader;
    configuration.user = geteuid() == 0 ? "nobody" : "";
    configuration.directory = own;
    configuration.databases[0] = databases;
    configuration.database_count = 1;
    configuration.temporary_bytes = 1U << 20;
    configuration.slots = 2;
    if (loader_sandbox_enter(&configuration, &loader) < 0)
        return BROKEN;
    struct worker_sandbox_options options = {.directory_fd = loader.slot_fds[0],
                                             .temporary_bytes = configuration.temporary_bytes,
                                             .accept_unconfined = true};
    uint32_t reached;
    if (worker_sandbox_enter(&options, &reached) < 0)
        return BROKEN;
    reached_bits = loader.reached | reached;
    if ((reached & SCANNER_SANDBOX_LANDLOCK) == 0 || (reached & SCANNER_SANDBOX_SECCOMP) == 0)
        return NOT_CONFINED;
    return attempt();
}

/* Without our own code: a child of the kernel that it asks. */
static int confine_directly(void)
{
    struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    const struct sock_fprog filter = {.len = 1, .filter = &allow};
    const struct landlock_ruleset_attr handled = {.handled_access_fs =
                                                      LANDLOCK_ACCESS_FS_READ_FILE};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return NOT_CONFINED;
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &handled, sizeof handled, 0);
    if (ruleset < 0 || syscall(SYS_landlock_restrict_self, ruleset, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) < 0)
        return NOT_CONFINED;
    return HARMLESS;
}

static bool kernel_confines(void)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(confine_directly());
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) && WEXITSTATUS(status) == HARMLESS;
}

/* The wait status of a confined child. */
static int run(int (*attempt)(void))
{
    assert_int_equal(mkdir(own, 0700), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(confined(attempt));
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(file_remove_tree(AT_FDCWD, own), 0);
    return status;
}

/* Only when the kernel refuses the same to somebody else. */
static void skip_where_nothing_confines(int status)
{
    if (!WIFEXITED(status) || WEXITSTATUS(status) != NOT_CONFINED)
        return;
    if (kernel_confines())
        fail_msg("the kernel has Landlock and seccomp, and the worker did not reach them");
    print_message("skipped: no Landlock or seccomp here\n");
    skip();
}

static void expect_harmless(int (*attempt)(void))
{
    int status = run(attempt);
    skip_where_nothing_confines(status);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), HARMLESS);
}

static void expect_killed(int (*attempt)(void))
{
    int status = run(attempt);
    skip_where_nothing_confines(status);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSYS);
}

static bool can_open(const char *path, int flags)
{
    return open(path, flags, 0600) >= 0;
}

static int attempt_paths(void)
{
    static const char *const paths[] = {
        "/etc/passwd", "/etc/shadow", "/proc/self/mem", "/proc/self/status",
        "/dev/null",   "/",           "/tmp",           "..",
        "../1",        "../1/x",      "/proc/1/environ"};
    for (size_t i = 0; i < ARRAY_LENGTH(paths); i++) {
        if (can_open(paths[i], O_RDONLY) || can_open(paths[i], O_WRONLY))
            return ESCAPED;
    }
    if (can_open(secret, O_RDONLY) || can_open(databases, O_RDONLY) ||
        can_open("/tmp/yagura-escaped", O_WRONLY | O_CREAT))
        return ESCAPED;
    return HARMLESS;
}

static void test_no_path_outside_the_own_directory(void **state)
{
    (void)state;
    expect_harmless(attempt_paths);
}

static int attempt_temporary_files(void)
{
    static char block[64 << 10];
    int fd = open("file", O_RDWR | O_CREAT | O_EXCL, 0600);
    if (fd < 0 || mkdir("folder", 0700) < 0)
        return ESCAPED;
    size_t written = 0;
    ssize_t got;
    while ((got = write(fd, block, sizeof(block))) > 0)
        written += (size_t)got;
    if (written > (1U << 20) || (errno != EFBIG && errno != ENOSPC))
        return ESCAPED;
    return unlink("file") == 0 && rmdir("folder") == 0 ? HARMLESS : ESCAPED;
}

static void test_own_directory_works_within_its_size(void **state)
{
    (void)state;
    expect_harmless(attempt_temporary_files);
}

static int attempt_socket(void)
{
    (void)socket(AF_INET, SOCK_STREAM, 0);
    return ESCAPED;
}

static int attempt_unix_socket(void)
{
    int ends[2];
    (void)socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
    return ESCAPED;
}

static int attempt_exec(void)
{
    char *argv[] = {(char *)"sh", NULL};
    (void)execve("/bin/sh", argv, argv);
    return ESCAPED;
}

static int attempt_executable_memory(void)
{
    /* Mapping is needed, making it executable afterwards is not. */
    (void)syscall(SYS_mprotect, &reached_bits, 1, 7);
    return ESCAPED;
}

static int attempt_kill(void)
{
    (void)syscall(SYS_kill, getppid(), SIGTERM);
    return ESCAPED;
}

static int attempt_ptrace(void)
{
    (void)syscall(SYS_ptrace, PTRACE_ATTACH, 1, 0, 0);
    return ESCAPED;
}

static int attempt_fork(void)
{
    (void)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
    return ESCAPED;
}

static int attempt_foreign_memory(void)
{
    (void)syscall(SYS_process_vm_readv, 1, NULL, 0, NULL, 0, 0);
    return ESCAPED;
}

static int attempt_user_namespace(void)
{
    (void)syscall(SYS_unshare, 0x10000000);
    return ESCAPED;
}

static int attempt_mount(void)
{
    (void)syscall(SYS_mount, "none", "/", "tmpfs", 0, NULL);
    return ESCAPED;
}

static int attempt_symlink(void)
{
    (void)syscall(SYS_symlinkat, "/etc", AT_FDCWD, "link");
    return ESCAPED;
}

static int attempt_terminal_input(void)
{
    (void)syscall(SYS_ioctl, 0, 0x5412, "x"); /* TIOCSTI */
    return ESCAPED;
}

static void test_denied_calls_are_deadly(void **state)
{
    (void)state;
    expect_killed(attempt_socket);
    expect_killed(attempt_unix_socket);
    expect_killed(attempt_exec);
    expect_killed(attempt_foreign_memory);
    expect_killed(attempt_user_namespace);
    expect_killed(attempt_mount);
    expect_killed(attempt_symlink);
    if (worker_sandbox_is_wider())
        return; /* a sanitizer makes the rest of the calls itself */
    expect_killed(attempt_executable_memory);
    expect_killed(attempt_kill);
    expect_killed(attempt_ptrace);
    expect_killed(attempt_fork);
    expect_killed(attempt_terminal_input);
}

/* A worker that the kernel confines by neither goes on only when it was told to. */
static int attempt_unconfined(void)
{
    struct sock_filter refuse[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_landlock_create_ruleset, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_seccomp, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prctl, 1, 3),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PR_SET_SECCOMP, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
    };
    const struct sock_fprog filter = {.len = ARRAY_LENGTH(refuse), .filter = refuse};
    struct worker_sandbox_options options = {.temporary_bytes = 1U << 20,
                                             .directory_fd = open(base, O_RDONLY | O_DIRECTORY)};
    uint32_t reached = 77;

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) < 0)
        return NOT_CONFINED;
    if (worker_sandbox_enter(&options, &reached) != -EPERM || reached != 77)
        return ESCAPED;
    options.accept_unconfined = true;
    return worker_sandbox_enter(&options, &reached) == 0 && reached == 0 ? HARMLESS : BROKEN;
}

static void test_without_both_it_is_refused(void **state)
{
    (void)state;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(attempt_unconfined());
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    skip_where_nothing_confines(status);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), HARMLESS);
}

static int attempt_identity(void)
{
    return getuid() != 0 && geteuid() != 0 && getgid() != 0 ? HARMLESS : ESCAPED;
}

static void test_root_becomes_someone_else(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    expect_harmless(attempt_identity);
}

static int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(base) == NULL || chmod(base, 0755) < 0)
        return -1;
    (void)text_format(own, sizeof(own), "%s/own", base);
    (void)text_format(databases, sizeof(databases), "%s/databases", base);
    (void)text_format(secret, sizeof(secret), "%s/secret", base);
    return mkdir(databases, 0755) < 0 ? -1 : file_replace(secret, "x", 1, 0644);
}

static int remove_folder(void **state)
{
    (void)state;
    return file_remove_tree(AT_FDCWD, base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_path_outside_the_own_directory),
        cmocka_unit_test(test_own_directory_works_within_its_size),
        cmocka_unit_test(test_denied_calls_are_deadly),
        cmocka_unit_test(test_without_both_it_is_refused),
        cmocka_unit_test(test_root_becomes_someone_else),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
