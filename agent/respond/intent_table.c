/* Owns: the SQL of intents, held detections and action counts. Must not own: transactions. */
#include "agent/respond/intent_table.h"

#include "agent/respond/brake.h"
#include "common/database/database.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <string.h>

static int prepare(sqlite3 *database, const char *sql, sqlite3_stmt **ret_statement)
{
    return database_errno(sqlite3_prepare_v2(database, sql, -1, ret_statement, NULL));
}

/* Runs a statement that returns no rows. */
static int finish(sqlite3_stmt *statement)
{
    int r = sqlite3_step(statement);

    (void)sqlite3_finalize(statement);
    return database_errno(r);
}

static void bind_text(sqlite3_stmt *statement, int index, const char *text)
{
    (void)sqlite3_bind_text(statement, index, text, -1, SQLITE_STATIC);
}

static void bind_path(sqlite3_stmt *statement, int index, const char *path)
{
    (void)sqlite3_bind_blob(statement, index, path, (int)strlen(path), SQLITE_STATIC);
}

static void bind_number(sqlite3_stmt *statement, int index, uint64_t number)
{
    (void)sqlite3_bind_int64(statement, index, (int64_t)number);
}

static const char *column(sqlite3_stmt *statement, int index)
{
    return (const char *)sqlite3_column_text(statement, index) ?: "";
}

static char *column_path(sqlite3_stmt *statement, int index)
{
    const char *bytes = sqlite3_column_blob(statement, index);

    return strndup(bytes ?: "", (size_t)sqlite3_column_bytes(statement, index));
}

/* ---- intents ---- */

static int insert_row(const struct intent *intent, sqlite3 *database)
{
    AUTO_BUFFER struct buffer facts = BUFFER_WITH_MAXIMUM(LIMIT_QUARANTINE_HEADER);
    sqlite3_stmt *insert;
    int r;

    r = quarantine_facts_encode(&intent->facts, &facts);
    if (r < 0)
        return r;
    r = prepare(database, "INSERT INTO intent VALUES(?1,?2,?3,?4,?5,?6,?7,?8)", &insert);
    if (r < 0)
        return r;
    bind_text(insert, 1, intent->facts.id);
    bind_number(insert, 2, (uint64_t)intent->action);
    bind_path(insert, 3, intent->facts.path);
    bind_path(insert, 4, intent->holding);
    bind_number(insert, 5, intent->facts.device);
    bind_number(insert, 6, intent->facts.inode);
    (void)sqlite3_bind_blob(insert, 7, facts.data, (int)facts.length, SQLITE_STATIC);
    bind_number(insert, 8, intent->facts.time_ns);
    return finish(insert);
}

static int insert_holding(const char *path, sqlite3 *database)
{
    sqlite3_stmt *insert;
    int r;

    r = prepare(database, "INSERT OR IGNORE INTO holding VALUES(?1)", &insert);
    if (r < 0)
        return r;
    bind_path(insert, 1, path);
    return finish(insert);
}

static int count_action(const char *signature, sqlite3 *database)
{
    sqlite3_stmt *insert;
    int r;

    r = prepare(database,
                "INSERT INTO action VALUES(?1, ?2, 1)"
                " ON CONFLICT(signature, minute) DO UPDATE SET count = count + 1",
                &insert);
    if (r < 0)
        return r;
    bind_text(insert, 1, signature);
    bind_number(insert, 2, brake_minute());
    return finish(insert);
}

int intent_insert(const struct intent *intent, sqlite3 *database)
{
    int r;

    r = insert_row(intent, database);
    if (r == 0)
        r = insert_holding(intent->holding, database);
    return r < 0 ? r : count_action(intent->facts.signature, database);
}

static int execute_for(const char *sql, const char *id, sqlite3 *database)
{
    sqlite3_stmt *statement;
    int r;

    r = prepare(database, sql, &statement);
    if (r < 0)
        return r;
    bind_text(statement, 1, id);
    return finish(statement);
}

int intent_delete(const char *id, sqlite3 *database)
{
    int r;

    r = execute_for("DELETE FROM intent WHERE id = ?1", id, database);
    return r < 0 ? r : execute_for("DELETE FROM told WHERE id = ?1", id, database);
}

/* ---- told ones ---- */

int intent_note_told(const char *id, const struct sealed_bytes *sealed, sqlite3 *database)
{
    sqlite3_stmt *insert;
    int r;

    r = prepare(database, "INSERT OR REPLACE INTO told VALUES(?1, ?2)", &insert);
    if (r < 0)
        return r;
    bind_text(insert, 1, id);
    if (sealed->data)
        (void)sqlite3_bind_blob(insert, 2, sealed->data, (int)sealed->length, SQLITE_STATIC);
    return finish(insert);
}

int intent_forget_sealed(const char *id, sqlite3 *database)
{
    return execute_for("UPDATE told SET sealed = NULL WHERE id = ?1", id, database);
}

int intent_find_sealed(const char *id, sqlite3 *database, struct sealed_bytes *ret_sealed)
{
    sqlite3_stmt *statement;
    int r;

    r = prepare(database, "SELECT sealed FROM told WHERE id = ?1 AND sealed IS NOT NULL",
                &statement);
    if (r < 0)
        return r;
    bind_text(statement, 1, id);
    r = sqlite3_step(statement);
    if (r == SQLITE_ROW) {
        size_t length = (size_t)sqlite3_column_bytes(statement, 0);
        void *copy = malloc(MAX(length, 1));

        if (copy)
            memcpy(copy, sqlite3_column_blob(statement, 0) ?: "", length);
        *ret_sealed = (struct sealed_bytes){copy, length};
        r = copy ? SQLITE_ROW : SQLITE_NOMEM;
    }
    (void)sqlite3_finalize(statement);
    if (r == SQLITE_DONE)
        return -ENOENT;
    return r == SQLITE_ROW ? 0 : database_errno(r);
}

int intent_each_sealed(sqlite3 *database,
                       int (*take)(void *user, const char *id, const struct sealed_bytes *sealed),
                       void *user)
{
    sqlite3_stmt *statement;
    int taken = 0, r;

    r = prepare(database, "SELECT id, sealed FROM told WHERE sealed IS NOT NULL", &statement);
    if (r < 0)
        return r;
    while (taken >= 0 && (r = sqlite3_step(statement)) == SQLITE_ROW) {
        struct sealed_bytes sealed = {.data = (void *)sqlite3_column_blob(statement, 1),
                                      .length = (size_t)sqlite3_column_bytes(statement, 1)};

        taken = take(user, column(statement, 0), &sealed);
    }
    (void)sqlite3_finalize(statement);
    return taken < 0 ? taken : database_errno(r);
}

/* ---- reading ---- */

static int take_intent(sqlite3_stmt *statement,
                       int (*take)(void *user, const struct intent *intent), void *user)
{
    AUTO_FREE char *holding = column_path(statement, 1);
    struct intent intent = {.holding = holding,
                            .action = (enum respond_action)sqlite3_column_int(statement, 0),
                            .told = sqlite3_column_int(statement, 3) != 0,
                            .catalogued = sqlite3_column_int(statement, 4) != 0};
    int r;

    if (!holding)
        return -ENOMEM;
    r = quarantine_facts_decode(sqlite3_column_blob(statement, 2),
                                (size_t)sqlite3_column_bytes(statement, 2), &intent.facts);
    if (r == -EBADMSG)
        return 0; /* one bad row must not keep the others from being dealt with */
    if (r < 0)
        return r;
    r = take(user, &intent);
    quarantine_facts_done(&intent.facts);
    return r;
}

int intent_each(sqlite3 *database, int (*take)(void *user, const struct intent *intent), void *user)
{
    sqlite3_stmt *statement;
    int taken = 0, r;

    r = prepare(database,
                "SELECT action, holding, facts, id IN (SELECT id FROM told),"
                " id IN (SELECT id FROM quarantine) FROM intent ORDER BY id",
                &statement);
    if (r < 0)
        return r;
    while (taken >= 0 && (r = sqlite3_step(statement)) == SQLITE_ROW)
        taken = take_intent(statement, take, user);
    (void)sqlite3_finalize(statement);
    return taken < 0 ? taken : database_errno(r);
}

int intent_each_holding(sqlite3 *database, int (*take)(void *user, const char *path), void *user)
{
    sqlite3_stmt *statement;
    int taken = 0, r;

    r = prepare(database, "SELECT path FROM holding", &statement);
    if (r < 0)
        return r;
    while (taken >= 0 && (r = sqlite3_step(statement)) == SQLITE_ROW) {
        AUTO_FREE char *path = column_path(statement, 0);

        taken = path ? take(user, path) : -ENOMEM;
    }
    (void)sqlite3_finalize(statement);
    return taken < 0 ? taken : database_errno(r);
}

int intent_knows(sqlite3 *database, const char *id)
{
    sqlite3_stmt *statement;
    int r;

    r = prepare(database,
                "SELECT 1 FROM quarantine WHERE id = ?1 UNION ALL SELECT 1 FROM intent"
                " WHERE id = ?1",
                &statement);
    if (r < 0)
        return r;
    bind_text(statement, 1, id);
    r = sqlite3_step(statement);
    (void)sqlite3_finalize(statement);
    return r == SQLITE_ROW ? 1 : database_errno(r);
}

/* ---- held detections ---- */

int held_insert(const struct quarantine_facts *facts, const char *reason, sqlite3 *database)
{
    sqlite3_stmt *insert;
    int r;

    r = prepare(database, "INSERT OR REPLACE INTO held VALUES(?1,?2,?3,?4,?5,?6,?7,?8)", &insert);
    if (r < 0)
        return r;
    bind_text(insert, 1, facts->id);
    bind_number(insert, 2, facts->time_ns);
    bind_path(insert, 3, facts->path);
    bind_text(insert, 4, facts->signature);
    bind_text(insert, 5, facts->sha256);
    bind_text(insert, 6, reason);
    bind_number(insert, 7, facts->device);
    bind_number(insert, 8, facts->inode);
    r = finish(insert);
    if (r < 0)
        return r;
    /* Counting costs, so about every 256th row looks whether there are too many. */
    if (!text_ends_with(facts->id, "00"))
        return 0;
    r = prepare(database,
                "DELETE FROM held WHERE id < (SELECT id FROM held ORDER BY id DESC LIMIT 1"
                " OFFSET ?1)",
                &insert);
    if (r < 0)
        return r;
    bind_number(insert, 1, LIMIT_HELD - 1);
    return finish(insert);
}

int held_find(sqlite3 *database, const char *id, struct quarantine_facts *ret_facts)
{
    struct quarantine_facts facts = {0};
    sqlite3_stmt *statement;
    int r;

    r = prepare(database, "SELECT path, signature, sha256, device, inode FROM held WHERE id = ?1",
                &statement);
    if (r < 0)
        return r;
    bind_text(statement, 1, id);
    r = sqlite3_step(statement);
    if (r == SQLITE_ROW) {
        facts.path = column_path(statement, 0);
        (void)text_copy(facts.id, sizeof(facts.id), id);
        (void)text_copy(facts.signature, sizeof(facts.signature), column(statement, 1));
        (void)text_copy(facts.sha256, sizeof(facts.sha256), column(statement, 2));
        facts.device = (uint64_t)sqlite3_column_int64(statement, 3);
        facts.inode = (uint64_t)sqlite3_column_int64(statement, 4);
    }
    (void)sqlite3_finalize(statement);
    if (r == SQLITE_DONE)
        return -ENOENT;
    if (r != SQLITE_ROW)
        return database_errno(r);
    if (!facts.path)
        return -ENOMEM;
    *ret_facts = facts;
    return 0;
}

int held_delete(const char *id, sqlite3 *database)
{
    int r = execute_for("DELETE FROM held WHERE id = ?1", id, database);

    return r == 0 && sqlite3_changes(database) == 0 ? -ENOENT : r;
}

/* ---- action counts ---- */

int action_counts_each(sqlite3 *database,
                       void (*take)(void *user, const char *signature, uint64_t minute,
                                    uint64_t count),
                       void *user)
{
    sqlite3_stmt *statement;
    int r;

    r = prepare(database, "SELECT signature, minute, count FROM action", &statement);
    if (r < 0)
        return r;
    while ((r = sqlite3_step(statement)) == SQLITE_ROW)
        take(user, column(statement, 0), (uint64_t)sqlite3_column_int64(statement, 1),
             (uint64_t)sqlite3_column_int64(statement, 2));
    (void)sqlite3_finalize(statement);
    return database_errno(r);
}

int action_counts_trim(sqlite3 *database)
{
    sqlite3_stmt *statement;
    int r;

    r = prepare(database, "DELETE FROM action WHERE minute < ?1", &statement);
    if (r < 0)
        return r;
    bind_number(statement, 1, brake_minute() - MIN(brake_minute(), BRAKE_MINUTES));
    return finish(statement);
}
