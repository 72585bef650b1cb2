/* Owns a policy's effective values, each with its origin.
 * Must not own how files are found (policy_chain.c) nor what a value does (the modules).
 * Hands off immutable snapshots by reference count: a reload makes a new one. */
#include "agent/policy/policy.h"

#include <errno.h>
#include <stdatomic.h>

#include "agent/policy/policy_keys_ja.h"
#include "agent/policy/policy_layers.h"
#include "common/buffers/buffer.h"
#include "common/crypto/hash.h"
#include "common/log/log.h"
#include "common/log_rules/log_rules.h"
#include "common/settings/suggestion.h"
#include "common/text/text.h"

#define DEFAULT_ORIGIN "built-in default"
#define DIGEST_BYTES   65

struct policy {
    atomic_uint references;
    char *name;
    char *description;
    char **sources;
    struct settings_value values[POLICY_KEY_COUNT];
    char *origins[POLICY_KEY_COUNT]; /* NULL: the default */
    char digest[DIGEST_BYTES];
};

const struct settings_rule policy_rules[POLICY_RULE_COUNT] = {
#define POLICY_KEY_RULE(symbol, key, type, fallback, bounds, meaning) \
    [POLICY_##symbol] = {key, SETTINGS_##type, fallback, bounds, meaning},
    POLICY_KEYS(POLICY_KEY_RULE)
#undef POLICY_KEY_RULE
        [POLICY_RULE_PARENT] = {"parent", SETTINGS_TEXT, "", "name",
                                "the policy this one builds on"},
    [POLICY_RULE_DESCRIPTION] = {"description", SETTINGS_TEXT, "", "", "what the policy is for"},
};

static void free_texts(char **texts)
{
    if (texts == NULL)
        return;
    for (char **text = texts; *text != NULL; text++)
        free(*text);
    free(texts);
}

static void policy_free(struct policy *policy)
{
    settings_values_done(policy->values, POLICY_KEY_COUNT);
    for (size_t i = 0; i < POLICY_KEY_COUNT; i++)
        free(policy->origins[i]);
    free(policy->name);
    free(policy->description);
    free_texts(policy->sources);
    free(policy);
}

struct policy *policy_ref(struct policy *policy)
{
    atomic_fetch_add_explicit(&policy->references, 1, memory_order_relaxed);
    return policy;
}

struct policy *policy_unref(struct policy *policy)
{
    if (policy != NULL &&
        atomic_fetch_sub_explicit(&policy->references, 1, memory_order_acq_rel) == 1)
        policy_free(policy);
    return NULL;
}

static void unref_policy(struct policy **policy)
{
    (void)policy_unref(*policy);
}

static int policy_new(const char *name, size_t source_count, struct policy **ret_policy)
{
    CLEANUP(unref_policy) struct policy *policy = calloc(1, sizeof(*policy));
    if (policy == NULL)
        return -ENOMEM;
    atomic_init(&policy->references, 1);
    policy->name = strdup(name);
    policy->description = strdup("");
    policy->sources = calloc(source_count + 1, sizeof(*policy->sources));
    if (policy->name == NULL || policy->description == NULL || policy->sources == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < POLICY_KEY_COUNT; i++) {
        int r = settings_fallback(&policy_rules[i], &policy->values[i]);
        if (r < 0)
            return r;
    }
    *ret_policy = TAKE_POINTER(policy);
    return 0;
}

static int set_digest(struct policy *policy)
{
    struct sha256 *hash = NULL;
    uint8_t digest[SHA256_BYTES];
    int r = sha256_new(&hash);
    for (size_t i = 0; i < POLICY_KEY_COUNT && r == 0; i++) {
        AUTO_FREE char *value = policy_value_text(policy, (enum policy_key)i);
        AUTO_FREE char *line =
            value == NULL ? NULL : text_format_new("%s=%s\n", policy_rules[i].key, value);
        r = line == NULL ? -ENOMEM : sha256_update(hash, line, strlen(line));
    }
    if (r == 0)
        r = sha256_finish(hash, digest);
    sha256_free(hash);
    if (r == 0)
        text_hex(policy->digest, digest, sizeof(digest));
    return r;
}

/* One value of a layer over what its ancestors said. */
static int apply_value(struct policy *policy, size_t key, const struct policy_layer *layer)
{
    const struct settings_value *written = &layer->values[key];
    struct settings_value value = {0};
    AUTO_FREE char *shown = text_escape_new(layer->path, strlen(layer->path));
    if (shown == NULL)
        return -ENOMEM;
    const char *before = written->added ? policy_origin(policy, (enum policy_key)key) : "";
    AUTO_FREE char *origin =
        text_format_new("%s%s%s:%u", before, before[0] != '\0' ? " + " : "", shown, written->line);
    if (origin == NULL)
        return -ENOMEM;
    int r = settings_value_copy(written, &value);
    if (r == 0 && written->added)
        r = settings_value_extend(&value, &policy->values[key]);
    if (r < 0) {
        settings_value_done(&value);
        return r;
    }
    settings_value_done(&policy->values[key]);
    policy->values[key] = value;
    free(policy->origins[key]);
    policy->origins[key] = TAKE_POINTER(origin);
    return 0;
}

static int apply_layer(struct policy *policy, size_t index, const struct policy_layer *layer,
                       struct settings_error *ret_error)
{
    policy->sources[index] = strdup(layer->path);
    if (policy->sources[index] == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < POLICY_KEY_COUNT; i++) {
        if (!layer->values[i].set)
            continue;
        int r = apply_value(policy, i, layer);
        if (r == -E2BIG) {
            (void)text_format(ret_error->text, sizeof(ret_error->text),
                              "%s:%u: %s_add: too many entries together with those of the parents; "
                              "remove some",
                              layer->path, layer->values[i].line, policy_rules[i].key);
            return -EINVAL;
        }
        if (r < 0)
            return r;
    }
    const struct settings_value *description = &layer->values[POLICY_RULE_DESCRIPTION];
    if (description->set) {
        char *copy = strdup(description->text);
        if (copy == NULL)
            return -ENOMEM;
        free(policy->description);
        policy->description = copy;
    }
    return 0;
}

/* Each file's rules were judged by line: what is left is what parents and children say together. */
static int check_log_rules(const struct policy *policy, struct settings_error *ret_error)
{
    const char *const *decoders = policy_list(policy, POLICY_LOG_DECODERS);
    const char *const *list = policy_list(policy, POLICY_LOG_RULES);
    struct log_rules *rules = NULL;
    struct settings_error error = {.text = ""};
    if (decoders[0] == NULL && list[0] == NULL)
        return 0;
    AUTO_FREE char *text = log_rules_text_new(decoders, list);
    int r = text == NULL ? -ENOMEM : log_rules_new(&rules);
    if (r == 0)
        r = log_rules_add_text(rules, "together", text, true, &error);
    log_rules_free(rules);
    if (r == -EINVAL)
        (void)text_format(ret_error->text, sizeof(ret_error->text), "%s: log_inspection.rules: %s",
                          policy_origin(policy, POLICY_LOG_RULES), error.text);
    return r;
}

/* Who opens a file waits for the verdict at most prevention.deadline: a load takes longer. */
static int check_idle_exit(const struct policy *policy, struct settings_error *ret_error)
{
    if (policy_number(policy, POLICY_SCAN_IDLE_EXIT) == 0 ||
        !policy_bool(policy, POLICY_PREVENTION_ENABLED))
        return 0;
    (void)text_format(ret_error->text, sizeof(ret_error->text),
                      "%s: scan.idle_exit: no open can wait for signatures to be loaded; set it to "
                      "0s, or prevention.enabled to false (%s)",
                      policy_origin(policy, POLICY_SCAN_IDLE_EXIT),
                      policy_origin(policy, POLICY_PREVENTION_ENABLED));
    return -EINVAL;
}

/* What no single key can see. */
static int check_together(const struct policy *policy, struct settings_error *ret_error)
{
    const char *const *denied = policy_list(policy, POLICY_RESPOND_DENY_HASHES);
    const char *const *allowed = policy_list(policy, POLICY_RESPOND_ALLOW_HASHES);
    for (; *denied != NULL; denied++) {
        for (size_t i = 0; allowed[i] != NULL; i++) {
            if (!text_equal(*denied, allowed[i]))
                continue;
            (void)text_format(ret_error->text, sizeof(ret_error->text),
                              "%s: respond.deny_hashes: %s is also in respond.allow_hashes (%s); "
                              "keep one of them",
                              policy_origin(policy, POLICY_RESPOND_DENY_HASHES), *denied,
                              policy_origin(policy, POLICY_RESPOND_ALLOW_HASHES));
            return -EINVAL;
        }
    }
    int r = check_idle_exit(policy, ret_error);
    return r < 0 ? r : check_log_rules(policy, ret_error);
}

int policy_from_layers(const char *name, const struct policy_layer *layers, size_t count,
                       struct policy **ret_policy, struct settings_error *ret_error)
{
    CLEANUP(unref_policy) struct policy *policy = NULL;
    int r = policy_new(name, count, &policy);
    for (size_t i = 0; i < count && r == 0; i++)
        r = apply_layer(policy, i, &layers[count - 1 - i], ret_error);
    if (r == 0)
        r = check_together(policy, ret_error);
    if (r == 0)
        r = set_digest(policy);
    if (r < 0) {
        if (ret_error->text[0] == '\0')
            (void)text_format(ret_error->text, sizeof(ret_error->text), "%s: cannot be read: %s",
                              name, log_error_text(r));
        return r;
    }
    *ret_policy = TAKE_POINTER(policy);
    return 0;
}

int policy_new_default(struct policy **ret_policy)
{
    struct settings_error ignored = {0};
    return policy_from_layers("default", NULL, 0, ret_policy, &ignored);
}

bool policy_bool(const struct policy *policy, enum policy_key key)
{
    return policy->values[key].number != 0;
}

uint64_t policy_number(const struct policy *policy, enum policy_key key)
{
    return policy->values[key].number;
}

const char *policy_text(const struct policy *policy, enum policy_key key)
{
    return policy->values[key].text;
}

const char *const *policy_list(const struct policy *policy, enum policy_key key)
{
    return (const char *const *)policy->values[key].list;
}

const char *policy_name(const struct policy *policy)
{
    return policy->name;
}

const char *policy_description(const struct policy *policy)
{
    return policy->description;
}

const char *const *policy_sources(const struct policy *policy)
{
    return (const char *const *)policy->sources;
}

int policy_check_owners(const struct policy *policy, struct settings_error *ret_error)
{
    for (char **source = policy->sources; *source != NULL; source++) {
        int r = settings_check_owner(*source, ret_error);
        if (r < 0)
            return r;
    }
    return 0;
}

void policy_digest(const struct policy *policy, char hex[static 65])
{
    (void)text_copy(hex, DIGEST_BYTES, policy->digest);
}

const char *policy_origin(const struct policy *policy, enum policy_key key)
{
    return policy->origins[key] != NULL ? policy->origins[key] : DEFAULT_ORIGIN;
}

char *policy_value_text(const struct policy *policy, enum policy_key key)
{
    return settings_value_show(&policy_rules[key], &policy->values[key]);
}

const struct settings_rule *policy_key_rule(enum policy_key key)
{
    return &policy_rules[key];
}

const char *policy_key_meaning_ja(enum policy_key key)
{
    static const char *const meanings[POLICY_KEY_COUNT] = {
#define POLICY_KEY_MEANING(symbol, meaning) [POLICY_##symbol] = meaning,
        POLICY_KEYS_JA(POLICY_KEY_MEANING)
#undef POLICY_KEY_MEANING
    };
    return meanings[key] != NULL ? meanings[key] : policy_rules[key].meaning;
}

int policy_key_find(const char *name, enum policy_key *ret_key)
{
    for (size_t i = 0; i < POLICY_KEY_COUNT; i++) {
        if (text_equal(policy_rules[i].key, name)) {
            *ret_key = (enum policy_key)i;
            return 0;
        }
    }
    return -ENOENT;
}

static const char *key_at(const void *user, size_t index)
{
    return ((const struct settings_rule *)user)[index].key;
}

const char *policy_key_suggest(const char *name)
{
    return suggestion_nearest(name, POLICY_KEY_COUNT, key_at, policy_rules);
}
