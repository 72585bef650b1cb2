/* Programs in memory: each is read once, and told once; one turn reads little. */
#include "agent/application_control/application_control_private.h"
#include "common/files/file.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <cmocka.h>

enum { PROGRAMS = 2, TURNS = 1000, TRIES = 1000000 };
#define PROGRAM_BYTES ((off_t)40 * 1024 * 1024)

static struct application_rules rules;
static struct application_control control;
static ino_t inodes[PROGRAMS];
static unsigned reads[PROGRAMS];
static uint8_t digests[PROGRAMS]; /* each byte of them; what others run has that of the first. 0: it
                                     is too large */
static char folder[64];
static unsigned told;

int __wrap_store_append(struct store *store, const struct event_draft *draft, store_work *work,
                        store_committed *committed, void *user);

int __wrap_store_append(struct store *store UNUSED, const struct event_draft *draft,
                        store_work *work UNUSED, store_committed *committed UNUSED,
                        void *user UNUSED)
{
    assert_string_equal(draft->kind, "application_unknown");
    told++;
    return 0;
}

int __wrap_hash_sha256_fd(int fd, uint64_t maximum, uint8_t ret_digest[static SHA256_BYTES]);

/* Others on this machine may run so, too. */
int __wrap_hash_sha256_fd(int fd, uint64_t maximum UNUSED, uint8_t ret_digest[static SHA256_BYTES])
{
    struct stat status;
    int result = 0;

    assert_int_equal(fstat(fd, &status), 0);
    memset(ret_digest, digests[0], SHA256_BYTES);
    for (size_t i = 0; i < PROGRAMS; i++)
        if (status.st_ino == inodes[i]) {
            reads[i]++;
            memset(ret_digest, digests[i], SHA256_BYTES);
            result = digests[i] != 0 ? 0 : -EFBIG;
        }
    return result;
}

static ino_t inode_of(int fd)
{
    struct stat status;

    assert_int_equal(fstat(fd, &status), 0);
    return status.st_ino;
}

/* All of them would have the same place in the table. */
static int make_file(void)
{
    for (int i = 0; i < TRIES; i++) {
        int fd = memfd_create("yagura-test", MFD_CLOEXEC);
        assert_true(fd >= 0);
        if (inodes[0] == 0 || inode_of(fd) % MEMORY_PROGRAMS == inodes[0] % MEMORY_PROGRAMS)
            return fd;
        (void)close(fd);
    }
    fail_msg("no file's number was as wanted");
    return -1;
}

static int make_program(void)
{
    AUTO_CLOSE int from = -1;
    char bytes[65536];
    ssize_t length;
    int fd = make_file();

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

/* All are read again at the next turn, and what was told may be told again. */
static void let_time_pass(void)
{
    for (size_t i = 0; i < MEMORY_PROGRAMS; i++)
        control.memory.known[i].until_ns = 0;
    for (size_t i = 0; i < TOLD_PROGRAMS; i++)
        control.told[i].until_ns = 0;
}

static void turn_until_read(unsigned times)
{
    for (int i = 0; i < TURNS && reads[1] < times; i++)
        (void)turn();
    assert_true(reads[1] >= times);
}

static void one_that_goes_on_is_told_once(void **state UNUSED)
{
    digests[1] = 2;
    reads[1] = 0;
    let_time_pass();
    turn_until_read(1);
    (void)(turn() + turn() + turn());
    assert_int_equal(told, 1);
    assert_int_equal(control.unknown, 1);
    let_time_pass();
    turn_until_read(2);
    assert_int_equal(told, 1);
    assert_int_equal(control.unknown, 1);
    digests[1] = 3; /* another program */
    let_time_pass();
    turn_until_read(3);
    assert_int_equal(told, 2);
    assert_int_equal(control.unknown, 2);
}

static void one_that_is_too_large_is_told_once(void **state UNUSED)
{
    told = 0;
    digests[1] = 0;
    reads[1] = 0;
    let_time_pass();
    turn_until_read(1);
    (void)turn();
    assert_int_equal(told, 1);
    let_time_pass();
    turn_until_read(2);
    assert_int_equal(told, 1);
}

static int set_up(void **state UNUSED)
{
    const struct inventory_marks complete = {.complete_ns = 1};
    char path[128], key[128], notice[512];

    (void)text_copy(folder, sizeof folder, "/tmp/yagura-memory-XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)text_format(path, sizeof path, "%s/programs.db", folder);
    (void)text_format(key, sizeof key, "%s/programs.key", folder);
    assert_int_equal(inventory_open(path, key, &control.inventory, notice), 0);
    inventory_set_marks(control.inventory, &complete);
    return 0;
}

static int tear_down(void **state UNUSED)
{
    control.inventory = inventory_close(control.inventory);
    return file_remove_tree(AT_FDCWD, folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_read_once_and_one_a_turn),
        cmocka_unit_test(one_that_goes_on_is_told_once),
        cmocka_unit_test(one_that_is_too_large_is_told_once),
    };
    pid_t pids[PROGRAMS];

    /* Of a digest that is allowed: nothing is told. */
    uint8_t allowed[SHA256_BYTES];
    memset(digests, 1, sizeof digests);
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
        inodes[i] = inode_of(fd);
        pids[i] = run(fd);
    }
    int failed = cmocka_run_group_tests(tests, set_up, tear_down);
    for (size_t i = 0; i < PROGRAMS; i++) {
        (void)kill(pids[i], SIGKILL);
        (void)waitpid(pids[i], NULL, 0);
    }
    digest_table_done(&rules.allow);
    return failed;
}
