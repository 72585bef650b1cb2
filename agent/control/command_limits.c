/* yaguractl limits: the table of common/limits.h. */
#include "agent/control/commands.h"
#include "common/json/json_writer.h"
#include "common/limits.h"

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

static int run_limits(const struct invocation *invocation)
{
    for (size_t i = 0; i < ARRAY_LENGTH(limits); i++) {
        if (invocation->json)
            print_json(&limits[i]);
        else
            (void)printf("%-30s %10lld %-8s %s\n", limits[i].name, limits[i].value, limits[i].unit,
                         limits[i].meaning);
    }
    return EXIT_CLEAN;
}

const struct command command_limits = {
    .name = "limits",
    .arguments = "",
    .summary = "Print every limit that is built in",
    .run = run_limits,
    .local = true,
};
