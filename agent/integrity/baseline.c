/* Owns: the baseline's file, its life and its transactions. Must not own: the header
 * (baseline_header.c), what rows say (baseline_rows.c). */
#include "agent/integrity/baseline_private.h"

#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <string.h>

static const struct database_migration migrations[] = {
    {"CREATE TABLE entry(directory BLOB NOT NULL, name BLOB NOT NULL, facts BLOB, approved BLOB,"
     " PRIMARY KEY(directory, name)) WITHOUT ROWID;"
     "CREATE TABLE seal(directory BLOB PRIMARY KEY, seal BLOB NOT NULL) WITHOUT ROWID;"
     "CREATE TABLE header(id INTEGER PRIMARY KEY CHECK(id = 1), directories INTEGER NOT NULL,"
     " entries INTEGER NOT NULL, changed INTEGER NOT NULL, sum BLOB NOT NULL, rules TEXT NOT NULL,"
     " approved_ns INTEGER NOT NULL, tampered INTEGER NOT NULL, signature TEXT NOT NULL);"
     "CREATE TABLE content(path BLOB PRIMARY KEY, text BLOB NOT NULL) WITHOUT ROWID"},
};

void baseline_bind(sqlite3_stmt *statement, int index, const void *bytes, size_t length)
{
    if (bytes == NULL)
        (void)sqlite3_bind_null(statement, index);
    else
        (void)sqlite3_bind_blob64(statement, index, length > 0 ? bytes : "", length, SQLITE_STATIC);
}

int baseline_run(sqlite3_stmt *statement)
{
    int step = sqlite3_step(statement);

    (void)sqlite3_reset(statement);
    return step == SQLITE_DONE || step == SQLITE_ROW ? 0 : database_errno(step);
}

/* ---- life ---- */

static int prepare_all(struct baseline *baseline)
{
    const struct {
        sqlite3_stmt **statement;
        const char *sql;
    } wanted[] = {
        {&baseline->load,
         "SELECT name, facts, approved FROM entry WHERE directory = ? ORDER BY name"},
        {&baseline->below, "SELECT directory FROM seal WHERE directory = ?1 UNION ALL "
                           "SELECT directory FROM seal WHERE directory > ?2 AND directory < ?3"},
        {&baseline->find_seal, "SELECT seal FROM seal WHERE directory = ?"},
        {&baseline->put_seal, "INSERT OR REPLACE INTO seal(directory, seal) VALUES(?, ?)"},
        {&baseline->delete_seal, "DELETE FROM seal WHERE directory = ?"},
        {&baseline->find, "SELECT facts, approved FROM entry WHERE directory = ? AND name = ?"},
        {&baseline->put,
         "INSERT OR REPLACE INTO entry(directory, name, facts, approved) VALUES(?, ?, ?, ?)"},
        {&baseline->delete, "DELETE FROM entry WHERE directory = ? AND name = ?"},
        {&baseline->put_text, "INSERT OR REPLACE INTO content(path, text) VALUES(?, ?)"},
        {&baseline->delete_text, "DELETE FROM content WHERE path = ?"},
        {&baseline->find_text, "SELECT text FROM content WHERE path = ?"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(wanted); i++) {
        int r = database_prepare(baseline->database, wanted[i].sql, wanted[i].statement);
        if (r < 0)
            return r;
    }
    return 0;
}

static void finalize_all(struct baseline *baseline)
{
    sqlite3_stmt *const all[] = {baseline->below,       baseline->load,        baseline->find_seal,
                                 baseline->put_seal,    baseline->delete_seal, baseline->find,
                                 baseline->put,         baseline->delete,      baseline->put_text,
                                 baseline->delete_text, baseline->find_text};

    for (size_t i = 0; i < ARRAY_LENGTH(all); i++)
        (void)sqlite3_finalize(all[i]);
}

struct baseline *baseline_close(struct baseline *baseline)
{
    if (baseline == NULL)
        return NULL;
    finalize_all(baseline);
    database_close(baseline->database);
    (void)sealer_close(baseline->sealer);
    for (size_t i = 0; i < baseline->touched_count; i++)
        free(baseline->touched[i]);
    free(baseline->touched);
    free(baseline->header.rules);
    free(baseline->rules_before);
    free(baseline);
    return NULL;
}

/* A header that our key did not sign is as good as a changed row. */
static int read_header(struct baseline *baseline)
{
    int r = baseline_header_read(baseline);

    if (r == -EBADMSG) {
        baseline->header.tampered = true;
        return 0;
    }
    return r == -ENOENT ? 0 : r;
}

int baseline_open(const char *path, const char *key_path, struct baseline **ret_baseline,
                  char ret_notice[static 512])
{
    const struct database_options options = {.path = path,
                                             .migrations = migrations,
                                             .migration_count = ARRAY_LENGTH(migrations)};
    enum database_origin origin;
    char moved_to[4096];
    struct baseline *baseline = calloc(1, sizeof *baseline);

    ret_notice[0] = '\0';
    if (baseline == NULL)
        return -ENOMEM;
    int r =
        sealer_open(key_path, "yagura integrity baseline: key of the seals, 1", &baseline->sealer);
    if (r == 0)
        r = database_open(&options, &baseline->database, &origin, moved_to);
    if (r == 0 && moved_to[0] != '\0')
        (void)text_format(ret_notice, 512, "the baseline was corrupt; moved to %s", moved_to);
    if (r == 0)
        r = prepare_all(baseline);
    if (r == 0)
        r = read_header(baseline);
    if (r < 0) {
        (void)baseline_close(baseline);
        return r;
    }
    *ret_baseline = baseline;
    return 0;
}

/* ---- what the header says ---- */

const char *baseline_key_id(const struct baseline *baseline)
{
    return sealer_key_id(baseline->sealer);
}

bool baseline_is_empty(const struct baseline *baseline)
{
    return baseline->header.approved_ns == 0;
}

const char *baseline_rules_text(const struct baseline *baseline)
{
    return baseline->header.rules != NULL ? baseline->header.rules : "";
}

uint64_t baseline_approved_ns(const struct baseline *baseline)
{
    return baseline->header.approved_ns;
}

uint64_t baseline_count(const struct baseline *baseline)
{
    return baseline->header.entries;
}

uint64_t baseline_changed(const struct baseline *baseline)
{
    return baseline->header.changed;
}

bool baseline_is_tampered(const struct baseline *baseline)
{
    return baseline->header.tampered;
}

void baseline_note_tampering(struct baseline *baseline)
{
    baseline->header.tampered = true;
}

/* ---- transactions ---- */

static void forget_touched(struct baseline *baseline)
{
    for (size_t i = 0; i < baseline->touched_count; i++)
        free(baseline->touched[i]);
    baseline->touched_count = 0;
}

int baseline_begin(struct baseline *baseline)
{
    int r = database_begin(baseline->database);

    if (r == 0) {
        baseline->before = baseline->header;
        forget_touched(baseline);
    }
    return r;
}

void baseline_rollback(struct baseline *baseline)
{
    bool tampered = baseline->header.tampered;

    database_rollback(baseline->database);
    if (baseline->header.rules != baseline->before.rules)
        free(baseline->header.rules);
    baseline->rules_before = NULL;
    baseline->header = baseline->before;
    baseline->header.tampered = tampered;
    forget_touched(baseline);
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The seal that stands there goes out of the sum, the new one comes in. */
static int seal_again(struct baseline *baseline, const char *directory)
{
    CLEANUP(baseline_page_done) struct baseline_page page = {.directory = NULL};
    size_t length = strlen(directory);
    uint8_t seal[SEAL_BYTES];
    bool there = false;

    baseline_bind(baseline->find_seal, 1, directory, length);
    int step = sqlite3_step(baseline->find_seal);
    if (step == SQLITE_ROW && sqlite3_column_bytes(baseline->find_seal, 0) == SEAL_BYTES) {
        memcpy(seal, sqlite3_column_blob(baseline->find_seal, 0), SEAL_BYTES);
        seal_sum_subtract(&baseline->header.sum, seal);
        there = true;
    }
    (void)sqlite3_reset(baseline->find_seal);
    if (step != SQLITE_ROW && step != SQLITE_DONE)
        return database_errno(step); /* not for "there is none": its seal would stay in the sum */
    int r = baseline_load_and_seal(baseline, directory, length, &page, seal);
    if (r < 0)
        return r;
    if (page.count == 0) {
        baseline->header.directories -= there;
        baseline_bind(baseline->delete_seal, 1, directory, length);
        return baseline_run(baseline->delete_seal);
    }
    baseline->header.directories += !there;
    seal_sum_add(&baseline->header.sum, seal);
    baseline_bind(baseline->put_seal, 1, directory, length);
    baseline_bind(baseline->put_seal, 2, seal, SEAL_BYTES);
    return baseline_run(baseline->put_seal);
}

static int seal_touched(struct baseline *baseline)
{
    if (baseline->touched_count > 0)
        qsort(baseline->touched, baseline->touched_count, sizeof baseline->touched[0],
              compare_paths);
    for (size_t i = 0; i < baseline->touched_count; i++) {
        if (i > 0 && strcmp(baseline->touched[i], baseline->touched[i - 1]) == 0)
            continue;
        int r = seal_again(baseline, baseline->touched[i]);
        if (r < 0)
            return r;
    }
    return 0;
}

int baseline_commit(struct baseline *baseline)
{
    int r = seal_touched(baseline);

    if (r == 0)
        r = baseline_header_write(baseline);
    if (r == 0)
        r = database_commit(baseline->database);
    if (r < 0) {
        baseline_rollback(baseline);
        return r;
    }
    free(TAKE_POINTER(baseline->rules_before));
    forget_touched(baseline);
    return 0;
}

int baseline_use_rules(struct baseline *baseline, const char *rules_text)
{
    char *rules = strdup(rules_text);

    if (rules == NULL)
        return -ENOMEM;
    if (baseline->rules_before == NULL)
        baseline->rules_before = baseline->header.rules;
    else
        free(baseline->header.rules);
    baseline->header.rules = rules;
    return 0;
}

int baseline_approve(struct baseline *baseline)
{
    int r = seal_touched(baseline);

    forget_touched(baseline);
    if (r == 0)
        r = baseline_count_again(baseline);
    if (r < 0)
        return r;
    baseline->header.approved_ns = clock_realtime_ns();
    baseline->header.tampered = false;
    return 0;
}
