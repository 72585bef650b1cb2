/* yaguractl signatures: which there are, how old, and loading them anew. */
#include "agent/control/commands.h"
#include "agent/control/control_client.h"
#include "agent/control/display.h"
#include "common/text/text.h"
#include "common/time/clock.h"

static void print_engine(const json_t *engine)
{
    char count[DISPLAY_BYTES];
    (void)printf("%s signatures in use, generation ",
                 display_count(count, member_number(engine, "signatures")));
    display_print(member_text(engine, "generation"));
    (void)printf(", ClamAV ");
    display_print(member_text(engine, "version"));
    (void)putchar('\n');
    if (member_text(engine, "problem")[0] != '\0') {
        (void)printf("%s! ", display_colour(COLOUR_YELLOW));
        display_sentence(member_text(engine, "problem"));
        (void)printf("%s\n", display_colour(COLOUR_PLAIN));
    }
}

static int print_line(void *user, const char *key, const json_t *value, const char *text)
{
    const struct invocation *invocation = user;
    char size[DISPLAY_BYTES], age[DISPLAY_BYTES];
    if (invocation->json) {
        (void)printf("{\"%s\":%s}\n", text_equal(key, "engine") ? "engine" : "file", text);
    } else if (text_equal(key, "engine")) {
        print_engine(value);
    } else {
        uint64_t now = clock_realtime_ns(), time = member_number(value, "time_ns");
        (void)printf("%10s  %8s old  ", display_size(size, member_number(value, "size")),
                     display_duration(age, now > time ? now - time : 0));
        display_print(member_text(value, "path"));
        (void)putchar('\n');
    }
    return 0;
}

static int run_signatures(const struct invocation *invocation)
{
    struct control_call call;
    control_call_begin(&call, "signatures");
    json_write_field_bool(&call.json, "reload", command_has(invocation, "reload"));
    return control_call(invocation, &call, print_line, (void *)invocation);
}

static const struct command_option options[] = {
    {"reload", 0, NULL, NULL, "load them anew, even when nothing changed"},
    {NULL, 0, NULL, NULL, NULL},
};

const struct command command_signatures = {
    .name = "signatures",
    .arguments = "",
    .summary = "List the files of signatures and their age; load them anew",
    .options = options,
    .run = run_signatures,
};
