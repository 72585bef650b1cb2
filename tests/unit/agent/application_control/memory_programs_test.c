/* Programs in memory: each is read once, and one turn reads little. */
#include "agent/application_control/application_control_private.h"
#include "common/files/file.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <cmocka.h>

enum { PROGRAMS = 2, TURNS = 1000 };
#define PROGRAM_BYTES ((off_t)40 * 1024 * 1024)

static struct application_rules rules;
static struct application_control control;
static ino_t inodes[PROGRAMS];
static unsigned reads[PROGRAMS];

int __wrap_hash_sha256_fd(int fd, uint64_t maximum, uint8_t ret_digest[static SHA256_BYTES]);

/* Others on this machine may run so, too. */
int __wrap_hash_sha256_fd(int fd, uint64_t maximum UNUSED, uint8_t ret_digest[static SHA256_BYTES])
{
    struct stat status;

    assert_int_equal(fstat(fd, &status), 0);
    for (size_t i = 0; i < PROGRAMS; i++)
        reads[i] += status.st_ino == inodes[i];
    memset(ret_digest, 1, SHA256_BYTES);
    return 0;
}

static int make_program(void)
{
    AUTO_CLOSE int from = -1;
    char bytes[65536];
    ssize_t length;
    int fd = memfd_create("yagura-test", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(file_open_following("/bin/sleep", O_RDONLY, 0, &from), 0);
    while ((length = file_read(from, bytes, sizeof bytes)) > 0)
        assert_int_equal(file_write(fd, bytes, (size_t)length), 0);
    assert_int_equal(ftruncate(fd, PROGRAM_BYTES), 0);
    return fd;
}

static pid_t run(int fd)
{
    char link[FILE_LINK_BYTES], name[] = "sleep", seconds[] = "600", byte;
    char *const arguments[] = {name, seconds, NULL};
    AUTO_CLOSE int reader = -1;
    int ends[2];

    file_link_of(fd, link);
    /* Without a descriptor for writing, which would make it a text file that is busy. */
    assert_int_equal(file_open_following(link, O_RDONLY, 0, &reader), 0);
    (void)close(fd);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        (void)fexecve(reader, arguments, environ);
        _exit(1);
    }
    (void)close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 0); /* it runs */
    (void)close(ends[0]);
    return pid;
}

static unsigned turn(void)
{
    unsigned before = reads[0] + reads[1];

    memory_programs_look(&control);
    return reads[0] + reads[1] - before;
}

static void each_is_read_once_and_one_a_turn(void **state UNUSED)
{
    uint64_t start_ns = clock_monotonic_ns();

    for (int i = 0; i < TURNS && (reads[0] == 0 || reads[1] == 0); i++)
        assert_true(turn() <= 1);
    assert_true(reads[0] > 0 && reads[1] > 0);
    unsigned more = turn() + turn() + turn();
    if (clock_monotonic_ns() - start_ns < 60 * NS_PER_SECOND)
        assert_int_equal(more, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_is_read_once_and_one_a_turn)};
    pid_t pids[PROGRAMS];
    struct stat status;

    /* Of a digest that is allowed: nothing is told. */
    uint8_t allowed[SHA256_BYTES];
    memset(allowed, 1, sizeof allowed);
    rules = (struct application_rules){.references = 1,
                                       .mode = APPLICATION_REPORT,
                                       .most_bytes = PROGRAM_BYTES};
    control = (struct application_control){.rules = &rules};
    (void)pthread_mutex_init(&control.lock, NULL);
    if (digest_table_add(&rules.allow, allowed) < 0)
        return 1;
    for (size_t i = 0; i < PROGRAMS; i++) {
        int fd = make_program();
        inodes[i] = fstat(fd, &status) == 0 ? status.st_ino : 0;
        pids[i] = run(fd);
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    for (size_t i = 0; i < PROGRAMS; i++) {
        (void)kill(pids[i], SIGKILL);
        (void)waitpid(pids[i], NULL, 0);
    }
    digest_table_done(&rules.allow);
    return failed;
}
