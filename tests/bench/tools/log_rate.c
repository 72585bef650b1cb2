/* Lines a second of one core that log inspection's engine takes apart, decodes and holds against
 * the rules. Reads the file at once; measures CPU time, so that other work on the machine says
 * little. Prints one JSON object. */
#include "common/buffers/buffer.h"
#include "common/files/file.h"
#include "common/limits.h"
#include "common/log_rules/log_engine.h"
#include "common/time/clock.h"
#include "tests/bench/tools/tool.h"

#include <string.h>

static int count_match(void *user, const struct log_line *line, const struct log_match *match)
{
    (void)line;
    (void)match;
    ++*(uint64_t *)user;
    return 0;
}

static struct log_rules *read_rules(const char *path)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(LIMIT_SETTINGS_BYTES);
    struct settings_error error = {.text = ""};
    struct log_rules *rules = NULL;
    int r = file_read_all(path, &text);

    if (r == 0)
        r = log_rules_new(&rules);
    if (r == 0)
        r = log_rules_add_text(rules, path, buffer_text(&text), false, &error);
    if (r == 0)
        r = log_rules_seal(rules, &error);
    if (r < 0)
        tool_fail(-r, "%s %s", path, error.text);
    return rules;
}

int main(int argc, char **argv)
{
    AUTO_BUFFER struct buffer log = BUFFER_WITH_MAXIMUM((size_t)1 << 30);
    struct log_engine *engine = NULL;
    uint64_t lines = 0, matches = 0;

    if (argc != 3)
        tool_usage("log_rate RULES LOG");
    struct log_rules *rules = read_rules(argv[1]);
    if (file_read_all(argv[2], &log) < 0 || log_engine_new(rules, &engine) < 0)
        tool_fail(0, "%s cannot be read", argv[2]);
    const uint64_t now_ns = clock_realtime_ns(), begun_ns = tool_cpu_ns();
    for (const char *at = buffer_text(&log), *end; (end = strchr(at, '\n')) != NULL; at = end + 1) {
        struct log_line line;
        log_line_read(at, (size_t)(end - at), "auth.log", now_ns, &line);
        if (log_engine_take(engine, &line, count_match, &matches) < 0)
            tool_fail(0, "the engine failed");
        lines++;
    }
    const double seconds = (double)(tool_cpu_ns() - begun_ns) / (double)NS_PER_SECOND;
    (void)printf("{\"lines\":%llu,\"matches\":%llu,\"cpu_s\":%.6f}\n", (unsigned long long)lines,
                 (unsigned long long)matches, seconds);
    (void)log_engine_free(engine);
    (void)log_rules_free(rules);
    return 0;
}
