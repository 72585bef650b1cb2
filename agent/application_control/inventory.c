/* Owns: the table in memory, what is not on disk yet, and the file. Must not own: what may run for
 * which reason (judge.c). Locks: file for the database, lock for all else; never the first while
 * the second is held. */
#include "agent/application_control/inventory.h"

#include "agent/application_control/digest_table.h"
#include "common/crypto/seals.h"
#include "common/crypto/signatures.h"
#include "common/database/database.h"
#include "common/limits.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

enum { HEADER_BYTES = 512 };

struct unwritten {
    struct unwritten *next;
    uint8_t sha256[SHA256_BYTES];
    uint64_t size, added_ns;
    enum inventory_origin origin;
    char *path, *package;
};

struct header {
    uint64_t programs;
    struct seal_sum sum;
    struct inventory_marks marks;
    bool tampered;
};

struct inventory {
    pthread_mutex_t file;
    struct database *database;
    struct sealer *sealer;
    sqlite3_stmt *put;
    struct header written;

    pthread_mutex_t lock; /* of all below */
    struct digest_table table;
    struct unwritten *first, **last;
    struct inventory_marks marks;
    bool marked, tampered;
};

static const struct database_migration migrations[] = {
    {"CREATE TABLE program(sha256 BLOB PRIMARY KEY, size INTEGER NOT NULL, path BLOB NOT NULL,"
     " origin INTEGER NOT NULL, package TEXT NOT NULL, added_ns INTEGER NOT NULL,"
     " seal BLOB NOT NULL) WITHOUT ROWID;"
     "CREATE TABLE header(id INTEGER PRIMARY KEY CHECK(id = 1), programs INTEGER NOT NULL,"
     " sum BLOB NOT NULL, complete_ns INTEGER NOT NULL, maintenance_from_ns INTEGER NOT NULL,"
     " maintenance_until_ns INTEGER NOT NULL, tampered INTEGER NOT NULL,"
     " signature TEXT NOT NULL)"},
    {"ALTER TABLE header ADD COLUMN gap_from_ns INTEGER NOT NULL DEFAULT 0;"
     "ALTER TABLE header ADD COLUMN gap_until_ns INTEGER NOT NULL DEFAULT 0"},
};

/* ---- rows ---- */

static int seal_row(struct inventory *inventory, const struct unwritten *row,
                    uint8_t ret_seal[static SEAL_BYTES])
{
    const uint64_t numbers[] = {row->size, row->added_ns, (uint64_t)row->origin};
    struct sealer *sealer = inventory->sealer;

    int r = seal_begin(sealer);
    if (r == 0)
        r = seal_add(sealer, row->sha256, SHA256_BYTES);
    if (r == 0)
        r = seal_add(sealer, numbers, sizeof numbers);
    if (r == 0)
        r = seal_add(sealer, row->path, strlen(row->path));
    if (r == 0)
        r = seal_add(sealer, row->package, strlen(row->package));
    return r == 0 ? seal_end(sealer, ret_seal) : r;
}

static char *column_text(sqlite3_stmt *statement, int column)
{
    const void *bytes = sqlite3_column_blob(statement, column);
    int length = sqlite3_column_bytes(statement, column);

    return text_new(length > 0 ? bytes : "", (size_t)MAX(length, 0));
}

/* One that our key did not seal is no program. -EBADMSG: it is none. */
static int load_row(struct inventory *inventory, sqlite3_stmt *statement)
{
    AUTO_FREE char *path = column_text(statement, 2);
    AUTO_FREE char *package = column_text(statement, 4);
    struct unwritten row = {
        .size = (uint64_t)sqlite3_column_int64(statement, 1),
        .origin = (enum inventory_origin)sqlite3_column_int(statement, 3),
        .added_ns = (uint64_t)sqlite3_column_int64(statement, 5),
        .path = path,
        .package = package,
    };
    uint8_t seal[SEAL_BYTES];

    if (path == NULL || package == NULL)
        return -ENOMEM;
    if (sqlite3_column_bytes(statement, 0) != SHA256_BYTES ||
        sqlite3_column_bytes(statement, 6) != SEAL_BYTES)
        return -EBADMSG;
    memcpy(row.sha256, sqlite3_column_blob(statement, 0), SHA256_BYTES);
    int r = seal_row(inventory, &row, seal);
    if (r < 0)
        return r;
    if (memcmp(seal, sqlite3_column_blob(statement, 6), SEAL_BYTES) != 0)
        return -EBADMSG;
    r = digest_table_add(&inventory->table, row.sha256);
    if (r == 1) {
        inventory->written.programs++;
        seal_sum_add(&inventory->written.sum, seal);
    }
    return r < 0 ? r : 0;
}

static int load_rows(struct inventory *inventory)
{
    sqlite3_stmt *statement = NULL;
    int step = SQLITE_DONE;
    int r = database_prepare(inventory->database,
                             "SELECT sha256, size, path, origin, package, added_ns, seal "
                             "FROM program",
                             &statement);

    while (r == 0 && (step = sqlite3_step(statement)) == SQLITE_ROW) {
        r = load_row(inventory, statement);
        if (r == -EBADMSG) {
            inventory->tampered = true;
            r = 0;
        }
    }
    if (r == 0 && step != SQLITE_DONE)
        r = database_errno(step);
    (void)sqlite3_finalize(statement);
    return r;
}

/* ---- the header ---- */

/* Without a gap it is as it was before there were any. */
static int header_text(const struct header *header, char text[static HEADER_BYTES])
{
    const struct inventory_marks *marks = &header->marks;
    char sum[2 * sizeof header->sum.limbs + 1], gap[64] = "";
    uint8_t bytes[sizeof header->sum.limbs];

    memcpy(bytes, header->sum.limbs, sizeof bytes);
    text_hex(sum, bytes, sizeof bytes);
    if (marks->gap_until_ns != 0)
        (void)text_format(gap, sizeof gap, "gap %llu %llu\n",
                          (unsigned long long)marks->gap_from_ns,
                          (unsigned long long)marks->gap_until_ns);
    int r = text_format(text, HEADER_BYTES,
                        "yagura programs 1\nprograms %llu\nsum %s\ncomplete %llu\n"
                        "maintenance %llu %llu\ntampered %d\n%s",
                        (unsigned long long)header->programs, sum,
                        (unsigned long long)marks->complete_ns,
                        (unsigned long long)marks->maintenance_from_ns,
                        (unsigned long long)marks->maintenance_until_ns, header->tampered, gap);
    return r < 0 ? r : 0;
}

static int take_header(struct inventory *inventory, sqlite3_stmt *row)
{
    const char *signature = (const char *)sqlite3_column_text(row, 6);
    struct header header = {
        .programs = (uint64_t)sqlite3_column_int64(row, 0),
        .marks = {.complete_ns = (uint64_t)sqlite3_column_int64(row, 2),
                  .maintenance_from_ns = (uint64_t)sqlite3_column_int64(row, 3),
                  .maintenance_until_ns = (uint64_t)sqlite3_column_int64(row, 4),
                  .gap_from_ns = (uint64_t)sqlite3_column_int64(row, 7),
                  .gap_until_ns = (uint64_t)sqlite3_column_int64(row, 8)},
        .tampered = sqlite3_column_int(row, 5) != 0,
    };
    char text[HEADER_BYTES];

    if (sqlite3_column_bytes(row, 1) != (int)sizeof header.sum.limbs || signature == NULL)
        return -EBADMSG;
    memcpy(header.sum.limbs, sqlite3_column_blob(row, 1), sizeof header.sum.limbs);
    int r = header_text(&header, text);
    if (r == 0)
        r = signature_check(sealer_key(inventory->sealer), text, strlen(text), signature);
    if (r < 0)
        return r;
    inventory->marks = header.marks;
    inventory->tampered |= header.tampered || header.programs != inventory->written.programs ||
                           memcmp(&header.sum, &inventory->written.sum, sizeof header.sum) != 0;
    return 0;
}

/* With a header that is not ours the programs that are sealed still count: an inventory that is
 * made anew would take whatever is there by now. */
static int load_header(struct inventory *inventory)
{
    sqlite3_stmt *statement = NULL;
    int r = database_prepare(inventory->database,
                             "SELECT programs, sum, complete_ns, maintenance_from_ns, "
                             "maintenance_until_ns, tampered, signature, gap_from_ns, "
                             "gap_until_ns FROM header WHERE id = 1",
                             &statement);

    if (r < 0)
        return r;
    int step = sqlite3_step(statement);
    r = step == SQLITE_ROW    ? take_header(inventory, statement)
        : step == SQLITE_DONE ? -ENOENT
                              : database_errno(step);
    (void)sqlite3_finalize(statement);
    if (r == -EBADMSG || (r == -ENOENT && inventory->written.programs > 0)) {
        inventory->tampered = true;
        inventory->marks = (struct inventory_marks){
            .complete_ns = inventory->written.programs > 0 ? clock_realtime_ns() : 0,
        };
    }
    return r == -EBADMSG || r == -ENOENT ? 0 : r;
}

static int write_header(struct inventory *inventory, const struct header *header)
{
    char text[HEADER_BYTES], signature[SIGNATURE_TEXT_BYTES];
    sqlite3_stmt *statement = NULL;

    int r = header_text(header, text);
    if (r == 0)
        r = signature_make(sealer_key(inventory->sealer), text, strlen(text), signature);
    if (r == 0)
        r = database_prepare(inventory->database,
                             "INSERT OR REPLACE INTO header(id, programs, sum, complete_ns, "
                             "maintenance_from_ns, maintenance_until_ns, tampered, signature, "
                             "gap_from_ns, gap_until_ns) VALUES(1, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                             &statement);
    if (r < 0)
        return r;
    (void)sqlite3_bind_int64(statement, 1, (int64_t)header->programs);
    (void)sqlite3_bind_blob(statement, 2, header->sum.limbs, sizeof header->sum.limbs,
                            SQLITE_STATIC);
    (void)sqlite3_bind_int64(statement, 3, (int64_t)header->marks.complete_ns);
    (void)sqlite3_bind_int64(statement, 4, (int64_t)header->marks.maintenance_from_ns);
    (void)sqlite3_bind_int64(statement, 5, (int64_t)header->marks.maintenance_until_ns);
    (void)sqlite3_bind_int(statement, 6, header->tampered);
    (void)sqlite3_bind_text(statement, 7, signature, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(statement, 8, (int64_t)header->marks.gap_from_ns);
    (void)sqlite3_bind_int64(statement, 9, (int64_t)header->marks.gap_until_ns);
    int step = sqlite3_step(statement);
    (void)sqlite3_finalize(statement);
    return step == SQLITE_DONE ? 0 : database_errno(step);
}

/* ---- life ---- */

static void free_unwritten(struct unwritten *first)
{
    while (first != NULL) {
        struct unwritten *next = first->next;
        free(first->path);
        free(first->package);
        free(first);
        first = next;
    }
}

struct inventory *inventory_close(struct inventory *inventory)
{
    if (inventory == NULL)
        return NULL;
    (void)sqlite3_finalize(inventory->put);
    (void)database_close(inventory->database);
    (void)sealer_close(inventory->sealer);
    free_unwritten(inventory->first);
    digest_table_done(&inventory->table);
    (void)pthread_mutex_destroy(&inventory->file);
    (void)pthread_mutex_destroy(&inventory->lock);
    free(inventory);
    return NULL;
}

static int load(struct inventory *inventory, const char *path, const char *key_path,
                char ret_notice[static 512])
{
    const struct database_options options = {.path = path,
                                             .migrations = migrations,
                                             .migration_count = ARRAY_LENGTH(migrations)};
    enum database_origin origin;
    char moved_to[4096] = "";

    int r = sealer_open(key_path, "yagura inventory of programs: key of the seals, 1",
                        &inventory->sealer);
    if (r == 0)
        r = database_open(&options, &inventory->database, &origin, moved_to);
    if (r == 0 && moved_to[0] != '\0')
        (void)text_format(ret_notice, 512, "the inventory of programs was corrupt; moved to %s",
                          moved_to);
    if (r == 0)
        r = database_prepare(inventory->database,
                             "INSERT OR REPLACE INTO program(sha256, size, path, origin, package, "
                             "added_ns, seal) VALUES(?, ?, ?, ?, ?, ?, ?)",
                             &inventory->put);
    if (r == 0)
        r = load_rows(inventory);
    return r == 0 ? load_header(inventory) : r;
}

int inventory_open(const char *path, const char *key_path, struct inventory **ret_inventory,
                   char ret_notice[static 512])
{
    struct inventory *inventory = calloc(1, sizeof *inventory);

    ret_notice[0] = '\0';
    if (inventory == NULL)
        return -ENOMEM;
    (void)pthread_mutex_init(&inventory->file, NULL);
    (void)pthread_mutex_init(&inventory->lock, NULL);
    inventory->last = &inventory->first;
    int r = load(inventory, path, key_path, ret_notice);
    if (r < 0) {
        (void)inventory_close(inventory);
        return r;
    }
    inventory->written.marks = inventory->marks;
    inventory->written.tampered = inventory->tampered;
    *ret_inventory = inventory;
    return 0;
}

/* ---- programs ---- */

bool inventory_has(struct inventory *inventory, const uint8_t sha256[static SHA256_BYTES])
{
    (void)pthread_mutex_lock(&inventory->lock);
    bool has = digest_table_has(&inventory->table, sha256);
    (void)pthread_mutex_unlock(&inventory->lock);
    return has;
}

static struct unwritten *unwritten_new(const struct inventory_program *program)
{
    struct unwritten *row = calloc(1, sizeof *row);

    if (row == NULL)
        return NULL;
    memcpy(row->sha256, program->sha256, SHA256_BYTES);
    row->size = program->size;
    row->origin = program->origin;
    row->added_ns = clock_realtime_ns();
    row->path = strdup(program->path);
    row->package = strdup(program->package);
    if (row->path != NULL && row->package != NULL)
        return row;
    free_unwritten(row);
    return NULL;
}

int inventory_add(struct inventory *inventory, const struct inventory_program *program)
{
    struct unwritten *row = unwritten_new(program);

    if (row == NULL)
        return -ENOMEM;
    (void)pthread_mutex_lock(&inventory->lock);
    int r = inventory->table.count < LIMIT_PROGRAMS
                ? digest_table_add(&inventory->table, program->sha256)
                : -ENOSPC;
    if (r == 1) {
        *inventory->last = row;
        inventory->last = &row->next;
        row = NULL;
    }
    (void)pthread_mutex_unlock(&inventory->lock);
    free_unwritten(row);
    return r;
}

uint64_t inventory_count(struct inventory *inventory)
{
    (void)pthread_mutex_lock(&inventory->lock);
    uint64_t count = inventory->table.count;
    (void)pthread_mutex_unlock(&inventory->lock);
    return count;
}

bool inventory_is_full(struct inventory *inventory)
{
    return inventory_count(inventory) >= LIMIT_PROGRAMS;
}

bool inventory_is_tampered(struct inventory *inventory)
{
    (void)pthread_mutex_lock(&inventory->lock);
    bool tampered = inventory->tampered;
    (void)pthread_mutex_unlock(&inventory->lock);
    return tampered;
}

struct inventory_marks inventory_marks(struct inventory *inventory)
{
    (void)pthread_mutex_lock(&inventory->lock);
    struct inventory_marks marks = inventory->marks;
    (void)pthread_mutex_unlock(&inventory->lock);
    return marks;
}

void inventory_set_marks(struct inventory *inventory, const struct inventory_marks *marks)
{
    (void)pthread_mutex_lock(&inventory->lock);
    inventory->marks = *marks;
    inventory->marked = true;
    (void)pthread_mutex_unlock(&inventory->lock);
}

/* ---- to the disk ---- */

static int write_row(struct inventory *inventory, const struct unwritten *row,
                     struct header *header)
{
    uint8_t seal[SEAL_BYTES];
    int r = seal_row(inventory, row, seal);

    if (r < 0)
        return r;
    (void)sqlite3_bind_blob(inventory->put, 1, row->sha256, SHA256_BYTES, SQLITE_STATIC);
    (void)sqlite3_bind_int64(inventory->put, 2, (int64_t)row->size);
    (void)sqlite3_bind_blob(inventory->put, 3, row->path, (int)strlen(row->path), SQLITE_STATIC);
    (void)sqlite3_bind_int(inventory->put, 4, row->origin);
    (void)sqlite3_bind_text(inventory->put, 5, row->package, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(inventory->put, 6, (int64_t)row->added_ns);
    (void)sqlite3_bind_blob(inventory->put, 7, seal, SEAL_BYTES, SQLITE_STATIC);
    int step = sqlite3_step(inventory->put);
    (void)sqlite3_reset(inventory->put);
    if (step != SQLITE_DONE)
        return database_errno(step);
    header->programs++;
    seal_sum_add(&header->sum, seal);
    return 0;
}

static int write_all(struct inventory *inventory, const struct unwritten *first,
                     struct header *header)
{
    int r = database_begin(inventory->database);

    if (r < 0)
        return r;
    for (; first != NULL && r == 0; first = first->next)
        r = write_row(inventory, first, header);
    if (r == 0)
        r = write_header(inventory, header);
    if (r == 0)
        r = database_commit(inventory->database);
    if (r < 0)
        database_rollback(inventory->database);
    return r;
}

/* Whatever came meanwhile stands behind it. */
static void give_back(struct inventory *inventory, struct unwritten *first)
{
    struct unwritten *end = first;

    inventory->marked = true;
    if (first == NULL)
        return;
    while (end->next != NULL)
        end = end->next;
    end->next = inventory->first;
    if (inventory->first == NULL)
        inventory->last = &end->next;
    inventory->first = first;
}

int inventory_commit(struct inventory *inventory)
{
    int r = 0;

    (void)pthread_mutex_lock(&inventory->file);
    (void)pthread_mutex_lock(&inventory->lock);
    struct unwritten *first = TAKE_POINTER(inventory->first);
    inventory->last = &inventory->first;
    struct header header = inventory->written;
    header.marks = inventory->marks;
    header.tampered = inventory->tampered;
    bool needed = TAKE_FLAG(inventory->marked) || first != NULL;
    (void)pthread_mutex_unlock(&inventory->lock);
    if (needed)
        r = write_all(inventory, first, &header);
    if (r == 0)
        inventory->written = header;
    (void)pthread_mutex_lock(&inventory->lock);
    if (r < 0)
        give_back(inventory, TAKE_POINTER(first));
    (void)pthread_mutex_unlock(&inventory->lock);
    (void)pthread_mutex_unlock(&inventory->file);
    free_unwritten(first);
    return r;
}

static int clear_file(struct inventory *inventory)
{
    struct header header = {.programs = 0};
    int r = database_begin(inventory->database);

    if (r < 0)
        return r;
    r = database_execute(inventory->database, "DELETE FROM program");
    if (r == 0)
        r = write_header(inventory, &header);
    if (r == 0)
        r = database_commit(inventory->database);
    if (r < 0)
        database_rollback(inventory->database);
    else
        inventory->written = header;
    return r;
}

int inventory_clear(struct inventory *inventory)
{
    (void)pthread_mutex_lock(&inventory->file);
    int r = clear_file(inventory);
    if (r == 0) {
        (void)pthread_mutex_lock(&inventory->lock);
        free_unwritten(inventory->first);
        inventory->first = NULL;
        inventory->last = &inventory->first;
        digest_table_done(&inventory->table);
        inventory->marks = (struct inventory_marks){.complete_ns = 0};
        inventory->marked = inventory->tampered = false;
        (void)pthread_mutex_unlock(&inventory->lock);
    }
    (void)pthread_mutex_unlock(&inventory->file);
    return r;
}
