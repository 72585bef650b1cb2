/* yaguractl policy show|explain|check: what the agent obeys, and whether a file could replace it.
 */
#include "agent/control/commands.h"
#include "agent/control/control_client.h"
#include "agent/control/display.h"
#include "agent/control/messages.h"
#include "agent/policy/agent_config.h"
#include "common/text/text.h"

#include <limits.h>

#define DEFAULT_ORIGIN "built-in default"

/* One key, whether it came from the agent or from a file. */
struct key_row {
    const char *name, *value, *origin, *meaning, *bounds, *fallback;
    bool is_default;
};

struct output {
    bool json;
    bool all;         /* the defaults too */
    const char *only; /* one key, at length */
};

static void print_key_json(const struct key_row *row)
{
    AUTO_BUFFER struct buffer line = BUFFER_WITH_MAXIMUM(8 << 20);
    struct json_writer json;
    json_writer_init(&json, &line);
    json_write_object_begin(&json);
    json_write_field_string(&json, "name", row->name);
    json_write_field_string(&json, "value", row->value);
    json_write_field_string(&json, "origin", row->origin);
    json_write_field_bool(&json, "default", row->is_default);
    json_write_field_string(&json, "meaning", row->meaning);
    json_write_field_string(&json, "bounds", row->bounds);
    json_write_object_end(&json);
    (void)puts(buffer_text(&line));
}

/* The meaning of a key, in the language of the locale. */
static const char *meaning_said(const char *name, const char *english)
{
    enum policy_key key;
    if (!messages_japanese() || policy_key_find(name, &key) < 0)
        return english;
    return policy_key_meaning_ja(key);
}

static void print_key(const struct output *output, const struct key_row *row)
{
    if (output->only != NULL ? !text_equal(output->only, row->name)
                             : row->is_default && !output->all)
        return;
    if (output->json) {
        print_key_json(row);
        return;
    }
    (void)printf("%s%s%s = ", display_colour(COLOUR_BOLD), row->name, display_colour(COLOUR_PLAIN));
    display_print(row->value);
    if (output->only == NULL) {
        (void)printf("    # ");
        display_print(row->origin);
        (void)putchar('\n');
        return;
    }
    (void)printf("\n  from     ");
    display_print(row->origin);
    (void)printf("\n  meaning  %s\n  default  %s\n", meaning_said(row->name, row->meaning),
                 row->fallback);
    if (row->bounds[0] != '\0')
        (void)printf("  bounds   %s\n", row->bounds);
}

static void print_head(const struct output *output, const char *name, const char *description,
                       const char *digest)
{
    if (output->json || output->only != NULL)
        return;
    (void)printf("# policy ");
    display_print(name);
    (void)printf(", digest %.64s\n", digest);
    if (description[0] != '\0') {
        (void)printf("# ");
        display_print(description);
        (void)putchar('\n');
    }
}

/* The default as it would be written. */
static char *fallback_text(const struct settings_rule *rule)
{
    struct settings_value value;
    if (settings_fallback(rule, &value) < 0)
        return NULL;
    char *text = settings_value_show(rule, &value);
    settings_value_done(&value);
    return text;
}

/* --- from the agent --------------------------------------------------------------------------- */

static int take_line(void *user, const char *key, const json_t *value, const char *text UNUSED)
{
    const struct output *output = user;
    enum policy_key known;
    if (text_equal(key, "policy")) {
        print_head(output, member_text(value, "name"), member_text(value, "description"),
                   member_text(value, "digest"));
        return 0;
    }
    AUTO_FREE char *fallback = policy_key_find(member_text(value, "name"), &known) == 0
                                   ? fallback_text(policy_key_rule(known))
                                   : NULL;
    const struct key_row row = {
        .name = member_text(value, "name"),
        .value = member_text(value, "value"),
        .origin = member_text(value, "origin"),
        .meaning = member_text(value, "meaning"),
        .bounds = member_text(value, "bounds"),
        .fallback = fallback != NULL ? fallback : "?",
        .is_default = json_is_true(json_object_get(value, "default")),
    };
    print_key(output, &row);
    return 0;
}

static int show_agent(const struct invocation *invocation, struct output *output)
{
    struct control_call call;
    control_call_begin(&call, "policy");
    return control_call(invocation, &call, take_line, output);
}

/* --- from a file ------------------------------------------------------------------------------ */

static int load_file(const struct invocation *invocation, const char *path,
                     struct policy **ret_policy)
{
    AUTO_AGENT_CONFIG struct agent_config *own = NULL;
    struct settings_error error = {.text = ""};
    const char *shared = command_option(invocation, "directory");
    if (shared == NULL && invocation->config != NULL)
        shared = invocation->config->policy_directory;
    if (shared == NULL && agent_config_load(NULL, &own, &error) == 0)
        shared = own->policy_directory;
    if (policy_load(path, shared, ret_policy, &error) < 0) {
        (void)command_fail("%s", error.text);
        return -1;
    }
    return 0;
}

static int show_file(const struct invocation *invocation, const char *path, struct output *output)
{
    struct policy *policy = NULL;
    char digest[65];
    if (load_file(invocation, path, &policy) < 0)
        return EXIT_ERROR;
    policy_digest(policy, digest);
    print_head(output, policy_name(policy), policy_description(policy), digest);
    for (int key = 0; key < POLICY_KEY_COUNT; key++) {
        const struct settings_rule *rule = policy_key_rule((enum policy_key)key);
        const char *origin = policy_origin(policy, (enum policy_key)key);
        AUTO_FREE char *value = policy_value_text(policy, (enum policy_key)key);
        AUTO_FREE char *fallback = fallback_text(rule);
        const struct key_row row = {
            .name = rule->key,
            .value = value != NULL ? value : "?",
            .origin = origin,
            .meaning = rule->meaning,
            .bounds = rule->bounds,
            .fallback = fallback != NULL ? fallback : "?",
            .is_default = text_equal(origin, DEFAULT_ORIGIN),
        };
        print_key(output, &row);
    }
    policy_unref(policy);
    return EXIT_CLEAN;
}

static int show(const struct invocation *invocation, struct output *output)
{
    const char *file = command_option(invocation, "file");
    return file != NULL ? show_file(invocation, file, output) : show_agent(invocation, output);
}

/* --- the commands ----------------------------------------------------------------------------- */

static int run_show(const struct invocation *invocation)
{
    struct output output = {.json = invocation->json, .all = command_has(invocation, "all")};
    return show(invocation, &output);
}

static int run_explain(const struct invocation *invocation)
{
    enum policy_key key;
    struct output output = {.json = invocation->json, .only = invocation->arguments[0]};
    if (policy_key_find(output.only, &key) == 0)
        return show(invocation, &output);
    AUTO_FREE char *shown = display_text_new(output.only);
    const char *nearest = policy_key_suggest(output.only);
    if (nearest != NULL)
        return command_fail("there is no key %s; did you mean %s?", shown != NULL ? shown : "",
                            nearest);
    return command_fail("there is no key %s; yagura-policy(5) lists them",
                        shown != NULL ? shown : "");
}

static int run_check(const struct invocation *invocation)
{
    int exit_code = EXIT_CLEAN;
    for (size_t i = 0; i < invocation->argument_count; i++) {
        struct policy *policy = NULL;
        char digest[65];
        if (load_file(invocation, invocation->arguments[i], &policy) < 0) {
            exit_code = EXIT_FOUND;
            continue;
        }
        policy_digest(policy, digest);
        AUTO_FREE char *shown = display_text_new(invocation->arguments[i]);
        (void)printf("%s: valid, digest %s\n", shown != NULL ? shown : "policy", digest);
        policy_unref(policy);
    }
    return exit_code;
}

static void print_rule_json(const struct settings_rule *rule, const char *fallback)
{
    AUTO_BUFFER struct buffer line = BUFFER_WITH_MAXIMUM(4096);
    struct json_writer json;
    json_writer_init(&json, &line);
    json_write_object_begin(&json);
    json_write_field_string(&json, "name", rule->key);
    json_write_field_string(&json, "type", settings_type_name(rule->type));
    json_write_field_string(&json, "default", fallback);
    json_write_field_string(&json, "bounds", rule->bounds);
    json_write_field_string(&json, "meaning", rule->meaning);
    json_write_object_end(&json);
    (void)puts(buffer_text(&line));
}

static int run_keys(const struct invocation *invocation)
{
    for (int key = 0; key < POLICY_KEY_COUNT; key++) {
        const struct settings_rule *rule = policy_key_rule((enum policy_key)key);
        AUTO_FREE char *fallback = fallback_text(rule);
        if (invocation->json)
            print_rule_json(rule, fallback != NULL ? fallback : "");
        else
            (void)printf("%s%s%s = %s\n    %s%s%s\n", display_colour(COLOUR_BOLD), rule->key,
                         display_colour(COLOUR_PLAIN), fallback != NULL ? fallback : "?",
                         meaning_said(rule->key, rule->meaning),
                         rule->bounds[0] != '\0' && rule->type != SETTINGS_LIST ? "; " : "",
                         rule->type != SETTINGS_LIST ? rule->bounds : "");
    }
    return EXIT_CLEAN;
}

#define FILE_OPTIONS                                                                        \
    {"file", 0, "FILE", "FILE", "of this file, not of the agent"},                          \
    {                                                                                       \
        "directory", 0, "DIR", "FILE", "look for parents here (default: as the agent does)" \
    }

static const struct command_option show_options[] = {
    {"all", 'a', NULL, NULL, "the defaults too"},
    FILE_OPTIONS,
    {NULL, 0, NULL, NULL, NULL},
};
static const struct command_option explain_options[] = {
    FILE_OPTIONS,
    {NULL, 0, NULL, NULL, NULL},
};
static const struct command_option check_options[] = {
    {"directory", 0, "DIR", "FILE", "look for parents here (default: as the agent does)"},
    {NULL, 0, NULL, NULL, NULL},
};

const struct command command_policy_show = {
    .name = "policy show",
    .arguments = "",
    .summary = "Print the policy in force, each value with its origin",
    .options = show_options,
    .run = run_show,
};
const struct command command_policy_explain = {
    .name = "policy explain",
    .arguments = "KEY",
    .least = 1,
    .most = 1,
    .summary = "Say what a key is, where it comes from and what it means",
    .options = explain_options,
    .run = run_explain,
};
const struct command command_policy_check = {
    .name = "policy check",
    .arguments = "FILE...",
    .least = 1,
    .most = INT_MAX,
    .summary = "Check policy files and their parents; needs no agent",
    .options = check_options,
    .more = "Exit: 0 valid, 1 at least one is not (standard error says file, line, key and what to "
            "do).\n",
    .run = run_check,
    .local = true,
};
const struct command command_policy_keys = {
    .name = "policy keys",
    .arguments = "",
    .summary = "List every key a policy may hold, with its default",
    .run = run_keys,
    .local = true,
};
