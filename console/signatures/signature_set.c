/* Owns the table signature_sets, and what a set is made of. */
#include "console/signatures/signature_set.h"

#include "common/limits.h"
#include "common/text/text.h"
#include "common/wire/wire.h"
#include "console/signatures/hash_list.h"
#include "console/signatures/signature_list.h"
#include "console/store/agent_news.h"

#include <errno.h>
#include <string.h>

#define ORG           1LL
#define CONTENT_BYTES (2 * LIMIT_SIGNATURE_SET_BYTES + (1U << 20))
#define ANY_SIZE      "73" /* the oldest level of libclamav's that takes "*" for a size */
#define OWN_LISTS     4
#define SHARES        2 /* of a computer's room: lists for all, and those of its group */
#define CURSOR        "signature_sets" /* the row in cursors that writers hold */

struct set {
    struct sql *sql;
    struct wire_signatures parts;
    size_t allowed_room, bytes;
    size_t row_count;      /* lists, as people wrote them */
    const char *list_name; /* of the hashes that are read */
    bool deny;
    struct buffer denied_md5, denied_sha, allowed_md5, allowed_sha1;
};

static void set_done(struct set *set)
{
    for (size_t i = 0; i < set->parts.list_count; i++) {
        free((void *)(uintptr_t)set->parts.lists[i].name);
        free((void *)(uintptr_t)set->parts.lists[i].text);
    }
    for (size_t i = 0; i < set->parts.allowed_count; i++)
        free((void *)(uintptr_t)set->parts.allowed[i]);
    for (size_t i = 0; i < set->parts.file_count; i++) {
        free((void *)(uintptr_t)set->parts.files[i].name);
        free((void *)(uintptr_t)set->parts.files[i].sha256);
    }
    free(set->parts.lists);
    free(set->parts.allowed);
    free(set->parts.files);
    buffer_done(&set->denied_md5);
    buffer_done(&set->denied_sha);
    buffer_done(&set->allowed_md5);
    buffer_done(&set->allowed_sha1);
}

static int add_list(struct set *set, const char *name, const char *text)
{
    struct wire_signatures *parts = &set->parts;

    set->bytes += strlen(text);
    if (set->bytes > LIMIT_SIGNATURE_SET_BYTES || parts->list_count == LIMIT_SIGNATURE_LISTS)
        return -EXFULL;
    struct wire_signature_list *list = &parts->lists[parts->list_count];
    list->name = strdup(name);
    list->text = strdup(text);
    if (!list->name || !list->text) {
        free((void *)(uintptr_t)list->name);
        free((void *)(uintptr_t)list->text);
        return -ENOMEM;
    }
    parts->list_count++;
    return 0;
}

static int allow(struct set *set, const struct hash_entry *entry)
{
    struct wire_signatures *parts = &set->parts;

    if (entry->digits != 64)
        return buffer_append_format(entry->digits == 32 ? &set->allowed_md5 : &set->allowed_sha1,
                                    "%s:*:Yagura.Allowed:" ANY_SIZE "\n", entry->hash);
    if (parts->allowed_count == LIMIT_SIGNATURE_HASHES)
        return -EXFULL;
    if (parts->allowed_count == set->allowed_room) {
        size_t room = set->allowed_room ? 2 * set->allowed_room : 64;
        const char **more = reallocarray(parts->allowed, room, sizeof(*more));
        if (!more)
            return -ENOMEM;
        parts->allowed = more;
        set->allowed_room = room;
    }
    parts->allowed[parts->allowed_count] = strdup(entry->hash);
    return parts->allowed[parts->allowed_count++] ? 0 : -ENOMEM;
}

static int take_hash(void *user, const struct hash_entry *entry)
{
    struct set *set = user;

    if (!set->deny)
        return allow(set, entry);
    return buffer_append_format(entry->digits == 32 ? &set->denied_md5 : &set->denied_sha,
                                "%s:*:Yagura.Denied.%s:" ANY_SIZE "\n", entry->hash,
                                entry->name[0] ? entry->name : set->list_name);
}

/* The scope's own, and those of another one ("" = for all). */
static int read_lists(struct set *set, const char *scope, const char *other)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(set->sql,
                    "SELECT name, type, text FROM signature_lists WHERE org_id = $1"
                    " AND COALESCE(group_id, '') IN ($2, $3) ORDER BY name",
                    &row, "ntt", ORG, scope, other);
    while (r == 1) {
        set->row_count++;
        const char *type = sql_text(row, 1);
        char name[128];
        int taken;
        if (signature_is_hash_type(type)) {
            struct hash_list_problem problem;
            size_t count;
            (void)text_copy(name, sizeof(name), sql_text(row, 0));
            set->list_name = name;
            set->deny = text_equal(type, SIGNATURE_DENY);
            taken = hash_list_read(sql_text(row, 2), LIMIT_SIGNATURE_HASHES, take_hash, set, &count,
                                   &problem);
        } else {
            (void)text_format(name, sizeof(name), WIRE_CONSOLE_LIST "%s.%s", sql_text(row, 0),
                              type);
            taken = add_list(set, name, sql_text(row, 2));
        }
        r = taken < 0 ? taken : sql_step(row);
    }
    return r;
}

/* What the hash lists come to, as libclamav reads it. */
static int add_hashes(struct set *set)
{
    const struct {
        const char *name;
        struct buffer *text;
    } own[OWN_LISTS] = {{WIRE_CONSOLE_LIST "_denied.hdb", &set->denied_md5},
                        {WIRE_CONSOLE_LIST "_denied.hsb", &set->denied_sha},
                        {WIRE_CONSOLE_LIST "_allowed.fp", &set->allowed_md5},
                        {WIRE_CONSOLE_LIST "_allowed.sfp", &set->allowed_sha1}};
    int r = 0;

    for (size_t i = 0; r == 0 && i < OWN_LISTS; i++)
        if (own[i].text->length > 0)
            r = buffer_failed(own[i].text) < 0
                    ? -EXFULL
                    : add_list(set, own[i].name, buffer_text(own[i].text));
    return r;
}

static int read_files(struct set *set)
{
    struct wire_signatures *parts = &set->parts;
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(set->sql,
                    "SELECT name, sha256, size, version, built_ms FROM signature_files"
                    " ORDER BY name",
                    &row, "");
    while (r == 1 && parts->file_count < LIMIT_MIRROR_FILES) {
        struct wire_mirror_file *file = &parts->files[parts->file_count];
        *file = (struct wire_mirror_file){.name = strdup(sql_text(row, 0)),
                                          .sha256 = strdup(sql_text(row, 1)),
                                          .size = (uint64_t)sql_number(row, 2),
                                          .version = (uint64_t)sql_number(row, 3),
                                          .built_ms = (uint64_t)sql_number(row, 4)};
        parts->file_count++;
        r = file->name && file->sha256 ? sql_step(row) : -ENOMEM;
    }
    return r < 0 ? r : 0;
}

static int set_init(struct set *set, struct sql *sql)
{
    *set = (struct set){.sql = sql,
                        .denied_md5 = BUFFER_WITH_MAXIMUM(LIMIT_SIGNATURE_SET_BYTES),
                        .denied_sha = BUFFER_WITH_MAXIMUM(LIMIT_SIGNATURE_SET_BYTES),
                        .allowed_md5 = BUFFER_WITH_MAXIMUM(LIMIT_SIGNATURE_SET_BYTES),
                        .allowed_sha1 = BUFFER_WITH_MAXIMUM(LIMIT_SIGNATURE_SET_BYTES)};
    set->parts.lists = calloc(LIMIT_SIGNATURE_LISTS, sizeof(*set->parts.lists));
    set->parts.files = calloc(LIMIT_MIRROR_FILES, sizeof(*set->parts.files));
    return set->parts.lists && set->parts.files ? 0 : -ENOMEM;
}

int signature_set_hold(struct sql *sql)
{
    return sql_run(sql,
                   "INSERT INTO cursors (name, number) VALUES ($1, 1) ON CONFLICT (name)"
                   " DO UPDATE SET number = cursors.number + 1",
                   NULL, "t", CURSOR);
}

int signature_set_check_share(struct sql *sql, const char *scope)
{
    CLEANUP(set_done) struct set set;
    int r = set_init(&set, sql);
    if (r == 0)
        r = read_lists(&set, scope, scope);
    if (r == 0)
        r = add_hashes(&set);
    if (r < 0)
        return r;
    return set.row_count > LIMIT_SIGNATURE_LISTS / SHARES - OWN_LISTS ||
                   set.parts.allowed_count > LIMIT_SIGNATURE_HASHES / SHARES ||
                   set.bytes > LIMIT_SIGNATURE_SET_BYTES / SHARES
               ? -EXFULL
               : 0;
}

static int make_set(struct sql *sql, const char *scope)
{
    CLEANUP(set_done) struct set set;
    AUTO_BUFFER struct buffer content = BUFFER_WITH_MAXIMUM(CONTENT_BYTES);
    char digest[65];

    int r = set_init(&set, sql);
    if (r == 0)
        r = read_lists(&set, scope, "");
    if (r == 0)
        r = add_hashes(&set);
    if (r == 0)
        r = read_files(&set);
    if (r == 0)
        r = wire_signatures_content(&set.parts, &content, digest);
    if (r < 0)
        return r;
    return sql_run(sql,
                   "INSERT INTO signature_sets (scope, digest, content) VALUES ($1, $2, $3)"
                   " ON CONFLICT (scope) DO UPDATE SET digest = excluded.digest,"
                   " content = excluded.content",
                   NULL, "ttt", scope, digest, buffer_text(&content));
}

/* A group that has no lists (any more) has the set of all. */
static int make_set_of_group(struct sql *sql, const char *group)
{
    int r =
        sql_run(sql, "SELECT 1 FROM signature_lists WHERE group_id = $1 LIMIT 1", NULL, "t", group);
    if (r != 0)
        return r < 0 ? r : make_set(sql, group);
    return sql_run(sql, "DELETE FROM signature_sets WHERE scope = $1", NULL, "t", group);
}

static int make_all_sets(struct sql *sql)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql,
                    "DELETE FROM signature_sets WHERE scope <> '' AND NOT EXISTS (SELECT 1"
                    " FROM signature_lists WHERE signature_lists.group_id = signature_sets.scope)",
                    NULL, "");
    if (r == 0)
        r = make_set(sql, "");
    if (r == 0)
        r = sql_run(sql, "SELECT DISTINCT group_id FROM signature_lists WHERE group_id IS NOT NULL",
                    &row, "");
    while (r == 1) {
        int made = make_set(sql, sql_text(row, 0));
        r = made < 0 ? made : sql_step(row);
    }
    return r;
}

int signature_set_make(struct sql *sql, const char *scope)
{
    /* That of all must be there, for who leaves the group. */
    int r = scope[0] ? sql_run(sql, "SELECT 1 FROM signature_sets WHERE scope = ''", NULL, "") : 0;
    if (r < 0)
        return r;
    r = r == 1 ? make_set_of_group(sql, scope) : make_all_sets(sql);
    return r < 0 ? r : agent_news_note(sql);
}

int signature_set_read(struct sql *sql, const char *group_id, char ret_digest[static 65],
                       char **ret_content)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    /* The group's own stands behind the empty name. */
    int r = sql_run(sql,
                    "SELECT digest, content FROM signature_sets WHERE scope = $1 OR scope = ''"
                    " ORDER BY scope DESC LIMIT 1",
                    &row, "t", group_id);
    if (r != 1)
        return r;
    (void)text_copy(ret_digest, 65, sql_text(row, 0));
    *ret_content = strdup(sql_text(row, 1));
    return *ret_content ? 1 : -ENOMEM;
}
