/* Owns: the SQL of events. Must not own: threads, files, retries. */
#include "agent/store/event_table.h"

#include "common/buffers/buffer.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <string.h>

/* Rows a transaction removes at most, so that a cap never holds up a commit for long. */
#define TRIM_ROWS 1024
/* After a cap was hit, this much is freed at once. */
#define TRIM_PART   32
#define AGE_EVERY   (60 * NS_PER_SECOND)
#define TELL_EVERY  (3600 * NS_PER_SECOND)
#define SQL_MAXIMUM 4096

const struct database_migration store_migrations[] = {
    {"CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
     "CREATE TABLE event(number INTEGER PRIMARY KEY, id TEXT NOT NULL, time_ns INTEGER NOT NULL,"
     " committed_ns INTEGER NOT NULL, module TEXT NOT NULL, kind TEXT NOT NULL,"
     " severity INTEGER NOT NULL, subject TEXT NOT NULL, detail TEXT NOT NULL);"
     /* agent/respond: what has been decided and is not done yet */
     "CREATE TABLE intent(id TEXT PRIMARY KEY, action INTEGER NOT NULL, path BLOB NOT NULL,"
     " holding BLOB NOT NULL, device INTEGER NOT NULL, inode INTEGER NOT NULL,"
     " facts BLOB NOT NULL, time_ns INTEGER NOT NULL) WITHOUT ROWID;"
     /* what lies sealed in the quarantine */
     "CREATE TABLE quarantine(id TEXT PRIMARY KEY, time_ns INTEGER NOT NULL, path BLOB NOT NULL,"
     " signature TEXT NOT NULL, sha256 TEXT NOT NULL, size INTEGER NOT NULL,"
     " sealed_size INTEGER NOT NULL, mode INTEGER NOT NULL, uid INTEGER NOT NULL,"
     " gid INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, links INTEGER NOT NULL,"
     " cause INTEGER NOT NULL) WITHOUT ROWID;"
     "CREATE INDEX quarantine_time ON quarantine(time_ns);"
     /* detections that the brake held */
     "CREATE TABLE held(id TEXT PRIMARY KEY, time_ns INTEGER NOT NULL, path BLOB NOT NULL,"
     " signature TEXT NOT NULL, sha256 TEXT NOT NULL, reason TEXT NOT NULL,"
     " device INTEGER NOT NULL, inode INTEGER NOT NULL) WITHOUT ROWID;"
     "CREATE UNIQUE INDEX held_file ON held(path, sha256);"
     /* files that a restore or a release said are not malware */
     "CREATE TABLE allowed(sha256 TEXT PRIMARY KEY, time_ns INTEGER NOT NULL,"
     " path BLOB NOT NULL) WITHOUT ROWID;"
     /* actions a signature and minute, for the brake */
     "CREATE TABLE action(signature TEXT NOT NULL, minute INTEGER NOT NULL,"
     " count INTEGER NOT NULL, PRIMARY KEY(signature, minute)) WITHOUT ROWID;"
     /* directories on other mounts that files are moved into */
     "CREATE TABLE holding(path BLOB PRIMARY KEY) WITHOUT ROWID;"},
    {/* intents whose result was told; sealed: the file's bytes, until they are on the disk */
     "CREATE TABLE told(id TEXT PRIMARY KEY, sealed BLOB) WITHOUT ROWID;"},
    {/* agent/logs: how far each log was read, and matches that were counted and not told yet */
     "CREATE TABLE log_position(source TEXT PRIMARY KEY, position TEXT NOT NULL) WITHOUT ROWID;"
     "CREATE TABLE log_fold(key TEXT PRIMARY KEY, severity INTEGER NOT NULL, kind TEXT NOT NULL,"
     " subject TEXT NOT NULL, head TEXT NOT NULL, repeats INTEGER NOT NULL,"
     " first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL) WITHOUT ROWID;"},
};
const size_t store_migration_count = ARRAY_LENGTH(store_migrations);

static int step_reset(sqlite3_stmt *statement)
{
    int r = sqlite3_step(statement);

    (void)sqlite3_reset(statement);
    return database_errno(r);
}

static int set_meta_text(struct event_table *table, const char *key, const char *value)
{
    (void)sqlite3_bind_text(table->set_meta, 1, key, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(table->set_meta, 2, value, -1, SQLITE_STATIC);
    return step_reset(table->set_meta);
}

static int set_meta_number(struct event_table *table, const char *key, uint64_t value)
{
    (void)sqlite3_bind_text(table->set_meta, 1, key, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(table->set_meta, 2, (int64_t)value);
    return step_reset(table->set_meta);
}

static int load_meta(struct event_table *table)
{
    sqlite3_stmt *statement;
    int r;

    r = database_prepare(table->database, "SELECT key, value FROM meta", &statement);
    if (r < 0)
        return r;
    while ((r = sqlite3_step(statement)) == SQLITE_ROW) {
        const char *key = (const char *)sqlite3_column_text(statement, 0);

        if (text_equal(key, "epoch"))
            (void)text_copy(table->epoch, sizeof(table->epoch),
                            (const char *)sqlite3_column_text(statement, 1) ?: "");
        else if (text_equal(key, "last_number"))
            table->next_number = (uint64_t)sqlite3_column_int64(statement, 1) + 1;
        else if (text_equal(key, "acknowledged"))
            table->acknowledged = (uint64_t)sqlite3_column_int64(statement, 1);
        else if (text_equal(key, "dropped"))
            table->dropped = (uint64_t)sqlite3_column_int64(statement, 1);
    }
    (void)sqlite3_finalize(statement);
    return database_errno(r);
}

/* The newest row may have been trimmed away, so meta's last_number counts too. */
static int load_last_number(struct event_table *table)
{
    sqlite3_stmt *statement;
    uint64_t after_newest;
    int r;

    r = database_prepare(table->database, "SELECT coalesce(max(number), 0) + 1 FROM event",
                         &statement);
    if (r < 0)
        return r;
    r = sqlite3_step(statement);
    if (r == SQLITE_ROW) {
        after_newest = (uint64_t)sqlite3_column_int64(statement, 0);
        table->next_number = MAX(table->next_number, after_newest);
    }
    (void)sqlite3_finalize(statement);
    return database_errno(r);
}

static int prepare_all(struct event_table *table)
{
    const struct {
        sqlite3_stmt **statement;
        const char *sql;
    } all[] = {
        {&table->insert, "INSERT INTO event VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9)"},
        {&table->oldest,
         "SELECT number, committed_ns FROM event WHERE number >= ?1"
         " AND (?2 OR (module <> 'malware' AND kind <> 'events_dropped')) ORDER BY number LIMIT 1"},
        {&table->delete_one, "DELETE FROM event WHERE number = ?1"},
        {&table->pages, "SELECT (page_count - freelist_count) * page_size"
                        " FROM pragma_page_count, pragma_freelist_count, pragma_page_size"},
        {&table->set_meta, "INSERT OR REPLACE INTO meta VALUES(?1, ?2)"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(all); i++) {
        int r = database_prepare(table->database, all[i].sql, all[i].statement);

        if (r < 0)
            return r;
    }
    return 0;
}

void event_table_close(struct event_table *table)
{
    (void)sqlite3_finalize(table->insert);
    (void)sqlite3_finalize(table->oldest);
    (void)sqlite3_finalize(table->delete_one);
    (void)sqlite3_finalize(table->pages);
    (void)sqlite3_finalize(table->set_meta);
    *table = (struct event_table){0};
}

int event_table_open(struct event_table *table, struct database *database)
{
    int r;

    *table = (struct event_table){.database = database, .next_number = 1, .trimmed_to = 1};
    r = prepare_all(table);
    if (r == 0)
        r = load_meta(table);
    if (r == 0)
        r = load_last_number(table);
    if (r == 0 && table->epoch[0] == '\0') {
        r = uuid_new(table->epoch);
        if (r == 0)
            r = set_meta_text(table, "epoch", table->epoch);
    }
    if (r < 0)
        event_table_close(table);
    else
        table->told_dropped = table->dropped;
    table->found_number = table->next_number - 1;
    return r;
}

int event_table_insert(struct event_table *table, const struct event_record *event)
{
    sqlite3_stmt *insert = table->insert;
    int r;

    (void)sqlite3_bind_int64(insert, 1, (int64_t)table->next_number);
    (void)sqlite3_bind_text(insert, 2, event->id, UUID_TEXT_BYTES - 1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(insert, 3, (int64_t)event->time_ns);
    (void)sqlite3_bind_int64(insert, 4, (int64_t)event->committed_ns);
    (void)sqlite3_bind_text(insert, 5, event->module, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(insert, 6, event->kind, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int(insert, 7, (int)event->severity);
    (void)sqlite3_bind_text(insert, 8, event->subject, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(insert, 9, event->detail, -1, SQLITE_STATIC);
    r = step_reset(insert);
    if (r < 0)
        return r;
    table->next_number++;
    return 0;
}

static int set_acknowledged(struct event_table *table, uint64_t number)
{
    int r = set_meta_number(table, "acknowledged", number);

    if (r == 0)
        table->acknowledged = number;
    return r;
}

int event_table_acknowledge(struct event_table *table, uint64_t number)
{
    if (number <= table->acknowledged || number >= table->next_number)
        return 0;
    return set_acknowledged(table, number);
}

int event_table_take_back(struct event_table *table, uint64_t number)
{
    return number < table->acknowledged ? set_acknowledged(table, number) : 0;
}

int event_table_begin_epoch(struct event_table *table)
{
    int r = uuid_new(table->epoch);

    if (r == 0)
        r = set_meta_text(table, "epoch", table->epoch);
    if (r == 0)
        r = event_table_acknowledge(table, table->found_number);
    return r;
}

int event_table_bytes(struct event_table *table, uint64_t *ret_bytes)
{
    int r = sqlite3_step(table->pages);

    if (r == SQLITE_ROW)
        *ret_bytes = (uint64_t)sqlite3_column_int64(table->pages, 0);
    (void)sqlite3_reset(table->pages);
    return r == SQLITE_ROW ? 0 : r == SQLITE_DONE ? -ENODATA : database_errno(r);
}

/* 1 and the row, or 0 when there is none. */
static int find_oldest(struct event_table *table, uint64_t from, bool also_malware,
                       uint64_t *ret_number, uint64_t *ret_committed_ns)
{
    int r;

    *ret_number = *ret_committed_ns = 0;
    (void)sqlite3_bind_int64(table->oldest, 1, (int64_t)from);
    (void)sqlite3_bind_int(table->oldest, 2, also_malware);
    r = sqlite3_step(table->oldest);
    if (r == SQLITE_ROW) {
        *ret_number = (uint64_t)sqlite3_column_int64(table->oldest, 0);
        *ret_committed_ns = (uint64_t)sqlite3_column_int64(table->oldest, 1);
    }
    (void)sqlite3_reset(table->oldest);
    return r == SQLITE_ROW ? 1 : database_errno(r);
}

static int delete_event(struct event_table *table, uint64_t number)
{
    int r;

    (void)sqlite3_bind_int64(table->delete_one, 1, (int64_t)number);
    r = step_reset(table->delete_one);
    if (r == 0 && number > table->acknowledged)
        table->dropped++;
    return r;
}

/* 1 when one was removed, 0 when nothing is left to remove. */
static int drop_oldest(struct event_table *table)
{
    uint64_t number, committed_ns;
    int r;

    r = find_oldest(table, table->trimmed_to, false, &number, &committed_ns);
    if (r > 0)
        table->trimmed_to = number + 1;
    else if (r == 0)
        r = find_oldest(table, 0, true, &number, &committed_ns);
    if (r <= 0)
        return r;
    r = delete_event(table, number);
    return r < 0 ? r : 1;
}

/* Asking for the size costs more than deleting a row, so rows go in portions. */
static int trim_size(struct event_table *table, uint64_t max_bytes)
{
    uint64_t bytes = 0;
    int r;

    r = event_table_bytes(table, &bytes);
    if (r < 0 || bytes <= max_bytes)
        return r;
    for (int removed = 0; removed < TRIM_ROWS; removed++) {
        if (removed % 64 == 63) {
            r = event_table_bytes(table, &bytes);
            if (r < 0 || bytes <= max_bytes - max_bytes / TRIM_PART)
                return r;
        }
        r = drop_oldest(table);
        if (r <= 0)
            return r;
    }
    return 0;
}

/* At most TRIM_ROWS a minute, so that a clock that jumps ahead for a moment cannot empty the store.
 * Events that nobody will fetch (no console has ever acknowledged one) just expire. */
static int trim_age(struct event_table *table, uint64_t max_age_ns)
{
    uint64_t now = clock_realtime_ns(), number, committed_ns, dropped = table->dropped;
    int r;

    if (table->aged_ns && clock_monotonic_ns() - table->aged_ns < AGE_EVERY)
        return 0;
    table->aged_ns = clock_monotonic_ns();
    for (int removed = 0; removed < TRIM_ROWS; removed++) {
        r = find_oldest(table, 0, true, &number, &committed_ns);
        if (r <= 0)
            return r;
        if (now < max_age_ns || committed_ns >= now - max_age_ns)
            break;
        r = delete_event(table, number);
        if (r < 0)
            return r;
    }
    if (table->acknowledged == 0)
        table->dropped = dropped;
    return 0;
}

static int tell_dropped(struct event_table *table)
{
    struct event_record event = {.module = "agent",
                                 .kind = "events_dropped",
                                 .severity = EVENT_MEDIUM,
                                 .subject = "",
                                 .time_ns = clock_realtime_ns(),
                                 .committed_ns = clock_realtime_ns()};
    uint64_t now = clock_monotonic_ns();
    char detail[128];
    int r;

    if (table->dropped == table->told_dropped ||
        (table->told_ns && now - table->told_ns < TELL_EVERY))
        return 0;
    r = text_format(detail, sizeof(detail),
                    "{\"count\":%llu,\"total\":%llu,\"why\":\"the event store is full\"}",
                    (unsigned long long)(table->dropped - table->told_dropped),
                    (unsigned long long)table->dropped);
    if (r < 0)
        return r;
    event.detail = detail;
    r = uuid_new(event.id);
    if (r == 0)
        r = event_table_insert(table, &event);
    if (r < 0)
        return r;
    table->told_dropped = table->dropped;
    table->told_ns = now;
    return 0;
}

int event_table_trim(struct event_table *table, uint64_t max_age_ns, uint64_t max_bytes)
{
    uint64_t dropped = table->dropped;
    int r = 0;

    if (max_age_ns > 0)
        r = trim_age(table, max_age_ns);
    if (r == 0 && max_bytes > 0)
        r = trim_size(table, max_bytes);
    if (r < 0)
        return r;
    if (table->dropped != dropped) {
        r = set_meta_number(table, "dropped", table->dropped);
        if (r == 0)
            r = set_meta_number(table, "last_number", table->next_number - 1);
        if (r < 0)
            return r;
    }
    return tell_dropped(table);
}

/* The condition of a filter and the values that belong to it. */
struct query {
    struct buffer sql;
    const char *texts[3];
    int text_count;
};

static void add_text(struct query *query, const char *format, const char *text)
{
    if (!text)
        return;
    query->texts[query->text_count++] = text;
    (void)buffer_append_format(&query->sql, "%s?%d%s", format, query->text_count,
                               text_ends_with(format, "(subject, ") ? ") > 0" : "");
}

static void add_number(struct query *query, const char *condition, uint64_t number)
{
    if (number > 0)
        (void)buffer_append_format(&query->sql, "%s%llu", condition,
                                   (unsigned long long)MIN(number, (uint64_t)INT64_MAX));
}

static void build_query(struct query *query, const struct event_filter *filter)
{
    buffer_init(&query->sql, SQL_MAXIMUM);
    (void)buffer_append_text(&query->sql, "SELECT number, id, time_ns, committed_ns, module, kind,"
                                          " severity, subject, detail FROM event WHERE 1");
    add_number(query, " AND number > ", filter->after_number);
    add_number(query, " AND number < ", filter->until_number);
    add_number(query, " AND time_ns >= ", filter->since_ns);
    add_number(query, " AND time_ns < ", filter->until_ns);
    add_number(query, " AND severity >= ", (uint64_t)filter->lowest);
    add_text(query, " AND module = ", filter->module);
    add_text(query, " AND kind = ", filter->kind);
    add_text(query, " AND instr(subject, ", filter->text);
    (void)buffer_append_text(&query->sql, " ORDER BY number");
    if (filter->newest_first)
        (void)buffer_append_text(&query->sql, " DESC");
    add_number(query, " LIMIT ", filter->limit);
}

static const char *column(sqlite3_stmt *statement, int index)
{
    return (const char *)sqlite3_column_text(statement, index) ?: "";
}

static void take_row(sqlite3_stmt *statement, struct event_record *event)
{
    event->number = (uint64_t)sqlite3_column_int64(statement, 0);
    (void)text_copy(event->id, sizeof(event->id), column(statement, 1));
    event->time_ns = (uint64_t)sqlite3_column_int64(statement, 2);
    event->committed_ns = (uint64_t)sqlite3_column_int64(statement, 3);
    event->module = column(statement, 4);
    event->kind = column(statement, 5);
    event->severity = (enum event_severity)sqlite3_column_int(statement, 6);
    event->subject = column(statement, 7);
    event->detail = column(statement, 8);
}

int event_table_read(sqlite3 *database, const struct event_filter *filter,
                     int (*row)(void *user, const struct event_record *event), void *user)
{
    struct query query = {0};
    sqlite3_stmt *statement = NULL;
    int r;

    build_query(&query, filter);
    r = buffer_failed(&query.sql);
    if (r == 0)
        r = database_errno(
            sqlite3_prepare_v2(database, buffer_text(&query.sql), -1, &statement, NULL));
    buffer_done(&query.sql);
    if (r < 0)
        return r;
    for (int i = 0; i < query.text_count; i++)
        (void)sqlite3_bind_text(statement, i + 1, query.texts[i], -1, SQLITE_STATIC);
    while ((r = sqlite3_step(statement)) == SQLITE_ROW) {
        struct event_record event;

        take_row(statement, &event);
        if (row(user, &event) != 0)
            break;
    }
    (void)sqlite3_finalize(statement);
    return database_errno(r);
}
