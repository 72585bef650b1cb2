/* yaguractl self-test: the EICAR test file through the whole path, as an attacker's file would go:
 * written into a watched directory, seen, scanned, recorded, acted upon. Each step says whether it
 * worked. Cleans up behind itself; the events stay. */
#include "agent/control/commands.h"
#include "agent/control/control_client.h"
#include "agent/control/display.h"
#include "agent/control/messages.h"
#include "common/files/file.h"
#include "common/log/log.h"
#include "common/text/text.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>

#define TEST_NAME  "yagura-self-test-XXXXXX"
#define FILE_NAME  "eicar"
#define TIMEOUT_NS 60000000000ULL
/* Ten times the patience of the policy's default. */
#define MOUNTS_TIMEOUT_NS (10 * TIMEOUT_NS)

/* The EICAR test string in two parts that no scanner takes for it, so that this program is not
 * detected itself. Source: https://www.eicar.org/download-anti-malware-testfile/ */
static const char *const eicar[] = {"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-",
                                    "ANTIVIRUS-TEST-FILE!$H+H*"};

struct self_test {
    const struct invocation *invocation;
    char paths[PATH_MAX];     /* watch.paths as the policy shows it, then the chosen directory */
    char directory[PATH_MAX]; /* made for this test; "" before */
    char file[PATH_MAX];
    uint64_t last_number;        /* of the events before the test */
    bool ready, watching, blind; /* as the status says */
    char signature[256];
    bool found;
    char outcome[64]; /* kind of the event that says what was done */
    char entry[64];   /* id in the quarantine */
};

/* --- steps ------------------------------------------------------------------------------------ */

static int passed(const struct self_test *test, const char *step)
{
    if (!test->invocation->json)
        (void)printf("%s%s%s      %s\n", display_colour(COLOUR_GREEN), say("ok"),
                     display_colour(COLOUR_PLAIN), say(step));
    else
        (void)printf("{\"step\":\"%s\",\"passed\":true}\n", step);
    return EXIT_CLEAN;
}

static int failed(const struct self_test *test, const char *step, const char *cure)
{
    if (!test->invocation->json)
        (void)printf("%s%s%s  %s\n        %s\n", display_colour(COLOUR_RED), say("FAILED"),
                     display_colour(COLOUR_PLAIN), say(step), say(cure));
    else
        (void)printf("{\"step\":\"%s\",\"passed\":false,\"cure\":\"%s\"}\n", step, cure);
    return EXIT_FOUND;
}

static int take_status(void *user, const char *key UNUSED, const json_t *status,
                       const char *text UNUSED)
{
    struct self_test *test = user;
    const json_t *scanner = json_object_get(status, "scanner");
    const char *state = member_text(scanner, "state");
    test->last_number = member_number(json_object_get(status, "store"), "last_number");
    bool known = member_number(scanner, "signatures") > 0; /* they come back: it is waited for */
    test->ready = text_equal(state, "ready") || text_equal(state, "reloading") ||
                  text_equal(state, "resting") || (text_equal(state, "loading") && known);
    const char *watch = member_text(json_object_get(status, "watch"), "state");
    test->blind = text_equal(watch, "failed");
    test->watching = !test->blind && !text_equal(watch, "off");
    return 0;
}

static int check_agent(struct self_test *test)
{
    struct control_call call;
    control_call_begin(&call, "status");
    if (control_call(test->invocation, &call, take_status, test) == EXIT_ERROR)
        return failed(test, "the agent answers", control_start_hint(test->invocation));
    (void)passed(test, "the agent answers");
    if (!test->ready)
        return failed(test, "the scanner has signatures", "see yaguractl status");
    (void)passed(test, "the scanner has signatures");
    if (!test->watching)
        return failed(test, "directories are watched",
                      test->blind ? "see yaguractl status" : "set watch.enabled in the policy");
    return passed(test, "directories are watched");
}

/* --- every mount ------------------------------------------------------------------------------ */

static int take_place(void *user, const char *key UNUSED, const json_t *place, const char *text)
{
    const struct self_test *test = user;
    char seen[DISPLAY_BYTES], verdict[DISPLAY_BYTES];
    const char *outcome = member_text(place, "outcome");
    if (test->invocation->json) {
        (void)puts(text);
        return 0;
    }
    bool good = text_equal(outcome, "passed"), untried = text_equal(outcome, "untried");
    (void)printf("        %s%s%s  ",
                 display_colour(good      ? COLOUR_GREEN
                                : untried ? COLOUR_YELLOW
                                          : COLOUR_RED),
                 outcome, display_colour(COLOUR_PLAIN));
    display_print(member_text(place, "directory"));
    if (good)
        (void)printf(": seen after %s, verdict after %s",
                     display_duration(seen, member_number(place, "seen_ns")),
                     display_duration(verdict, member_number(place, "verdict_ns")));
    else if (untried) {
        (void)printf(": ");
        display_print(member_text(place, "error"));
    }
    (void)putchar('\n');
    return 0;
}

static int check_mounts(struct self_test *test)
{
    struct control_call call;
    control_call_begin(&call, "health");
    json_write_field_unsigned(&call.json, "timeout_ns", MOUNTS_TIMEOUT_NS);
    call.timeout_ns = MOUNTS_TIMEOUT_NS + TIMEOUT_NS;
    if (control_call(test->invocation, &call, take_place, test) != EXIT_CLEAN)
        return failed(test, "every watched mount is seen and scanned",
                      "look at the mounts above, then at yaguractl status and the agent's log");
    return passed(test, "every watched mount is seen and scanned");
}

/* --- the EICAR file --------------------------------------------------------------------------- */

static int take_paths(void *user, const char *key, const json_t *value, const char *text UNUSED)
{
    struct self_test *test = user;
    if (text_equal(key, "key") && text_equal(member_text(value, "name"), "watch.paths"))
        (void)text_copy(test->paths, sizeof(test->paths), member_text(value, "value"));
    return 0;
}

/* The first watched directory where a file can be written: of ("/srv", "/home") as the policy says.
 * Below / the test goes where temporary files may be. */
static int make_directory(struct self_test *test)
{
    const char *asked = command_option(test->invocation, "directory");
    for (char *at = test->paths; asked != NULL || (at = strchr(at, '"')) != NULL;) {
        char path[PATH_MAX];
        size_t length = 0;
        const char *parent = asked;
        if (asked == NULL) {
            char *end = strchr(++at, '"');
            if (end == NULL)
                break;
            *end = '\0';
            if (text_unescape(path, sizeof(path), at, &length) < 0)
                return -EINVAL;
            parent = text_equal(path, "/") ? "/var/tmp" : path;
            at = end + 1;
        }
        if (text_format(test->directory, sizeof(test->directory), "%s/" TEST_NAME, parent) > 0 &&
            mkdtemp(test->directory) != NULL)
            return 0;
        test->directory[0] = '\0';
        if (asked != NULL)
            break;
    }
    return -ENOENT;
}

static int write_file(struct self_test *test)
{
    AUTO_CLOSE int fd = -1;
    int r = text_format(test->file, sizeof(test->file), "%s/" FILE_NAME, test->directory);
    if (r >= 0)
        r = file_open_at(AT_FDCWD, test->file, O_WRONLY | O_CREAT | O_EXCL, 0600, &fd);
    for (size_t i = 0; i < ARRAY_LENGTH(eicar) && r >= 0; i++)
        r = file_write(fd, eicar[i], strlen(eicar[i]));
    return r;
}

static int drop_file(struct self_test *test)
{
    struct control_call call;
    control_call_begin(&call, "policy");
    if (control_call(test->invocation, &call, take_paths, test) != EXIT_CLEAN ||
        make_directory(test) < 0)
        return failed(test, "a watched directory can be written to", "name one with --directory");
    int r = write_file(test);
    if (r < 0)
        return failed(test, "the test file is written", log_error_text(r));
    return passed(test, "the test file is written");
}

/* --- what came of it -------------------------------------------------------------------------- */

static int take_event(void *user, const char *key UNUSED, const json_t *event,
                      const char *text UNUSED)
{
    struct self_test *test = user;
    const json_t *detail = json_object_get(event, "detail");
    if (!text_equal(member_text(event, "module"), "malware") &&
        !text_equal(member_text(event, "module"), "quarantine"))
        return 0;
    if (text_equal(member_text(event, "kind"), "malware_found")) {
        test->found = true;
        (void)text_copy(test->signature, sizeof(test->signature), member_text(detail, "signature"));
    } else {
        (void)text_copy(test->outcome, sizeof(test->outcome), member_text(event, "kind"));
        (void)text_copy(test->entry, sizeof(test->entry), member_text(detail, "id"));
    }
    return 0;
}

static int wait_for_verdict(struct self_test *test)
{
    struct control_call call;
    control_call_begin(&call, "sync");
    json_write_field_unsigned(&call.json, "timeout_ns", TIMEOUT_NS);
    call.timeout_ns = TIMEOUT_NS;
    if (control_call(test->invocation, &call, NULL, NULL) != EXIT_CLEAN)
        return failed(test, "every file event has a verdict", "see yaguractl status");
    return passed(test, "every file event has a verdict");
}

static int read_events(struct self_test *test)
{
    struct control_call call;
    AUTO_FREE char *subject = text_escape_new(test->file, strlen(test->file));
    if (subject == NULL)
        return failed(test, "the events are read", "out of memory");
    control_call_begin(&call, "events");
    json_write_field_unsigned(&call.json, "after", test->last_number);
    json_write_field_string(&call.json, "text", subject);
    if (control_call(test->invocation, &call, take_event, test) != EXIT_CLEAN)
        return failed(test, "the events are read", "see yaguractl status");
    if (!test->found)
        return failed(
            test, "the test file is detected",
            "is its directory excluded or its content allowed (yaguractl quarantine allowed),"
            " and do the signatures know EICAR?");
    return passed(test, "the test file is detected and recorded");
}

static int check_outcome(struct self_test *test)
{
    if (text_equal(test->outcome, "malware_quarantined"))
        return passed(test, "it is in the quarantine");
    if (text_equal(test->outcome, "malware_deleted"))
        return passed(test, "it is deleted");
    if (text_equal(test->outcome, "malware_held"))
        return passed(test, "it is held back by the brake against false positives");
    if (test->outcome[0] == '\0')
        return passed(test, "it is left in place, as the policy says");
    return failed(test, "it is acted upon", "see yaguractl events --module malware");
}

static void clean_up(struct self_test *test)
{
    if (test->entry[0] != '\0' && text_equal(test->outcome, "malware_quarantined")) {
        struct control_call call;
        control_call_begin(&call, "quarantine-delete");
        json_write_field_string(&call.json, "id", test->entry);
        (void)control_call(test->invocation, &call, NULL, NULL);
    }
    if (test->directory[0] == '\0')
        return;
    (void)unlink(test->file);
    (void)rmdir(test->directory);
}

static int run_self_test(const struct invocation *invocation)
{
    static int (*const steps[])(struct self_test *) = {check_agent, check_mounts,
                                                       drop_file,   wait_for_verdict,
                                                       read_events, check_outcome};
    size_t count = command_has(invocation, "mounts") ? 2 : ARRAY_LENGTH(steps);
    struct self_test test = {.invocation = invocation};
    int r = EXIT_CLEAN;
    for (size_t i = 0; i < count && r == EXIT_CLEAN; i++) {
        r = steps[i](&test);
        (void)fflush(stdout);
    }
    clean_up(&test);
    return r;
}

static const struct command_option options[] = {
    {"directory", 0, "DIR", "FILE", "write the test file below this watched directory"},
    {"mounts", 0, NULL, NULL, "only a harmless test file on each watched mount, no malware event"},
    {NULL, 0, NULL, NULL, NULL},
};

const struct command command_self_test = {
    .name = "self-test",
    .arguments = "",
    .summary = "Send test files through the whole path, on every watched mount",
    .options = options,
    .more = "Exit: 0 every step worked, 1 one did not (it is named).\n",
    .run = run_self_test,
};
