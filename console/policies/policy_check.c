/* Owns the bridge to the agents' policy parser, which reads files: a chain stands in a private
 * folder while it is parsed. Must not store anything. */
#include "console/policies/policy_check.h"

#include "agent/policy/policy.h"
#include "common/files/file.h"
#include "common/json/json_writer.h"
#include "common/text/text.h"

#include <errno.h>
#include <fcntl.h>

#define ORG 1LL

int policy_check_parent(const char *name, const char *text, char ret_parent[static 128],
                        struct settings_error *ret_error)
{
    struct settings *settings = NULL;
    char shown[160];
    (void)text_format(shown, sizeof(shown), "%s.conf", name);
    int r = settings_parse(shown, text, &settings, ret_error);
    if (r < 0)
        return r;
    const char *parent = "";
    (void)config_setting_lookup_string(settings_root(settings), "parent", &parent);
    if (text_copy(ret_parent, 128, parent) < 0)
        r = settings_fail(ret_error, settings, NULL, "parent: a name has 127 bytes at most");
    (void)settings_free(settings);
    return r;
}

static void say(struct settings_error *error, const char *format, ...) PRINTF_LIKE(2, 3);
static void say(struct settings_error *error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)text_format_list(error->text, sizeof(error->text), format, arguments);
    va_end(arguments);
}

/* Cuts the folder out of "FOLDER/NAME.conf:3: ...". */
static void hide_folder(struct settings_error *error, const char *folder)
{
    size_t length = strlen(folder);
    char *at;
    while ((at = strstr(error->text, folder)) != NULL) {
        char *rest = at + length + (at[length] == '/' ? 1 : 0);
        memmove(at, rest, strlen(rest) + 1);
    }
}

static int write_chain(const char *folder, const struct policy_chain *chain)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < chain->count; i++) {
        char path[4096];
        r = text_format(path, sizeof(path), "%s/%s.conf", folder, chain->texts[i].name);
        if (r >= 0)
            r = file_replace(path, chain->texts[i].text, strlen(chain->texts[i].text), 0600);
    }
    return r;
}

/* use: what to do with the parsed policy. */
static int parse_chain(const struct policy_chain *chain, const char *scratch_directory,
                       int (*use)(const struct policy *policy, const char *folder, void *user),
                       void *user, struct settings_error *ret_error)
{
    char folder[4096], path[4300];
    int r = text_format(folder, sizeof(folder), "%s/policy-XXXXXX", scratch_directory);
    if (r < 0)
        return r;
    if (!mkdtemp(folder))
        return -errno;
    r = write_chain(folder, chain);
    struct policy *policy = NULL;
    if (r == 0) {
        (void)text_format(path, sizeof(path), "%s/%s.conf", folder,
                          chain->texts[chain->count - 1].name);
        r = policy_load(path, NULL, &policy, ret_error);
        if (r < 0)
            hide_folder(ret_error, folder);
    } else {
        say(ret_error, "cannot write %s: %s", folder, strerrordesc_np(-r));
    }
    if (r == 0 && use)
        r = use(policy, folder, user);
    (void)policy_unref(policy);
    int removed = file_remove_tree(AT_FDCWD, folder);
    return r < 0 ? r : removed;
}

static int check_one(struct sql *sql, const char *name, const struct policy_substitute *policy,
                     const char *scratch_directory, struct settings_error *ret_error)
{
    AUTO_POLICY_CHAIN struct policy_chain chain = {.count = 0};
    char missing[128];
    int r = policy_chain_read(sql, name, policy, &chain, missing);
    if (r == -ENOENT)
        say(ret_error, "%s.conf: parent: there is no policy \"%s\"; make it first", name, missing);
    else if (r == -ELOOP)
        say(ret_error, "%s.conf: parent: the chain is longer than %d, or a circle", name,
            LIMIT_POLICY_PARENTS);
    if (r == 0)
        return parse_chain(&chain, scratch_directory, NULL, NULL, ret_error);
    return r == -ENOENT || r == -ELOOP ? -EINVAL : r;
}

int policy_check(struct sql *sql, const struct policy_substitute *policy,
                 const char *scratch_directory, struct settings_error *ret_error)
{
    int r = check_one(sql, policy->name, policy, scratch_directory, ret_error);
    AUTO_STATEMENT struct sql_statement *row = NULL;
    if (r == 0)
        r = sql_run(sql,
                    "SELECT name FROM policies WHERE org_id = $1 AND parent <> '' ORDER BY name",
                    &row, "n", ORG);
    while (r == 1) {
        int checked = 0;
        if (!text_equal(sql_text(row, 0), policy->name))
            checked = check_one(sql, sql_text(row, 0), policy, scratch_directory, ret_error);
        r = checked < 0 ? checked : sql_step(row);
    }
    return r;
}

static void write_origin(struct json_writer *json, const char *origin, const char *folder)
{
    struct settings_error shown;
    (void)text_copy(shown.text, sizeof(shown.text), origin);
    hide_folder(&shown, folder);
    json_write_field_string(json, "origin", shown.text);
}

static const char *type_word(enum settings_type type)
{
    static const char *const words[] = {
        [SETTINGS_BOOL] = "boolean",      [SETTINGS_NUMBER] = "number", [SETTINGS_SIZE] = "size",
        [SETTINGS_DURATION] = "duration", [SETTINGS_CHOICE] = "choice", [SETTINGS_TEXT] = "text",
        [SETTINGS_LIST] = "list"};
    return words[type];
}

/* What a value must be: for numbers, sizes, durations "least..most", for choices "a|b|c", for lists
 * of groups "group". */
static void write_rule(struct json_writer *json, enum policy_key key)
{
    const struct settings_rule *rule = policy_key_rule(key);
    bool bounded = rule->type == SETTINGS_LIST ? text_equal(rule->bounds, "group")
                                               : rule->type != SETTINGS_TEXT;
    json_write_field_string(json, "type", type_word(rule->type));
    json_write_field_string(json, "bounds", bounded ? rule->bounds : "");
    json_write_field_string(json, "meaning", rule->meaning);
    json_write_field_string(json, "meaning_ja", policy_key_meaning_ja(key));
}

static int write_values(const struct policy *policy, const char *folder, void *user)
{
    struct json_writer json;
    json_writer_init(&json, user);
    json_write_array_begin(&json);
    for (enum policy_key key = 0; key < POLICY_KEY_COUNT; key++) {
        AUTO_FREE char *value = policy_value_text(policy, key);
        if (!value)
            return -ENOMEM;
        json_write_object_begin(&json);
        json_write_field_string(&json, "key", policy_key_rule(key)->key);
        json_write_field_string(&json, "value", value);
        write_origin(&json, policy_origin(policy, key), folder);
        write_rule(&json, key);
        json_write_object_end(&json);
    }
    json_write_array_end(&json);
    return buffer_failed(user);
}

int policy_check_effective(struct sql *sql, const char *name, const char *scratch_directory,
                           struct buffer *json, struct settings_error *ret_error)
{
    AUTO_POLICY_CHAIN struct policy_chain chain = {.count = 0};
    char missing[128];
    int r = policy_chain_read(sql, name, NULL, &chain, missing);
    return r < 0 ? r : parse_chain(&chain, scratch_directory, write_values, json, ret_error);
}
