/* yaguractl limits: the table of common/limits.h, and what processes may take. */
#include "agent/control/commands.h"
#include "agent/control/control_client.h"
#include "agent/control/display.h"
#include "agent/control/messages.h"
#include "common/json/json_writer.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "common/time/clock.h"

struct limit {
    const char *name;
    long long value;
    const char *unit, *meaning;
};

static const struct limit limits[] = {
#define LIMIT_ROW(name, value, unit, meaning) {#name, value, unit, meaning},
    YAGURA_LIMITS(LIMIT_ROW)
#undef LIMIT_ROW
};

static void print_json(const struct limit *limit)
{
    AUTO_BUFFER struct buffer line = BUFFER_WITH_MAXIMUM(1024);
    struct json_writer json;
    json_writer_init(&json, &line);
    json_write_object_begin(&json);
    json_write_field_string(&json, "name", limit->name);
    json_write_field_number(&json, "value", limit->value);
    json_write_field_string(&json, "unit", limit->unit);
    json_write_field_string(&json, "meaning", limit->meaning);
    json_write_object_end(&json);
    (void)puts(buffer_text(&line));
}

static void print_limit(const char *what, const char *value, bool in_force)
{
    (void)printf(", %s %s", say(what), in_force ? value : say("not limited"));
}

static int print_group(void *user, const char *key, const json_t *value, const char *text)
{
    const struct invocation *invocation = user;
    char now[DISPLAY_BYTES], size[DISPLAY_BYTES], cpu[DISPLAY_BYTES], quota[DISPLAY_BYTES];
    if (invocation->json) {
        (void)printf("{\"%s\":%s}\n", key, text);
        return 0;
    }
    if (!text_equal(key, "group")) {
        if (member_text(value, "problem")[0] != '\0') {
            (void)printf("%s! ", display_colour(COLOUR_YELLOW));
            display_sentence(member_text(value, "problem"));
            (void)printf("%s\n", display_colour(COLOUR_PLAIN));
        }
        return 0;
    }
    (void)printf(say("%s%-10s%s %s of memory, %s of CPU"), display_colour(COLOUR_BOLD),
                 member_text(value, "name"), display_colour(COLOUR_PLAIN),
                 display_size(now, member_number(value, "memory_now")),
                 display_duration(cpu, member_number(value, "cpu_us") * NS_PER_US));
    print_limit("memory", display_size(size, member_number(value, "memory_max")),
                member_number(value, "memory_max") > 0);
    (void)text_format(quota, sizeof quota, say("%llu.%02llu cores"),
                      (unsigned long long)member_number(value, "cpu_quota_us") / 100000,
                      (unsigned long long)member_number(value, "cpu_quota_us") / 1000 % 100);
    print_limit("CPU", quota, member_number(value, "cpu_quota_us") > 0);
    (void)printf(say(" (weight %llu)\n"), (unsigned long long)member_number(value, "cpu_weight"));
    return 0;
}

static int run_processes(const struct invocation *invocation)
{
    struct control_call call;
    control_call_begin(&call, "resources");
    return control_call(invocation, &call, print_group, (void *)invocation);
}

static int run_limits(const struct invocation *invocation)
{
    if (command_has(invocation, "processes"))
        return run_processes(invocation);
    for (size_t i = 0; i < ARRAY_LENGTH(limits); i++) {
        if (invocation->json)
            print_json(&limits[i]);
        else
            (void)printf("%-30s %10lld %-8s %s\n", limits[i].name, limits[i].value, limits[i].unit,
                         limits[i].meaning);
    }
    return EXIT_CLEAN;
}

static const struct command_option options[] = {
    {"processes", 0, NULL, NULL, "what the agent's processes may take of CPU and memory, and take"},
    {NULL, 0, NULL, NULL, NULL},
};

const struct command command_limits = {
    .name = "limits",
    .arguments = "",
    .summary = "Print every limit that is built in, or in force for processes",
    .options = options,
    .run = run_limits,
    .local = true,
};
