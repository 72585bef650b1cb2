/* Who asks, and what they may see and do. Every function of the store that reads or changes what
 * belongs to computers takes a viewer and narrows its SQL by it: there is no other way in. */
#ifndef CONSOLE_PEOPLE_VIEWER_H
#define CONSOLE_PEOPLE_VIEWER_H

#include "common/attributes.h"
#include "common/buffers/buffer.h"
#include "common/crypto/random.h"
#include "console/store/sql.h"

#include <stdbool.h>
#include <stdint.h>

enum permission {
    PERMISSION_NONE = 0,          /* without signing in */
    PERMISSION_SELF = 1U << 0,    /* anyone who is signed in */
    PERMISSION_READ = 1U << 1,    /* computers, events, policies, groups, overview */
    PERMISSION_OPERATE = 1U << 2, /* commands, computers, groups, tokens */
    PERMISSION_POLICY = 1U << 3,  /* change policies */
    PERMISSION_AUDIT = 1U << 4,   /* the audit log */
    PERMISSION_ADMIN = 1U << 5,   /* users, keys, destinations, the signing key */
};
/* What belongs to no group: whoever is limited to groups has none of these, whatever the role. */
#define PERMISSIONS_OF_ALL (PERMISSION_AUDIT | PERMISSION_ADMIN)

#define VIEWER_GROUPS_MAXIMUM 32

struct viewer {
    char actor[160];               /* "user:NAME" or "key:NAME": for the audit log */
    char user_id[UUID_TEXT_BYTES]; /* "" for a key */
    char role[32];
    uint32_t permissions;
    bool must_change_password;
    char groups[VIEWER_GROUPS_MAXIMUM][UUID_TEXT_BYTES]; /* limited to these */
    size_t group_count;                                  /* 0: to none, all is seen */
};

/* The permissions of a role: "administrator", "operator", "auditor", "reader"; 0 for others. */
uint32_t role_permissions(const char *role);
/* groups: JSON array of group ids. -EINVAL when it is not, or too long. */
int viewer_set_groups(struct viewer *viewer, const char *groups) MUST_USE;
/* Whether the viewer may put something into the group, "" for none: who is limited to groups puts
 * things nowhere else. */
bool viewer_may_place(const struct viewer *viewer, const char *group_id);
/* Appends " AND group_id IN (...)" for a table that has group_id, and nothing without limits. The
 * ids are UUIDs made by us, checked again before they are written. */
void viewer_limit_groups(const struct viewer *viewer, const char *column, struct buffer *text);
/* The same for a column that holds the number of a computer or sensor. */
void viewer_limit_computers(const struct viewer *viewer, const char *column, struct buffer *text);

#endif
