/* The Extensions API as Lambda answers it, and as nothing should: a stand-in on loopback, one
 * answer a request. */
#include "application/relay/extension_client.h"
#include "common/text/text.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { MOST_ANSWERS = 8 };

struct stand_in {
    const char *answers[MOST_ANSWERS]; /* "": closes without one */
    char requests[MOST_ANSWERS][1024];
    unsigned served;
    int listener;
    struct sockaddr_in address;
    pthread_t thread;
};

/* A whole request, its body included. */
static bool read_request(int fd, char request[static 1024])
{
    size_t length = 0;

    while (length < 1023) {
        ssize_t got = recv(fd, request + length, 1023 - length, 0);
        if (got <= 0)
            return false;
        length += (size_t)got;
        request[length] = '\0';
        const char *end = strstr(request, "\r\n\r\n");
        const char *body = strstr(request, "Content-Length: ");
        if (end != NULL && (body == NULL || strchr(end, '}') != NULL))
            return true;
    }
    return false;
}

static void *serve(void *user)
{
    struct stand_in *stand_in = user;
    int fd;

    while ((fd = accept4(stand_in->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        while (stand_in->served < MOST_ANSWERS && stand_in->answers[stand_in->served] != NULL &&
               read_request(fd, stand_in->requests[stand_in->served])) {
            const char *answer = stand_in->answers[stand_in->served++];
            if (answer[0] == '\0' || send(fd, answer, strlen(answer), MSG_NOSIGNAL) < 0)
                break;
        }
        (void)close(fd);
    }
    return NULL;
}

static void start(struct stand_in *stand_in)
{
    socklen_t size = sizeof stand_in->address;

    stand_in->address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    stand_in->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(stand_in->listener >= 0);
    assert_int_equal(bind(stand_in->listener, (struct sockaddr *)&stand_in->address, size), 0);
    assert_int_equal(listen(stand_in->listener, 8), 0);
    assert_int_equal(getsockname(stand_in->listener, (struct sockaddr *)&stand_in->address, &size),
                     0);
    assert_int_equal(pthread_create(&stand_in->thread, NULL, serve, stand_in), 0);
}

static void stop(struct stand_in *stand_in)
{
    (void)shutdown(stand_in->listener, SHUT_RDWR);
    assert_int_equal(pthread_join(stand_in->thread, NULL), 0);
    (void)close(stand_in->listener);
}

#define REGISTERED \
    "HTTP/1.1 200 OK\r\nLambda-Extension-Identifier: one-of-us\r\nContent-Length: 2\r\n\r\n{}"
static void test_a_life(void **state UNUSED)
{
    static struct stand_in stand_in;
    struct extension_client client;
    struct extension_event event;

    stand_in = (struct stand_in){
        .answers = {REGISTERED,
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "10\r\n{\"eventType\":\"IN\r\n65\r\nVOKE\",\"deadlineMs\":42,"
                    "\"requestId\":\"8476a536\",\"invokedFunctionArn\":\"arn:f\",\"padding\":"
                    "\"xxxxxxxxxxxxxx\"}\r\n0\r\n\r\n",
                    "", /* the connection was closed: asked again on another one */
                    "HTTP/1.1 200 OK\r\nContent-Length: 24\r\n\r\n{\"eventType\":\"SHUTDOWN\"}"}};
    start(&stand_in);
    assert_int_equal(extension_register(&client, &stand_in.address, "yagura", true), 0);
    assert_string_equal(client.identifier, "one-of-us");
    assert_non_null(strstr(stand_in.requests[0], "INVOKE"));
    assert_int_equal(extension_next(&client, &event), 0);
    assert_false(event.shutdown);
    assert_string_equal(event.request_id, "8476a536");
    assert_int_equal(event.deadline_ms, 42);
    assert_string_equal(event.function_arn, "arn:f");
    assert_non_null(strstr(stand_in.requests[1], "one-of-us"));
    assert_int_equal(extension_next(&client, &event), 0);
    assert_true(event.shutdown);
    assert_int_equal(stand_in.served, 4);
    extension_client_done(&client);
    stop(&stand_in);
}

static void test_refusals(void **state UNUSED)
{
    static const struct {
        const char *answer;
        int error;
    } cases[] = {
        {"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", -EPROTO},
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", -EPROTO}, /* without a name for us */
        {"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}", -EPIPE}, /* cut short */
        {"", -ENODATA},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        static struct stand_in stand_in;
        struct extension_client client;
        stand_in = (struct stand_in){.answers = {cases[i].answer}};
        start(&stand_in);
        assert_int_equal(extension_register(&client, &stand_in.address, "yagura", false),
                         cases[i].error);
        assert_non_null(strstr(stand_in.requests[0], "{\"events\":[\"SHUTDOWN\"]}"));
        extension_client_done(&client);
        stop(&stand_in);
    }
}

static void test_a_refused_question_is_not_repeated(void **state UNUSED)
{
    static struct stand_in stand_in;
    struct extension_client client;
    struct extension_event event;

    stand_in = (struct stand_in){
        .answers = {REGISTERED, "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", REGISTERED}};
    start(&stand_in);
    assert_int_equal(extension_register(&client, &stand_in.address, "yagura", true), 0);
    assert_int_equal(extension_next(&client, &event), -EPROTO);
    assert_int_equal(stand_in.served, 2);
    extension_client_done(&client);
    stop(&stand_in);
}

static void test_nobody_listens(void **state UNUSED)
{
    static struct stand_in stand_in;
    struct extension_client client;

    stand_in = (struct stand_in){.answers = {NULL}};
    start(&stand_in);
    stop(&stand_in);
    assert_int_equal(extension_register(&client, &stand_in.address, "yagura", true), -ECONNREFUSED);
    extension_client_done(&client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_life),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_a_refused_question_is_not_repeated),
        cmocka_unit_test(test_nobody_listens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
