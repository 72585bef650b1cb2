#include "common/messages/message.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

static uint8_t buffer[LIMIT_MESSAGE_BYTES + 4];

struct pair {
    int fds[2];
};

static int open_pair(void **state)
{
    static struct pair pair;
    assert_int_equal(message_pair(true, pair.fds), 0);
    *state = &pair;
    return 0;
}

static int close_pair(void **state)
{
    struct pair *pair = *state;
    for (size_t i = 0; i < 2; i++) {
        if (pair->fds[i] >= 0)
            close(pair->fds[i]);
    }
    return 0;
}

static int count_open_fds(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void test_fields_travel_in_order(void **state)
{
    struct pair *pair = *state;
    static struct message_writer writer;
    memset(&writer, 0, sizeof(writer));
    message_write_u32(&writer, 7);
    message_write_u64(&writer, UINT64_MAX);
    message_write_text(&writer, "name");
    message_write_bytes(&writer, NULL, 0);
    assert_int_equal(message_writer_send(&writer, pair->fds[0], 42, -1), 0);

    struct message message;
    assert_int_equal(message_receive(pair->fds[1], buffer, sizeof(buffer), &message), 1);
    assert_int_equal(message.type, 42);
    struct message_reader reader = message_reader_of(&message);
    char text[8];
    size_t length;
    assert_int_equal(message_read_u32(&reader), 7);
    assert_true(message_read_u64(&reader) == UINT64_MAX);
    message_read_text(&reader, text, sizeof(text));
    assert_string_equal(text, "name");
    assert_non_null(message_read_bytes(&reader, &length));
    assert_int_equal(length, 0);
    assert_int_equal(message_reader_end(&reader), 0);
}

static void test_reading_past_the_end_or_leaving_bytes_fails(void **state)
{
    (void)state;
    uint8_t bytes[8] = {0};
    struct message message = {.payload = bytes, .length = 8};
    struct message_reader reader = message_reader_of(&message);
    (void)message_read_u32(&reader);
    assert_int_equal(message_reader_end(&reader), -EBADMSG);
    (void)message_read_u64(&reader);
    assert_int_equal(message_reader_end(&reader), -EBADMSG);
    assert_int_equal(message_read_u32(&reader), 0);
}

static void test_text_with_nul_or_too_long_fails(void **state)
{
    (void)state;
    const uint8_t with_nul[] = {3, 0, 0, 0, 'a', 0, 'b'};
    struct message message = {.payload = with_nul, .length = sizeof(with_nul)};
    struct message_reader reader = message_reader_of(&message);
    char text[16];
    message_read_text(&reader, text, sizeof(text));
    assert_int_equal(message_reader_end(&reader), -EBADMSG);
    assert_string_equal(text, "");

    const uint8_t plain[] = {3, 0, 0, 0, 'a', 'b', 'c'};
    message = (struct message){.payload = plain, .length = sizeof(plain)};
    reader = message_reader_of(&message);
    message_read_text(&reader, text, 3);
    assert_int_equal(message_reader_end(&reader), -EBADMSG);

    const uint8_t huge[] = {0xff, 0xff, 0xff, 0xff, 'a'};
    message = (struct message){.payload = huge, .length = sizeof(huge)};
    reader = message_reader_of(&message);
    message_read_text(&reader, text, sizeof(text));
    assert_int_equal(message_reader_end(&reader), -EBADMSG);
}

static void test_a_descriptor_travels_and_is_released(void **state)
{
    struct pair *pair = *state;
    int before = count_open_fds();
    assert_int_equal(message_send_fd(pair->fds[0], 1, "x", 1, STDERR_FILENO), 0);
    struct message message;
    assert_int_equal(message_receive(pair->fds[1], buffer, sizeof(buffer), &message), 1);
    assert_int_equal(message.fd_count, 1);
    assert_int_equal(fcntl(message.fds[0], F_GETFD), FD_CLOEXEC);
    message_release(&message);
    assert_int_equal(count_open_fds(), before);
}

static void test_too_many_descriptors_are_refused_and_closed(void **state)
{
    struct pair *pair = *state;
    int before = count_open_fds();
    uint32_t type = 1;
    struct iovec part = {.iov_base = &type, .iov_len = sizeof(type)};
    for (size_t count = LIMIT_MESSAGE_FDS + 1; count < 16; count++) {
        char space[CMSG_SPACE(16 * sizeof(int))] __attribute__((aligned(8))) = {0};
        struct msghdr header = {.msg_iov = &part,
                                .msg_iovlen = 1,
                                .msg_control = space,
                                .msg_controllen = CMSG_SPACE(count * sizeof(int))};
        struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(count * sizeof(int));
        for (size_t i = 0; i < count; i++)
            memcpy(CMSG_DATA(rights) + i * sizeof(int), &(int){STDERR_FILENO}, sizeof(int));
        assert_true(sendmsg(pair->fds[0], &header, 0) > 0);
        struct message message;
        assert_int_equal(message_receive(pair->fds[1], buffer, sizeof(buffer), &message), -EBADMSG);
        assert_int_equal(count_open_fds(), before);
    }
}

static void test_short_and_long_messages_are_refused(void **state)
{
    struct pair *pair = *state;
    struct message message;
    assert_int_equal(send(pair->fds[0], "abc", 3, 0), 3);
    assert_int_equal(message_receive(pair->fds[1], buffer, sizeof(buffer), &message), -EBADMSG);
    assert_int_equal(send(pair->fds[0], "abcdefgh", 8, 0), 8);
    assert_int_equal(message_receive(pair->fds[1], buffer, 6, &message), -EBADMSG);
    assert_int_equal(message_send(pair->fds[0], 1, buffer, LIMIT_MESSAGE_BYTES + 1), -EMSGSIZE);
    assert_int_equal(message_send(pair->fds[0], 1, buffer, LIMIT_MESSAGE_BYTES), 0);
    assert_int_equal(message_receive(pair->fds[1], buffer, sizeof(buffer), &message), 1);
    assert_int_equal(message.length, LIMIT_MESSAGE_BYTES);
}

static void test_end_and_slowness_of_the_peer(void **state)
{
    struct pair *pair = *state;
    struct message message;
    assert_int_equal(message_receive(pair->fds[1], buffer, sizeof(buffer), &message), -EAGAIN);
    int result = 0;
    for (int i = 0; i < 100000 && result == 0; i++)
        result = message_send(pair->fds[0], 1, "payload", 7);
    assert_int_equal(result, -EAGAIN);
    close(pair->fds[1]);
    pair->fds[1] = -1;
    assert_int_equal(message_send(pair->fds[0], 1, NULL, 0), -EPIPE);
    assert_int_equal(message_receive(pair->fds[0], buffer, sizeof(buffer), &message), 0);
}

static void test_writer_refuses_what_does_not_fit(void **state)
{
    struct pair *pair = *state;
    static struct message_writer writer;
    memset(&writer, 0, sizeof(writer));
    message_write_bytes(&writer, buffer, LIMIT_MESSAGE_BYTES - 4);
    assert_false(writer.failed);
    message_write_u32(&writer, 1);
    assert_int_equal(message_writer_send(&writer, pair->fds[0], 1, -1), -EMSGSIZE);
}

static int take_it(void *user, struct message *message)
{
    *(int *)user += 1;
    return message->length > 0 ? -ECANCELED : 0;
}

static void test_dispatch_permits_only_the_table(void **state)
{
    (void)state;
    int calls = 0;
    struct message_route routes[] = {
        {.type = 1, .name = "one", .permitted = true, .handler = take_it},
        {.type = 2, .name = "two", .permitted = false, .handler = take_it},
        {.type = 3, .name = "three", .permitted = true, .with_fd = true, .handler = take_it},
    };
    struct message message = {.type = 1, .fds = {-1, -1}};
    assert_int_equal(message_dispatch(routes, 3, &calls, &message), 0);
    message.length = 1;
    assert_int_equal(message_dispatch(routes, 3, &calls, &message), -ECANCELED);
    assert_int_equal(calls, 2);
    message = (struct message){.type = 2, .fds = {-1, -1}};
    assert_int_equal(message_dispatch(routes, 3, &calls, &message), -EPROTO);
    message.type = 9;
    assert_int_equal(message_dispatch(routes, 3, &calls, &message), -EPROTO);
    message.type = 3;
    assert_int_equal(message_dispatch(routes, 3, &calls, &message), -EPROTO);
    int fd = dup(STDERR_FILENO);
    message = (struct message){.type = 1, .fds = {fd, -1}, .fd_count = 1};
    assert_int_equal(message_dispatch(routes, 3, &calls, &message), -EPROTO);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    assert_int_equal(calls, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_fields_travel_in_order, open_pair, close_pair),
        cmocka_unit_test(test_reading_past_the_end_or_leaving_bytes_fails),
        cmocka_unit_test(test_text_with_nul_or_too_long_fails),
        cmocka_unit_test_setup_teardown(test_a_descriptor_travels_and_is_released, open_pair,
                                        close_pair),
        cmocka_unit_test_setup_teardown(test_too_many_descriptors_are_refused_and_closed, open_pair,
                                        close_pair),
        cmocka_unit_test_setup_teardown(test_short_and_long_messages_are_refused, open_pair,
                                        close_pair),
        cmocka_unit_test_setup_teardown(test_end_and_slowness_of_the_peer, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(test_writer_refuses_what_does_not_fit, open_pair,
                                        close_pair),
        cmocka_unit_test(test_dispatch_permits_only_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
