/* Owns: reading the tables of the quarantine for those who list them. Must not own: files. */
#include "agent/respond/quarantine.h"

#include "agent/respond/quarantine_private.h"
#include "agent/respond/sealed_file.h"
#include "common/database/database.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <string.h>

static const char *column(sqlite3_stmt *statement, int index)
{
    return (const char *)sqlite3_column_text(statement, index) ?: "";
}

static uint64_t column_number(sqlite3_stmt *statement, int index)
{
    return (uint64_t)sqlite3_column_int64(statement, index);
}

/* A blob as a string; freed by the caller. */
static char *column_path(sqlite3_stmt *statement, int index)
{
    const char *bytes = sqlite3_column_blob(statement, index);

    return strndup(bytes ?: "", (size_t)sqlite3_column_bytes(statement, index));
}

/* One statement whose rows go to a function: 0 to go on, 1 to stop, -errno. */
struct listing {
    const char *sql;
    const char *text; /* ?1 */
    int64_t number;   /* ?2 */
    int (*take)(struct listing *listing, sqlite3_stmt *statement);
    union {
        int (*entry)(void *user, const struct quarantine_entry *entry);
        int (*held)(void *user, const struct held_entry *entry);
        int (*allowed)(void *user, const char *sha256, const char *path, uint64_t time_ns);
    } row;
    void *user;
};

static int run_listing(void *user, sqlite3 *database)
{
    struct listing *listing = user;
    sqlite3_stmt *statement;
    int taken = 0, r;

    r = sqlite3_prepare_v2(database, listing->sql, -1, &statement, NULL);
    if (r != SQLITE_OK)
        return database_errno(r);
    (void)sqlite3_bind_text(statement, 1, listing->text, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(statement, 2, listing->number);
    while (taken == 0 && (r = sqlite3_step(statement)) == SQLITE_ROW)
        taken = listing->take(listing, statement);
    (void)sqlite3_finalize(statement);
    return taken < 0 ? taken : database_errno(r);
}

static int take_entry(struct listing *listing, sqlite3_stmt *statement)
{
    AUTO_FREE char *path = column_path(statement, 1);
    struct quarantine_entry entry = {.path = path,
                                     .signature = column(statement, 2),
                                     .time_ns = column_number(statement, 4),
                                     .size = column_number(statement, 5),
                                     .modified_ns = column_number(statement, 6),
                                     .links = column_number(statement, 7),
                                     .mode = (uint32_t)column_number(statement, 8),
                                     .uid = (uint32_t)column_number(statement, 9),
                                     .gid = (uint32_t)column_number(statement, 10),
                                     .cause = (uint32_t)column_number(statement, 11)};

    if (!path)
        return -ENOMEM;
    (void)text_copy(entry.id, sizeof(entry.id), column(statement, 0));
    (void)text_copy(entry.sha256, sizeof(entry.sha256), column(statement, 3));
    return listing->row.entry(listing->user, &entry) != 0;
}

int quarantine_list(struct quarantine *quarantine, const char *after_id, uint32_t limit,
                    int (*row)(void *user, const struct quarantine_entry *entry), void *user)
{
    struct listing listing = {
        .sql = "SELECT id, path, signature, sha256, time_ns, size, mtime_ns, links, mode, uid, gid,"
               " cause FROM quarantine WHERE ?1 = '' OR id < ?1 ORDER BY id DESC LIMIT ?2",
        .text = after_id ?: "",
        .number = limit > 0 ? (int64_t)limit : -1,
        .take = take_entry,
        .row = {.entry = row},
        .user = user};

    return store_read(quarantine->store, run_listing, &listing);
}

static int take_held(struct listing *listing, sqlite3_stmt *statement)
{
    AUTO_FREE char *path = column_path(statement, 1);
    struct held_entry entry = {.path = path,
                               .signature = column(statement, 2),
                               .reason = column(statement, 4),
                               .time_ns = column_number(statement, 5)};

    if (!path)
        return -ENOMEM;
    (void)text_copy(entry.id, sizeof(entry.id), column(statement, 0));
    (void)text_copy(entry.sha256, sizeof(entry.sha256), column(statement, 3));
    return listing->row.held(listing->user, &entry) != 0;
}

int quarantine_list_held(struct quarantine *quarantine, uint32_t limit,
                         int (*row)(void *user, const struct held_entry *entry), void *user)
{
    struct listing listing = {.sql = "SELECT id, path, signature, sha256, reason, time_ns FROM held"
                                     " WHERE ?1 = '' ORDER BY id DESC LIMIT ?2",
                              .text = "",
                              .number = limit > 0 ? (int64_t)limit : -1,
                              .take = take_held,
                              .row = {.held = row},
                              .user = user};

    return store_read(quarantine->store, run_listing, &listing);
}

static int take_allowed(struct listing *listing, sqlite3_stmt *statement)
{
    AUTO_FREE char *path = column_path(statement, 1);

    if (!path)
        return -ENOMEM;
    return listing->row.allowed(listing->user, column(statement, 0), path,
                                column_number(statement, 2)) != 0;
}

int quarantine_list_allowed(struct quarantine *quarantine,
                            int (*row)(void *user, const char *sha256, const char *path,
                                       uint64_t time_ns),
                            void *user)
{
    struct listing listing = {.sql = "SELECT sha256, path, time_ns FROM allowed"
                                     " WHERE ?1 = '' ORDER BY time_ns LIMIT ?2",
                              .text = "",
                              .number = -1,
                              .take = take_allowed,
                              .row = {.allowed = row},
                              .user = user};

    return store_read(quarantine->store, run_listing, &listing);
}

/* ---- finding ---- */

struct finding {
    char id[UUID_TEXT_BYTES];
    unsigned count;
};

static int take_found(void *user, const struct quarantine_entry *entry)
{
    struct finding *finding = user;

    (void)text_copy(finding->id, sizeof(finding->id), entry->id);
    return ++finding->count > 1;
}

static int take_beginning(struct listing *listing, sqlite3_stmt *statement)
{
    struct quarantine_entry entry = {0};

    (void)text_copy(entry.id, sizeof(entry.id), column(statement, 0));
    return listing->row.entry(listing->user, &entry) != 0;
}

int quarantine_find(struct quarantine *quarantine, const char *beginning,
                    char ret_id[static UUID_TEXT_BYTES])
{
    struct finding finding = {0};
    struct listing listing = {.sql = "SELECT id FROM quarantine WHERE id >= ?1"
                                     " AND substr(id, 1, length(?1)) = ?1 ORDER BY id LIMIT ?2",
                              .text = beginning,
                              .number = 2,
                              .take = take_beginning,
                              .row = {.entry = take_found},
                              .user = &finding};
    int r;

    if (beginning[0] == '\0' || strspn(beginning, "0123456789abcdef-") != strlen(beginning))
        return -EINVAL;
    r = store_read(quarantine->store, run_listing, &listing);
    if (r < 0)
        return r;
    if (finding.count == 0)
        return -ENOENT;
    if (finding.count > 1)
        return -ENOTUNIQ;
    (void)text_copy(ret_id, UUID_TEXT_BYTES, finding.id);
    return 0;
}

int quarantine_show(struct quarantine *quarantine, const char *id, bool check_content,
                    struct quarantine_facts *ret_facts)
{
    AUTO_FACTS struct quarantine_facts facts = {0};
    AUTO_CLOSE int fd = -1;
    int r;

    r = quarantine_open_sealed(quarantine, id, &fd, &facts);
    if (r < 0)
        return r;
    if (check_content) {
        r = sealed_file_read_content(quarantine->key, fd, &facts, -1);
        if (r < 0)
            return r;
    }
    *ret_facts = facts;
    facts = (struct quarantine_facts){0};
    return 0;
}

/* ---- usage ---- */

static int read_usage(void *user, sqlite3 *database)
{
    struct quarantine_usage *usage = user;
    sqlite3_stmt *statement;
    int r;

    r = sqlite3_prepare_v2(database,
                           "SELECT (SELECT count(*) FROM quarantine), (SELECT count(*) FROM held),"
                           " (SELECT count(*) FROM intent WHERE id NOT IN (SELECT id FROM told))",
                           -1, &statement, NULL);
    if (r != SQLITE_OK)
        return database_errno(r);
    r = sqlite3_step(statement);
    if (r == SQLITE_ROW) {
        usage->files = column_number(statement, 0);
        usage->held = column_number(statement, 1);
        usage->pending = column_number(statement, 2);
    }
    (void)sqlite3_finalize(statement);
    return database_errno(r);
}

int quarantine_usage(struct quarantine *quarantine, struct quarantine_usage *ret_usage)
{
    struct quarantine_usage usage = {0};
    int r;

    r = store_read(quarantine->store, read_usage, &usage);
    if (r < 0)
        return r;
    pthread_mutex_lock(&quarantine->mutex);
    usage.bytes = quarantine->used_bytes;
    usage.maximum_bytes = quarantine->maximum_bytes;
    pthread_mutex_unlock(&quarantine->mutex);
    *ret_usage = usage;
    return 0;
}
