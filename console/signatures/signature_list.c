/* Owns the table signature_lists. Must not judge a signature: signature_judge does. */
#include "console/signatures/signature_list.h"

#include "common/limits.h"
#include "common/text/text.h"
#include "common/wire/wire.h"
#include "console/signatures/hash_list.h"
#include "console/signatures/signature_set.h"
#include "console/store/console_store.h"

#include <errno.h>
#include <string.h>

#define ORG 1LL

static const char *const TYPES[] = {"hdb", "hsb",  "ndb",  "ldb",           "fp",
                                    "sfp", "ign2", "yara", SIGNATURE_ALLOW, SIGNATURE_DENY};

bool signature_is_type(const char *type)
{
    for (size_t i = 0; i < ARRAY_LENGTH(TYPES); i++)
        if (text_equal(TYPES[i], type))
            return true;
    return false;
}

bool signature_is_hash_type(const char *type)
{
    return text_equal(type, SIGNATURE_ALLOW) || text_equal(type, SIGNATURE_DENY);
}

bool signature_is_list_name(const char *name)
{
    return strlen(name) <= 64 && name[0] != '_' && name[0] != '-' && wire_is_signature_name(name);
}

static int create_list(struct sql *sql, const struct signature_list *list)
{
    char id[UUID_TEXT_BYTES];
    int r = uuid_new(id);
    return r < 0 ? r
                 : sql_run(sql,
                           "INSERT INTO signature_lists (id, org_id, name, type, group_id, text,"
                           " entries, revision, author, changed_ms)"
                           " VALUES ($1, $2, $3, $4, $5, $6, $7, 1, $8, $9)",
                           NULL, "tnttttntn", id, ORG, list->name, list->type, list->group_id,
                           list->text, list->entries, list->author, console_store_now_ms());
}

static int change_list(struct sql *sql, const struct signature_list *list, int64_t revision)
{
    AUTO_STATEMENT struct sql_statement *update = NULL;
    int r = sql_run(sql,
                    "UPDATE signature_lists SET type = $1, group_id = $2, text = $3, entries = $4,"
                    " revision = revision + 1, author = $5, changed_ms = $6 WHERE org_id = $7"
                    " AND name = $8 AND revision = $9",
                    &update, "tttntnntn", list->type, list->group_id, list->text, list->entries,
                    list->author, console_store_now_ms(), ORG, list->name, revision);
    return r == 0 && sql_changes(update) == 0 ? -ESTALE : r;
}

int signature_list_find(struct sql *sql, const char *name, struct signature_list_row *ret_row)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = signature_set_hold(sql);
    if (r == 0)
        r = sql_run(sql,
                    "SELECT revision, COALESCE(group_id, '') FROM signature_lists WHERE org_id = $1"
                    " AND name = $2",
                    &row, "nt", ORG, name);
    if (r < 0)
        return r;
    *ret_row = (struct signature_list_row){.revision = r == 1 ? sql_number(row, 0) : -1};
    return r == 1 ? text_copy(ret_row->group_id, sizeof(ret_row->group_id), sql_text(row, 1)) : 0;
}

/* After a list went from one scope to another, or stayed. */
static int make_sets_of(struct sql *sql, const char *before, const char *after)
{
    bool of_all = !before[0] || !after[0];
    int r = signature_set_make(sql, of_all ? "" : after);
    return r == 0 && !of_all && !text_equal(before, after) ? signature_set_make(sql, before) : r;
}

int signature_list_put(struct sql *sql, const struct signature_list *list,
                       const struct signature_list_row *row, int64_t *ret_revision)
{
    const char *scope = list->group_id ? list->group_id : "";
    bool is_new = row->revision < 0;
    int r = is_new ? create_list(sql, list) : change_list(sql, list, row->revision);
    if (r == 0)
        r = signature_set_check_share(sql, scope);
    if (r == 0)
        r = make_sets_of(sql, is_new ? scope : row->group_id, scope);
    if (r == 0)
        *ret_revision = is_new ? 1 : row->revision + 1;
    return r;
}

int signature_list_delete(struct sql *sql, const char *name, const struct signature_list_row *row)
{
    if (row->revision < 0)
        return -ENOENT;
    int r = sql_run(sql, "DELETE FROM signature_lists WHERE org_id = $1 AND name = $2", NULL, "nt",
                    ORG, name);
    return r < 0 ? r : signature_set_make(sql, row->group_id);
}

static int see_hash(void *user, const struct hash_entry *entry)
{
    return text_equal(user, entry->hash) ? 1 : 0;
}

int signature_list_add(struct sql *sql, const struct signature_list *list,
                       const struct signature_list_row *row, const struct hash_entry *entry)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(LIMIT_SIGNATURE_LIST_BYTES);
    struct signature_list changed = *list;
    struct hash_list_problem problem;
    int64_t revision;
    size_t count = 0;
    AUTO_STATEMENT struct sql_statement *there = NULL;
    int r = sql_run(sql, "SELECT text, type FROM signature_lists WHERE org_id = $1 AND name = $2",
                    &there, "nt", ORG, list->name);
    if (r < 0)
        return r;
    if (r == 1) {
        if (!text_equal(sql_text(there, 1), list->type) ||
            !text_equal(row->group_id, list->group_id ? list->group_id : ""))
            return -EEXIST;
        r = hash_list_read(sql_text(there, 0), LIMIT_SIGNATURE_HASHES, see_hash,
                           (void *)(uintptr_t)entry->hash, &count, &problem);
        if (r != 0)
            return r == 1 ? 0 : r;
        (void)buffer_append_text(&text, sql_text(there, 0));
        if (text.length > 0 && buffer_text(&text)[text.length - 1] != '\n')
            (void)buffer_append_text(&text, "\n");
    }
    (void)buffer_append_format(&text, "%s%s%s\n", entry->hash, entry->name[0] ? " " : "",
                               entry->name);
    if (buffer_failed(&text) < 0)
        return -EXFULL;
    changed.text = buffer_text(&text);
    changed.entries = (int64_t)count + 1;
    r = signature_list_put(sql, &changed, row, &revision);
    return r < 0 ? r : 1;
}
