/* yaguractl status. */
#include "agent/control/commands.h"
#include "agent/control/control_client.h"
#include "agent/control/display.h"
#include "agent/control/messages.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#define ROW_WIDTH 10U

static void begin_row(const char *name)
{
    const char *shown = say(name);
    size_t width = messages_width(shown);
    (void)printf("  %s%s%s%*s ", display_colour(COLOUR_BOLD), shown, display_colour(COLOUR_PLAIN),
                 width < ROW_WIDTH ? (int)(ROW_WIDTH - width) : 0, "");
}

/* "N things" with a comma before it, when there are any. */
static void print_some(const json_t *object, const char *key, const char *things)
{
    char count[DISPLAY_BYTES];
    if (member_number(object, key) > 0)
        (void)printf(", %s %s", display_count(count, member_number(object, key)), say(things));
}

static void print_watch(const json_t *watch)
{
    char count[DISPLAY_BYTES], lag[DISPLAY_BYTES];
    double coverage = json_real_value(json_object_get(watch, "coverage"));
    begin_row("Watch");
    display_print(say(member_text(watch, "state")));
    (void)printf(say(", %s directories (%.1f %%)"),
                 display_count(count, member_number(watch, "directories_watched")), coverage * 100);
    print_some(watch, "directories_unwatched", "not watched");
    print_some(watch, "gaps_open", "gaps being walked again");
    print_some(watch, "overflows", "queue overflows");
    print_some(watch, "found_by_crawl", "found by the slow check only");
    if (member_number(watch, "lag_ns") > 0)
        (void)printf(say(", lag %s"), display_duration(lag, member_number(watch, "lag_ns")));
    (void)putchar('\n');
}

static void print_scanner(const json_t *scanner)
{
    char count[DISPLAY_BYTES], age[DISPLAY_BYTES];
    begin_row("Scanner");
    display_print(say(member_text(scanner, "state")));
    (void)printf(say(", %s signatures"),
                 display_count(count, member_number(scanner, "signatures")));
    if (member_text(scanner, "signatures_time")[0] != '\0')
        (void)printf(say(" (%s old)"),
                     display_duration(age,
                                      member_number(scanner, "signatures_age") * NS_PER_SECOND));
    (void)printf(", ClamAV ");
    display_print(member_text(scanner, "engine"));
    print_some(scanner, "workers", "workers");
    print_some(scanner, "crashed", "crashed");
    print_some(scanner, "timed_out", "timed out");
    (void)putchar('\n');
    begin_row("Sandbox");
    display_print(member_text(scanner, "sandbox")[0] != '\0' ? member_text(scanner, "sandbox")
                                                             : say("not known yet"));
    (void)putchar('\n');
}

static void print_signatures(const json_t *signatures)
{
    char count[DISPLAY_BYTES], part[DISPLAY_BYTES], all[DISPLAY_BYTES];
    if (member_text(signatures, "digest")[0] == '\0')
        return;
    begin_row("Signatures");
    (void)printf(say("of the console: %s lists, %s allowed files"),
                 display_count(count, member_number(signatures, "lists")),
                 display_count(part, member_number(signatures, "allowed")));
    if (!text_equal(member_text(signatures, "source"), "host"))
        (void)printf(say(", %s files of its mirror"),
                     display_count(count, member_number(signatures, "files")));
    if (member_text(signatures, "fetching")[0] != '\0') {
        (void)printf(say(", fetching %s of %s of "),
                     display_size(part, member_number(signatures, "fetched_bytes")),
                     display_size(all, member_number(signatures, "bytes")));
        display_print(member_text(signatures, "fetching"));
    }
    (void)putchar('\n');
}

static void print_console(const json_t *console)
{
    if (text_equal(member_text(console, "state"), "none"))
        return;
    begin_row("Console");
    display_print(say(member_text(console, "state")));
    if (member_text(console, "url")[0] != '\0') {
        (void)printf(", ");
        display_print(member_text(console, "url"));
    }
    if (member_text(console, "problem")[0] == '\0') {
        (void)putchar('\n');
        return;
    }
    (void)printf(": ");
    display_sentence(member_text(console, "problem"));
    if (member_text(console, "next_try")[0] != '\0') {
        (void)printf("%s", say("; next try "));
        display_print(member_text(console, "next_try"));
    }
    (void)putchar('\n');
}

static void print_scan(const json_t *scan)
{
    char count[DISPLAY_BYTES], other[DISPLAY_BYTES], wait[DISPLAY_BYTES];
    begin_row("Backlog");
    (void)printf(say("%s files, %s directories"),
                 display_count(count, member_number(scan, "backlog_files")),
                 display_count(other, member_number(scan, "backlog_directories")));
    if (member_number(scan, "oldest_waiting_ns") > 0)
        (void)printf(say(", the oldest waits %s"),
                     display_duration(wait, member_number(scan, "oldest_waiting_ns")));
    (void)putchar('\n');
    begin_row("Verdicts");
    (void)printf(say("%s clean, %s%s infected%s"),
                 display_count(count, member_number(scan, "clean")),
                 member_number(scan, "infected") > 0 ? display_colour(COLOUR_RED) : "",
                 display_count(other, member_number(scan, "infected")),
                 member_number(scan, "infected") > 0 ? display_colour(COLOUR_PLAIN) : "");
    print_some(scan, "incomplete", "incomplete");
    print_some(scan, "errors", "errors");
    print_some(scan, "cached", "known from the cache");
    (void)putchar('\n');
}

static void print_logs(const json_t *logs)
{
    char count[DISPLAY_BYTES];
    if (text_equal(member_text(logs, "state"), "off"))
        return;
    begin_row("Logs");
    display_print(say(member_text(logs, "state")));
    (void)printf(say(", %s lines"), display_count(count, member_number(logs, "lines")));
    print_some(logs, "told", "matches told");
    print_some(logs, "folded", "folded");
    print_some(logs, "limited", "beyond log_inspection.rate");
    print_some(logs, "lost", "gaps");
    (void)putchar('\n');
}

static void print_integrity(const json_t *integrity)
{
    char count[DISPLAY_BYTES];
    if (text_equal(member_text(integrity, "state"), "off"))
        return;
    begin_row("Integrity");
    display_print(say(member_text(integrity, "state")));
    (void)printf(say(", %s entries"), display_count(count, member_number(integrity, "entries")));
    print_some(integrity, "changed", "not as approved");
    print_some(integrity, "waiting", "waiting");
    (void)putchar('\n');
}

static void print_prevention(const json_t *prevention)
{
    char count[DISPLAY_BYTES];
    if (text_equal(member_text(prevention, "state"), "off"))
        return;
    begin_row("Prevent");
    display_print(say(member_text(prevention, "state")));
    (void)printf(say(", %s opens asked for"),
                 display_count(count, member_number(prevention, "opens")));
    print_some(prevention, "denied", "denied");
    print_some(prevention, "late", "without a verdict in time");
    print_some(prevention, "overrun", "too many at once");
    (void)putchar('\n');
    if (member_text(prevention, "problem")[0] == '\0' ||
        !text_equal(member_text(prevention, "state"), "working"))
        return;
    begin_row("");
    display_sentence(member_text(prevention, "problem"));
    (void)putchar('\n');
}

static void print_application_control(const json_t *control)
{
    char count[DISPLAY_BYTES];
    if (text_equal(member_text(control, "state"), "off"))
        return;
    begin_row("Programs");
    display_print(say(member_text(control, "state")));
    (void)printf(" (");
    display_print(say(member_text(control, "mode")));
    (void)printf(say("), %s known"), display_count(count, member_number(control, "programs")));
    print_some(control, "blocked", "blocked");
    print_some(control, "unknown", "unknown that ran");
    print_some(control, "late", "without an answer in time");
    (void)putchar('\n');
}

static void print_schedule(const json_t *schedule)
{
    char count[DISPLAY_BYTES];
    if (text_equal(member_text(schedule, "state"), "off"))
        return;
    begin_row("Schedule");
    display_print(say(member_text(schedule, "state")));
    (void)printf(say(", %s files"), display_count(count, member_number(schedule, "files")));
    print_some(schedule, "infected", "infected");
    if (text_equal(member_text(schedule, "state"), "waiting")) {
        (void)printf("%s", say(", next "));
        display_print(member_text(schedule, "next"));
    }
    (void)putchar('\n');
}

static void print_health(const json_t *health)
{
    char count[DISPLAY_BYTES];
    if (member_number(health, "rounds") == 0)
        return;
    begin_row("Health");
    (void)printf("%s %s", display_count(count, member_number(health, "places")),
                 say("mounts tried"));
    print_some(health, "silent", "silent");
    print_some(health, "unscanned", "without a verdict");
    print_some(health, "untried", "could not be tried");
    print_some(health, "restarts", "sensors started anew");
    (void)putchar('\n');
}

static void print_agent(const json_t *status)
{
    char text[DISPLAY_BYTES], size[DISPLAY_BYTES];
    const json_t *policy = json_object_get(status, "policy");
    const json_t *store = json_object_get(status, "store");
    const json_t *agent = json_object_get(status, "agent");
    begin_row("Policy");
    display_print(member_text(policy, "name"));
    (void)printf(say(" (%.12s), malware: "), member_text(policy, "digest"));
    display_print(say(member_text(policy, "action")));
    (void)putchar('\n');
    print_watch(json_object_get(status, "watch"));
    print_scanner(json_object_get(status, "scanner"));
    print_scan(json_object_get(status, "scan"));
    print_schedule(json_object_get(status, "schedule"));
    print_integrity(json_object_get(status, "integrity"));
    print_logs(json_object_get(status, "logs"));
    print_prevention(json_object_get(status, "prevention"));
    print_application_control(json_object_get(status, "application_control"));
    print_health(json_object_get(status, "health"));
    print_signatures(json_object_get(status, "signatures"));
    print_console(json_object_get(status, "console"));
    begin_row("Events");
    (void)printf(say("%s recorded, %s"), display_count(text, member_number(store, "last_number")),
                 display_size(size, member_number(store, "bytes")));
    print_some(store, "waiting", "not yet committed");
    print_some(store, "dropped", "dropped before they were delivered");
    (void)putchar('\n');
    begin_row("Running");
    (void)printf(say("%s, version "),
                 display_duration(text, member_number(agent, "uptime") * NS_PER_SECOND));
    display_print(member_text(agent, "version"));
    (void)printf(say(", process %llu\n"), (unsigned long long)member_number(agent, "pid"));
}

static void print_problems(const json_t *problems)
{
    size_t index;
    const json_t *problem;
    json_array_foreach((json_t *)problems, index, problem)
    {
        (void)printf("%s! %s: ", display_colour(COLOUR_YELLOW), member_text(problem, "module"));
        display_sentence(member_text(problem, "problem"));
        (void)printf("%s\n    ", display_colour(COLOUR_PLAIN));
        display_sentence(member_text(problem, "cure"));
        (void)putchar('\n');
    }
}

static int print_status(void *user, const char *key UNUSED, const json_t *status, const char *text)
{
    const struct invocation *invocation = user;
    if (invocation->json) {
        (void)puts(text);
        return 0;
    }
    bool well = text_equal(member_text(status, "state"), "protecting");
    const json_t *scanner = json_object_get(status, "scanner");
    bool blind = text_equal(member_text(scanner, "state"), "no-signatures");
    (void)printf("%sYagura: %s%s%s\n", display_colour(well ? COLOUR_GREEN : COLOUR_YELLOW),
                 say(member_text(status, "state")), blind ? say(": no signatures") : "",
                 display_colour(COLOUR_PLAIN));
    print_agent(status);
    print_problems(json_object_get(status, "problems"));
    return 0;
}

static int run_status(const struct invocation *invocation)
{
    struct control_call call;
    control_call_begin(&call, "status");
    int r = control_call(invocation, &call, print_status, (void *)invocation);
    return r == EXIT_FOUND && !command_has(invocation, "check") ? EXIT_CLEAN : r;
}

static const struct command_option options[] = {
    {"check", 0, NULL, NULL, "exit 1 when something needs attention (for monitoring)"},
    {NULL, 0, NULL, NULL, NULL},
};

const struct command command_status = {
    .name = "status",
    .arguments = "",
    .summary = "Say how the agent is: watch, scanner, backlog, signatures, events",
    .options = options,
    .run = run_status,
};
