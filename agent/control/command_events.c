/* yaguractl events: what the agent recorded. */
#include "agent/control/commands.h"
#include "agent/control/control_client.h"
#include "agent/control/display.h"
#include "common/text/text.h"

#include <errno.h>

#define MOMENTS \
    "; TIME is \"2h\" (ago), \"2026-11-22\", \"2026-11-22 10:00\" or \"2026-11-22T10:00:00Z\""

struct output {
    bool json;
    bool csv;
    bool follow;
};

/* RFC 4180, and no cell that a spreadsheet would take for a formula. */
static void print_cell(const char *text, bool last)
{
    AUTO_FREE char *shown = display_text_new(text);
    const char *cell = shown != NULL ? shown : "";
    (void)printf("\"%s", strchr("=+-@", cell[0]) != NULL && cell[0] != '\0' ? "'" : "");
    for (; *cell != '\0'; cell++) {
        if (*cell == '"')
            (void)putchar('"');
        (void)putchar(*cell);
    }
    (void)printf("\"%s", last ? "\r\n" : ",");
}

static void print_csv(const json_t *event)
{
    AUTO_FREE char *detail = json_dumps(json_object_get(event, "detail"), JSON_COMPACT);
    (void)printf("%llu,", (unsigned long long)member_number(event, "number"));
    print_cell(member_text(event, "id"), false);
    print_cell(member_text(event, "time"), false);
    print_cell(member_text(event, "module"), false);
    print_cell(member_text(event, "severity"), false);
    print_cell(member_text(event, "kind"), false);
    print_cell(member_text(event, "subject"), false);
    print_cell(detail != NULL ? detail : "{}", true);
}

static const char *severity_colour(const char *severity)
{
    if (text_equal(severity, "critical") || text_equal(severity, "high"))
        return display_colour(COLOUR_RED);
    return display_colour(text_equal(severity, "medium") ? COLOUR_YELLOW : COLOUR_PLAIN);
}

/* Facts about a file that matter to programs and in doubt: --json has them. */
static bool is_fine_print(const char *key)
{
    static const char *const keys[] = {"sha256", "size",     "mode",   "uid",   "gid",
                                       "links",  "modified", "device", "inode", "id"};
    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++) {
        if (text_equal(key, keys[i]))
            return true;
    }
    return false;
}

/* The detail's plain members, as key=value. */
static void print_detail(const json_t *detail)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)detail, key, value)
    {
        if (is_fine_print(key))
            continue;
        if (json_is_string(value) && json_string_length(value) > 0) {
            (void)printf("  ");
            display_print(key);
            (void)putchar('=');
            display_print(json_string_value(value));
        } else if (json_is_integer(value)) {
            (void)printf("  ");
            display_print(key);
            (void)printf("=%lld", (long long)json_integer_value(value));
        }
    }
}

static void print_plain(const json_t *event)
{
    char time[DISPLAY_BYTES];
    const char *severity = member_text(event, "severity");
    (void)printf("%s  %s%-8s%s  ", display_time(time, member_number(event, "time_ns")),
                 severity_colour(severity), severity, display_colour(COLOUR_PLAIN));
    display_print(member_text(event, "kind"));
    if (member_text(event, "subject")[0] != '\0') {
        (void)printf("  %s", display_colour(COLOUR_BOLD));
        display_print(member_text(event, "subject"));
        (void)fputs(display_colour(COLOUR_PLAIN), stdout);
    }
    print_detail(json_object_get(event, "detail"));
    (void)putchar('\n');
}

static int print_event(void *user, const char *key UNUSED, const json_t *event, const char *text)
{
    const struct output *output = user;
    if (output->json)
        (void)puts(text);
    else if (output->csv)
        print_csv(event);
    else
        print_plain(event);
    if (output->follow && fflush(stdout) != 0)
        return command_fail("the output could not be written");
    return 0;
}

static int add_text(const struct invocation *invocation, struct control_call *call,
                    const char *option)
{
    const char *text = command_option(invocation, option);
    if (text != NULL)
        json_write_field_string(&call->json, option, text);
    return 0;
}

static int add_number(const struct invocation *invocation, struct control_call *call,
                      const char *option)
{
    const char *text = command_option(invocation, option);
    uint64_t number = 0;
    if (text == NULL)
        return 0;
    if (text_parse_u64(text, &number) < 0 || number > INT64_MAX) {
        (void)command_fail("--%s %s is not a number", option, text);
        return -EINVAL;
    }
    json_write_field_unsigned(&call->json, option, number);
    return 0;
}

static int add_moment(const struct invocation *invocation, struct control_call *call,
                      const char *option, const char *key)
{
    const char *text = command_option(invocation, option);
    uint64_t moment = 0;
    if (text == NULL)
        return 0;
    if (display_parse_moment(text, &moment) < 0) {
        (void)command_fail("--%s %s is not understood%s", option, text, MOMENTS);
        return -EINVAL;
    }
    json_write_field_unsigned(&call->json, key, moment);
    return 0;
}

static int add_filters(const struct invocation *invocation, struct control_call *call)
{
    int r = add_moment(invocation, call, "since", "since_ns");
    if (r == 0)
        r = add_moment(invocation, call, "until", "until_ns");
    if (r == 0)
        r = add_number(invocation, call, "after");
    if (r == 0)
        r = add_number(invocation, call, "limit");
    if (r == 0)
        r = add_text(invocation, call, "severity");
    if (r == 0)
        r = add_text(invocation, call, "module");
    if (r == 0)
        r = add_text(invocation, call, "kind");
    if (r == 0)
        r = add_text(invocation, call, "text");
    return r;
}

static int run_events(const struct invocation *invocation)
{
    struct control_call call;
    struct output output = {.json = invocation->json,
                            .csv = command_has(invocation, "csv"),
                            .follow = command_has(invocation, "follow")};
    if (output.json && output.csv)
        return command_fail("choose one of --json and --csv");
    control_call_begin(&call, "events");
    json_write_field_bool(&call.json, "follow", output.follow);
    if (add_filters(invocation, &call) < 0) {
        buffer_done(&call.text);
        return EXIT_ERROR;
    }
    if (output.csv)
        (void)printf("number,id,time,module,severity,kind,subject,detail\r\n");
    return control_call(invocation, &call, print_event, &output);
}

static const struct command_option options[] = {
    {"since", 0, "TIME", NULL, "only events from this time on"},
    {"until", 0, "TIME", NULL, "only events up to this time"},
    {"severity", 0, "LEVEL", "info|low|medium|high|critical", "only of this severity and above"},
    {"module", 0, "NAME", "agent|console|malware|policy|quarantine|scanner|store|tamper|watch",
     "only of this module"},
    {"kind", 0, "NAME", NULL, "only of this kind, such as malware_found"},
    {"text", 0, "TEXT", NULL, "only those whose subject holds this text"},
    {"after", 0, "NUMBER", NULL, "only events with larger numbers"},
    {"limit", 'n', "COUNT", NULL, "only the newest of them"},
    {"follow", 'f', NULL, NULL, "go on showing new ones until interrupted"},
    {"csv", 0, NULL, NULL, "print CSV (RFC 4180)"},
    {NULL, 0, NULL, NULL, NULL},
};

const struct command command_events = {
    .name = "events",
    .arguments = "",
    .summary = "Show what the agent recorded, oldest first",
    .options = options,
    .more = "TIME is a duration (2h ago), a date (2026-11-22), a local time (2026-11-22 10:00)\n"
            "or a UTC time (2026-11-22T10:00:00Z).\n",
    .run = run_events,
};
