/* application/relay/runtime_watch: findings of the function's processes, who may write the area,
 * and peers that say nothing or nonsense. */
#include "application/relay/runtime_watch.h"

#include "application/relay/invocations.h"
#include "application/relay/outbox.h"
#include "common/text/text.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* Ports are 16 bits, so that nobody else's process is met. */
#define PORT ((uint16_t)getpid())

struct fixture {
    struct runtime_watch *watch;
    struct outbox *outbox;
    struct invocations *invocations;
    int output[2];
};

static int set_up(void **state)
{
    static struct fixture fixture;
    struct outbox_options outbox = {0};

    if (pipe2(fixture.output, O_CLOEXEC) < 0)
        return -1;
    outbox.output_fd = fixture.output[1];
    assert_int_equal(outbox_new(&outbox, &fixture.outbox), 0);
    assert_int_equal(invocations_new(&fixture.invocations), 0);
    assert_int_equal(runtime_watch_new(2, &fixture.watch), 0);
    struct runtime_watch_options options = {.port = PORT,
                                            .function = {.name = "shop"},
                                            .outbox = fixture.outbox,
                                            .invocations = fixture.invocations};
    assert_int_equal(runtime_watch_listen(fixture.watch, &options), 0);
    *state = &fixture;
    return 0;
}

static int connect_watch(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int length = text_format(address.sun_path + 1, sizeof address.sun_path - 1,
                             RUNTIME_AREA_SOCKET "%u", PORT);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    assert_int_equal(
        connect(fd, (struct sockaddr *)&address,
                (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length)),
        0);
    return fd;
}

static void send_text(const void *bytes, size_t length)
{
    int fd = connect_watch();

    (void)!send(fd, bytes, length, MSG_NOSIGNAL);
    (void)close(fd);
}

/* The next event, once the watch has taken it. */
static void next_line(struct fixture *fixture, char *line, size_t size)
{
    struct pollfd output = {.fd = fixture->output[0], .events = POLLIN};

    for (int i = 0; i < 1000 && poll(&output, 1, 10) == 0; i++)
        outbox_deliver(fixture->outbox, 0, true);
    ssize_t length = read(fixture->output[0], line, size - 1);
    assert_true(length > 0);
    line[length] = '\0';
}

static struct runtime_finding finding_of(uint32_t subject, const char *what)
{
    struct runtime_finding finding = {.subject = subject, .blocked = 1};

    (void)text_copy(finding.what, sizeof finding.what, what);
    return finding;
}

static void test_a_finding_becomes_an_event(void **state)
{
    struct fixture *fixture = *state;
    struct runtime_finding finding = finding_of(RUNTIME_FILES, "/etc/\"shadow\x1b");
    char line[8192];

    invocations_begin(fixture->invocations, "request-1");
    for (int i = 0; i < 50; i++) { /* none is lost, however the two sides interleave */
        send_text(&finding, sizeof finding);
        next_line(fixture, line, sizeof line);
        assert_non_null(strstr(line, "\"kind\":\"runtime_blocked\""));
    }
    assert_non_null(strstr(line, "\"subject\":\"Illegal File Access\""));
    assert_non_null(strstr(line, "\"file\":\"/etc/\\\"shadow\\\\x1b\""));
    assert_non_null(strstr(line, "\"aws_request_id\":\"request-1\""));
    assert_non_null(strstr(line, "\"reason\":\"a rule denies it\""));
    assert_null(strstr(line, "\"value\""));
    /* Two at once: which of them it was is not known. */
    invocations_begin(fixture->invocations, "request-2");
    send_text(&finding, sizeof finding);
    next_line(fixture, line, sizeof line);
    assert_null(strstr(line, "aws_request_id"));
}

static void test_nonsense_is_no_finding(void **state)
{
    struct fixture *fixture = *state;
    struct runtime_finding wrong = finding_of(RUNTIME_SUBJECTS, "x");
    struct runtime_finding empty = finding_of(RUNTIME_COMMANDS, "");
    struct runtime_finding long_one = finding_of(RUNTIME_COMMANDS, "last");
    char line[8192];

    memset(long_one.value, 'v', sizeof long_one.value);
    send_text(&wrong, sizeof wrong);
    send_text(&empty, sizeof empty);
    send_text(&long_one, sizeof long_one - 1);
    send_text("x", 1);
    send_text("", 0);
    send_text(&long_one, sizeof long_one);
    next_line(fixture, line, sizeof line);
    assert_non_null(strstr(line, "\"command\":\"last\""));
    assert_non_null(strstr(line, "it comes out of the request"));
    assert_int_equal(strcspn(line, "\n"), strlen(line) - 1);
}

static int receive_area(int fd)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    char byte;
    struct iovec data = {&byte, 1};
    struct msghdr message = {.msg_iov = &data,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    int area = -1;

    assert_int_equal(recvmsg(fd, &message, MSG_CMSG_CLOEXEC), 1);
    assert_non_null(CMSG_FIRSTHDR(&message));
    memcpy(&area, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof area);
    return area;
}

static void test_the_area_cannot_be_written_or_cut(void **state)
{
    const struct fixture *fixture = *state;
    int fd = connect_watch();
    int area = receive_area(fd);

    assert_true(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, area, 0) == MAP_FAILED);
    assert_true(ftruncate(area, 0) < 0);
    assert_int_equal(lseek(area, 0, SEEK_END), sizeof(struct runtime_area));
    const struct runtime_area *shown = mmap(NULL, sizeof *shown, PROT_READ, MAP_SHARED, area, 0);
    assert_true(shown != MAP_FAILED);
    assert_int_equal(shown->slots, 2);
    /* What is written by the one who may is seen here; that side cannot cut it either. */
    struct runtime_area *own = mmap(NULL, sizeof *own, PROT_READ | PROT_WRITE, MAP_SHARED,
                                    runtime_watch_area(fixture->watch), 0);
    assert_true(own != MAP_FAILED);
    own->correlates = 7;
    assert_int_equal(shown->correlates, 7);
    assert_true(ftruncate(runtime_watch_area(fixture->watch), 0) < 0);
    (void)munmap((void *)(uintptr_t)shown, sizeof *shown);
    (void)munmap(own, sizeof *own);
    (void)close(area);
    (void)close(fd);
}

/* It waits for better times, and is there again when they come. */
static void test_without_descriptors(void **state)
{
    struct fixture *fixture = *state;
    struct runtime_finding finding = finding_of(RUNTIME_COMMANDS, "later");
    const struct timespec while_spinning = {.tv_nsec = 100000000};
    struct rlimit before, none;
    struct timespec began, ended;
    char line[8192];

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 1;
    int fd = connect_watch(); /* the watch waits with a descriptor that it has already */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    (void)close(fd);
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &began);
    (void)nanosleep(&while_spinning, NULL);
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ended);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_in_range((ended.tv_sec - began.tv_sec) * 1000000000 + ended.tv_nsec - began.tv_nsec, 0,
                    while_spinning.tv_nsec / 8);
    send_text(&finding, sizeof finding);
    next_line(fixture, line, sizeof line);
    assert_non_null(strstr(line, "\"command\":\"later\""));
}

static void test_a_port_that_is_taken(void **state)
{
    struct runtime_watch *other = NULL;
    struct runtime_watch_options options = {.port = PORT};

    (void)state;
    assert_int_equal(runtime_watch_new(1, &other), 0);
    assert_int_equal(runtime_watch_listen(other, &options), -EADDRINUSE);
    (void)runtime_watch_free(other);
    assert_int_equal(runtime_watch_area(NULL), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_finding_becomes_an_event),
        cmocka_unit_test(test_nonsense_is_no_finding),
        cmocka_unit_test(test_the_area_cannot_be_written_or_cut),
        cmocka_unit_test(test_without_descriptors),
        cmocka_unit_test(test_a_port_that_is_taken),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
