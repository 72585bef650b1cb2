/* control_server.c and control_connection.c over real sockets: the loop runs in a thread of its
 * own, the test is the client. */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "agent/control/control_server.h"
#include "common/event_loop/event_loop.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "common/time/clock.h"

struct fixture {
    char folder[32];
    char path[64];
    struct event_loop *loop;
    struct control_server *server;
    pthread_t thread;
    struct control_request *kept; /* by the handler "keep" */
    sem_t kept_it;
    sem_t gone;
    atomic_int gone_count;
};

static void handle_echo(void *user, struct control_request *request, const json_t *arguments)
{
    (void)user;
    char *line = json_dumps(arguments, JSON_COMPACT | JSON_SORT_KEYS);
    assert_int_equal(control_request_send(request, line), 0);
    free(line);
    control_request_done(request, 1);
    assert_int_equal(control_request_send(request, "{}"), -EPIPE);
}

static void handle_keep(void *user, struct control_request *request, const json_t *arguments)
{
    (void)arguments;
    struct fixture *fixture = user;
    fixture->kept = control_request_ref(request);
    (void)sem_post(&fixture->kept_it);
}

static void *run_loop(void *user)
{
    struct fixture *fixture = user;
    (void)!event_loop_run(fixture->loop);
    return NULL;
}

static int start(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    (void)text_copy(fixture->folder, sizeof(fixture->folder), "/tmp/yagura-control-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    (void)text_format(fixture->path, sizeof(fixture->path), "%s/s", fixture->folder);
    assert_int_equal(sem_init(&fixture->kept_it, 0, 0), 0);
    assert_int_equal(sem_init(&fixture->gone, 0, 0), 0);
    assert_int_equal(event_loop_new(&fixture->loop), 0);
    assert_int_equal(control_server_start(fixture->loop, fixture->path, &fixture->server), 0);
    assert_int_equal(control_server_register(fixture->server, "echo", handle_echo, fixture), 0);
    assert_int_equal(control_server_register(fixture->server, "keep", handle_keep, fixture), 0);
    assert_int_equal(control_server_register(fixture->server, "keep", handle_keep, fixture),
                     -EEXIST);
    assert_int_equal(pthread_create(&fixture->thread, NULL, run_loop, fixture), 0);
    *state = fixture;
    return 0;
}

static int stop(void **state)
{
    struct fixture *fixture = *state;
    event_loop_stop(fixture->loop);
    assert_int_equal(pthread_join(fixture->thread, NULL), 0);
    assert_null(control_server_stop(fixture->server));
    (void)control_request_unref(fixture->kept);
    event_loop_free(fixture->loop);
    assert_int_equal(rmdir(fixture->folder), 0); /* the socket is gone */
    (void)sem_destroy(&fixture->kept_it);
    (void)sem_destroy(&fixture->gone);
    free(fixture);
    return 0;
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)text_copy(address.sun_path, sizeof(address.sun_path), path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void ask(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Everything until the server closes. */
static char *read_answer(int fd)
{
    char *text = calloc(1, 8 << 20);
    size_t length = 0;
    ssize_t size;
    assert_non_null(text);
    while ((size = recv(fd, text + length, (8 << 20) - 1 - length, 0)) > 0)
        length += (size_t)size;
    (void)close(fd);
    return text;
}

static void assert_answer(const struct fixture *fixture, const char *request, const char *expected)
{
    int fd = connect_to(fixture->path);
    ask(fd, request);
    char *answer = read_answer(fd);
    if (strstr(answer, expected) == NULL)
        fail_msg("%s\n  says: %s\n  wanted: %s", request, answer, expected);
    free(answer);
}

static void test_request_and_answer(void **state)
{
    assert_answer(*state, "{\"command\":\"echo\",\"a\":[1,\"x\"]}\n",
                  "{\"a\":[1,\"x\"],\"command\":\"echo\"}\n{\"done\":true,\"exit\":1}\n");
}

static void test_request_in_pieces(void **state)
{
    struct fixture *fixture = *state;
    int fd = connect_to(fixture->path);
    for (const char *at = "{\"command\":\"echo\"}\n"; *at != '\0'; at++)
        assert_int_equal(send(fd, at, 1, 0), 1);
    char *answer = read_answer(fd);
    assert_string_equal(answer, "{\"command\":\"echo\"}\n{\"done\":true,\"exit\":1}\n");
    free(answer);
}

static void test_bad_requests(void **state)
{
    assert_answer(*state, "nonsense\n", "{\"error\":\"the request is not JSON: ");
    assert_answer(*state, "{\"command\":\"echo\",\"command\":\"echo\"}\n",
                  "the request is not JSON");
    assert_answer(*state, "[]\n", "the request names no command");
    assert_answer(*state, "{\"command\":5}\n", "the request names no command");
    assert_answer(*state, "{\"command\":\"\\u001b[2J\"}\n", "knows no command \\\"\\\\x1b[2J\\\"");
    assert_answer(*state, "\n", "not JSON");
    assert_answer(*state, "{\"command\":\"keep\"}\n{\"command\":\"keep\"}\n", "");
}

static void test_deep_request(void **state)
{
    size_t depth = 100000;
    char *request = malloc(depth + 2);
    assert_non_null(request);
    memset(request, '[', depth);
    request[depth] = '\n';
    request[depth + 1] = '\0';
    assert_answer(*state, request, "the request is not JSON");
    free(request);
}

static void test_oversized_request(void **state)
{
    struct fixture *fixture = *state;
    int fd = connect_to(fixture->path);
    char bytes[4096];
    memset(bytes, 'x', sizeof(bytes));
    size_t sent = 0;
    while (sent <= LIMIT_CONTROL_REQUEST_BYTES * 2U) {
        ssize_t size = send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL);
        if (size < 0)
            break;
        sent += (size_t)size;
    }
    char *answer = read_answer(fd);
    assert_non_null(strstr(answer, "the request is longer than 262144 bytes"));
    free(answer);
    assert_answer(fixture, "{\"command\":\"echo\"}\n", "\"done\":true");
}

static void test_too_many_clients(void **state)
{
    struct fixture *fixture = *state;
    int fds[LIMIT_CONTROL_CLIENTS];
    for (size_t i = 0; i < ARRAY_LENGTH(fds); i++)
        fds[i] = connect_to(fixture->path);
    char *answer = read_answer(connect_to(fixture->path));
    assert_non_null(strstr(answer, "too many yaguractl are connected"));
    free(answer);
    /* One goes, another may come; the server sees the close before the next accept or turns the
     * newcomer away once more. */
    (void)close(fds[0]);
    for (bool served = false; !served;) {
        int fd = connect_to(fixture->path);
        (void)send(fd, "{\"command\":\"echo\"}\n", 19, MSG_NOSIGNAL);
        answer = read_answer(fd);
        served = strstr(answer, "\"done\":true") != NULL;
        free(answer);
    }
    for (size_t i = 1; i < ARRAY_LENGTH(fds); i++)
        (void)close(fds[i]);
}

/* A client that asks and reads nothing: memory stays bounded, others are served meanwhile. */
static void test_slow_reader(void **state)
{
    struct fixture *fixture = *state;
    int fd = connect_to(fixture->path);
    ask(fd, "{\"command\":\"keep\"}\n");
    assert_int_equal(sem_wait(&fixture->kept_it), 0);
    char line[1000];
    (void)text_format(line, sizeof(line), "{\"x\":\"%0900d\"}", 1);
    size_t sent = 0;
    int r;
    while ((r = control_request_send(fixture->kept, line)) == 0)
        sent++;
    assert_int_equal(r, -EAGAIN);
    assert_true(sent * strlen(line) > LIMIT_CONTROL_OUTPUT_BYTES);
    assert_true(sent * strlen(line) < 4 * LIMIT_CONTROL_OUTPUT_BYTES);
    assert_int_equal(control_request_wait(fixture->kept, NS_PER_MS), -ETIMEDOUT);
    assert_answer(fixture, "{\"command\":\"echo\"}\n", "\"done\":true");
    /* The last line has room of its own; what was accepted arrives whole and in order. */
    control_request_done(fixture->kept, 0);
    char *answer = read_answer(fd);
    size_t lines = 0;
    for (const char *at = answer; *at != '\0'; at++)
        lines += *at == '\n';
    assert_int_equal(lines, sent + 1);
    assert_non_null(strstr(answer, "{\"done\":true,\"exit\":0}\n"));
    free(answer);
}

static void *drain(void *user)
{
    int fd = *(int *)user;
    char *answer = read_answer(fd);
    return answer;
}

static void test_wait_for_room(void **state)
{
    struct fixture *fixture = *state;
    int fd = connect_to(fixture->path);
    ask(fd, "{\"command\":\"keep\"}\n");
    assert_int_equal(sem_wait(&fixture->kept_it), 0);
    pthread_t reader;
    assert_int_equal(pthread_create(&reader, NULL, drain, &fd), 0);
    char line[1000];
    (void)text_format(line, sizeof(line), "{\"x\":\"%0900d\"}", 1);
    size_t total = 5000;
    for (size_t i = 0; i < total; i++) {
        while (control_request_send(fixture->kept, line) == -EAGAIN)
            assert_int_equal(control_request_wait(fixture->kept, 20 * NS_PER_SECOND), 0);
    }
    control_request_fail(fixture->kept, 2, "bad \"%s\"\n", "thing");
    void *answer = NULL;
    assert_int_equal(pthread_join(reader, &answer), 0);
    assert_int_equal(strlen(answer) / (strlen(line) + 1), total);
    assert_non_null(strstr(answer, "{\"error\":\"bad \\\"thing\\\"\\n\",\"exit\":2}\n"));
    free(answer);
}

static void count_gone(void *user)
{
    struct fixture *fixture = user;
    atomic_fetch_add(&fixture->gone_count, 1);
    (void)sem_post(&fixture->gone);
}

static void test_gone_client(void **state)
{
    struct fixture *fixture = *state;
    int fd = connect_to(fixture->path);
    ask(fd, "{\"command\":\"keep\"}\n");
    assert_int_equal(sem_wait(&fixture->kept_it), 0);
    control_request_on_gone(fixture->kept, count_gone, fixture);
    assert_false(control_request_gone(fixture->kept));
    (void)close(fd);
    assert_int_equal(sem_wait(&fixture->gone), 0);
    assert_true(control_request_gone(fixture->kept));
    assert_int_equal(control_request_send(fixture->kept, "{}"), -EPIPE);
    assert_int_equal(control_request_wait(fixture->kept, NS_PER_SECOND), -EPIPE);
    control_request_done(fixture->kept, 0);
    assert_int_equal(atomic_load(&fixture->gone_count), 1);
    (void)control_request_unref(fixture->kept);
    fixture->kept = NULL;

    /* Answered first: never called. */
    fd = connect_to(fixture->path);
    ask(fd, "{\"command\":\"keep\"}\n");
    assert_int_equal(sem_wait(&fixture->kept_it), 0);
    control_request_on_gone(fixture->kept, count_gone, fixture);
    control_request_done(fixture->kept, 0);
    free(read_answer(fd));
    assert_answer(fixture, "{\"command\":\"echo\"}\n", "\"done\":true");
    assert_int_equal(atomic_load(&fixture->gone_count), 1);
}

static void test_more_than_one_request_drops_the_client(void **state)
{
    struct fixture *fixture = *state;
    int fd = connect_to(fixture->path);
    ask(fd, "{\"command\":\"keep\"}\n");
    assert_int_equal(sem_wait(&fixture->kept_it), 0);
    control_request_on_gone(fixture->kept, count_gone, fixture);
    ask(fd, "more");
    assert_int_equal(sem_wait(&fixture->gone), 0);
    (void)close(fd);
}

static void test_mode_and_second_server(void **state)
{
    struct fixture *fixture = *state;
    struct stat status;
    assert_int_equal(stat(fixture->path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);

    struct event_loop *loop = NULL;
    struct control_server *second = NULL;
    assert_int_equal(event_loop_new(&loop), 0);
    assert_int_equal(control_server_start(loop, fixture->path, &second), -EADDRINUSE);
    assert_null(second);
    assert_answer(fixture, "{\"command\":\"echo\"}\n", "\"done\":true");
    char path[200];
    memset(path, 'x', sizeof(path));
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(control_server_start(loop, path, &second), -ENAMETOOLONG);
    assert_int_equal(control_server_start(loop, fixture->folder, &second), -EEXIST);
    /* A leftover of a killed agent: bound, but nobody listens. */
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)text_format(address.sun_path, sizeof(address.sun_path), "%s/old", fixture->folder);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    (void)close(fd);
    assert_int_equal(control_server_start(loop, address.sun_path, &second), 0);
    assert_null(control_server_stop(second));
    event_loop_free(loop);
}

/* Otherwise the loop would be told of it again and again, and do nothing else. */
static void test_arrivals_wait_for_descriptors(void **state)
{
    struct fixture *fixture = *state;
    struct event_loop *loop = NULL;
    struct control_server *server = NULL;
    struct rlimit before, none;
    char path[64];
    (void)text_format(path, sizeof(path), "%s/own", fixture->folder);
    assert_int_equal(event_loop_new(&loop), 0);
    assert_int_equal(control_server_start(loop, path, &server), 0);
    int fd = connect_to(path);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 3;
    int log_fd = memfd_create("log", MFD_CLOEXEC), error_fd = dup(STDERR_FILENO);
    assert_int_equal(dup2(log_fd, STDERR_FILENO), STDERR_FILENO);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    int first = event_loop_turn(loop, 0);
    int second = event_loop_turn(loop, 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(dup2(error_fd, STDERR_FILENO), STDERR_FILENO);
    assert_int_equal(close(error_fd), 0);
    char said[512] = "";
    assert_true(pread(log_fd, said, sizeof(said) - 1, 0) > 0);
    assert_int_equal(close(log_fd), 0);
    assert_non_null(strstr(said, "yaguractl_waits"));
    assert_int_equal(first, 1);
    assert_int_equal(second, 0);

    clock_set_fake(clock_monotonic_ns() + 2 * NS_PER_SECOND, clock_realtime_ns());
    assert_int_equal(event_loop_turn(loop, 0), 1); /* the pause is over */
    clock_set_fake(0, 0);
    ask(fd, "{\"command\":\"echo\"}\n");
    assert_int_equal(event_loop_turn(loop, UINT64_MAX), 1); /* it is taken in, */
    assert_int_equal(event_loop_turn(loop, UINT64_MAX), 1); /* and answered */
    char *answer = read_answer(fd);
    assert_non_null(strstr(answer, "knows no command"));
    free(answer);
    assert_null(control_server_stop(server));
    event_loop_free(loop);
}

static void test_other_users_are_refused(void **state)
{
    struct fixture *fixture = *state;
    if (geteuid() != 0) {
        print_message("[  SKIPPED ] needs root to become another user\n");
        skip();
    }
    /* Wide open on purpose: the peer's user must be enough. */
    assert_int_equal(chmod(fixture->path, 0666), 0);
    assert_int_equal(chmod(fixture->folder, 0755), 0);
    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t child = fork();
    if (child == 0) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        (void)text_copy(address.sun_path, sizeof(address.sun_path), fixture->path);
        char answer[512] = "";
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        if (setgid(65534) == 0 && setuid(65534) == 0 &&
            connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
            (void)!send(fd, "{\"command\":\"echo\"}\n", 19, MSG_NOSIGNAL);
            ssize_t size = recv(fd, answer, sizeof(answer), 0);
            if (size > 0)
                (void)!write(pipe_fds[1], answer, (size_t)size);
        }
        _exit(0);
    }
    (void)close(pipe_fds[1]);
    char answer[512] = "";
    assert_true(read(pipe_fds[0], answer, sizeof(answer) - 1) > 0);
    (void)close(pipe_fds[0]);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_non_null(strstr(answer, "only root may steer the agent"));
    assert_null(strstr(answer, "echo"));
}

int main(void)
{
#define SERVER_TEST(test) cmocka_unit_test_setup_teardown(test, start, stop)
    const struct CMUnitTest tests[] = {
        SERVER_TEST(test_request_and_answer),
        SERVER_TEST(test_request_in_pieces),
        SERVER_TEST(test_bad_requests),
        SERVER_TEST(test_deep_request),
        SERVER_TEST(test_oversized_request),
        SERVER_TEST(test_too_many_clients),
        SERVER_TEST(test_slow_reader),
        SERVER_TEST(test_wait_for_room),
        SERVER_TEST(test_gone_client),
        SERVER_TEST(test_more_than_one_request_drops_the_client),
        SERVER_TEST(test_mode_and_second_server),
        SERVER_TEST(test_arrivals_wait_for_descriptors),
        SERVER_TEST(test_other_users_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
