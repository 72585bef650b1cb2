/* Settings of the extension, from its environment. */
#include "application/relay/relay_settings.h"

#include "application/relay/relay_limits.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#define DEFAULT_PORT        9009
#define DEFAULT_HOME        "/opt/yagura"
#define DEFAULT_READY_MS    2000
#define DEFAULT_REPORT_MS   1000
#define DEFAULT_INTERVAL_MS 60000

struct reading {
    const char *(*lookup)(void *user, const char *name);
    void *user;
    char *problem;
};

static const char *get(const struct reading *reading, const char *name, const char *other)
{
    const char *value = reading->lookup(reading->user, name);

    if ((value == NULL || value[0] == '\0') && other != NULL)
        value = reading->lookup(reading->user, other);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static void complain(const struct reading *reading, const char *name, const char *value,
                     const char *wanted)
{
    (void)text_format(reading->problem, 256, "%s is \"%.60s\", but %s", name, value, wanted);
}

int relay_settings_address(const char *text, struct sockaddr_in *ret_address)
{
    char host[64];
    uint64_t port = 0;

    *ret_address = (struct sockaddr_in){.sin_family = AF_INET};
    const char *colon = strrchr(text, ':');
    if (colon == NULL || (size_t)(colon - text) >= sizeof host ||
        text_parse_u64(colon + 1, &port) < 0 || port == 0 || port > UINT16_MAX)
        return -EINVAL;
    memcpy(host, text, (size_t)(colon - text));
    host[colon - text] = '\0';
    const char *address = text_equal(host, "localhost") ? "127.0.0.1" : host;
    ret_address->sin_port = htons((uint16_t)port);
    return inet_pton(AF_INET, address, &ret_address->sin_addr) == 1 ? 0 : -EINVAL;
}

/* A whole number of milliseconds, or of seconds under Application Security's name. */
static uint64_t read_time(const struct reading *reading, const char *name, const char *trend,
                          uint64_t default_ms, uint64_t most_ms)
{
    const char *ours = get(reading, name, NULL);
    const char *theirs = trend != NULL ? get(reading, trend, NULL) : NULL;
    uint64_t value = 0;

    if (ours == NULL && theirs == NULL)
        return default_ms * NS_PER_MS;
    int r = text_parse_u64(ours != NULL ? ours : theirs, &value);
    if (r == 0 && ours == NULL)
        value = MIN(value, most_ms / 1000) * 1000;
    if (r < 0 || value > most_ms) {
        complain(reading, ours != NULL ? name : trend, ours != NULL ? ours : theirs,
                 "must be a whole number within reason; the default is used");
        return default_ms * NS_PER_MS;
    }
    return value * NS_PER_MS;
}

static enum relay_mode read_mode(const struct reading *reading)
{
    const char *mode = get(reading, "YAGURA_APPLICATION_MODE", NULL);
    const char *enabled = get(reading, "TREND_AP_AGENT_ENABLED", NULL);

    if (mode == NULL)
        return enabled != NULL && (strcasecmp(enabled, "false") == 0 || text_equal(enabled, "0"))
                   ? RELAY_MODE_OFF
                   : RELAY_MODE_POLICY;
    if (text_equal(mode, "off"))
        return RELAY_MODE_OFF;
    if (text_equal(mode, "report"))
        return RELAY_MODE_REPORT;
    if (text_equal(mode, "mitigate") || text_equal(mode, "block"))
        return RELAY_MODE_MITIGATE;
    complain(reading, "YAGURA_APPLICATION_MODE", mode,
             "must be off, report or mitigate; report is used");
    return RELAY_MODE_REPORT;
}

static enum relay_streaming read_streaming(const struct reading *reading)
{
    const char *text = get(reading, "YAGURA_APPLICATION_STREAMING", NULL);

    if (text == NULL)
        return RELAY_STREAMING_LEARN;
    return text_equal(text, "yes") ? RELAY_STREAMING_YES : RELAY_STREAMING_NO;
}

static int read_addresses(const struct reading *reading, struct relay_settings *settings)
{
    const char *upstream = get(reading, "YAGURA_APPLICATION_UPSTREAM", "AWS_LAMBDA_RUNTIME_API");
    const char *port = get(reading, "YAGURA_APPLICATION_PORT", NULL);
    uint64_t number = DEFAULT_PORT;

    if (upstream == NULL) {
        (void)text_format(reading->problem, 256,
                          "AWS_LAMBDA_RUNTIME_API is not set: this program is started by Lambda");
        return -EINVAL;
    }
    if (relay_settings_address(upstream, &settings->upstream) < 0) {
        complain(reading, "the Runtime API's address", upstream, "must be ADDRESS:PORT");
        return -EINVAL;
    }
    if (port != NULL && (text_parse_u64(port, &number) < 0 || number > UINT16_MAX)) {
        complain(reading, "YAGURA_APPLICATION_PORT", port, "must be a port number");
        return -EINVAL;
    }
    settings->port = (uint16_t)number;
    return 0;
}

/* Whatever the wrapper takes for a reason to preload; see there. */
static bool is_watched(const char *runtime)
{
    return runtime != NULL && !text_equal(runtime, "off");
}

static unsigned read_concurrency(const struct reading *reading)
{
    const char *text = get(reading, "AWS_LAMBDA_MAX_CONCURRENCY", NULL);
    uint64_t value = 1;

    return text != NULL && text_parse_u64(text, &value) == 0 ? (unsigned)MIN(value, RELAY_IN_FLIGHT)
                                                             : 1;
}

static void read_function(const struct reading *reading, struct relay_settings *settings)
{
    const char *kind = get(reading, "AWS_LAMBDA_INITIALIZATION_TYPE", NULL);
    const char *name = get(reading, "AWS_LAMBDA_FUNCTION_NAME", NULL);
    const char *version = get(reading, "AWS_LAMBDA_FUNCTION_VERSION", NULL);
    const char *region = get(reading, "AWS_REGION", "AWS_DEFAULT_REGION");

    settings->invoke_events = kind == NULL || !text_equal(kind, "lambda-managed-instances");
    settings->watches_runtime = is_watched(get(reading, "YAGURA_APPLICATION_RUNTIME", NULL));
    settings->concurrency = read_concurrency(reading);
    settings->function_name = name != NULL ? name : "";
    settings->function_version = version != NULL ? version : "";
    settings->region = region != NULL ? region : "";
}

int relay_settings_read(const char *(*lookup)(void *user, const char *name), void *user,
                        struct relay_settings *ret_settings, char ret_problem[static 256])
{
    struct reading reading = {.lookup = lookup, .user = user, .problem = ret_problem};
    struct relay_settings *settings = ret_settings;

    *settings = (struct relay_settings){0};
    ret_problem[0] = '\0';
    int r = read_addresses(&reading, settings);
    if (r < 0)
        return r;
    const char *home = get(&reading, "YAGURA_APPLICATION_HOME", NULL);
    const char *fail = get(&reading, "YAGURA_APPLICATION_FAIL", NULL);
    r = text_copy(settings->home, sizeof settings->home, home != NULL ? home : DEFAULT_HOME);
    if (r < 0)
        return complain(&reading, "YAGURA_APPLICATION_HOME", home, "is too long"), -EINVAL;
    settings->mode = read_mode(&reading);
    settings->streaming = read_streaming(&reading);
    settings->fail_closed = fail != NULL && text_equal(fail, "closed");
    settings->budget_ns =
        read_time(&reading, "YAGURA_APPLICATION_BUDGET_MS", NULL, RELAY_BUDGET_MS, 60000);
    settings->ready_ns = read_time(&reading, "YAGURA_APPLICATION_READY_MS",
                                   "TREND_AP_READY_TIMEOUT", DEFAULT_READY_MS, 8000);
    settings->report_ns =
        read_time(&reading, "YAGURA_APPLICATION_REPORT_MS", "TREND_AP_TRANSACTION_FINISH_TIMEOUT",
                  DEFAULT_REPORT_MS, 60000);
    settings->interval_ns =
        read_time(&reading, "YAGURA_APPLICATION_INTERVAL_MS", NULL, DEFAULT_INTERVAL_MS, 86400000);
    settings->reports = get(&reading, "YAGURA_CONSOLE_URL", NULL) != NULL;
    read_function(&reading, settings);
    return 0;
}
