/* Owns: groups as values: written as one line of libconfig, in one spelling, so that they can be
 * kept, compared and read again. Must not own: what they mean. */
#include <errno.h>

#include "common/buffers/buffer.h"
#include "common/settings/schema_private.h"
#include "common/text/text.h"

static int write_members(const config_setting_t *setting, struct buffer *text, const char *between)
{
    int length = config_setting_length(setting);
    int r = 0;

    for (int i = 0; i < length && r == 0; i++) {
        const config_setting_t *member = config_setting_get_elem(setting, (unsigned)i);
        (void)buffer_append_text(text, i > 0 ? between : "");
        if (config_setting_name(member) != NULL)
            (void)buffer_append_format(text, "%s = ", config_setting_name(member));
        r = schema_write_setting(member, text);
    }
    return r;
}

/* "{ ; }" would be no group. */
static const char *end_of(const config_setting_t *setting)
{
    if (!config_setting_is_group(setting))
        return config_setting_is_list(setting) ? ")" : "]";
    return config_setting_length(setting) > 0 ? "; }" : "}";
}

/* settings_parse bounded the depth of what it read: so is this recursion. */
int schema_write_setting(const config_setting_t *setting, struct buffer *text)
{
    bool group = config_setting_is_group(setting), list = config_setting_is_list(setting);
    int r;

    switch (config_setting_type(setting)) {
    case CONFIG_TYPE_INT:
        return buffer_append_format(text, "%d", config_setting_get_int(setting));
    case CONFIG_TYPE_INT64:
        return buffer_append_format(text, "%lldL", config_setting_get_int64(setting));
    case CONFIG_TYPE_BOOL:
        return buffer_append_text(text, config_setting_get_bool(setting) ? "true" : "false");
    case CONFIG_TYPE_STRING:
        schema_show_text(text, config_setting_get_string(setting));
        return buffer_failed(text);
    case CONFIG_TYPE_GROUP:
    case CONFIG_TYPE_LIST:
    case CONFIG_TYPE_ARRAY:
        (void)buffer_append_text(text, group ? "{ " : list ? "(" : "[");
        r = write_members(setting, text, group ? "; " : ", ");
        (void)buffer_append_text(text, end_of(setting));
        return r;
    default:
        return -EINVAL;
    }
}
