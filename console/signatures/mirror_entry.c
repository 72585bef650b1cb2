/* Owns the table signature_files. Must not look at a file: mirror does. */
#include "console/signatures/mirror_entry.h"

#include "common/text/text.h"
#include "console/signatures/signature_set.h"
#include "console/store/console_store.h"

#include <errno.h>
#include <string.h>

/* "daily.cvd" and "daily.cld" are the same database in two forms. */
static void other_form(const char *name, char ret_name[static SIGNATURE_NAME_BYTES])
{
    size_t length = strlen(name);
    (void)text_copy(ret_name, SIGNATURE_NAME_BYTES, name);
    if (text_ends_with(name, ".cvd"))
        ret_name[length - 2] = 'l';
    else if (text_ends_with(name, ".cld"))
        ret_name[length - 2] = 'v';
    else
        ret_name[0] = '\0';
}

int mirror_entry_put(struct sql *sql, const struct mirror_entry *entry)
{
    char other[SIGNATURE_NAME_BYTES];
    other_form(entry->name, other);
    int r = signature_set_hold(sql);
    if (r == 0)
        r = sql_run(sql, "DELETE FROM signature_files WHERE name = $1", NULL, "t", other);
    if (r == 0)
        r = sql_run(sql,
                    "INSERT INTO signature_files (name, sha256, size, version, built_ms, source,"
                    " added_ms) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (name) DO UPDATE"
                    " SET sha256 = excluded.sha256, size = excluded.size,"
                    " version = excluded.version, built_ms = excluded.built_ms,"
                    " source = excluded.source, added_ms = excluded.added_ms",
                    NULL, "ttnnntn", entry->name, entry->sha256, (int64_t)entry->size,
                    (int64_t)entry->version, (int64_t)entry->built_ms, entry->source,
                    console_store_now_ms());
    return r < 0 ? r : signature_set_make(sql, "");
}

int mirror_entry_delete(struct sql *sql, const char *name)
{
    AUTO_STATEMENT struct sql_statement *gone = NULL;
    int r = signature_set_hold(sql);
    if (r == 0)
        r = sql_run(sql, "DELETE FROM signature_files WHERE name = $1", &gone, "t", name);
    if (r == 0 && sql_changes(gone) == 0)
        return -ENOENT;
    return r == 0 ? signature_set_make(sql, "") : r;
}

static int read_entry(struct sql *sql, const char *text, const char *key,
                      struct mirror_entry *ret_entry)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql, text, &row, "t", key);
    if (r != 1)
        return r;
    *ret_entry = (struct mirror_entry){.size = (uint64_t)sql_number(row, 2),
                                       .version = (uint64_t)sql_number(row, 3),
                                       .built_ms = (uint64_t)sql_number(row, 4)};
    (void)text_copy(ret_entry->name, sizeof(ret_entry->name), sql_text(row, 0));
    (void)text_copy(ret_entry->sha256, sizeof(ret_entry->sha256), sql_text(row, 1));
    (void)text_copy(ret_entry->source, sizeof(ret_entry->source), sql_text(row, 5));
    return 1;
}

#define ENTRY "SELECT name, sha256, size, version, built_ms, source FROM signature_files WHERE "

int mirror_entry_read(struct sql *sql, const char *name, struct mirror_entry *ret_entry)
{
    char other[SIGNATURE_NAME_BYTES];
    int r = read_entry(sql, ENTRY "name = $1", name, ret_entry);
    other_form(name, other);
    return r == 0 && other[0] ? read_entry(sql, ENTRY "name = $1", other, ret_entry) : r;
}

int mirror_entry_find(struct sql *sql, const char *sha256, struct mirror_entry *ret_entry)
{
    return read_entry(sql, ENTRY "sha256 = $1 LIMIT 1", sha256, ret_entry);
}
