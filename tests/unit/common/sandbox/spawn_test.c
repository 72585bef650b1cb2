#include "common/sandbox/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/wait.h>

#include <cmocka.h>

/* Runs `sh -c script` with the write end of a pipe as its descriptor 3; what it wrote. */
static void run_script(const char *script, char *output, size_t size)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    char *argv[] = {(char *)"sh", (char *)"-c", (char *)script, NULL};
    pid_t pid;
    int pidfd;
    assert_int_equal(spawn_program("/bin/sh", argv, &ends[1], 1, &pid, &pidfd), 0);
    close(ends[1]);
    size_t length = 0;
    ssize_t got;
    while ((got = read(ends[0], output + length, size - 1 - length)) > 0)
        length += (size_t)got;
    output[length] = '\0';
    close(ends[0]);
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};
    assert_int_equal(poll(&ended, 1, 10000), 1);
    close(pidfd);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_child_gets_only_the_given_descriptors(void **state)
{
    (void)state;
    int leaked = open("/dev/null", O_RDONLY); /* not close-on-exec on purpose */
    assert_true(leaked >= 0);
    char output[512];
    run_script(
        "for fd in /proc/self/fd/*; do n=${fd##*/}; [ -e /proc/$$/fd/$n ] && echo $n; done >&3",
        output, sizeof(output));
    close(leaked);
    assert_non_null(strstr(output, "3\n"));
    assert_null(strstr(output, "4\n"));
    assert_null(strstr(output, "5\n"));
    assert_null(strstr(output, "6\n"));
}

static void test_environment_is_small(void **state)
{
    (void)state;
    assert_int_equal(setenv("SECRET_OF_THE_PARENT", "1", 1), 0);
    assert_int_equal(setenv("TZ", "Asia/Tokyo", 1), 0);
    char output[4096];
    run_script("/usr/bin/env >&3", output, sizeof(output));
    assert_null(strstr(output, "SECRET_OF_THE_PARENT"));
    assert_non_null(strstr(output, "TZ=Asia/Tokyo\n"));
    assert_non_null(strstr(output, "PATH="));
}

static void test_signals_are_reset(void **state)
{
    (void)state;
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    assert_int_equal(sigprocmask(SIG_BLOCK, &blocked, NULL), 0);
    signal(SIGPIPE, SIG_IGN);
    char output[4096];
    run_script("while read -r line; do case $line in SigBlk*|SigIgn*) echo \"$line\" >&3;; esac;"
               " done </proc/self/status",
               output, sizeof(output));
    assert_int_equal(sigprocmask(SIG_UNBLOCK, &blocked, NULL), 0);
    signal(SIGPIPE, SIG_DFL);
    assert_non_null(strstr(output, "SigBlk:\t0000000000000000"));
    assert_non_null(strstr(output, "SigIgn:\t0000000000000000"));
}

static void test_overlapping_descriptors_keep_their_places(void **state)
{
    (void)state;
    int first[2];
    int second[2];
    assert_int_equal(pipe2(first, O_CLOEXEC), 0);
    assert_int_equal(pipe2(second, O_CLOEXEC), 0);
    /* Whatever numbers they have, put them at 4 and 3: each other's place. */
    int fds[2] = {fcntl(first[1], F_DUPFD_CLOEXEC, 40), fcntl(second[1], F_DUPFD_CLOEXEC, 41)};
    int saved3 = dup(3);
    int saved4 = dup(4);
    assert_int_equal(dup2(fds[0], 4), 4);
    assert_int_equal(dup2(fds[1], 3), 3);
    int crossed[2] = {4, 3};
    char *argv[] = {(char *)"sh", (char *)"-c", (char *)"echo first >&3; echo second >&4", NULL};
    pid_t pid;
    assert_int_equal(spawn_program("/bin/sh", argv, crossed, 2, &pid, NULL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    if (saved3 >= 0)
        dup2(saved3, 3);
    if (saved4 >= 0)
        dup2(saved4, 4);
    /* The saved copies may have been the read ends at 3 and 4: read through what is left. */
    close(fds[0]);
    close(fds[1]);
    char text[16] = {0};
    assert_int_equal(read(first[0], text, sizeof(text) - 1), 6);
    assert_string_equal(text, "first\n");
    memset(text, 0, sizeof(text));
    assert_int_equal(read(second[0], text, sizeof(text) - 1), 7);
    assert_string_equal(text, "second\n");
}

static void test_a_failed_exec_is_reported(void **state)
{
    (void)state;
    char *argv[] = {(char *)"none", NULL};
    pid_t pid;
    int pidfd = -1;
    assert_int_equal(spawn_program("/nonexistent/program", argv, NULL, 0, &pid, &pidfd), -ENOENT);
    assert_int_equal(pidfd, -1);
    assert_int_equal(spawn_program("/etc/passwd", argv, NULL, 0, &pid, &pidfd), -EACCES);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no zombie left */
    int many[9] = {0};
    assert_int_equal(spawn_program("/bin/sh", argv, many, 9, &pid, NULL), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_child_gets_only_the_given_descriptors),
        cmocka_unit_test(test_environment_is_small),
        cmocka_unit_test(test_signals_are_reset),
        cmocka_unit_test(test_overlapping_descriptors_keep_their_places),
        cmocka_unit_test(test_a_failed_exec_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
