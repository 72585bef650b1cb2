/* Owns roles and the narrowing of SQL to a viewer's groups. */
#include "console/people/viewer.h"

#include "common/text/text.h"
#include "common/wire/wire.h"

#include <errno.h>

uint32_t role_permissions(const char *role)
{
    static const struct {
        const char *role;
        uint32_t permissions;
    } roles[] = {
        {"administrator", PERMISSION_SELF | PERMISSION_READ | PERMISSION_OPERATE |
                              PERMISSION_POLICY | PERMISSION_AUDIT | PERMISSION_ADMIN},
        {"operator", PERMISSION_SELF | PERMISSION_READ | PERMISSION_OPERATE | PERMISSION_POLICY},
        {"auditor", PERMISSION_SELF | PERMISSION_READ | PERMISSION_AUDIT},
        {"reader", PERMISSION_SELF | PERMISSION_READ},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(roles); i++)
        if (text_equal(roles[i].role, role))
            return roles[i].permissions;
    return 0;
}

int viewer_set_groups(struct viewer *viewer, const char *groups)
{
    json_t *list = json_loads(groups, 0, NULL);
    int r = json_is_array(list) && json_array_size(list) <= VIEWER_GROUPS_MAXIMUM ? 0 : -EINVAL;
    size_t i;
    const json_t *entry;
    viewer->group_count = 0;
    json_array_foreach(list, i, entry)
    {
        const char *id = json_string_value(entry);
        if (r < 0 || !id || !wire_is_uuid(id)) {
            r = -EINVAL;
            break;
        }
        (void)text_copy(viewer->groups[viewer->group_count++], UUID_TEXT_BYTES, id);
    }
    json_decref(list);
    return r;
}

bool viewer_may_place(const struct viewer *viewer, const char *group_id)
{
    for (size_t i = 0; i < viewer->group_count; i++)
        if (text_equal(viewer->groups[i], group_id))
            return true;
    return viewer->group_count == 0;
}

static void append_groups(const struct viewer *viewer, struct buffer *text)
{
    for (size_t i = 0; i < viewer->group_count; i++) {
        if (wire_is_uuid(viewer->groups[i]))
            (void)buffer_append_format(text, "%s'%s'", i ? ", " : "", viewer->groups[i]);
    }
}

void viewer_limit_groups(const struct viewer *viewer, const char *column, struct buffer *text)
{
    if (viewer->group_count == 0)
        return;
    (void)buffer_append_format(text, " AND %s IN (", column);
    append_groups(viewer, text);
    (void)buffer_append_text(text, ")");
}

void viewer_limit_computers(const struct viewer *viewer, const char *column, struct buffer *text)
{
    if (viewer->group_count == 0)
        return;
    (void)buffer_append_format(
        text, " AND %s IN (SELECT computers.number FROM computers WHERE computers.group_id IN (",
        column);
    append_groups(viewer, text);
    (void)buffer_append_text(
        text, ") UNION ALL SELECT sensors.number FROM sensors WHERE sensors.group_id IN (");
    append_groups(viewer, text);
    (void)buffer_append_text(text, "))");
}
