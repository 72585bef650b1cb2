/* yaguractl applications status, learn; maintenance on, off. */
#include "agent/application_control/application_control.h"
#include "agent/control/commands.h"
#include "agent/control/control_client.h"
#include "agent/control/display.h"
#include "agent/control/messages.h"
#include "common/text/text.h"

#define DEFAULT_MINUTES 60

/* ---- applications ---- */

static void begin_row(const char *name)
{
    (void)printf("  %s%-12s%s ", display_colour(COLOUR_BOLD), say(name),
                 display_colour(COLOUR_PLAIN));
}

static void print_row(const char *name, const char *text)
{
    begin_row(name);
    display_print(text);
    (void)putchar('\n');
}

static void print_number(const char *name, const json_t *control, const char *key)
{
    char count[DISPLAY_BYTES];

    print_row(name, display_count(count, member_number(control, key)));
}

static int print_status(void *user, const char *key UNUSED, const json_t *status,
                        const char *text UNUSED)
{
    const struct invocation *invocation = user;
    const json_t *control = json_object_get(status, "application_control");

    if (invocation->json) {
        AUTO_FREE char *object = json_dumps(control, JSON_COMPACT);
        (void)puts(object != NULL ? object : "{}");
        return 0;
    }
    (void)printf(say("Application control: %s (%s)\n"), member_text(control, "state"),
                 member_text(control, "mode"));
    if (text_equal(member_text(control, "state"), "off"))
        return 0;
    print_number("Programs", control, "programs");
    print_row("Complete", member_text(control, "complete")[0] != '\0'
                              ? member_text(control, "complete")
                              : say("not yet: every program runs until then"));
    if (json_is_true(json_object_get(control, "walking")))
        print_number("Looked at", control, "looked_at");
    if (member_text(control, "maintenance_until")[0] != '\0')
        print_row("Maintenance", member_text(control, "maintenance_until"));
    print_number("Blocked", control, "blocked");
    print_number("Unknown, ran", control, "unknown");
    if (member_text(control, "problem")[0] != '\0') {
        begin_row("Problem");
        display_sentence(member_text(control, "problem"));
        (void)putchar('\n');
    }
    return 0;
}

static int run_status(const struct invocation *invocation)
{
    struct control_call call;

    control_call_begin(&call, "status");
    int r = control_call(invocation, &call, print_status, (void *)invocation);
    return r == EXIT_FOUND ? EXIT_CLEAN : r;
}

const struct command command_applications_status = {
    .name = "applications status",
    .arguments = "",
    .summary = "Say how application control is, and how many programs are known",
    .run = run_status,
};

static int run_learn(const struct invocation *invocation)
{
    struct control_call call;

    control_call_begin(&call, "applications-learn");
    call.timeout_ns = 0;
    return control_call(invocation, &call, NULL, NULL);
}

const struct command command_applications_learn = {
    .name = "applications learn",
    .arguments = "",
    .summary = "Forget all programs and learn anew what is there",
    .more = "Until everything has been looked at, every program runs, and is known then.\n",
    .run = run_learn,
};

/* ---- maintenance ---- */

static int set_maintenance(const struct invocation *invocation, unsigned long minutes)
{
    struct control_call call;

    control_call_begin(&call, "maintenance");
    json_write_field_unsigned(&call.json, "minutes", minutes);
    return control_call(invocation, &call, NULL, NULL);
}

static int run_on(const struct invocation *invocation)
{
    const char *given = command_option(invocation, "minutes");
    uint64_t minutes = DEFAULT_MINUTES;

    if (given != NULL && (text_parse_u64(given, &minutes) < 0 || minutes == 0 ||
                          minutes > APPLICATION_MAINTENANCE_MOST_MINUTES))
        return command_fail("%s is no number of minutes from 1 to %d", given,
                            APPLICATION_MAINTENANCE_MOST_MINUTES);
    return set_maintenance(invocation, minutes);
}

static const struct command_option on_options[] = {
    {"minutes", 'm', "N", NULL, "for so long, at most a day; an hour when it is not given"},
    {NULL, 0, NULL, NULL, NULL},
};

const struct command command_maintenance_on = {
    .name = "maintenance on",
    .arguments = "",
    .summary = "Let every program run for a while, and know it from then on",
    .options = on_options,
    .more = "Programs that come meanwhile are known, too, when it ends. An event tells both.\n",
    .run = run_on,
};

static int run_off(const struct invocation *invocation)
{
    return set_maintenance(invocation, 0);
}

const struct command command_maintenance_off = {
    .name = "maintenance off",
    .arguments = "",
    .summary = "End maintenance now",
    .run = run_off,
};
