/* yaguractl activate and deactivate: which console this host belongs to. The token never stands in
 * an argument, where every process of the host could read it. */
#include "agent/control/commands.h"
#include "agent/control/control_client.h"
#include "agent/control/display.h"
#include "agent/control/messages.h"
#include "common/aws/aws_settings.h"
#include "common/buffers/buffer.h"
#include "common/files/file.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <string.h>
#include <time.h>

#define MOST_TOKEN_BYTES 512
#define DEFAULT_WAIT_NS  (30 * NS_PER_SECOND)

struct progress {
    char state[32], problem[4096], agent_id[64];
};

static int take_status(void *user, const char *key UNUSED, const json_t *status,
                       const char *text UNUSED)
{
    struct progress *progress = user;
    const json_t *console = json_object_get(status, "console");
    (void)text_copy(progress->state, sizeof(progress->state), member_text(console, "state"));
    AUTO_FREE char *problem = said_new(member_text(console, "problem"));
    (void)text_copy(progress->problem, sizeof(progress->problem), problem != NULL ? problem : "");
    (void)text_copy(progress->agent_id, sizeof(progress->agent_id),
                    member_text(console, "agent_id"));
    return 0;
}

static int read_token(const char *path, struct buffer *token)
{
    int r =
        text_equal(path, "-") ? file_read_all_fd(STDIN_FILENO, token) : file_read_all(path, token);
    if (r < 0)
        return command_fail("the token could not be read from %s: %s", path, log_error_text(r));
    size_t length = strcspn(buffer_text(token), " \t\r\n");
    if (length == 0)
        return command_fail("%s holds no token", path);
    token->data[length] = '\0';
    return EXIT_CLEAN;
}

/* The proxy: without a password as an argument, with one from a file. "" in proxy: none. */
static int read_proxy(const struct invocation *invocation, struct buffer *proxy)
{
    const char *given = command_option(invocation, "proxy");
    const char *path = command_option(invocation, "proxy-file");

    if (given != NULL && strchr(given, '@') != NULL)
        return command_fail("--proxy must not hold a password, which every process of the host "
                            "could read: use --proxy-file");
    if (given != NULL && buffer_append_text(proxy, given) < 0)
        return command_fail("--proxy is too long");
    if (path != NULL) {
        int r = file_read_all(path, proxy);
        if (r < 0)
            return command_fail("the proxy could not be read from %s: %s", path, log_error_text(r));
        size_t length = strcspn(buffer_text(proxy), " \t\r\n");
        if (length < proxy->length)
            proxy->data[length] = '\0';
    }
    if (buffer_text(proxy)[0] != '\0' && !text_starts_with(buffer_text(proxy), "http://"))
        return command_fail("the proxy must be http://[USER:PASSWORD@]HOST:PORT");
    return EXIT_CLEAN;
}

static int send_activation(const struct invocation *invocation, const char *token,
                           const char *proxy)
{
    static const char *const plain[][2] = {
        {"url", "url"},       {"ca-pin", "ca_pin"}, {"tenant-id", "tenant_id"},
        {"policy", "policy"}, {"group", "group"},   {"name", "display_name"},
    };
    struct control_call call;
    control_call_begin(&call, "activate");
    for (size_t i = 0; i < ARRAY_LENGTH(plain); i++)
        if (command_has(invocation, plain[i][0]))
            json_write_field_string(&call.json, plain[i][1],
                                    command_option(invocation, plain[i][0]));
    json_write_field_string(&call.json, "proxy", proxy);
    json_write_field_string(&call.json, "token", token);
    return control_call(invocation, &call, NULL, NULL);
}

/* AWS's variables of this process go along: the Systems Manager agent gives credentials and region
 * to the scripts that it runs, and to nobody else. */
static void write_environment(struct json_writer *json)
{
    json_write_key(json, "environment");
    json_write_object_begin(json);
    for (const char *const *name = aws_settings_variables(); *name != NULL; name++)
        if (getenv(*name) != NULL)
            json_write_field_string(json, *name, getenv(*name));
    json_write_object_end(json);
}

static int send_order(const struct invocation *invocation)
{
    struct control_call call;
    control_call_begin(&call, "activate");
    json_write_key(&call.json, "parameter_store");
    json_write_object_begin(&call.json);
    if (command_has(invocation, "prefix"))
        json_write_field_string(&call.json, "prefix", command_option(invocation, "prefix"));
    if (command_has(invocation, "region"))
        json_write_field_string(&call.json, "region", command_option(invocation, "region"));
    write_environment(&call.json);
    json_write_object_end(&call.json);
    return control_call(invocation, &call, NULL, NULL);
}

/* Until the first heartbeat was answered, a person must act, or the time is up. */
static int wait_for_console(const struct invocation *invocation, uint64_t wait_ns)
{
    const struct timespec pause = {.tv_nsec = 100 * 1000 * 1000};
    uint64_t until = clock_monotonic_ns() + wait_ns;
    struct progress progress = {.state = ""};

    do {
        struct control_call call;
        control_call_begin(&call, "status");
        if (control_call(invocation, &call, take_status, &progress) == EXIT_ERROR)
            return EXIT_ERROR;
        if (text_equal(progress.state, "online")) {
            (void)printf("activated as %s\n", progress.agent_id);
            return EXIT_CLEAN;
        }
        if (text_equal(progress.state, "refused"))
            return command_fail("%s", progress.problem);
        (void)nanosleep(&pause, NULL);
    } while (clock_monotonic_ns() < until);
    return command_fail("not yet: %s; the agent goes on trying, see yaguractl status",
                        progress.problem[0] != '\0' ? progress.problem : progress.state);
}

static int run_activate(const struct invocation *invocation)
{
    AUTO_BUFFER struct buffer token = BUFFER_WITH_MAXIMUM(MOST_TOKEN_BYTES);
    AUTO_BUFFER struct buffer proxy = BUFFER_WITH_MAXIMUM(MOST_TOKEN_BYTES);
    const char *wait = command_option(invocation, "wait");
    uint64_t wait_ns = DEFAULT_WAIT_NS;
    bool by_cloud = command_has(invocation, "parameter-store");
    bool by_token = command_has(invocation, "url") && command_has(invocation, "token-file");
    if (by_cloud == by_token)
        return command_fail("activate needs either --url and --token-file (- reads standard input) "
                            "or --parameter-store");
    if (by_cloud && (command_has(invocation, "proxy") || command_has(invocation, "proxy-file")))
        return command_fail("--proxy and --proxy-file go with --url");
    if (wait != NULL && text_parse_duration(wait, &wait_ns) < 0)
        return command_fail("--wait %s is not a duration such as 30s", wait);
    int r = by_cloud ? send_order(invocation)
                     : read_token(command_option(invocation, "token-file"), &token);
    if (r == EXIT_CLEAN && by_token)
        r = read_proxy(invocation, &proxy);
    if (r == EXIT_CLEAN && by_token)
        r = send_activation(invocation, buffer_text(&token), buffer_text(&proxy));
    if (token.data != NULL)
        explicit_bzero(token.data, token.capacity);
    if (proxy.data != NULL)
        explicit_bzero(proxy.data, proxy.capacity);
    return r != EXIT_CLEAN ? r : wait_for_console(invocation, wait_ns);
}

static const struct command_option options[] = {
    {"url", 0, "URL", NULL, "the console's agent port: https://HOST:4120"},
    {"token-file", 0, "FILE", "FILE", "holds the activation token; - is standard input"},
    {"ca-pin", 0, "PIN", NULL,
     "sha256//... of the console's CA; without it the system's trust "
     "store decides"},
    {"proxy", 0, "URL", NULL, "http://HOST:PORT, to reach the console by CONNECT; none without"},
    {"proxy-file", 0, "FILE", "FILE", "holds http://USER:PASSWORD@HOST:PORT instead"},
    {"tenant-id", 0, "ID", NULL, "where the console has several"},
    {"policy", 0, "NAME", NULL, "ask for this policy"},
    {"group", 0, "NAME", NULL, "ask for this group"},
    {"name", 0, "NAME", NULL, "show this name in the console instead of the host's"},
    {"parameter-store", 0, NULL, NULL,
     "take URL, token and the rest from AWS Systems Manager Parameter Store, with the AWS "
     "environment of this command"},
    {"prefix", 0, "NAME", NULL,
     "the parameters are NAME/activation-url, NAME/token, ... (/yagura)"},
    {"region", 0, "REGION", NULL, "of the parameters"},
    {"wait", 0, "TIME", NULL, "for the first heartbeat (default 30s); the agent goes on after it"},
    {NULL, 0, NULL, NULL, NULL},
};

const struct command command_activate = {
    .name = "activate",
    .arguments = "",
    .summary = "Join a console",
    .options = options,
    .run = run_activate,
};

static int run_deactivate(const struct invocation *invocation)
{
    struct control_call call;
    control_call_begin(&call, "deactivate");
    return control_call(invocation, &call, NULL, NULL);
}

const struct command command_deactivate = {
    .name = "deactivate",
    .arguments = "",
    .summary = "Leave the console: forget where it is and this host's identity; events stay",
    .run = run_deactivate,
};
