/* yaguractl integrity status, check, rebuild, show. */
#include "agent/control/commands.h"
#include "agent/control/control_client.h"
#include "agent/control/display.h"
#include "common/text/text.h"

#include <limits.h>

/* ---- status ---- */

static void print_row(const char *name, const char *text)
{
    (void)printf("  %s%-9s%s ", display_colour(COLOUR_BOLD), name, display_colour(COLOUR_PLAIN));
    display_print(text[0] != '\0' ? text : "never");
    (void)putchar('\n');
}

static int print_status(void *user, const char *key UNUSED, const json_t *status,
                        const char *text UNUSED)
{
    const struct invocation *invocation = user;
    const json_t *integrity = json_object_get(status, "integrity");
    char count[DISPLAY_BYTES], changed[DISPLAY_BYTES];

    if (invocation->json) {
        AUTO_FREE char *object = json_dumps(integrity, JSON_COMPACT);
        (void)puts(object != NULL ? object : "{}");
        return 0;
    }
    (void)printf("Integrity monitoring: ");
    display_print(member_text(integrity, "state"));
    (void)putchar('\n');
    if (text_equal(member_text(integrity, "state"), "off"))
        return 0;
    (void)printf("  %s%-9s%s %s entries, %s not as approved\n", display_colour(COLOUR_BOLD),
                 "Baseline", display_colour(COLOUR_PLAIN),
                 display_count(count, member_number(integrity, "entries")),
                 display_count(changed, member_number(integrity, "changed")));
    print_row("Approved", member_text(integrity, "approved"));
    print_row("Checked", member_text(integrity, "checked"));
    print_row("Next", member_text(integrity, "next"));
    print_row("Key", member_text(integrity, "key"));
    if (json_is_true(json_object_get(integrity, "tampered")))
        (void)printf("%s! the baseline was changed by somebody else%s\n",
                     display_colour(COLOUR_RED), display_colour(COLOUR_PLAIN));
    return 0;
}

static int run_status(const struct invocation *invocation)
{
    struct control_call call;
    control_call_begin(&call, "status");
    int r = control_call(invocation, &call, print_status, (void *)invocation);
    return r == EXIT_FOUND ? EXIT_CLEAN : r;
}

const struct command command_integrity_status = {
    .name = "integrity status",
    .arguments = "",
    .summary = "Say how integrity monitoring is, and how many files are not as approved",
    .run = run_status,
};

/* ---- check, rebuild ---- */

static int print_totals(void *user, const char *key UNUSED, const json_t *totals, const char *text)
{
    const struct invocation *invocation = user;
    char files[DISPLAY_BYTES], changes[DISPLAY_BYTES], changed[DISPLAY_BYTES];

    if (invocation->json) {
        (void)puts(text);
        return 0;
    }
    (void)printf("%s files compared, %s changes found, %s not as approved\n",
                 display_count(files, member_number(totals, "files")),
                 display_count(changes, member_number(totals, "changes")),
                 display_count(changed, member_number(totals, "changed")));
    return 0;
}

static int ask(const struct invocation *invocation, const char *request)
{
    struct control_call call;
    control_call_begin(&call, "integrity-check");
    json_write_field_string(&call.json, "request", request);
    call.timeout_ns = 0;
    return control_call(invocation, &call, print_totals, (void *)invocation);
}

static int run_check(const struct invocation *invocation)
{
    return ask(invocation, command_has(invocation, "full") ? "full" : "check");
}

static const struct command_option check_options[] = {
    {"full", 0, NULL, NULL, "read all content again, also of what seems unchanged"},
    {NULL, 0, NULL, NULL, NULL},
};

const struct command command_integrity_check = {
    .name = "integrity check",
    .arguments = "",
    .summary = "Compare everything with the baseline now",
    .options = check_options,
    .more = "Exit: 0 everything is as approved, 1 something is not, 2 it could not be compared.\n",
    .run = run_check,
};

static int run_rebuild(const struct invocation *invocation)
{
    return ask(invocation, "rebuild");
}

const struct command command_integrity_rebuild = {
    .name = "integrity rebuild",
    .arguments = "",
    .summary = "Approve everything as it is now: the new baseline",
    .run = run_rebuild,
};

/* ---- show ---- */

static void print_facts(const json_t *facts)
{
    (void)printf("%s %s %llu:%llu %llu bytes %s", member_text(facts, "type"),
                 member_text(facts, "mode"), (unsigned long long)member_number(facts, "uid"),
                 (unsigned long long)member_number(facts, "gid"),
                 (unsigned long long)member_number(facts, "size"), member_text(facts, "modified"));
    if (member_text(facts, "sha256")[0] != '\0')
        (void)printf(" sha256:%.16s", member_text(facts, "sha256"));
    if (member_text(facts, "target")[0] != '\0') {
        (void)printf(" -> ");
        display_print(member_text(facts, "target"));
    }
    (void)putchar('\n');
}

static int print_entry(void *user, const char *key UNUSED, const json_t *entry, const char *text)
{
    const struct invocation *invocation = user;
    const json_t *now = json_object_get(entry, "now");
    const json_t *approved = json_object_get(entry, "approved");
    bool well = text_equal(member_text(entry, "state"), "approved");

    if (invocation->json) {
        (void)puts(text);
        return 0;
    }
    (void)printf("%s%-9s%s", well ? "" : display_colour(COLOUR_YELLOW), member_text(entry, "state"),
                 display_colour(COLOUR_PLAIN));
    display_print(member_text(entry, "path"));
    (void)putchar('\n');
    if (approved != NULL) {
        (void)printf("         approved: ");
        print_facts(approved);
    }
    if (now != NULL) {
        (void)printf("         now:      ");
        print_facts(now);
    }
    return 0;
}

static int run_show(const struct invocation *invocation)
{
    const char *path = invocation->argument_count > 0 ? invocation->arguments[0] : "";
    struct control_call call;

    if (path[0] != '\0' && path[0] != '/')
        return command_fail("%s is not an absolute path", path);
    AUTO_FREE char *escaped = text_escape_new(path, strlen(path));
    control_call_begin(&call, "integrity-show");
    json_write_field_string(&call.json, "path", escaped != NULL ? escaped : "");
    json_write_field_bool(&call.json, "changed", !command_has(invocation, "all"));
    return control_call(invocation, &call, print_entry, (void *)invocation);
}

static const struct command_option show_options[] = {
    {"all", 'a', NULL, NULL, "also what is as approved"},
    {NULL, 0, NULL, NULL, NULL},
};

const struct command command_integrity_show = {
    .name = "integrity show",
    .arguments = "[PATH]",
    .most = 1,
    .summary = "List what is not as approved, with what was approved and what it is now",
    .options = show_options,
    .run = run_show,
};
