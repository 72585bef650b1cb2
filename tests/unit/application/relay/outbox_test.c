/* application/relay/outbox: a policy of a reporter that cuts the file while it is read. The program
 * itself is the reporter when it has an argument. */
#include "application/relay/outbox.h"
#include "application/relay/reporter_messages.h"
#include "common/limits.h"
#include "common/messages/message.h"
#include "common/time/clock.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define ROUNDS 3000

static void *cut_for_ever(void *fd)
{
    for (;;) {
        (void)!ftruncate(*(int *)fd, LIMIT_SETTINGS_BYTES);
        (void)!ftruncate(*(int *)fd, 0);
    }
    return NULL;
}

static int answer(struct message_writer *writer, uint32_t type, int fd)
{
    *writer = (struct message_writer){0};
    if (type == REPORTER_DONE)
        message_write_u32(writer, 0);
    return message_writer_send(writer, REPORTER_SOCKET_FD, type, fd);
}

/* "cut": its policy is cut all the time; "whole": it is "a policy". Ends with its socket. */
static int be_reporter(const char *how)
{
    static uint8_t buffer[LIMIT_MESSAGE_BYTES + 4];
    static struct message_writer writer;
    struct message message;
    pthread_t thread;
    int fd = memfd_create("policy", MFD_CLOEXEC);
    bool cut = strcmp(how, "cut") == 0;

    if (fd < 0 || (cut && pthread_create(&thread, NULL, cut_for_ever, &fd) != 0) ||
        (!cut && write(fd, "a policy", 8) != 8))
        return 1;
    while (message_receive(REPORTER_SOCKET_FD, buffer, sizeof buffer, &message) > 0) {
        bool flush = message.type == REPORTER_FLUSH;
        message_release(&message);
        if (flush &&
            (answer(&writer, REPORTER_POLICY, fd) < 0 || answer(&writer, REPORTER_DONE, -1) < 0))
            return 1;
    }
    return 0;
}

static char taken[16];

static void take(void *user UNUSED, const char *text, size_t length)
{
    (void)snprintf(taken, sizeof taken, "%.*s", (int)MIN(length, sizeof taken - 1), text);
}

static void deliver(char *how, unsigned rounds)
{
    static char self[] = "/proc/self/exe";
    char *const reporter[] = {self, how, NULL};
    const struct outbox_options options = {.reporter = reporter, .output_fd = -1, .policy = take};
    struct outbox *outbox = NULL;

    assert_int_equal(outbox_new(&options, &outbox), 0);
    for (unsigned i = 0; i < rounds; i++)
        outbox_deliver(outbox, 60 * NS_PER_SECOND, false);
    (void)outbox_free(outbox);
}

static void test_a_policy_is_taken(void **state UNUSED)
{
    static char whole[] = "whole";

    deliver(whole, 1);
    assert_string_equal(taken, "a policy");
}

static void test_a_policy_that_is_cut_costs_nothing(void **state UNUSED)
{
    static char cut[] = "cut";

    deliver(cut, ROUNDS);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_policy_is_taken),
        cmocka_unit_test(test_a_policy_that_is_cut_costs_nothing),
    };
    if (argc == 2)
        return be_reporter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
