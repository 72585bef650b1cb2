/* control_client.c against control_server.c, and the commands' output: what yaguractl prints for
 * what an agent says. The loop runs in a thread; standard output and error go to files. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

#include "agent/control/commands.h"
#include "agent/control/control_server.h"
#include "common/buffers/buffer.h"
#include "common/event_loop/event_loop.h"
#include "common/files/file.h"
#include "common/text/text.h"

struct fixture {
    char folder[40];
    char socket[64], output[64], errors[64];
    struct event_loop *loop;
    struct control_server *server;
    pthread_t thread;
    const char *lines[8]; /* what the next answer says */
    const char *error;    /* and how it ends */
    int exit;
    char *asked; /* the last request */
};

static void handle(void *user, struct control_request *request, const json_t *arguments)
{
    struct fixture *fixture = user;
    free(fixture->asked);
    fixture->asked = json_dumps(arguments, JSON_COMPACT | JSON_SORT_KEYS);
    for (const char **line = fixture->lines; *line != NULL; line++)
        assert_int_equal(control_request_send(request, *line), 0);
    if (fixture->error != NULL)
        control_request_fail(request, fixture->exit, "%s", fixture->error);
    else
        control_request_done(request, fixture->exit);
}

static void *run_loop(void *user)
{
    struct fixture *fixture = user;
    (void)!event_loop_run(fixture->loop);
    return NULL;
}

static int start(void **state)
{
    static const char *const names[] = {"status",           "scan",   "events",
                                        "policy",           "reload", "quarantine-list",
                                        "quarantine-export"};
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    (void)text_copy(fixture->folder, sizeof(fixture->folder), "/tmp/yagura-client-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    (void)text_format(fixture->socket, sizeof(fixture->socket), "%s/s", fixture->folder);
    (void)text_format(fixture->output, sizeof(fixture->output), "%s/out", fixture->folder);
    (void)text_format(fixture->errors, sizeof(fixture->errors), "%s/err", fixture->folder);
    assert_int_equal(event_loop_new(&fixture->loop), 0);
    assert_int_equal(control_server_start(fixture->loop, fixture->socket, &fixture->server), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        assert_int_equal(control_server_register(fixture->server, names[i], handle, fixture), 0);
    assert_int_equal(pthread_create(&fixture->thread, NULL, run_loop, fixture), 0);
    *state = fixture;
    return 0;
}

static int stop(void **state)
{
    struct fixture *fixture = *state;
    event_loop_stop(fixture->loop);
    assert_int_equal(pthread_join(fixture->thread, NULL), 0);
    (void)control_server_stop(fixture->server);
    event_loop_free(fixture->loop);
    free(fixture->asked);
    assert_int_equal(file_remove_tree(AT_FDCWD, fixture->folder), 0);
    free(fixture);
    return 0;
}

/* Runs a command line with standard output and error in files. */
static int run(struct fixture *fixture, int argc, char **argv)
{
    static const struct command *const all[] = {&command_status,
                                                &command_scan,
                                                &command_events,
                                                &command_policy_explain,
                                                &command_reload,
                                                &command_limits,
                                                &command_quarantine_list,
                                                &command_quarantine_export,
                                                NULL};
    struct invocation invocation;
    commands = all;
    (void)fflush(stdout);
    int output = dup(STDOUT_FILENO), errors = dup(STDERR_FILENO);
    int to = open(fixture->output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int told = open(fixture->errors, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(dup2(to, STDOUT_FILENO) >= 0 && dup2(told, STDERR_FILENO) >= 0);
    int r = command_parse(argc, argv, &invocation);
    if (r == 0) {
        invocation.socket = fixture->socket;
        r = invocation.command->run(&invocation);
    }
    (void)fflush(stdout);
    assert_true(dup2(output, STDOUT_FILENO) >= 0 && dup2(errors, STDERR_FILENO) >= 0);
    (void)close(output);
    (void)close(errors);
    (void)close(to);
    (void)close(told);
    return r;
}

#define RUN(fixture, ...)                                          \
    ({                                                             \
        char *words_[] = {(char *)"yaguractl", __VA_ARGS__, NULL}; \
        run(fixture, (int)ARRAY_LENGTH(words_) - 1, words_);       \
    })

static char *content_of(const char *path)
{
    struct buffer text = BUFFER_WITH_MAXIMUM(1 << 20);
    assert_int_equal(file_read_all(path, &text), 0);
    return text.data != NULL ? buffer_take(&text) : strdup("");
}

static void assert_holds(const char *path, const char *expected)
{
    char *text = content_of(path);
    if (strstr(text, expected) == NULL)
        fail_msg("says: %s\nwanted: %s", text, expected);
    free(text);
}

/* No byte that a terminal would take for anything but text. */
static void assert_harmless(const char *path)
{
    char *text = content_of(path);
    for (const char *at = text; *at != '\0'; at++)
        assert_true((unsigned char)*at >= 0x20 || *at == '\n' || *at == '\r');
    assert_null(strstr(text, "\xe2\x80\xae"));
    free(text);
}

static char status_word[] = "status", scan_word[] = "scan", events_word[] = "events",
            policy_word[] = "policy", explain_word[] = "explain", json_word[] = "--json",
            csv_word[] = "--csv", check_word[] = "--check", reload_word[] = "reload",
            quarantine_word[] = "quarantine", list_word[] = "list", export_word[] = "export";

static void test_status(void **state)
{
    struct fixture *fixture = *state;
    fixture->lines[0] = "{\"status\":{\"state\":\"degraded\",\"problems\":[{\"module\":\"store\","
                        "\"problem\":\"disk\\u001b[2J full\",\"cure\":\"make room\"}],"
                        "\"watch\":{\"state\":\"watching\",\"directories_watched\":1234,"
                        "\"directories_unwatched\":7,\"coverage\":0.5}}}";
    fixture->exit = 1;
    assert_int_equal(RUN(fixture, status_word), EXIT_CLEAN);
    assert_holds(fixture->output, "Yagura: degraded");
    assert_holds(fixture->output, "watching, 1,234 directories (50.0 %), 7 not watched");
    assert_holds(fixture->output, "! store: disk\\x1b[2J full\n    make room");
    assert_harmless(fixture->output);
    assert_int_equal(RUN(fixture, status_word, check_word), EXIT_FOUND);
    assert_int_equal(RUN(fixture, status_word, json_word), EXIT_CLEAN);
    assert_holds(fixture->output, "{\"state\":\"degraded\",\"problems\":[{");
}

static void test_scan(void **state)
{
    struct fixture *fixture = *state;
    static char path[] = "rel\x1b/x", no_cache[] = "--no-cache";
    fixture->lines[0] = "{\"progress\":{\"files_seen\":1}}";
    fixture->lines[1] = "{\"result\":{\"path\":\"/srv/a\\\\x0ab\",\"verdict\":\"infected\","
                        "\"reason\":\"none\",\"signature\":\"Evil\\u202e.\\u001bX\"}}";
    fixture->lines[2] = "{\"result\":{\"path\":\"/srv/b\",\"verdict\":\"incomplete\","
                        "\"reason\":\"file-size\",\"signature\":\"\"}}";
    fixture->lines[3] = "{\"totals\":{\"files_seen\":3,\"clean\":1,\"infected\":1,\"incomplete\":1,"
                        "\"bytes\":2048}}";
    fixture->exit = 1;
    assert_int_equal(RUN(fixture, scan_word, path, no_cache), EXIT_FOUND);
    assert_holds(fixture->output, "/srv/a\\x0ab: infected Evil\\xe2\\x80\\xae.\\x1bX\n");
    assert_holds(fixture->output, "/srv/b: incomplete (file-size)\n");
    assert_holds(fixture->output, "3 files, 2.0 KiB: 1 clean\n  1 infected\n");
    assert_harmless(fixture->output);
    assert_non_null(strstr(fixture->asked, "rel\\\\x1b/x\"]"));
    assert_non_null(strstr(fixture->asked, "\"use_cache\":false"));
    assert_non_null(strstr(fixture->asked, "\"act\":true"));

    static char odd[] = "/srv/./a//b/../../c/", above[] = "/../..", dots[] = "/a/...";
    assert_int_equal(RUN(fixture, scan_word, odd, above, dots), EXIT_FOUND);
    assert_non_null(strstr(fixture->asked, "\"paths\":[\"/srv/c\",\"/\",\"/a/...\"]"));
    assert_int_equal(RUN(fixture, scan_word, json_word, path), EXIT_FOUND);
    char *text = content_of(fixture->output);
    size_t lines = 0;
    for (const char *at = text; *at != '\0'; at++)
        lines += *at == '\n';
    assert_int_equal(lines, 3); /* no progress */
    free(text);
}

static void test_events(void **state)
{
    struct fixture *fixture = *state;
    static char since[] = "--since", moment[] = "2026-11-22T00:00:00Z", severity[] = "--severity",
                high[] = "high", limit[] = "--limit", many[] = "5x";
    fixture->lines[0] =
        "{\"event\":{\"number\":7,\"id\":\"x\",\"time\":\"2026-11-22T00:00:00.000Z\","
        "\"time_ns\":1795305600000000000,\"module\":\"malware\",\"severity\":\"high\","
        "\"kind\":\"malware_found\",\"subject\":\"=/a\\\"b\",\"detail\":{\"signature\":"
        "\"S\\u001b\",\"size\":5,\"count\":3}}}";
    assert_int_equal(RUN(fixture, events_word, since, moment, severity, high), EXIT_CLEAN);
    assert_holds(fixture->output, "  high      malware_found  =/a\"b  signature=S\\x1b  count=3\n");
    assert_harmless(fixture->output);
    assert_non_null(
        strstr(fixture->asked, "\"severity\":\"high\",\"since_ns\":1795305600000000000"));
    assert_int_equal(RUN(fixture, events_word, json_word), EXIT_CLEAN);
    assert_holds(fixture->output, "{\"number\":7,\"id\":\"x\"");
    assert_int_equal(RUN(fixture, events_word, csv_word), EXIT_CLEAN);
    assert_holds(fixture->output, "number,id,time,module,severity,kind,subject,detail\r\n7,\"x\",");
    assert_holds(fixture->output, "\"'=/a\"\"b\",\"{\"\"signature\"\":");
    assert_harmless(fixture->output);
    assert_int_equal(RUN(fixture, events_word, limit, many), EXIT_ERROR);
    assert_holds(fixture->errors, "--limit 5x is not a number");
    assert_int_equal(RUN(fixture, events_word, csv_word, json_word), EXIT_ERROR);
}

static void test_policy_explain(void **state)
{
    struct fixture *fixture = *state;
    static char key[] = "scan.workers", wrong[] = "scan.wrokers";
    fixture->lines[0] = "{\"policy\":{\"name\":\"p\",\"digest\":\"d\"}}";
    fixture->lines[1] =
        "{\"key\":{\"name\":\"scan.workers\",\"value\":\"3\",\"origin\":\"/p.conf:2\","
        "\"default\":false,\"meaning\":\"m\",\"bounds\":\"0..64\"}}";
    fixture->lines[2] = "{\"key\":{\"name\":\"scan.heuristics\",\"value\":\"true\"}}";
    assert_int_equal(RUN(fixture, policy_word, explain_word, key), EXIT_CLEAN);
    assert_holds(fixture->output, "scan.workers = 3\n  from     /p.conf:2\n  meaning  m\n"
                                  "  default  0\n  bounds   0..64\n");
    assert_int_equal(RUN(fixture, policy_word, explain_word, wrong), EXIT_ERROR);
    assert_holds(fixture->errors, "there is no key scan.wrokers; did you mean scan.workers?");
}

static void test_quarantine(void **state)
{
    struct fixture *fixture = *state;
    static char id[] = "0123", to[] = "relative";
    fixture->lines[0] =
        "{\"usage\":{\"files\":1,\"bytes\":68,\"maximum_bytes\":1048576,\"held\":2}}";
    fixture->lines[1] = "{\"entry\":{\"id\":\"019abcde-f012-7abc-8def-0123456789ab\",\"time_ns\":1,"
                        "\"path\":\"/srv/x\\\\x1b\",\"signature\":\"S\\u0007\",\"size\":68}}";
    assert_int_equal(RUN(fixture, quarantine_word, list_word), EXIT_CLEAN);
    assert_holds(fixture->output, "019abcde-f012-7abc-8def  ");
    assert_holds(fixture->output, "S\\x07  /srv/x\\x1b\n");
    assert_holds(fixture->output, "2 detections held back");
    assert_harmless(fixture->output);
    assert_int_equal(RUN(fixture, quarantine_word, export_word, id, to), EXIT_ERROR);
    assert_holds(fixture->errors, "to must be an absolute path");
}

static void test_agent_errors(void **state)
{
    struct fixture *fixture = *state;
    fixture->error = "/p.conf:3: bad\x1b[2J key";
    fixture->exit = 2;
    assert_int_equal(RUN(fixture, reload_word), EXIT_ERROR);
    assert_holds(fixture->errors, "yaguractl: /p.conf:3: bad\\x1b[2J key\n");
    assert_harmless(fixture->errors);
}

/* An agent that speaks nonsense, or dies in the middle. */
static void *serve_raw(void *user)
{
    int listener = *(int *)user;
    static const char *const answers[] = {"nonsense\n", "[]\n", "{}\n", "{\"status\":{}}\n", ""};
    for (size_t i = 0; i < ARRAY_LENGTH(answers); i++) {
        char request[512];
        int fd = accept(listener, NULL, NULL);
        (void)!recv(fd, request, sizeof(request), 0);
        (void)!send(fd, answers[i], strlen(answers[i]), MSG_NOSIGNAL);
        (void)close(fd);
    }
    return NULL;
}

static void test_broken_agents(void **state)
{
    struct fixture *fixture = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)text_format(address.sun_path, sizeof(address.sun_path), "%s/raw", fixture->folder);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(listener, 5), 0);
    pthread_t server;
    assert_int_equal(pthread_create(&server, NULL, serve_raw, &listener), 0);
    char before[sizeof(fixture->socket)];
    (void)text_copy(before, sizeof(before), fixture->socket);
    (void)text_copy(fixture->socket, sizeof(fixture->socket), address.sun_path);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(RUN(fixture, reload_word), EXIT_ERROR);
        assert_holds(fixture->errors, "is not understood");
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(RUN(fixture, reload_word), EXIT_ERROR);
        assert_holds(fixture->errors, "closed the connection before the answer was complete");
    }
    assert_int_equal(pthread_join(server, NULL), 0);
    (void)close(listener);
    assert_int_equal(RUN(fixture, reload_word), EXIT_ERROR);
    assert_holds(fixture->errors, "the agent is not running (nobody listens on ");
    (void)text_copy(fixture->socket, sizeof(fixture->socket), before);
}

int main(void)
{
#define CLIENT_TEST(test) cmocka_unit_test_setup_teardown(test, start, stop)
    const struct CMUnitTest tests[] = {
        CLIENT_TEST(test_status),        CLIENT_TEST(test_scan),
        CLIENT_TEST(test_events),        CLIENT_TEST(test_policy_explain),
        CLIENT_TEST(test_quarantine),    CLIENT_TEST(test_agent_errors),
        CLIENT_TEST(test_broken_agents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
