/* yaguractl logs test: which decoder and rule a line is of, before it matters. Lines are of
 * strangers: root reads them as the inspector's user. */
#include "agent/control/commands.h"
#include "agent/control/display.h"
#include "agent/control/messages.h"
#include "agent/policy/agent_config.h"
#include "common/buffers/buffer.h"
#include "common/files/file.h"
#include "common/json/json_writer.h"
#include "common/limits.h"
#include "common/log_rules/log_engine.h"
#include "common/sandbox/privileges.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <pwd.h>

#define USER          "yagura-inspector"
#define FALLBACK_USER "nobody"
#define SHIPPED_RULES "log_rules/linux.conf"

struct test {
    const struct invocation *invocation;
    struct log_rules *rules;
    struct log_engine *engine;
    const char *file_name;
    uint64_t lines, matched;
    struct json_writer json;
    bool any; /* of this line */
};

/* ---- rules ---- */

static int add_shipped(struct log_rules *rules, const struct agent_config *config)
{
    AUTO_FREE char *path = text_format_new("%s/" SHIPPED_RULES, config->policy_directory);
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(LIMIT_SETTINGS_BYTES);
    struct settings_error error;

    if (path == NULL)
        return command_fail("out of memory");
    if (file_read_all(path, &text) < 0)
        return command_fail("%s cannot be read", path);
    if (log_rules_add_text(rules, path, buffer_text(&text), false, &error) < 0)
        return command_fail("%s", error.text);
    return 0;
}

/* A policy's own come first. */
static int add_custom(const struct invocation *invocation, const struct agent_config *config,
                      struct log_rules *rules)
{
    const char *path = command_option(invocation, "policy");
    struct policy *policy = NULL;
    struct settings_error error;
    int r = path != NULL ? policy_load(path, config->policy_directory, &policy, &error)
                         : agent_config_load_policy(config, &policy, &error);

    if (r < 0)
        return command_fail("%s", error.text);
    AUTO_FREE char *text = log_rules_text_new(policy_list(policy, POLICY_LOG_DECODERS),
                                              policy_list(policy, POLICY_LOG_RULES));
    if (text == NULL || log_rules_add_text(rules, policy_name(policy), text, true, &error) < 0)
        r = command_fail("%s", text == NULL ? "out of memory" : error.text);
    (void)policy_unref(policy);
    return r;
}

static int read_rules(const struct invocation *invocation, struct log_rules *rules)
{
    AUTO_AGENT_CONFIG struct agent_config *own = NULL;
    const struct agent_config *config = invocation->config;
    struct settings_error error;

    if (config == NULL) {
        if (agent_config_load(command_option(invocation, "config"), &own, &error) < 0)
            return command_fail("%s", error.text);
        config = own;
    }
    int r = add_custom(invocation, config, rules);
    if (r == 0)
        r = add_shipped(rules, config);
    if (r == 0 && log_rules_seal(rules, &error) < 0)
        r = command_fail("%s", error.text);
    return r;
}

/* ---- lines ---- */

static void print_fields(const struct log_match *match)
{
    for (size_t i = 0; i < match->field_count; i++) {
        AUTO_FREE char *value = text_escape_new(match->fields[i].value, match->fields[i].length);
        (void)printf("  %s = %s\n", match->fields[i].name, value != NULL ? value : "");
    }
}

static void print_match(struct test *test, const struct log_match *match)
{
    const struct log_rule *rule = match->rule;

    if (!test->any) {
        (void)printf(say("decoder %s\n"), match->decoder);
        print_fields(match);
    }
    (void)printf(say("%srule %u%s, %s, %s: %s%s\n"), display_colour(COLOUR_BOLD), rule->id,
                 display_colour(COLOUR_PLAIN), log_severity_name(rule->severity),
                 log_group_name(rule->group),
                 messages_japanese() ? rule->description_ja : rule->description,
                 rule->severity == LOG_SEVERITY_IGNORE ? say(" (ignored)")
                 : rule->quiet                         ? say(" (counted, not told)")
                                                       : "");
}

static void write_match(struct test *test, const struct log_match *match)
{
    struct json_writer *json = &test->json;

    if (!test->any) {
        json_write_field_string(json, "decoder", match->decoder);
        json_write_key(json, "fields");
        json_write_object_begin(json);
        for (size_t i = 0; i < match->field_count; i++) {
            json_write_key(json, match->fields[i].name);
            json_write_string_length(json, match->fields[i].value, match->fields[i].length);
        }
        json_write_object_end(json);
        json_write_key(json, "rules");
        json_write_array_begin(json);
    }
    json_write_object_begin(json);
    json_write_field_unsigned(json, "id", match->rule->id);
    json_write_field_string(json, "severity", log_severity_name(match->rule->severity));
    json_write_field_string(json, "group", log_group_name(match->rule->group));
    json_write_field_bool(json, "quiet", match->rule->quiet);
    json_write_field_string(json, "description", match->rule->description);
    json_write_object_end(json);
}

static int take_match(void *user, const struct log_line *line UNUSED, const struct log_match *match)
{
    struct test *test = user;

    if (test->invocation->json)
        write_match(test, match);
    else
        print_match(test, match);
    test->any = true;
    return 0;
}

static void take_line_json(struct test *test, const struct log_line *line, const char *bytes,
                           size_t length)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(LIMIT_EVENT_DETAIL_BYTES * 8);

    json_writer_init(&test->json, &text);
    json_write_object_begin(&test->json);
    json_write_key(&test->json, "line");
    json_write_string_length(&test->json, bytes, length);
    json_write_key(&test->json, "program");
    json_write_string_length(&test->json, line->program, line->program_length);
    (void)log_engine_take(test->engine, line, take_match, test);
    if (test->any)
        json_write_array_end(&test->json);
    else if (log_engine_decoder(test->engine) != NULL)
        json_write_field_string(&test->json, "decoder", log_engine_decoder(test->engine));
    json_write_object_end(&test->json);
    (void)puts(buffer_text(&text));
}

static void take_line_text(struct test *test, const struct log_line *line, const char *bytes,
                           size_t length)
{
    AUTO_FREE char *shown = text_escape_new(bytes, length);

    (void)printf("%s%s\n", test->lines > 1 ? "\n" : "", shown != NULL ? shown : "");
    (void)log_engine_take(test->engine, line, take_match, test);
    if (!test->any && log_engine_decoder(test->engine) != NULL)
        (void)printf(say("decoder %s, no rule\n"), log_engine_decoder(test->engine));
    else if (!test->any)
        (void)printf("%s", say("no decoder\n"));
}

static void take_line(struct test *test, const char *bytes, size_t length)
{
    struct log_line line;

    length = MIN(length, (size_t)LIMIT_LOG_INSPECTED_BYTES);
    log_line_read(bytes, length, test->file_name, clock_realtime_ns(), &line);
    test->lines++;
    test->any = false;
    if (test->invocation->json)
        take_line_json(test, &line, bytes, length);
    else
        take_line_text(test, &line, bytes, length);
    test->matched += test->any;
}

/* The rest of a line that does not fit is left out. */
static int take_lines(struct test *test)
{
    static char bytes[4 * LIMIT_LOG_INSPECTED_BYTES];
    size_t length = 0;
    bool skipping = false;

    for (;;) {
        ssize_t got = read(STDIN_FILENO, bytes + length, sizeof bytes - length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return command_fail("standard input cannot be read");
        length += (size_t)got;
        char *at = bytes, *end;
        while ((end = memchr(at, '\n', length - (size_t)(at - bytes))) != NULL) {
            if (!TAKE_FLAG(skipping))
                take_line(test, at, (size_t)(end - at));
            at = end + 1;
        }
        length -= (size_t)(at - bytes);
        memmove(bytes, at, length);
        if ((got == 0 && length > 0) || length == sizeof bytes) {
            if (!skipping)
                take_line(test, bytes, length);
            skipping = got > 0;
            length = 0;
        }
        if (got == 0)
            return 0;
    }
}

static int drop_root(void)
{
    const struct passwd *user;

    if (geteuid() != 0)
        return 0;
    user = getpwnam(USER);
    if (user == NULL)
        user = getpwnam(FALLBACK_USER);
    if (user == NULL || privileges_drop_to(user->pw_uid, user->pw_gid) < 0 ||
        privileges_no_new() < 0)
        return command_fail("cannot become the user %s", user != NULL ? user->pw_name : USER);
    return 0;
}

static int run_lines(struct test *test)
{
    int r = read_rules(test->invocation, test->rules);

    if (r == 0)
        r = drop_root();
    if (r != 0)
        return r;
    if (log_engine_new(test->rules, &test->engine) < 0)
        return command_fail("out of memory");
    r = take_lines(test);
    (void)log_engine_free(test->engine);
    return r != 0 ? r : test->matched > 0 ? EXIT_FOUND : EXIT_CLEAN;
}

static int run_test(const struct invocation *invocation)
{
    const char *name = command_option(invocation, "name");
    struct test test = {.invocation = invocation, .file_name = name != NULL ? name : "messages"};

    if (log_rules_new(&test.rules) < 0)
        return command_fail("out of memory");
    int r = run_lines(&test);
    (void)log_rules_free(test.rules);
    return r;
}

static const struct command_option options[] = {
    {"policy", 0, "FILE", "FILE", "with the rules of this policy (default: the configured one)"},
    {"name", 0, "NAME", NULL, "the log file's name, for lines that name no program: dpkg.log"},
    {NULL, 0, NULL, NULL, NULL},
};

const struct command command_logs_test = {
    .name = "logs test",
    .arguments = "",
    .summary = "Say which decoder and rule each line of standard input is of",
    .options = options,
    .more = "Exit: 0 no line is of any rule, 1 some are, 2 error.\n",
    .run = run_test,
};
