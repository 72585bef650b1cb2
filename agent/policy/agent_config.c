/* Owns where the agent finds its folders, its policy and its programs. */
#include "agent/policy/agent_config.h"

#include <errno.h>
#include <limits.h>

#include "common/log/log.h"
#include "common/text/text.h"

#define POLICY_PATH     "/etc/yagura/policy.conf"
#define SCANNER_PROGRAM "yagura-scanner"

enum {
#define AGENT_CONFIG_SYMBOL(symbol, ...) RULE_##symbol,
    AGENT_CONFIG_KEYS(AGENT_CONFIG_SYMBOL)
#undef AGENT_CONFIG_SYMBOL
        RULE_COUNT
};

static const struct settings_rule rules[RULE_COUNT] = {
#define AGENT_CONFIG_RULE(symbol, field, type, fallback, bounds, meaning) \
    [RULE_##symbol] = {#field, SETTINGS_##type, fallback, bounds, meaning},
    AGENT_CONFIG_KEYS(AGENT_CONFIG_RULE)
#undef AGENT_CONFIG_RULE
};

struct agent_config *agent_config_free(struct agent_config *config)
{
    if (config == NULL)
        return NULL;
    struct settings_value value;
#define AGENT_CONFIG_TEXT_VALUE(config, field) {.text = (config)->field}
#define AGENT_CONFIG_CHOICE_VALUE(config, field) \
    {                                            \
        .text = (config)->field                  \
    }
#define AGENT_CONFIG_LIST_VALUE(config, field) \
    {                                          \
        .list = (config)->field                \
    }
#define AGENT_CONFIG_FREE(symbol, field, type, ...)                            \
    value = (struct settings_value)AGENT_CONFIG_##type##_VALUE(config, field); \
    settings_value_done(&value);
    AGENT_CONFIG_KEYS(AGENT_CONFIG_FREE)
#undef AGENT_CONFIG_FREE
    free(config);
    return NULL;
}

void agent_config_cleanup(struct agent_config **config)
{
    (void)agent_config_free(*config);
}

/* Moves the values into the struct. */
static void take_values(struct agent_config *config,
                        struct settings_value values[static RULE_COUNT])
{
#define AGENT_CONFIG_TEXT_MOVE(value)   TAKE_POINTER((value).text)
#define AGENT_CONFIG_CHOICE_MOVE(value) TAKE_POINTER((value).text)
#define AGENT_CONFIG_LIST_MOVE(value)   TAKE_POINTER((value).list)
#define AGENT_CONFIG_MOVE(symbol, field, type, ...) \
    config->field = AGENT_CONFIG_##type##_MOVE(values[RULE_##symbol]);
    AGENT_CONFIG_KEYS(AGENT_CONFIG_MOVE)
#undef AGENT_CONFIG_MOVE
}

/* Defaults for what the text does not say. */
static int fill_values(struct settings_value values[static RULE_COUNT])
{
    for (size_t i = 0; i < RULE_COUNT; i++) {
        if (values[i].set)
            continue;
        int r = settings_fallback(&rules[i], &values[i]);
        if (r < 0)
            return r;
    }
    return 0;
}

static int replace(char **text, char *with)
{
    if (with == NULL)
        return -ENOMEM;
    free(*text);
    *text = with;
    return 0;
}

/* The folder of the running program when the scanner stands beside it, as in a build tree or a
 * private bundle. NULL otherwise. */
static char *own_folder(void)
{
    char path[PATH_MAX], scanner[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);
    if (length <= 0)
        return NULL;
    path[length] = '\0';
    char *slash = strrchr(path, '/');
    if (slash == NULL || slash == path)
        return NULL;
    *slash = '\0';
    if (text_format(scanner, sizeof(scanner), "%s/" SCANNER_PROGRAM, path) < 0 ||
        access(scanner, X_OK) < 0)
        return NULL;
    return strdup(path);
}

/* Defaults that depend on other values or on this machine. */
static int derive(struct agent_config *config)
{
    int r = 0;
    if (config->control_socket[0] == '\0')
        r = replace(&config->control_socket,
                    text_format_new("%s/control.sock", config->runtime_directory));
    if (r == 0 && config->metrics_file[0] == '\0')
        r = replace(&config->metrics_file,
                    text_format_new("%s/metrics.prom", config->runtime_directory));
    if (r == 0 && config->policy[0] == '\0' && access(POLICY_PATH, F_OK) == 0)
        r = replace(&config->policy, strdup(POLICY_PATH));
    if (r == 0 && config->policy_directory[0] == '\0')
        r = replace(&config->policy_directory, strdup(YAGURA_POLICY_DIRECTORY));
    if (r == 0 && config->program_directory[0] == '\0') {
        char *folder = own_folder();
        r = replace(&config->program_directory,
                    folder != NULL ? folder : strdup(YAGURA_PROGRAM_DIRECTORY));
    }
    return r;
}

static int read_values(const char *path, struct settings_value values[static RULE_COUNT],
                       struct settings_error *ret_error)
{
    struct settings *settings = NULL;
    int r = settings_load(path != NULL ? path : AGENT_CONFIG_PATH, &settings, ret_error);
    if (r == -ENOENT && path == NULL)
        return 0;
    if (r < 0)
        return r;
    r = settings_read(settings, rules, RULE_COUNT, false, values, ret_error);
    settings_free(settings);
    if (r == 0 && geteuid() == 0)
        r = settings_check_owner(path != NULL ? path : AGENT_CONFIG_PATH, ret_error);
    return r;
}

int agent_config_load(const char *path, struct agent_config **ret_config,
                      struct settings_error *ret_error)
{
    struct settings_value values[RULE_COUNT] = {0};
    AUTO_AGENT_CONFIG struct agent_config *config = calloc(1, sizeof(*config));
    ret_error->text[0] = '\0';
    int r = config == NULL ? -ENOMEM : read_values(path, values, ret_error);
    if (r == 0)
        r = fill_values(values);
    if (r == 0) {
        take_values(config, values);
        r = derive(config);
    }
    settings_values_done(values, RULE_COUNT);
    if (r < 0) {
        if (ret_error->text[0] == '\0')
            (void)text_format(ret_error->text, sizeof(ret_error->text), "agent.conf: %s",
                              log_error_text(r));
        return r;
    }
    ret_error->text[0] = '\0';
    *ret_config = TAKE_POINTER(config);
    return 0;
}

int agent_config_load_policy(const struct agent_config *config, struct policy **ret_policy,
                             struct settings_error *ret_error)
{
    struct policy *policy = NULL;
    ret_error->text[0] = '\0';
    if (config->policy[0] == '\0')
        return policy_new_default(ret_policy);
    int r = policy_load(config->policy, config->policy_directory, &policy, ret_error);
    if (r == 0 && geteuid() == 0)
        r = policy_check_owners(policy, ret_error);
    if (r < 0) {
        policy_unref(policy);
        return r;
    }
    *ret_policy = policy;
    return 0;
}

const struct settings_rule *agent_config_rules(size_t *ret_count)
{
    *ret_count = RULE_COUNT;
    return rules;
}
