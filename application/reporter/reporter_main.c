/* yagura-application-reporter: takes events from yagura-application and brings them to the console;
 * brings the console's policy back. The only part of the layer that speaks TLS, started with the
 * first delivery, after the first response; it may be ended at any time.
 *
 * Its one descriptor is a socket to the extension (relay/reporter_messages.h). */
#include "application/relay/reporter_messages.h"
#include "application/reporter/report_event.h"
#include "application/reporter/sensor_key.h"
#include "common/buffers/buffer.h"
#include "common/files/file.h"
#include "common/log/log.h"
#include "common/messages/message.h"
#include "common/sensor_report/sensor_report.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define NAME "yagura-application-reporter"
/* Events that wait for a key; the extension keeps them as well. */
#define MOST_EARLY 64

static const char usage[] =
    "Usage: yagura-application-reporter [--help | --version]\n"
    "\n"
    "Brings the events of a Lambda function to the console. yagura-application starts it.\n";

struct reporter {
    struct sensor_report *report; /* NULL before there is a key */
    char *early[MOST_EARLY];
    size_t early_count;
    bool told; /* why there is no report */
    char digest[80];
};

static const char *variable(const char *name)
{
    const char *value = getenv(name);

    return value != NULL ? value : "";
}

/* "arn:aws:lambda:REGION:ACCOUNT:function:NAME": the account is not in the environment. */
static void account_of(const char *arn, char account[static 16])
{
    const char *at = arn;

    account[0] = '\0';
    for (int i = 0; i < 4 && at != NULL; i++) {
        at = strchr(at, ':');
        at = at != NULL ? at + 1 : NULL;
    }
    if (at != NULL)
        (void)text_format(account, 16, "%.*s", (int)MIN(strcspn(at, ":"), 12U), at);
}

static int open_report(struct reporter *reporter, const char *key)
{
    AUTO_BUFFER struct buffer authority = BUFFER_WITH_MAXIMUM(1 << 20);
    const char *authority_path = variable("YAGURA_CONSOLE_CA");
    const char *pin = variable("YAGURA_CONSOLE_PIN"), *signer = variable("YAGURA_SIGNING_KEY");
    char account[16];

    account_of(variable("YAGURA_FUNCTION_ARN"), account);
    if (authority_path[0] != '\0') {
        int r = file_read_all(authority_path, &authority);
        if (r < 0)
            return r;
    }
    struct sensor_report_options options = {.url = variable("YAGURA_CONSOLE_URL"),
                                            .key = key,
                                            .pin = pin[0] != '\0' ? pin : NULL,
                                            .authority = authority.length > 0
                                                             ? buffer_text(&authority)
                                                             : NULL,
                                            .signing_key = signer[0] != '\0' ? signer : NULL,
                                            .sensor = {.kind = "application",
                                                       .name = variable("AWS_LAMBDA_FUNCTION_NAME"),
                                                       .version = YAGURA_VERSION,
                                                       .account = account,
                                                       .region = variable("AWS_REGION"),
                                                       .arn = variable("YAGURA_FUNCTION_ARN"),
                                                       .runtime = variable("AWS_EXECUTION_ENV"),
                                                       .host = ""},
                                            .queue = 0};
    return sensor_report_new(&options, &reporter->report);
}

/* Says it once: a function that is called often would fill its log. */
static void tell(struct reporter *reporter, int r, const char *problem)
{
    if (!reporter->told)
        log_error("console_not_reached", "error", log_error_text(r), "problem",
                  problem[0] != '\0' ? problem : NULL, "effect",
                  "events are kept, and written as lines at the end", NULL);
    reporter->told = true;
}

static void add(struct reporter *reporter, const char *json, size_t length)
{
    if (reporter->report != NULL) {
        int r = report_event_add(reporter->report, json, length);
        if (r < 0)
            log_warning("event_lost", "error", log_error_text(r), NULL);
    } else if (reporter->early_count < MOST_EARLY) {
        reporter->early[reporter->early_count] = text_new(json, length);
        reporter->early_count += reporter->early[reporter->early_count] != NULL;
    }
}

static int ensure_report(struct reporter *reporter, uint64_t wait_ns)
{
    char key[SENSOR_KEY_BYTES], problem[512];

    if (reporter->report != NULL)
        return 0;
    int r = sensor_key_find(wait_ns, key, problem);
    if (r == 0) {
        r = open_report(reporter, key);
        if (r < 0)
            (void)text_copy(
                problem, sizeof problem,
                "YAGURA_CONSOLE_URL, the key, YAGURA_CONSOLE_PIN or YAGURA_CONSOLE_CA is wrong");
    }
    explicit_bzero(key, sizeof key);
    if (r < 0) {
        tell(reporter, r, problem);
        return r;
    }
    for (size_t i = 0; i < reporter->early_count; i++) {
        add(reporter, reporter->early[i], strlen(reporter->early[i]));
        free(reporter->early[i]);
    }
    reporter->early_count = 0;
    return 0;
}

static int send_policy(const struct sensor_policy *policy)
{
    AUTO_FREE char *text = NULL;

    int r = sensor_policy_section(policy, "application", &text);
    if (r < 0 || text[0] == '\0')
        return r;
    AUTO_CLOSE int fd = memfd_create("yagura-policy", MFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    r = file_write(fd, text, strlen(text));
    return r < 0 ? r : message_send_fd(REPORTER_SOCKET_FD, REPORTER_POLICY, NULL, 0, fd);
}

/* The signed policy, when the console wants another one. */
static void take_policy(struct reporter *reporter, uint64_t deadline_ns)
{
    struct sensor_policy *policy = NULL;

    int r = sensor_report_policy(reporter->report, deadline_ns, &policy);
    if (r == 0)
        return;
    if (r < 0) {
        log_warning("policy_not_taken", "error", log_error_text(r), NULL);
        return;
    }
    r = send_policy(policy);
    (void)text_copy(reporter->digest, sizeof reporter->digest, sensor_policy_digest(policy));
    sensor_report_set_policy(reporter->report, reporter->digest,
                             r < 0 ? "it could not be handed over" : "");
    (void)sensor_policy_free(policy);
}

static int flush(struct reporter *reporter, uint64_t wait_ns, bool last)
{
    uint64_t deadline_ns = clock_monotonic_ns() + wait_ns;
    struct sensor_report_status status = {0};

    int r = ensure_report(reporter, wait_ns);
    if (r < 0)
        return -EAGAIN;
    r = last ? sensor_report_finish(reporter->report, deadline_ns)
             : sensor_report_flush(reporter->report, deadline_ns);
    sensor_report_status(reporter->report, &status);
    if (r < 0 && r != -EAGAIN)
        tell(reporter, r, status.problem);
    reporter->told = reporter->told && r < 0;
    if (r == 0 && !last)
        take_policy(reporter, deadline_ns);
    return (int)MIN(status.waiting, INT32_MAX);
}

static int do_flush(struct reporter *reporter, const struct message *message)
{
    struct message_reader reader = message_reader_of(message);
    AUTO_FREE struct message_writer *writer = calloc(1, sizeof *writer);
    uint64_t wait_ns = message_read_u64(&reader);
    bool last = message_read_u32(&reader) != 0;

    if (writer == NULL || message_reader_end(&reader) < 0)
        return -EBADMSG;
    int waiting = flush(reporter, wait_ns, last);
    message_write_u32(writer, waiting < 0 ? UINT32_MAX : (uint32_t)waiting);
    return message_writer_send(writer, REPORTER_SOCKET_FD, REPORTER_DONE, -1);
}

static int serve(struct reporter *reporter)
{
    static uint8_t buffer[LIMIT_MESSAGE_BYTES + 4];
    struct message message;

    for (;;) {
        int r = message_receive(REPORTER_SOCKET_FD, buffer, sizeof buffer, &message);
        if (r <= 0)
            return r;
        if (message.type == REPORTER_EVENT)
            add(reporter, (const char *)message.payload, message.length);
        else
            r = message.type == REPORTER_FLUSH ? do_flush(reporter, &message) : -EPROTO;
        message_release(&message);
        if (r < 0)
            return r;
    }
}

static bool has_extension(void)
{
    int type = 0;
    socklen_t length = sizeof type;

    return getsockopt(REPORTER_SOCKET_FD, SOL_SOCKET, SO_TYPE, &type, &length) == 0 &&
           type == SOCK_SEQPACKET;
}

int main(int argc, char **argv)
{
    static struct reporter reporter;

    if (argc == 2 && text_equal(argv[1], "--help"))
        return fputs(usage, stdout) < 0;
    if (argc == 2 && text_equal(argv[1], "--version"))
        return puts(NAME " " YAGURA_VERSION) < 0;
    if (argc > 1 || !has_extension())
        return (void)fputs(usage, stderr), 2;
    log_open(NAME, LOG_LEVEL_INFO);
    (void)fcntl(REPORTER_SOCKET_FD, F_SETFD, FD_CLOEXEC);
    int r = serve(&reporter);
    if (r < 0)
        log_error("reporter_ended", "error", log_error_text(r), NULL);
    (void)sensor_report_free(reporter.report);
    for (size_t i = 0; i < reporter.early_count; i++)
        free(reporter.early[i]);
    return r < 0 ? 1 : 0;
}
