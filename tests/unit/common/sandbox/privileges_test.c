/* Each technique is tried in a forked child: what it forbids must fail there, what it allows must
 * work. What the machine cannot do (no root, no Landlock) is skipped aloud. */
#include "common/sandbox/privileges.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cmocka.h>

enum { PASSED = 0, FAILED = 1, NOT_HERE = 77 };

static char folder[] = "/tmp/yagura-privileges-XXXXXX";

/* The wait status of a child that ran probe. */
static int run_probe(int (*probe)(void))
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(probe());
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void expect_pass(int (*probe)(void))
{
    int status = run_probe(probe);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == NOT_HERE) {
        print_message("skipped: this machine or user cannot do it\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), PASSED);
}

static int probe_landlock(void)
{
    char inside[64];
    char outside[64];
    snprintf(inside, sizeof(inside), "%s/temporary/file", folder);
    snprintf(outside, sizeof(outside), "%s/outside", folder);
    char temporary[64];
    snprintf(temporary, sizeof(temporary), "%s/temporary", folder);
    char read_only[64];
    snprintf(read_only, sizeof(read_only), "%s/readable", folder);
    struct privileges_path paths[] = {{.path = temporary, .writable = true},
                                      {.path = read_only},
                                      {.path = "/nonexistent/left/out"}};
    int result = privileges_no_new();
    if (result == 0)
        result = privileges_landlock(paths, ARRAY_LENGTH(paths));
    if (result == -ENOSYS || result == -EOPNOTSUPP)
        return NOT_HERE;
    if (result < 0)
        return FAILED;
    if (open(outside, O_RDONLY) >= 0 || errno != EACCES)
        return FAILED;
    if (open("/etc/passwd", O_RDONLY) >= 0 || open("/proc/self/status", O_RDONLY) >= 0)
        return FAILED;
    if (open(read_only, O_RDONLY) < 0 || open(read_only, O_WRONLY) >= 0)
        return FAILED;
    int fd = open(inside, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || ftruncate(fd, 10) < 0 || unlink(inside) < 0)
        return FAILED;
    return PASSED;
}

static void test_landlock_leaves_only_the_given_paths(void **state)
{
    (void)state;
    expect_pass(probe_landlock);
}

static int probe_drop(void)
{
    if (geteuid() != 0)
        return NOT_HERE;
    if (privileges_drop_to(65534, 65534) < 0)
        return FAILED;
    uid_t real, effective, saved;
    if (getresuid(&real, &effective, &saved) < 0 || real != 65534 || effective != 65534 ||
        saved != 65534)
        return FAILED;
    if (getgroups(0, NULL) != 0 || setuid(0) == 0 || setgid(0) == 0)
        return FAILED;
    return open("/etc/shadow", O_RDONLY) < 0 ? PASSED : FAILED;
}

static void test_drop_has_no_way_back(void **state)
{
    (void)state;
    expect_pass(probe_drop);
}

static int probe_keeping(void)
{
    if (geteuid() != 0)
        return NOT_HERE;
    if (privileges_drop_to_keeping(65534, 65534, CAP_DAC_READ_SEARCH) < 0)
        return FAILED;
    int fd = open("/etc/shadow", O_RDONLY);
    if (fd < 0 || open("/etc/shadow", O_WRONLY) >= 0 || setuid(0) == 0)
        return FAILED;
    if (privileges_drop_capabilities() < 0)
        return FAILED;
    return open("/etc/shadow", O_RDONLY) < 0 ? PASSED : FAILED;
}

static void test_one_capability_can_be_kept_and_given_up(void **state)
{
    (void)state;
    expect_pass(probe_keeping);
}

static int probe_namespaces(void)
{
    int result = privileges_unshare();
    if (result == -EPERM)
        return NOT_HERE;
    if (result < 0)
        return FAILED;
    char temporary[64];
    snprintf(temporary, sizeof(temporary), "%s/temporary", folder);
    if (privileges_mount_private_tmpfs(temporary, 65536, 16, geteuid()) < 0)
        return FAILED;
    char file[80];
    snprintf(file, sizeof(file), "%s/private", temporary);
    int fd = open(file, O_RDWR | O_CREAT, 0600);
    if (fd < 0)
        return FAILED;
    static char block[65536 + 4096];
    if (write(fd, block, sizeof(block)) == (ssize_t)sizeof(block))
        return FAILED; /* the size limit must hold */
    /* The loopback interface of a new network namespace is down. */
    int peer = socket(AF_INET, SOCK_DGRAM, 0);
    if (peer < 0)
        return FAILED;
    struct sockaddr address = {.sa_family = AF_INET, .sa_data = {0, 53, 127, 0, 0, 1}};
    return connect(peer, &address, sizeof(address)) < 0 && errno == ENETUNREACH ? PASSED : FAILED;
}

static void test_namespaces_are_private(void **state)
{
    (void)state;
    expect_pass(probe_namespaces);
    char file[80];
    snprintf(file, sizeof(file), "%s/temporary/private", folder);
    assert_int_equal(access(file, F_OK), -1);
}

static const char *const few_calls[] = {"write", "exit_group", "no_such_call", "brk",
                                        "mmap",  "sigaltstack" /* of AddressSanitizer */};

static int probe_seccomp_kill(void)
{
    if (privileges_no_new() < 0 ||
        privileges_seccomp(few_calls, ARRAY_LENGTH(few_calls), false) < 0)
        return NOT_HERE;
    (void)socket(AF_INET, SOCK_STREAM, 0);
    return FAILED;
}

static int probe_seccomp_allow(void)
{
    if (privileges_no_new() < 0 ||
        privileges_seccomp(few_calls, ARRAY_LENGTH(few_calls), false) < 0)
        return NOT_HERE;
    return PASSED;
}

static void test_seccomp_kills_what_is_not_listed(void **state)
{
    (void)state;
    expect_pass(probe_seccomp_allow);
    int status = run_probe(probe_seccomp_kill);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSYS);
}

static int debug_pipe[2];

static int probe_seccomp_debug(void)
{
    if (dup2(debug_pipe[1], STDERR_FILENO) < 0)
        return FAILED;
    if (privileges_no_new() < 0 || privileges_seccomp(few_calls, ARRAY_LENGTH(few_calls), true) < 0)
        return NOT_HERE;
    (void)socket(AF_INET, SOCK_STREAM, 0);
    return FAILED;
}

static void test_seccomp_debug_names_the_call(void **state)
{
    (void)state;
    assert_int_equal(pipe2(debug_pipe, O_CLOEXEC), 0);
    int status = run_probe(probe_seccomp_debug);
    close(debug_pipe[1]);
    char text[128] = {0};
    assert_true(read(debug_pipe[0], text, sizeof(text) - 1) > 0);
    /* One write may bring the sentence and the next one the name. */
    (void)!read(debug_pipe[0], text + strlen(text), sizeof(text) - 1 - strlen(text));
    close(debug_pipe[0]);
    assert_string_equal(text, "seccomp denied system call socket\n");
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGSYS);
}

static int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    char path[64];
    snprintf(path, sizeof(path), "%s/temporary", folder);
    if (mkdir(path, 0700) < 0)
        return -1;
    snprintf(path, sizeof(path), "%s/outside", folder);
    close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    snprintf(path, sizeof(path), "%s/readable", folder);
    close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    static const char *const names[] = {"outside", "readable"};
    char path[64];
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        (void)unlink(path);
    }
    snprintf(path, sizeof(path), "%s/temporary", folder);
    (void)rmdir(path);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_landlock_leaves_only_the_given_paths),
        cmocka_unit_test(test_drop_has_no_way_back),
        cmocka_unit_test(test_one_capability_can_be_kept_and_given_up),
        cmocka_unit_test(test_namespaces_are_private),
        cmocka_unit_test(test_seccomp_kills_what_is_not_listed),
        cmocka_unit_test(test_seccomp_debug_names_the_call),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
