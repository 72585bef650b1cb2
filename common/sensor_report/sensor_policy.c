/* Owns the values of a delivered policy: its texts, merged. Must not know what a key means. */
#include "common/sensor_report/sensor_policy.h"

#include "common/limits.h"
#include "common/settings/settings.h"
#include "common/text/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define KEY_BYTES  128
#define ADD_SUFFIX "_add"

struct sensor_policy {
    config_t values;
    char digest[65];
    uint64_t revision;
};

/* --- merging */

static int set_scalar(const config_setting_t *from, config_setting_t *into)
{
    int done = CONFIG_FALSE;
    switch (config_setting_type(from)) {
    case CONFIG_TYPE_INT:
        done = config_setting_set_int(into, config_setting_get_int(from));
        break;
    case CONFIG_TYPE_INT64:
        done = config_setting_set_int64(into, config_setting_get_int64(from));
        break;
    case CONFIG_TYPE_FLOAT:
        done = config_setting_set_float(into, config_setting_get_float(from));
        break;
    case CONFIG_TYPE_BOOL:
        done = config_setting_set_bool(into, config_setting_get_bool(from));
        break;
    case CONFIG_TYPE_STRING:
        done = config_setting_set_string(into, config_setting_get_string(from));
        break;
    default:
        break;
    }
    return done == CONFIG_TRUE ? 0 : -ENOMEM;
}

/* The scalars of a list behind those that into has. */
static int append_entries(const config_setting_t *from, config_setting_t *into)
{
    int r = 0;
    for (int i = 0; r == 0 && i < config_setting_length(from); i++) {
        const config_setting_t *entry = config_setting_get_elem(from, (unsigned)i);
        if (config_setting_is_aggregate(entry))
            continue;
        config_setting_t *copy = config_setting_add(into, NULL, config_setting_type(entry));
        r = copy ? set_scalar(entry, copy) : -ENOMEM;
    }
    return r;
}

/* What stands there under a name, made when it is missing or of another type. */
static config_setting_t *place_for(config_setting_t *group, const char *name, int type, bool fresh)
{
    config_setting_t *there = config_setting_get_member(group, name);
    if (there && (fresh || config_setting_type(there) != type)) {
        (void)config_setting_remove(group, name);
        there = NULL;
    }
    return there ? there : config_setting_add(group, name, type);
}

static int merge_group(const config_setting_t *from, config_setting_t *into, unsigned depth);

static int merge_member(const config_setting_t *from, config_setting_t *into, unsigned depth)
{
    char name[KEY_BYTES];
    if (text_copy(name, sizeof(name), config_setting_name(from)) < 0)
        return 0; /* no key of ours */
    if (config_setting_is_group(from)) {
        config_setting_t *group = place_for(into, name, CONFIG_TYPE_GROUP, false);
        return group ? merge_group(from, group, depth + 1) : -ENOMEM;
    }
    if (config_setting_is_aggregate(from)) {
        bool adds = text_ends_with(name, ADD_SUFFIX);
        if (adds)
            name[strlen(name) - strlen(ADD_SUFFIX)] = '\0';
        config_setting_t *list = place_for(into, name, CONFIG_TYPE_LIST, !adds);
        return list ? append_entries(from, list) : -ENOMEM;
    }
    config_setting_t *value = place_for(into, name, config_setting_type(from), true);
    return value ? set_scalar(from, value) : -ENOMEM;
}

static int merge_group(const config_setting_t *from, config_setting_t *into, unsigned depth)
{
    int r = depth > LIMIT_SETTINGS_DEPTH ? -EINVAL : 0;
    for (int i = 0; r == 0 && i < config_setting_length(from); i++)
        r = merge_member(config_setting_get_elem(from, (unsigned)i), into, depth);
    return r;
}

/* --- begin and end */

static int take_text(struct sensor_policy *policy, const struct wire_policy_text *text,
                     char *ret_problem)
{
    struct settings *settings = NULL;
    struct settings_error error = {""};
    int r = settings_parse(text->name, text->text, &settings, &error);
    if (r < 0) {
        (void)text_copy(ret_problem, 256, error.text);
        return r;
    }
    r = merge_group(settings_root(settings), config_root_setting(&policy->values), 0);
    (void)settings_free(settings);
    return r;
}

int sensor_policy_new(const struct wire_policy *policy, struct sensor_policy **ret_policy,
                      char ret_problem[static 256])
{
    struct sensor_policy *made = calloc(1, sizeof(*made));
    ret_problem[0] = '\0';
    if (!made)
        return -ENOMEM;
    config_init(&made->values);
    int r = 0;
    for (size_t i = 0; r == 0 && i < policy->text_count; i++)
        r = take_text(made, &policy->texts[i], ret_problem);
    if (r < 0) {
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
    config_destroy(&policy->values);
    free(policy);
    return NULL;
}

/* --- reading */

const char *sensor_policy_digest(const struct sensor_policy *policy)
{
    return policy->digest;
}

uint64_t sensor_policy_revision(const struct sensor_policy *policy)
{
    return policy->revision;
}

const char *sensor_policy_text(const struct sensor_policy *policy, const char *key)
{
    const config_setting_t *found = config_lookup(&policy->values, key);
    return found ? config_setting_get_string(found) : NULL;
}

const char *sensor_policy_entry(const struct sensor_policy *policy, const char *key, size_t i)
{
    const config_setting_t *found = config_lookup(&policy->values, key);
    if (!found || !config_setting_is_list(found) || i >= (size_t)config_setting_length(found))
        return NULL;
    return config_setting_get_string_elem(found, (int)i);
}

bool sensor_policy_number(const struct sensor_policy *policy, const char *key, int64_t *ret_value)
{
    const config_setting_t *found = config_lookup(&policy->values, key);
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

int sensor_policy_section(const struct sensor_policy *policy, const char *name, char **ret_text)
{
    const config_setting_t *group =
        config_setting_get_member(config_root_setting(&policy->values), name);
    config_t section;
    size_t size = 0;
    char *text = NULL;
    FILE *stream = open_memstream(&text, &size);
    if (!stream)
        return -ENOMEM;
    config_init(&section);
    int r = group && config_setting_is_group(group)
                ? merge_group(group, config_root_setting(&section), 0)
                : 0;
    if (r == 0)
        config_write(&section, stream);
    config_destroy(&section);
    if (fclose(stream) != 0 && r == 0)
        r = -ENOMEM;
    if (r < 0)
        free(text);
    else
        *ret_text = text;
    return r;
}
