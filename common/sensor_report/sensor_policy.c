/* Owns the parsed texts of a delivered policy. Must not know what a key means. */
#include "common/sensor_report/sensor_policy.h"

#include "common/limits.h"
#include "common/settings/settings.h"
#include "common/text/text.h"

#include <errno.h>

#define KEY_BYTES 128

struct sensor_policy {
    struct settings *texts[LIMIT_POLICY_PARENTS + 1];
    size_t count;
    char digest[65];
    uint64_t revision;
};

int sensor_policy_new(const struct wire_policy *policy, struct sensor_policy **ret_policy,
                      char ret_problem[static 256])
{
    struct sensor_policy *made = calloc(1, sizeof(*made));
    struct settings_error error = {""};
    int r = made ? 0 : -ENOMEM;
    ret_problem[0] = '\0';
    for (size_t i = 0; r == 0 && i < MIN(policy->text_count, ARRAY_LENGTH(made->texts)); i++) {
        r = settings_parse(policy->texts[i].name, policy->texts[i].text, &made->texts[i], &error);
        made->count += r == 0;
    }
    if (r < 0) {
        (void)text_copy(ret_problem, 256, error.text);
        (void)sensor_policy_free(made);
        return r;
    }
    (void)text_copy(made->digest, sizeof(made->digest), policy->digest);
    made->revision = policy->revision;
    *ret_policy = made;
    return 0;
}

struct sensor_policy *sensor_policy_free(struct sensor_policy *policy)
{
    if (!policy)
        return NULL;
    for (size_t i = 0; i < policy->count; i++)
        (void)settings_free(policy->texts[i]);
    free(policy);
    return NULL;
}

const char *sensor_policy_digest(const struct sensor_policy *policy)
{
    return policy->digest;
}

uint64_t sensor_policy_revision(const struct sensor_policy *policy)
{
    return policy->revision;
}

/* What the i-th text says; NULL when nothing. */
static const config_setting_t *find_in(const struct sensor_policy *policy, size_t i,
                                       const char *key)
{
    const config_setting_t *at = settings_root(policy->texts[i]);
    while (at && *key) {
        char name[KEY_BYTES];
        size_t length = strcspn(key, ".");
        if (text_format(name, sizeof(name), "%.*s", (int)MIN(length, sizeof(name)), key) < 0)
            return NULL;
        at = config_setting_is_group(at) ? config_setting_get_member(at, name) : NULL;
        key += length + (key[length] == '.');
    }
    return at;
}

/* What the last text says that says anything; ret_text: which. */
static const config_setting_t *find(const struct sensor_policy *policy, const char *key,
                                    size_t *ret_text)
{
    for (size_t i = policy->count; i-- > 0;) {
        const config_setting_t *found = find_in(policy, i, key);
        if (found) {
            *ret_text = i;
            return found;
        }
    }
    return NULL;
}

const char *sensor_policy_text(const struct sensor_policy *policy, const char *key)
{
    size_t text;
    const config_setting_t *found = find(policy, key, &text);
    return found ? config_setting_get_string(found) : NULL;
}

bool sensor_policy_number(const struct sensor_policy *policy, const char *key, int64_t *ret_value)
{
    size_t text;
    const config_setting_t *found = find(policy, key, &text);
    switch (found ? config_setting_type(found) : CONFIG_TYPE_NONE) {
    case CONFIG_TYPE_INT:
        *ret_value = config_setting_get_int(found);
        return true;
    case CONFIG_TYPE_INT64:
        *ret_value = config_setting_get_int64(found);
        return true;
    case CONFIG_TYPE_BOOL:
        *ret_value = config_setting_get_bool(found);
        return true;
    default:
        return false;
    }
}

static const char *entry_of(const config_setting_t *list, size_t *i)
{
    if (!list || !config_setting_is_aggregate(list))
        return NULL;
    size_t length = (size_t)config_setting_length(list);
    if (*i < length)
        return config_setting_get_string_elem(list, (int)*i);
    *i -= length;
    return NULL;
}

const char *sensor_policy_entry(const struct sensor_policy *policy, const char *key, size_t i)
{
    char addition[KEY_BYTES];
    size_t text = 0;
    const config_setting_t *base = find(policy, key, &text);
    const char *entry = entry_of(base, &i);
    if (text_format(addition, sizeof(addition), "%s_add", key) < 0)
        return entry;
    for (size_t at = base ? text + 1 : 0; !entry && at < policy->count; at++)
        entry = entry_of(find_in(policy, at, addition), &i);
    return entry;
}
