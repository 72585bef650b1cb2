/* yagura-application: the Lambda extension that stands between a function and its Runtime API.
 *
 * Its steps, which are its cold start: read the environment, start the inspecting process, listen,
 * register. The runtime starts with the registration, and the first invocation comes only after our
 * first "next", which waits for the rules. Lambda ends the whole sandbox when this process dies, so
 * it parses nothing but the framing of HTTP. */
#include "application/relay/event_guard.h"
#include "application/relay/extension_client.h"
#include "application/relay/inspector.h"
#include "application/relay/inspector_link.h"
#include "application/relay/invocations.h"
#include "application/relay/outbox.h"
#include "application/relay/relay_settings.h"
#include "application/relay/runtime_watch.h"
#include "common/buffers/buffer.h"
#include "common/files/file.h"
#include "common/limits.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#define NAME          "yagura-application"
#define TABLE_NAME    "rules.bin"
#define POLICY_NAME   "application.conf"
#define REPORTER_NAME "bin/yagura-application-reporter"
#define LOADER_NAME   "lib/ld-yagura.so"
/* What is left of an invocation's time for Lambda itself. */
#define MARGIN_NS (100 * NS_PER_MS)
/* Of the two seconds that SHUTDOWN gives. */
#define LAST_REPORT_NS (1500 * NS_PER_MS)
#define POLL_NS        (5 * NS_PER_SECOND)

static const char usage[] =
    "Usage: yagura-application [--help | --version]\n"
    "\n"
    "A Lambda extension: in a layer, as /opt/extensions/yagura-application. Lambda starts\n"
    "it. Settings are environment variables of the function: see the layer's README.\n";

struct program {
    struct relay_settings settings;
    struct inspector_link *inspector;
    struct invocations *invocations;
    struct outbox *outbox;
    struct runtime_watch *watch; /* NULL: what the function opens and starts is not looked at */
    struct event_guard guard;
    char table[PATH_MAX], reporter[PATH_MAX], loader[PATH_MAX], libraries[PATH_MAX];
    char *inspector_argv[4], *reporter_argv[5];
};

static const char *from_environment(void *user UNUSED, const char *name)
{
    return getenv(name);
}

static int make_paths(struct program *program)
{
    static char self[] = "/proc/self/exe", inspect[] = "--inspect", none[] = "",
                library_path[] = "--library-path";
    const char *home = program->settings.home;

    if (text_format(program->table, sizeof program->table, "%s/" TABLE_NAME, home) < 0 ||
        text_format(program->reporter, sizeof program->reporter, "%s/" REPORTER_NAME, home) < 0 ||
        text_format(program->loader, sizeof program->loader, "%s/" LOADER_NAME, home) < 0 ||
        text_format(program->libraries, sizeof program->libraries, "%s/lib", home) < 0)
        return -ENAMETOOLONG;
    program->inspector_argv[0] = self;
    program->inspector_argv[1] = inspect;
    program->inspector_argv[2] = access(program->table, R_OK) == 0 ? program->table : none;
    size_t i = 0;
    if (access(program->loader, X_OK) == 0) {
        program->reporter_argv[i++] = program->loader;
        program->reporter_argv[i++] = library_path;
        program->reporter_argv[i++] = program->libraries;
    }
    program->reporter_argv[i] = program->reporter;
    return 0;
}

/* The layer's policy; none is no error. */
static void read_policy(const struct program *program, struct buffer *policy)
{
    AUTO_FREE char *path = text_format_new("%s/" POLICY_NAME, program->settings.home);

    int r = path == NULL ? -ENOMEM : file_read_all(path, policy);
    if (r < 0 && r != -ENOENT)
        log_error("policy_unreadable", "path", path, "error", log_error_text(r), "effect",
                  "the defaults are in force", NULL);
    if (r == -ENOENT && program->settings.mode == RELAY_MODE_MITIGATE)
        (void)buffer_append_text(
            policy,
            "protection = { sql_injection = \"mitigate\"; malicious_payload = \"mitigate\"; "
            "illegal_file_access = \"mitigate\"; remote_command_execution = \"mitigate\"; "
            "open_redirect = \"mitigate\"; malicious_file_upload = \"mitigate\"; "
            "ip_protection = \"mitigate\"; };\n");
}

static void take_policy(void *user, const char *text, size_t length)
{
    struct program *program = user;

    if (program->inspector == NULL)
        return;
    int r = inspector_link_set_policy(program->inspector, text, length);
    if (r < 0)
        log_error("policy_refused", "error", log_error_text(r), "effect", "the old one stays",
                  NULL);
    else
        log_info("policy_in_force", "bytes", log_number((int64_t)length), NULL);
}

static int start_inspector(struct program *program)
{
    AUTO_BUFFER struct buffer policy = BUFFER_WITH_MAXIMUM(LIMIT_SETTINGS_BYTES);

    if (program->settings.mode == RELAY_MODE_OFF)
        return 0;
    read_policy(program, &policy);
    int r = inspector_link_new(program->inspector_argv, buffer_text(&policy),
                               runtime_watch_area(program->watch), &program->inspector);
    if (r < 0)
        log_error("inspection_does_not_start", "error", log_error_text(r), "effect",
                  program->settings.fail_closed ? "HTTP requests are refused"
                                                : "requests pass without inspection",
                  NULL);
    return 0;
}

/* Before the inspecting process, which writes into its area. */
static void make_watch(struct program *program)
{
    if (!program->settings.watches_runtime || program->settings.mode == RELAY_MODE_OFF)
        return;
    int r = runtime_watch_new(program->settings.concurrency, &program->watch);
    if (r < 0)
        log_error("runtime_watch_does_not_start", "error", log_error_text(r), "effect",
                  "no correlation; findings are lines in the log", NULL);
}

static void start_watch(struct program *program, uint16_t port)
{
    struct runtime_watch_options options = {.port = port,
                                            .function = program->guard.function,
                                            .outbox = program->outbox,
                                            .invocations = program->invocations};

    int r = program->watch == NULL ? 0 : runtime_watch_listen(program->watch, &options);
    if (r < 0)
        log_error("runtime_watch_does_not_start", "error", log_error_text(r), "effect",
                  "no correlation; findings are lines in the log", NULL);
}

static int start_relay(struct program *program)
{
    struct relay_options options = {.port = program->settings.port,
                                    .upstream = program->settings.upstream,
                                    .streaming = program->settings.streaming,
                                    .guard = &program->guard,
                                    .invocations = program->invocations};
    struct relay *relay = NULL;
    uint16_t port = 0;

    program->guard =
        (struct event_guard){.inspector = program->inspector,
                             .off = program->settings.mode == RELAY_MODE_OFF,
                             .outbox = program->outbox,
                             .function = {.name = program->settings.function_name,
                                          .version = program->settings.function_version},
                             .budget_ns = program->settings.budget_ns,
                             .report_only = program->settings.mode == RELAY_MODE_REPORT,
                             .fail_closed = program->settings.fail_closed};
    int r = relay_open(&options, &relay, &port);
    if (r == 0)
        r = relay_start(relay);
    /* The wrapper finds nobody there and starts the runtime without us. */
    if (r < 0)
        log_error("relay_does_not_start", "port", log_number(program->settings.port), "error",
                  log_error_text(r), "effect", "the function runs unprotected", "cure",
                  "set YAGURA_APPLICATION_PORT to a free port", NULL);
    else
        start_watch(program, port);
    return 0;
}

static int prepare(struct program *program)
{
    const struct relay_settings *settings = &program->settings;
    struct outbox_options options = {.output_fd = STDOUT_FILENO,
                                     .interval_ns = settings->interval_ns,
                                     .policy = take_policy,
                                     .user = program};

    int r = make_paths(program);
    if (r < 0)
        return r;
    if (settings->reports)
        options.reporter = program->reporter_argv;
    make_watch(program);
    r = start_inspector(program);
    if (r == 0)
        r = outbox_new(&options, &program->outbox);
    if (r == 0)
        r = invocations_new(&program->invocations);
    return r < 0 ? r : start_relay(program);
}

/* Waits for the answer of the invocation, then tells what there is to tell in the time that is
 * left. Lambda has released the answer by then: the caller does not wait for us. */
static void follow(struct program *program, const struct extension_event *event)
{
    /* For the reporter, which inherits it; nothing else reads the environment any more. */
    (void)setenv("YAGURA_FUNCTION_ARN", event->function_arn, 0);
    uint64_t now_ms = clock_realtime_ns() / NS_PER_MS;
    uint64_t left_ns = event->deadline_ms > now_ms ? (event->deadline_ms - now_ms) * NS_PER_MS : 0;
    uint64_t until_ns = clock_monotonic_ns() + left_ns;

    (void)invocations_wait(program->invocations, event->request_id, left_ns);
    uint64_t now_ns = clock_monotonic_ns();
    if (until_ns > now_ns + MARGIN_NS && outbox_is_due(program->outbox))
        outbox_deliver(program->outbox,
                       MIN(program->settings.report_ns, until_ns - now_ns - MARGIN_NS), false);
    if (program->inspector != NULL)
        inspector_link_prepare(program->inspector);
}

/* On Managed Instances nobody tells us of invocations, and nothing is frozen. */
static void *deliver_for_ever(void *argument)
{
    struct program *program = argument;
    struct timespec pause = timespec_from_ns(POLL_NS);

    for (;;) {
        (void)nanosleep(&pause, NULL);
        if (outbox_is_due(program->outbox))
            outbox_deliver(program->outbox, program->settings.report_ns, false);
        if (program->inspector != NULL)
            inspector_link_prepare(program->inspector);
    }
    return NULL;
}

static int run(struct program *program)
{
    struct extension_client client;
    struct extension_event event;
    pthread_t thread;

    int r = extension_register(&client, &program->settings.upstream, NAME,
                               program->settings.invoke_events);
    if (r < 0)
        log_error("registration_refused", "error", log_error_text(r), NULL);
    if (r == 0 && program->inspector != NULL &&
        !inspector_link_wait(program->inspector, program->settings.ready_ns))
        log_warning("rules_not_ready", "effect", "the first requests may pass without inspection",
                    NULL);
    if (r == 0 && !program->settings.invoke_events)
        r = -pthread_create(&thread, NULL, deliver_for_ever, program);
    while (r == 0) {
        r = extension_next(&client, &event);
        if (r < 0 || event.shutdown)
            break;
        follow(program, &event);
    }
    if (r == 0)
        outbox_deliver(program->outbox, LAST_REPORT_NS, true);
    extension_client_done(&client);
    return r;
}

static int protect(void)
{
    static struct program program;
    char problem[256];

    log_open(NAME, LOG_LEVEL_INFO);
    int r = relay_settings_read(from_environment, NULL, &program.settings, problem);
    if (problem[0] != '\0')
        log_event(r < 0 ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING, "setting_unusable", "problem",
                  problem, NULL);
    if (r == 0)
        r = prepare(&program);
    if (r == 0)
        r = run(&program);
    if (r < 0)
        log_error("extension_ended", "error", log_error_text(r), NULL);
    (void)inspector_link_free(program.inspector);
    return r < 0 ? 1 : 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && text_equal(argv[1], "--inspect")) {
        log_open(NAME, LOG_LEVEL_INFO);
        return inspector_run(argv[2]);
    }
    if (argc == 2 && text_equal(argv[1], "--help"))
        return fputs(usage, stdout) < 0;
    if (argc == 2 && text_equal(argv[1], "--version"))
        return puts(NAME " " YAGURA_VERSION) < 0;
    if (argc > 1)
        return (void)fputs(usage, stderr), 2;
    return protect();
}
