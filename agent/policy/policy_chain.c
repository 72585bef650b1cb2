/* Owns finding and reading a policy's file and its parents, and refusing chains that are too long
 * or bite their own tail. Hands off one layer a file to policy_from_layers. */
#include <errno.h>

#include "agent/policy/policy_layers.h"
#include "common/limits.h"
#include "common/log/log.h"
#include "common/log_rules/log_rules.h"
#include "common/text/text.h"

#define SUFFIX "conf"

struct chain {
    struct policy_layer layers[LIMIT_POLICY_PARENTS + 1];
    size_t count;
    const char *shared_directory;
    struct settings_error *error;
};

static void chain_free(struct chain **chain)
{
    if (*chain == NULL)
        return;
    for (size_t i = 0; i < (*chain)->count; i++) {
        settings_values_done((*chain)->layers[i].values, POLICY_RULE_COUNT);
        free((*chain)->layers[i].path);
    }
    free(*chain);
}

static const config_setting_t *list_or_addition(const config_setting_t *group, const char *key,
                                                const char *addition)
{
    const config_setting_t *list = config_setting_get_member(group, key);
    return list != NULL ? list : config_setting_get_member(group, addition);
}

/* By the parser that the agent uses: what a policy says and it would refuse never gets there. */
static int judge_log_rules(const struct settings *settings, struct settings_error *error)
{
    const config_setting_t *group =
        config_setting_get_member(settings_root(settings), "log_inspection");
    if (group == NULL)
        return 0;
    const struct log_rules_source source = {
        .settings = settings,
        .decoders = list_or_addition(group, "decoders", "decoders_add"),
        .rules = list_or_addition(group, "rules", "rules_add"),
        .first_id = LOG_RULE_FIRST_CUSTOM,
        .last_id = LOG_RULE_LAST,
    };
    return log_rules_judge(&source, error);
}

/* Takes what settings says into the next layer; settings are freed. */
static int add_layer(struct chain *chain, const char *path, struct settings *settings)
{
    struct policy_layer *layer = &chain->layers[chain->count];
    int r =
        settings_read(settings, policy_rules, POLICY_RULE_COUNT, true, layer->values, chain->error);
    if (r == 0)
        r = judge_log_rules(settings, chain->error);
    settings_free(settings);
    if (r < 0) {
        settings_values_done(layer->values, POLICY_RULE_COUNT);
        return r;
    }
    layer->path = strdup(path);
    if (layer->path == NULL) {
        settings_values_done(layer->values, POLICY_RULE_COUNT);
        return -ENOMEM;
    }
    chain->count++;
    return 0;
}

static int fail_at_parent(const struct chain *chain, const char *format, ...) PRINTF_LIKE(2, 3);
static int fail_at_parent(const struct chain *chain, const char *format, ...)
{
    const struct policy_layer *child = &chain->layers[chain->count - 1];
    char what[sizeof(chain->error->text)];
    va_list arguments;
    va_start(arguments, format);
    (void)text_format_list(what, sizeof(what), format, arguments);
    va_end(arguments);
    AUTO_FREE char *shown = text_escape_new(child->path, strlen(child->path));
    (void)text_format(chain->error->text, sizeof(chain->error->text), "%s:%u: parent: %s",
                      shown != NULL ? shown : "policy", child->values[POLICY_RULE_PARENT].line,
                      what);
    return -EINVAL;
}

static bool is_in_chain(const struct chain *chain, const char *path)
{
    for (size_t i = 0; i < chain->count; i++) {
        if (text_equal(chain->layers[i].path, path))
            return true;
    }
    return false;
}

/* The folder part of a path, with its last slash; "" for a bare name. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? strdup("") : strndup(path, (size_t)(slash - path) + 1);
}

/* Loads the parent from folder; 0 with *ret_settings NULL when it holds none of that name. */
static int load_from(const struct chain *chain, const char *folder, const char *name,
                     char **ret_path, struct settings **ret_settings)
{
    AUTO_FREE char *path = text_format_new("%s%s." SUFFIX, folder, name);
    if (path == NULL)
        return -ENOMEM;
    if (is_in_chain(chain, path))
        return fail_at_parent(chain, "\"%s\" is one of its own ancestors; break the cycle", name);
    int r = settings_load(path, ret_settings, chain->error);
    if (r == -ENOENT)
        return 0;
    if (r == 0)
        *ret_path = TAKE_POINTER(path);
    return r;
}

static int load_parent(struct chain *chain, bool beside)
{
    const struct policy_layer *child = &chain->layers[chain->count - 1];
    const char *name = child->values[POLICY_RULE_PARENT].text;
    if (chain->count > LIMIT_POLICY_PARENTS)
        return fail_at_parent(chain, "more than %d parents in a row; make the chain shorter",
                              LIMIT_POLICY_PARENTS);
    AUTO_FREE char *folder = folder_of(child->path);
    AUTO_FREE char *shared = chain->shared_directory == NULL
                                 ? strdup("")
                                 : text_format_new("%s/", chain->shared_directory);
    AUTO_FREE char *path = NULL;
    struct settings *settings = NULL;
    if (folder == NULL || shared == NULL)
        return -ENOMEM;
    int r = beside ? load_from(chain, folder, name, &path, &settings) : 0;
    if (r == 0 && path == NULL && chain->shared_directory != NULL)
        r = load_from(chain, shared, name, &path, &settings);
    if (r < 0)
        return r;
    if (path == NULL)
        return fail_at_parent(chain, "no policy %s." SUFFIX " in %s%s%s; correct the name", name,
                              !beside             ? ""
                              : folder[0] != '\0' ? folder
                                                  : "./",
                              beside && shared[0] != '\0' ? " or " : "",
                              beside || shared[0] != '\0' ? shared : "(no folder given)");
    return add_layer(chain, path, settings);
}

static int chain_new(const char *shared_directory, struct settings_error *ret_error,
                     struct chain **ret_chain)
{
    ret_error->text[0] = '\0';
    struct chain *chain = calloc(1, sizeof(*chain));
    if (chain == NULL)
        return -ENOMEM;
    chain->shared_directory = shared_directory;
    chain->error = ret_error;
    *ret_chain = chain;
    return 0;
}

/* "/etc/yagura/web-server.conf" is called web-server. */
static char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    size_t length = strlen(name);
    if (text_ends_with(name, "." SUFFIX) && length > strlen("." SUFFIX))
        length -= strlen("." SUFFIX);
    return text_escape_new(name, length);
}

/* first: the policy's own settings, freed here. beside: parents may stand beside path. */
static int load_chain(const char *path, struct settings *first, bool beside, struct chain *chain,
                      struct policy **ret_policy)
{
    int r = add_layer(chain, path, first);
    while (r == 0 && chain->layers[chain->count - 1].values[POLICY_RULE_PARENT].set) {
        r = load_parent(chain, beside);
        beside = true;
    }
    if (r < 0)
        return r;
    AUTO_FREE char *name = name_of(path);
    if (name == NULL)
        return -ENOMEM;
    return policy_from_layers(name, chain->layers, chain->count, ret_policy, chain->error);
}

/* No failure without a reason. */
static int told(int r, const char *name, struct settings_error *ret_error)
{
    if (r < 0 && ret_error->text[0] == '\0')
        (void)text_format(ret_error->text, sizeof(ret_error->text), "%s: cannot be read: %s", name,
                          log_error_text(r));
    return r;
}

int policy_load(const char *path, const char *shared_directory, struct policy **ret_policy,
                struct settings_error *ret_error)
{
    CLEANUP(chain_free) struct chain *chain = NULL;
    struct settings *settings = NULL;
    int r = chain_new(shared_directory, ret_error, &chain);
    if (r == 0)
        r = settings_load(path, &settings, ret_error);
    if (r == 0)
        r = load_chain(path, settings, true, chain, ret_policy);
    return told(r, "the policy", ret_error);
}

int policy_parse(const char *name, const char *text, const char *shared_directory,
                 struct policy **ret_policy, struct settings_error *ret_error)
{
    CLEANUP(chain_free) struct chain *chain = NULL;
    struct settings *settings = NULL;
    int r = chain_new(shared_directory, ret_error, &chain);
    if (r == 0)
        r = settings_parse(name, text, &settings, ret_error);
    if (r == 0)
        r = load_chain(name, settings, false, chain, ret_policy);
    return told(r, "the policy", ret_error);
}
