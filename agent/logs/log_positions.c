/* Owns: the SQL of positions, and what is committed together. */
#include "agent/logs/logs_private.h"

#include "common/buffers/buffer.h"
#include "common/database/database.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <string.h>

static int write_position(sqlite3 *database, const char *source, const char *position)
{
    sqlite3_stmt *statement;
    int r = database_errno(sqlite3_prepare_v2(
        database, "INSERT OR REPLACE INTO log_position VALUES(?1, ?2)", -1, &statement, NULL));

    if (r < 0)
        return r;
    (void)sqlite3_bind_text(statement, 1, source, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(statement, 2, position, -1, SQLITE_STATIC);
    r = sqlite3_step(statement);
    (void)sqlite3_finalize(statement);
    return database_errno(r);
}

/* In the store's thread, while ours waits. */
static int write_all(void *user, sqlite3 *database)
{
    const struct logs *logs = user;
    int r = logs->cursor_changed ? write_position(database, LOGS_JOURNAL, logs->cursor) : 0;

    for (size_t i = 0; i < logs->source_count && r == 0; i++) {
        const struct log_source *source = &logs->sources[i];
        if (!source->changed)
            continue;
        AUTO_FREE char *position = log_source_position(source);
        r = position != NULL ? write_position(database, source->path, position) : -ENOMEM;
    }
    return r < 0 ? r : log_folds_write(logs->folds, database);
}

bool logs_has_news(const struct logs *logs)
{
    if (logs->batch.count > 0 || logs->cursor_changed || log_folds_changed(logs->folds))
        return true;
    for (size_t i = 0; i < logs->source_count; i++)
        if (logs->sources[i].changed)
            return true;
    return false;
}

int logs_commit(struct logs *logs)
{
    int r;

    while ((r = store_append_batch_wait(logs->store, logs->batch.drafts, logs->batch.count,
                                        write_all, logs)) == -ENOBUFS) {
        struct store_status status;
        store_status(logs->store, &status);
        (void)!store_wait_beyond(logs->store, status.last_number, 50 * NS_PER_MS);
    }
    if (r < 0)
        return r;
    log_batch_clear(&logs->batch);
    log_folds_written(logs->folds);
    logs->cursor_changed = false;
    for (size_t i = 0; i < logs->source_count; i++)
        logs->sources[i].changed = false;
    logs->committed_ns = clock_monotonic_ns();
    return 0;
}

/* In the store's thread, while ours waits. */
static int delete_others(void *user, sqlite3 *database)
{
    AUTO_BUFFER struct buffer sql = BUFFER_WITH_MAXIMUM(4096);
    const struct logs *logs = user;
    sqlite3_stmt *statement = NULL;

    (void)buffer_append_format(&sql, "DELETE FROM log_position WHERE source NOT IN (?1");
    for (size_t i = 0; i < logs->source_count; i++)
        (void)buffer_append_format(&sql, ",?%zu", i + 2);
    (void)buffer_append_format(&sql, ")");
    int r = buffer_failed(&sql);
    if (r == 0)
        r = database_errno(sqlite3_prepare_v2(database, buffer_text(&sql), -1, &statement, NULL));
    if (r < 0)
        return r;
    (void)sqlite3_bind_text(statement, 1, LOGS_JOURNAL, -1, SQLITE_STATIC);
    for (size_t i = 0; i < logs->source_count; i++)
        (void)sqlite3_bind_text(statement, (int)i + 2, logs->sources[i].path, -1, SQLITE_STATIC);
    r = sqlite3_step(statement);
    (void)sqlite3_finalize(statement);
    return database_errno(r);
}

int logs_forget_positions(struct logs *logs)
{
    return store_append_batch_wait(logs->store, NULL, 0, delete_others, logs);
}

struct lookup {
    const char *source;
    char *position;
};

static int look_up(void *user, sqlite3 *database)
{
    struct lookup *lookup = user;
    sqlite3_stmt *statement;
    int r = database_errno(sqlite3_prepare_v2(
        database, "SELECT position FROM log_position WHERE source = ?1", -1, &statement, NULL));

    if (r < 0)
        return r;
    (void)sqlite3_bind_text(statement, 1, lookup->source, -1, SQLITE_STATIC);
    if (sqlite3_step(statement) == SQLITE_ROW) {
        lookup->position = strdup((const char *)sqlite3_column_text(statement, 0) ?: "");
        r = lookup->position != NULL ? 0 : -ENOMEM;
    }
    (void)sqlite3_finalize(statement);
    return r;
}

int logs_position(struct logs *logs, const char *source, char **ret_position)
{
    struct lookup lookup = {.source = source};
    int r = store_read(logs->store, look_up, &lookup);

    if (r == 0)
        *ret_position = lookup.position;
    return r;
}

static int read_folds(void *user, sqlite3 *database)
{
    return log_folds_read(((struct logs *)user)->folds, clock_monotonic_ns(), database);
}

int logs_read_folds(struct logs *logs)
{
    return store_read(logs->store, read_folds, logs);
}
