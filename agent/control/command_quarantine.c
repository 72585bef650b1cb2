/* yaguractl quarantine ...: what was taken away, and what is held back. */
#include "agent/control/commands.h"
#include "agent/control/control_client.h"
#include "agent/control/display.h"
#include "common/text/text.h"

#include <limits.h>

#define SHORT_ID "%.23s" /* 48 bits of time and 26 of chance: unique, and short enough to type */

/* --- what is shown ---------------------------------------------------------------------------- */

static void print_usage(const json_t *usage)
{
    char files[DISPLAY_BYTES], bytes[DISPLAY_BYTES], most[DISPLAY_BYTES];
    (void)printf("%s file%s, %s of %s\n", display_count(files, member_number(usage, "files")),
                 member_number(usage, "files") == 1 ? "" : "s",
                 display_size(bytes, member_number(usage, "bytes")),
                 display_size(most, member_number(usage, "maximum_bytes")));
    if (member_number(usage, "pending") > 0)
        (void)printf("%s more are moved away and wait to be sealed\n",
                     display_count(files, member_number(usage, "pending")));
    uint64_t held = member_number(usage, "held");
    if (held > 0)
        (void)printf("%s detection%s held back; see yaguractl quarantine held\n",
                     display_count(files, held), held == 1 ? "" : "s");
}

static void print_row(const json_t *entry, const char *reason)
{
    char time[DISPLAY_BYTES], size[DISPLAY_BYTES];
    (void)printf(SHORT_ID "  %s  ", member_text(entry, "id"),
                 display_time(time, member_number(entry, "time_ns")));
    if (reason == NULL)
        (void)printf("%9s  ", display_size(size, member_number(entry, "size")));
    (void)fputs(display_colour(COLOUR_RED), stdout);
    display_print(member_text(entry, "signature"));
    (void)printf("%s  ", display_colour(COLOUR_PLAIN));
    display_print(member_text(entry, "path"));
    if (reason != NULL)
        (void)printf("  (%s)", text_equal(reason, "brake") ? "too many of one signature"
                               : text_equal(reason, "package")
                                   ? "unchanged file of an installed package"
                                   : "its package could not be asked");
    (void)putchar('\n');
}

static void print_facts(const json_t *file)
{
    static const struct {
        const char *key, *title;
    } rows[] = {{"id", "id"},         {"path", "was at"},     {"signature", "signature"},
                {"sha256", "sha256"}, {"time", "taken away"}, {"modified", "changed"}};
    char size[DISPLAY_BYTES];
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        (void)printf("%-11s ", rows[i].title);
        display_print(member_text(file, rows[i].key));
        (void)putchar('\n');
    }
    (void)printf("%-11s %s\n%-11s %04llo, user %llu, group %llu, %llu links\n", "size",
                 display_size(size, member_number(file, "size")), "was",
                 (unsigned long long)member_number(file, "mode") & 07777,
                 (unsigned long long)member_number(file, "uid"),
                 (unsigned long long)member_number(file, "gid"),
                 (unsigned long long)member_number(file, "links"));
}

static void print_change(const char *key, const json_t *value)
{
    (void)printf("%s ", key);
    display_print(member_text(value, "id"));
    if (member_text(value, "to")[0] != '\0') {
        (void)printf(" to ");
        display_print(member_text(value, "to"));
    }
    if (member_number(value, "missing") > 0)
        (void)printf(" (%llu attributes could not be set)",
                     (unsigned long long)member_number(value, "missing"));
    (void)putchar('\n');
}

static int print_line(void *user, const char *key, const json_t *value, const char *text)
{
    const struct invocation *invocation = user;
    if (invocation->json) {
        if (!text_equal(key, "usage"))
            (void)puts(text);
    } else if (text_equal(key, "usage")) {
        print_usage(value);
    } else if (text_equal(key, "entry")) {
        print_row(value, NULL);
    } else if (text_equal(key, "held")) {
        print_row(value, member_text(value, "reason"));
    } else if (text_equal(key, "file")) {
        print_facts(value);
    } else if (json_object_get(value, "sha256") != NULL) {
        (void)printf("%s  ", member_text(value, "sha256"));
        display_print(member_text(value, "path"));
        (void)putchar('\n');
    } else {
        print_change(key, value);
    }
    return 0;
}

/* --- asking ----------------------------------------------------------------------------------- */

static int call_simple(const struct invocation *invocation, const char *command)
{
    struct control_call call;
    control_call_begin(&call, command);
    return control_call(invocation, &call, print_line, (void *)invocation);
}

static int run_list(const struct invocation *invocation)
{
    struct control_call call;
    const char *limit = command_option(invocation, "limit");
    uint64_t number = 0;
    if (limit != NULL && (text_parse_u64(limit, &number) < 0 || number > UINT32_MAX))
        return command_fail("--limit %s is not a number", limit);
    control_call_begin(&call, "quarantine-list");
    json_write_field_unsigned(&call.json, "limit", number);
    return control_call(invocation, &call, print_line, (void *)invocation);
}

static int run_held(const struct invocation *invocation)
{
    return call_simple(invocation, "quarantine-held");
}

static int run_allowed(const struct invocation *invocation)
{
    return call_simple(invocation, "quarantine-allowed");
}

static int run_show(const struct invocation *invocation)
{
    struct control_call call;
    control_call_begin(&call, "quarantine-show");
    json_write_field_string(&call.json, "id", invocation->arguments[0]);
    json_write_field_bool(&call.json, "check", command_has(invocation, "check"));
    return control_call(invocation, &call, print_line, (void *)invocation);
}

/* A path argument as the agent wants it: absolute and escaped. */
static int add_path(struct control_call *call, const char *key, const char *path)
{
    AUTO_FREE char *escaped = text_escape_new(path, strlen(path));
    if (path[0] != '/' || escaped == NULL) {
        buffer_done(&call->text);
        return command_fail("%s must be an absolute path", key);
    }
    json_write_field_string(&call->json, key, escaped);
    return 0;
}

static int run_restore(const struct invocation *invocation)
{
    const char *to = command_option(invocation, "to");
    int exit_code = EXIT_CLEAN;
    if (to != NULL && invocation->argument_count > 1)
        return command_fail("--to is for one file at a time");
    for (size_t i = 0; i < invocation->argument_count; i++) {
        struct control_call call;
        control_call_begin(&call, "quarantine-restore");
        json_write_field_string(&call.json, "id", invocation->arguments[i]);
        json_write_field_bool(&call.json, "exclude", command_has(invocation, "exclude"));
        json_write_field_bool(&call.json, "privileged", command_has(invocation, "privileged"));
        if (to != NULL && add_path(&call, "to", to) != 0)
            return EXIT_ERROR;
        int r = control_call(invocation, &call, print_line, (void *)invocation);
        exit_code = MAX(exit_code, r);
    }
    return exit_code;
}

/* The same command for each argument. */
static int for_each(const struct invocation *invocation, const char *command, const char *key)
{
    int exit_code = EXIT_CLEAN;
    for (size_t i = 0; i < invocation->argument_count; i++) {
        struct control_call call;
        control_call_begin(&call, command);
        json_write_field_string(&call.json, key, invocation->arguments[i]);
        json_write_field_bool(&call.json, "allow", command_has(invocation, "allow"));
        int r = control_call(invocation, &call, print_line, (void *)invocation);
        exit_code = MAX(exit_code, r);
    }
    return exit_code;
}

static int run_delete(const struct invocation *invocation)
{
    return for_each(invocation, "quarantine-delete", "id");
}

static int run_release(const struct invocation *invocation)
{
    return for_each(invocation, "quarantine-release", "id");
}

static int run_allow(const struct invocation *invocation)
{
    return for_each(invocation, "quarantine-allow", "sha256");
}

static int run_disallow(const struct invocation *invocation)
{
    return for_each(invocation, "quarantine-disallow", "sha256");
}

static int run_export(const struct invocation *invocation)
{
    struct control_call call;
    control_call_begin(&call, "quarantine-export");
    json_write_field_string(&call.json, "id", invocation->arguments[0]);
    if (add_path(&call, "to", invocation->arguments[1]) != 0)
        return EXIT_ERROR;
    return control_call(invocation, &call, print_line, (void *)invocation);
}

/* --- the commands ----------------------------------------------------------------------------- */

static const struct command_option list_options[] = {
    {"limit", 'n', "COUNT", NULL, "only the newest of them"},
    {NULL, 0, NULL, NULL, NULL},
};
static const struct command_option show_options[] = {
    {"check", 0, NULL, NULL, "read all of the sealed content and check it"},
    {NULL, 0, NULL, NULL, NULL},
};
static const struct command_option restore_options[] = {
    {"to", 0, "PATH", "FILE", "to this path instead of where it was"},
    {"exclude", 0, NULL, NULL, "and take this content for harmless from now on"},
    {"privileged", 0, NULL, NULL, "give set-user-id, set-group-id and capabilities back too"},
    {NULL, 0, NULL, NULL, NULL},
};
static const struct command_option release_options[] = {
    {"allow", 0, NULL, NULL, "take the content for harmless instead of acting on it"},
    {NULL, 0, NULL, NULL, NULL},
};

#define QUARANTINE_COMMAND(word, words, minimum, maximum, what, option_table) \
    const struct command command_quarantine_##word = {                        \
        .name = "quarantine " #word,                                          \
        .arguments = words,                                                   \
        .least = minimum,                                                     \
        .most = maximum,                                                      \
        .summary = what,                                                      \
        .options = option_table,                                              \
        .run = run_##word,                                                    \
    }
QUARANTINE_COMMAND(list, "", 0, 0, "List the files that were taken away, newest first",
                   list_options);
QUARANTINE_COMMAND(show, "ID", 1, 1, "Say all about one of them", show_options);
QUARANTINE_COMMAND(restore, "ID...", 1, INT_MAX,
                   "Put files back, with owner, mode and times; never overwrites", restore_options);
QUARANTINE_COMMAND(delete, "ID...", 1, INT_MAX, "Remove files for ever", NULL);
QUARANTINE_COMMAND(export, "ID PATH", 2, 2, "Write a plain copy for analysis; it is live malware",
                   NULL);
QUARANTINE_COMMAND(held, "", 0, 0, "List detections that were held back as likely false", NULL);
QUARANTINE_COMMAND(release, "ID...", 1, INT_MAX, "Act on held detections after all",
                   release_options);
QUARANTINE_COMMAND(allowed, "", 0, 0, "List contents that are taken for harmless here", NULL);
QUARANTINE_COMMAND(allow, "SHA256...", 1, INT_MAX, "Take contents for harmless from now on", NULL);
QUARANTINE_COMMAND(disallow, "SHA256...", 1, INT_MAX, "Take that back", NULL);
