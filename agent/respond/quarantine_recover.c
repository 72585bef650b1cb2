/* Owns: that the folder of sealed files and the catalogue agree after a crash or the loss of
 * either. Must not own: files that were moved and not sealed (respond_recover.c). */
#include "agent/respond/detection_event.h"
#include "agent/respond/intent_table.h"
#include "agent/respond/quarantine.h"
#include "agent/respond/quarantine_private.h"
#include "common/database/database.h"
#include "common/files/file.h"
#include "common/text/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

struct known {
    char (*ids)[UUID_TEXT_BYTES]; /* sorted: of catalogue and intents */
    uint64_t *sizes;              /* sealed; UINT64_MAX of an intent */
    bool *found;
    size_t count, capacity;
    struct digest_set allowed;
    uint64_t bytes;
};

static void known_done(struct known *known)
{
    free(known->ids);
    free(known->sizes);
    free(known->found);
    digest_set_done(&known->allowed);
}

static int known_add(struct known *known, const char *id, uint64_t size)
{
    if (known->count == known->capacity) {
        size_t capacity = known->capacity ? known->capacity * 2 : 256;
        void *ids = reallocarray(known->ids, capacity, UUID_TEXT_BYTES);
        void *sizes, *found;

        if (!ids)
            return -ENOMEM;
        known->ids = ids;
        sizes = reallocarray(known->sizes, capacity, sizeof(*known->sizes));
        if (!sizes)
            return -ENOMEM;
        known->sizes = sizes;
        found = reallocarray(known->found, capacity, sizeof(*known->found));
        if (!found)
            return -ENOMEM;
        known->found = found;
        known->capacity = capacity;
    }
    (void)text_copy(known->ids[known->count], UUID_TEXT_BYTES, id);
    known->sizes[known->count] = size;
    known->found[known->count] = size == UINT64_MAX;
    known->count++;
    return 0;
}

static size_t known_find(const struct known *known, const char *id)
{
    size_t low = 0, high = known->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(known->ids[middle], id);

        if (order == 0)
            return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return SIZE_MAX;
}

static int read_known_ids(struct known *known, sqlite3 *database)
{
    sqlite3_stmt *statement;
    int r;

    r = sqlite3_prepare_v2(database,
                           "SELECT id, sealed_size FROM quarantine"
                           " UNION ALL SELECT id, -1 FROM intent"
                           " WHERE id NOT IN (SELECT id FROM quarantine) ORDER BY 1",
                           -1, &statement, NULL);
    if (r != SQLITE_OK)
        return database_errno(r);
    while ((r = sqlite3_step(statement)) == SQLITE_ROW) {
        int64_t size = sqlite3_column_int64(statement, 1);
        int added = known_add(known, (const char *)sqlite3_column_text(statement, 0) ?: "",
                              size < 0 ? UINT64_MAX : (uint64_t)size);

        if (added < 0) {
            (void)sqlite3_finalize(statement);
            return added;
        }
        known->bytes += size < 0 ? 0 : (uint64_t)size;
    }
    (void)sqlite3_finalize(statement);
    return database_errno(r);
}

static int read_known_allowed(struct known *known, sqlite3 *database)
{
    sqlite3_stmt *statement;
    int added = 0, r;

    r = sqlite3_prepare_v2(database, "SELECT sha256 FROM allowed", -1, &statement, NULL);
    if (r != SQLITE_OK)
        return database_errno(r);
    while (added >= 0 && (r = sqlite3_step(statement)) == SQLITE_ROW) {
        added =
            digest_set_add(&known->allowed, (const char *)sqlite3_column_text(statement, 0) ?: "");
        if (added == -EINVAL)
            added = 0; /* a row nobody of us wrote */
    }
    (void)sqlite3_finalize(statement);
    return added < 0 ? added : database_errno(r);
}

static int read_known(void *user, sqlite3 *database)
{
    int r;

    r = read_known_ids(user, database);
    return r < 0 ? r : read_known_allowed(user, database);
}

static int insert_again(void *user, sqlite3 *database)
{
    return quarantine_insert(user, database);
}

static void put_aside(struct quarantine *quarantine, const char *name, int error)
{
    AUTO_FREE char *aside = text_format_new("%s.damaged", name);
    AUTO_FREE char *path = text_format_new("%s", name);
    struct quarantine_facts facts = {.path = path};
    struct detection_note note = {.reason = "a sealed file cannot be opened; it was put aside",
                                  .error = error};
    int r;

    if (!aside || !path ||
        renameat2(quarantine->directory_fd, name, quarantine->directory_fd, aside,
                  RENAME_NOREPLACE) < 0)
        return;
    r = detection_event_append_wait(quarantine->store, "quarantine", "quarantine_damaged",
                                    EVENT_HIGH, &facts, &note, NULL, NULL);
    (void)r; /* the file keeps its name as a sign */
}

/* A sealed file without row: the store was rebuilt, or a removal was interrupted. */
static int take_back(struct quarantine *quarantine, const char *id, const char *name)
{
    AUTO_FACTS struct quarantine_facts facts = {0};
    struct detection_note note = {.reason = "its entry was missing in the catalogue"};
    AUTO_CLOSE int fd = -1;
    int r;

    r = quarantine_open_sealed(quarantine, id, &fd, &facts);
    if (r == -EBADMSG || r == -EINVAL) {
        put_aside(quarantine, name, r);
        return 0;
    }
    if (r < 0)
        return r;
    r = detection_event_append_wait(quarantine->store, "quarantine", "quarantine_recovered",
                                    EVENT_MEDIUM, &facts, &note, insert_again, &facts);
    if (r == 0)
        quarantine_note_added(quarantine, &facts);
    return r;
}

static int check_file(struct quarantine *quarantine, struct known *known, const char *name)
{
    char id[UUID_TEXT_BYTES];
    size_t index;

    if (!text_ends_with(name, SEALED_SUFFIX) ||
        strlen(name) != UUID_TEXT_BYTES - 1 + strlen(SEALED_SUFFIX))
        return 0;
    (void)text_copy(id, sizeof(id), name);
    index = known_find(known, id);
    if (index == SIZE_MAX)
        return take_back(quarantine, id, name);
    known->found[index] = true;
    return 0;
}

static int check_files(struct quarantine *quarantine, struct known *known)
{
    AUTO_CLOSE int fd = -1;
    struct dirent *entry;
    DIR *directory;
    int r;

    r = file_open_at(quarantine->directory_fd, ".", O_RDONLY | O_DIRECTORY, 0, &fd);
    if (r < 0)
        return r;
    directory = fdopendir(fd);
    if (!directory)
        return -errno;
    (void)TAKE_FD(fd);
    while (r == 0 && (errno = 0, entry = readdir(directory)))
        r = check_file(quarantine, known, entry->d_name);
    if (r == 0 && errno != 0)
        r = -errno;
    (void)closedir(directory);
    return r;
}

static int check_rows(struct quarantine *quarantine, struct known *known)
{
    struct detection_note note = {.reason = "its sealed file is gone"};

    for (size_t i = 0; i < known->count; i++) {
        struct quarantine_facts facts = {0};
        int r;

        if (known->found[i])
            continue;
        (void)text_copy(facts.id, sizeof(facts.id), known->ids[i]);
        r = quarantine_remove(quarantine, "quarantine_missing", EVENT_HIGH, &facts, &note);
        if (r < 0 && r != -ENOENT)
            return r;
    }
    return 0;
}

/* What was allowed before the store was lost stays allowed until the end of this run. */
static int take_known(struct quarantine *quarantine, const struct known *known)
{
    int r = 0;

    pthread_mutex_lock(&quarantine->mutex);
    quarantine->used_bytes = known->bytes;
    for (size_t i = 0; r == 0 && i < known->allowed.count; i++) {
        char hex[SHA256_HEX_BYTES];

        text_hex(hex, known->allowed.digests[i], SHA256_BYTES);
        r = digest_set_add(&quarantine->allowed, hex);
    }
    pthread_mutex_unlock(&quarantine->mutex);
    return r;
}

/* ---- what the crash may have taken from the disk ---- */

/* Over what is there: the power may have failed while it was written. It becomes durable where the
 * intent ends (respond_finish.c); until then the bytes stay in the store. */
static int write_back(void *user, const char *id, const struct sealed_bytes *sealed)
{
    AUTO_CLOSE int fd = -1;

    return quarantine_id_valid(id) ? quarantine_write(user, id, sealed, &fd) : 0;
}

static int write_each_back(void *user, sqlite3 *database)
{
    return intent_each_sealed(database, write_back, user);
}

static int recover(struct quarantine *quarantine)
{
    CLEANUP(known_done) struct known known = {0};
    int r;

    r = store_read(quarantine->store, write_each_back, quarantine);
    if (r == 0)
        r = store_read(quarantine->store, read_known, &known);
    if (r == 0)
        r = take_known(quarantine, &known);
    if (r == 0)
        r = check_files(quarantine, &known);
    return r < 0 ? r : check_rows(quarantine, &known);
}

int quarantine_recover(struct quarantine *quarantine)
{
    int r;

    /* A removal in between would look like a file without its row. */
    pthread_mutex_lock(&quarantine->operation);
    r = recover(quarantine);
    pthread_mutex_unlock(&quarantine->operation);
    return r;
}
