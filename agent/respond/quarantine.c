/* Owns: the folder of sealed files, the host key, the rows, and the space they take. Must not own:
 * why a file is here (responder.c), what an administrator does with it
 * (quarantine_administration.c), listing (quarantine_catalogue.c), recovery
 * (quarantine_recover.c). */
#include "agent/respond/quarantine.h"

#include "agent/respond/detection_event.h"
#include "agent/respond/intent_table.h"
#include "agent/respond/quarantine_private.h"
#include "common/crypto/random.h"
#include "common/database/database.h"
#include "common/files/file.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define KEY_NAME "host.key"

void quarantine_file_name(char name[static SEALED_NAME_BYTES], const char *id)
{
    (void)text_format(name, SEALED_NAME_BYTES, "%s" SEALED_SUFFIX, id);
}

/* ---- opening ---- */

static int read_key(const char *path, uint8_t key[static AEAD_KEY_BYTES])
{
    AUTO_BUFFER struct buffer content = BUFFER_WITH_MAXIMUM(AEAD_KEY_BYTES);
    int r;

    r = file_read_all(path, &content);
    if (r < 0)
        return r;
    if (content.length != AEAD_KEY_BYTES)
        return -EBADMSG;
    memcpy(key, content.data, AEAD_KEY_BYTES);
    explicit_bzero(content.data, content.length);
    return 0;
}

/* A key that is there but broken is not replaced: what it sealed would be lost for good. */
static int load_key(const char *state_directory, uint8_t key[static AEAD_KEY_BYTES])
{
    AUTO_FREE char *path = text_format_new("%s/" KEY_NAME, state_directory);
    int r;

    if (!path)
        return -ENOMEM;
    r = read_key(path, key);
    if (r != -ENOENT)
        return r;
    r = random_bytes(key, AEAD_KEY_BYTES);
    if (r < 0)
        return r;
    return file_replace(path, key, AEAD_KEY_BYTES, 0600);
}

static int name_host(struct quarantine *quarantine)
{
    uint8_t digest[SHA256_BYTES];
    int r;

    r = hash_sha256(quarantine->key, sizeof(quarantine->key), digest);
    if (r < 0)
        return r;
    text_hex(quarantine->host, digest, (HOLDING_HOST_BYTES - 1) / 2);
    return 0;
}

static int open_folder(const char *state_directory, int *ret_fd)
{
    AUTO_FREE char *path = text_format_new("%s/quarantine", state_directory);
    int r;

    if (!path)
        return -ENOMEM;
    r = file_make_directories(path, 0700);
    if (r < 0)
        return r;
    return file_open_directory(path, true, ret_fd);
}

int quarantine_open(struct store *store, const char *state_directory,
                    struct quarantine **ret_quarantine)
{
    struct quarantine *quarantine = calloc(1, sizeof(*quarantine));
    int r;

    if (!quarantine)
        return -ENOMEM;
    quarantine->store = store;
    quarantine->directory_fd = -1;
    quarantine->maximum_bytes = UINT64_MAX;
    pthread_mutex_init(&quarantine->operation, NULL);
    pthread_mutex_init(&quarantine->files, NULL);
    pthread_mutex_init(&quarantine->mutex, NULL);
    r = open_folder(state_directory, &quarantine->directory_fd);
    if (r == 0)
        r = load_key(state_directory, quarantine->key);
    if (r == 0)
        r = name_host(quarantine);
    if (r < 0) {
        quarantine_close(quarantine);
        return r;
    }
    *ret_quarantine = quarantine;
    return 0;
}

struct quarantine *quarantine_close(struct quarantine *quarantine)
{
    if (!quarantine)
        return NULL;
    if (quarantine->directory_fd >= 0)
        (void)close(quarantine->directory_fd);
    digest_set_done(&quarantine->allowed);
    pthread_mutex_destroy(&quarantine->operation);
    pthread_mutex_destroy(&quarantine->files);
    pthread_mutex_destroy(&quarantine->mutex);
    explicit_bzero(quarantine->key, sizeof(quarantine->key));
    free(quarantine);
    return NULL;
}

void quarantine_configure(struct quarantine *quarantine, uint64_t maximum_bytes, bool drop_oldest)
{
    pthread_mutex_lock(&quarantine->mutex);
    quarantine->maximum_bytes = maximum_bytes;
    quarantine->drop_oldest = drop_oldest;
    pthread_mutex_unlock(&quarantine->mutex);
}

const char *quarantine_host(const struct quarantine *quarantine)
{
    return quarantine->host;
}

bool quarantine_is_allowed(struct quarantine *quarantine, const char *sha256)
{
    bool allowed;

    pthread_mutex_lock(&quarantine->mutex);
    allowed = digest_set_contains(&quarantine->allowed, sha256);
    pthread_mutex_unlock(&quarantine->mutex);
    return allowed;
}

/* ---- sealing ---- */

int quarantine_seal(struct quarantine *quarantine, struct quarantine_facts *facts, int source_fd,
                    int *ret_fd)
{
    char name[SEALED_NAME_BYTES];

    quarantine_file_name(name, facts->id);
    return sealed_file_write(quarantine->key, facts, source_fd, facts->size,
                             quarantine->directory_fd, name, ret_fd);
}

/* Anonymous memory of its own; sealing writes to descriptors. */
int quarantine_seal_bytes(struct quarantine *quarantine, struct quarantine_facts *facts,
                          int source_fd, struct sealed_bytes *ret_sealed)
{
    AUTO_SEALED struct sealed_bytes sealed = {0};
    AUTO_CLOSE int fd = memfd_create("sealed", MFD_CLOEXEC);
    struct stat status;
    ssize_t got;
    int r;

    if (fd < 0)
        return -errno;
    r = sealed_file_fill(quarantine->key, facts, source_fd, facts->size, fd);
    if (r < 0)
        return r;
    if (fstat(fd, &status) < 0)
        return -errno;
    sealed.length = (size_t)status.st_size;
    sealed.data = malloc(sealed.length);
    if (!sealed.data)
        return -ENOMEM;
    got = file_read_at(fd, sealed.data, sealed.length, 0);
    if (got != status.st_size)
        return got < 0 ? (int)got : -EIO;
    *ret_sealed = sealed;
    sealed.data = NULL;
    return 0;
}

int quarantine_write(struct quarantine *quarantine, const char *id,
                     const struct sealed_bytes *sealed, int *ret_fd)
{
    AUTO_CLOSE int fd = -1;
    char name[SEALED_NAME_BYTES];
    int r;

    quarantine_file_name(name, id);
    r = file_open_at(quarantine->directory_fd, name, O_RDWR | O_CREAT | O_TRUNC, 0600, &fd);
    if (r < 0)
        return r;
    r = file_write(fd, sealed->data, sealed->length);
    if (r < 0) {
        (void)unlinkat(quarantine->directory_fd, name, 0);
        return r;
    }
    *ret_fd = TAKE_FD(fd);
    return 0;
}

struct lookup {
    const char *id;
    struct sealed_bytes sealed;
};

static int find_sealed(void *user, sqlite3 *database)
{
    struct lookup *lookup = user;

    return intent_find_sealed(lookup->id, database, &lookup->sealed);
}

/* With files: the bytes must not be dropped between reading and writing. */
static int write_from_store(struct quarantine *quarantine, const char *id, int *ret_fd)
{
    struct lookup lookup = {.id = id};
    AUTO_CLOSE int fd = -1;
    char name[SEALED_NAME_BYTES];
    int r;

    r = store_read(quarantine->store, find_sealed, &lookup);
    if (r < 0)
        return r;
    r = quarantine_write(quarantine, id, &lookup.sealed, &fd);
    sealed_bytes_done(&lookup.sealed);
    if (r < 0)
        return r;
    quarantine_file_name(name, id);
    return file_open_regular(quarantine->directory_fd, name, ret_fd, NULL);
}

int quarantine_open_file(struct quarantine *quarantine, const char *id, int *ret_fd)
{
    char name[SEALED_NAME_BYTES];
    int r;

    quarantine_file_name(name, id);
    pthread_mutex_lock(&quarantine->files);
    r = file_open_regular(quarantine->directory_fd, name, ret_fd, NULL);
    if (r == -ENOENT)
        r = write_from_store(quarantine, id, ret_fd);
    pthread_mutex_unlock(&quarantine->files);
    return r;
}

int quarantine_sync(struct quarantine *quarantine)
{
    return fsync(quarantine->directory_fd) < 0 ? -errno : 0;
}

void quarantine_discard(struct quarantine *quarantine, const char *id)
{
    char name[SEALED_NAME_BYTES];

    quarantine_file_name(name, id);
    (void)unlinkat(quarantine->directory_fd, name, 0);
}

int quarantine_open_sealed(struct quarantine *quarantine, const char *id, int *ret_fd,
                           struct quarantine_facts *ret_facts)
{
    AUTO_FACTS struct quarantine_facts facts = {0};
    AUTO_CLOSE int fd = -1;
    int r;

    if (!quarantine_id_valid(id))
        return -EINVAL;
    r = quarantine_open_file(quarantine, id, &fd);
    if (r < 0)
        return r;
    r = sealed_file_read_facts(quarantine->key, fd, &facts);
    if (r < 0)
        return r;
    if (!text_equal(facts.id, id))
        return -EBADMSG; /* renamed by someone */
    *ret_fd = TAKE_FD(fd);
    *ret_facts = facts;
    facts = (struct quarantine_facts){0};
    return 0;
}

/* ---- the catalogue's rows ---- */

int quarantine_insert(const struct quarantine_facts *facts, sqlite3 *database)
{
    static const char sql[] =
        "INSERT OR REPLACE INTO quarantine VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13)";
    sqlite3_stmt *insert;
    int r;

    r = sqlite3_prepare_v2(database, sql, -1, &insert, NULL);
    if (r != SQLITE_OK)
        return database_errno(r);
    (void)sqlite3_bind_text(insert, 1, facts->id, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(insert, 2, (int64_t)facts->time_ns);
    (void)sqlite3_bind_blob(insert, 3, facts->path, (int)strlen(facts->path), SQLITE_STATIC);
    (void)sqlite3_bind_text(insert, 4, facts->signature, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(insert, 5, facts->sha256, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(insert, 6, (int64_t)facts->size);
    (void)sqlite3_bind_int64(insert, 7, (int64_t)aead_sealed_size(facts->size));
    (void)sqlite3_bind_int64(insert, 8, facts->mode);
    (void)sqlite3_bind_int64(insert, 9, facts->uid);
    (void)sqlite3_bind_int64(insert, 10, facts->gid);
    (void)sqlite3_bind_int64(insert, 11, (int64_t)facts->modified_ns);
    (void)sqlite3_bind_int64(insert, 12, (int64_t)facts->links);
    (void)sqlite3_bind_int64(insert, 13, facts->cause);
    r = sqlite3_step(insert);
    (void)sqlite3_finalize(insert);
    return database_errno(r);
}

void quarantine_note_added(struct quarantine *quarantine, const struct quarantine_facts *facts)
{
    pthread_mutex_lock(&quarantine->mutex);
    quarantine->used_bytes += aead_sealed_size(facts->size);
    pthread_mutex_unlock(&quarantine->mutex);
}

static int delete_row(void *user, sqlite3 *database)
{
    sqlite3_stmt *statement;
    int r;

    r = sqlite3_prepare_v2(database, "DELETE FROM quarantine WHERE id = ?1", -1, &statement, NULL);
    if (r != SQLITE_OK)
        return database_errno(r);
    (void)sqlite3_bind_text(statement, 1, user, -1, SQLITE_STATIC);
    r = sqlite3_step(statement);
    (void)sqlite3_finalize(statement);
    if (r == SQLITE_DONE && sqlite3_changes(database) == 0)
        return -ENOENT;
    return database_errno(r);
}

/* An intent that is not finished must not bring it back. */
static int forget_entry(void *user, sqlite3 *database)
{
    int r = delete_row(user, database);

    return r < 0 ? r : intent_forget_sealed(user, database);
}

/* The row goes first: a crash in between leaves a file that recovery finds again, never a row that
 * promises what is gone. */
int quarantine_remove(struct quarantine *quarantine, const char *kind, enum event_severity severity,
                      const struct quarantine_facts *facts, const struct detection_note *note)
{
    uint64_t bytes = aead_sealed_size(facts->size);
    char name[SEALED_NAME_BYTES];
    int r;

    quarantine_file_name(name, facts->id);
    pthread_mutex_lock(&quarantine->files);
    r = detection_event_append_wait(quarantine->store, "quarantine", kind, severity, facts, note,
                                    forget_entry, (void *)facts->id);
    if (r == 0)
        (void)unlinkat(quarantine->directory_fd, name, 0);
    pthread_mutex_unlock(&quarantine->files);
    if (r < 0)
        return r;
    pthread_mutex_lock(&quarantine->mutex);
    quarantine->used_bytes -= MIN(bytes, quarantine->used_bytes);
    pthread_mutex_unlock(&quarantine->mutex);
    return 0;
}

/* ---- space ---- */

static int read_oldest(void *user, sqlite3 *database)
{
    struct quarantine_facts *facts = user;
    sqlite3_stmt *statement;
    int r;

    r = sqlite3_prepare_v2(database,
                           "SELECT id, size, path, signature, sha256 FROM quarantine"
                           " ORDER BY time_ns LIMIT 1",
                           -1, &statement, NULL);
    if (r != SQLITE_OK)
        return database_errno(r);
    r = sqlite3_step(statement);
    if (r == SQLITE_ROW) {
        const char *path = sqlite3_column_blob(statement, 2);

        (void)text_copy(facts->id, sizeof(facts->id),
                        (const char *)sqlite3_column_text(statement, 0) ?: "");
        facts->size = (uint64_t)sqlite3_column_int64(statement, 1);
        facts->path = strndup(path ?: "", (size_t)sqlite3_column_bytes(statement, 2));
        (void)text_copy(facts->signature, sizeof(facts->signature),
                        (const char *)sqlite3_column_text(statement, 3) ?: "");
        (void)text_copy(facts->sha256, sizeof(facts->sha256),
                        (const char *)sqlite3_column_text(statement, 4) ?: "");
    }
    (void)sqlite3_finalize(statement);
    if (r == SQLITE_DONE)
        return -ENOENT;
    return database_errno(r);
}

static int drop_oldest(struct quarantine *quarantine)
{
    AUTO_FACTS struct quarantine_facts oldest = {0};
    struct detection_note note = {.reason = "the quarantine is full"};
    int r;

    r = store_read(quarantine->store, read_oldest, &oldest);
    if (r < 0)
        return r;
    return quarantine_remove(quarantine, "quarantine_dropped", EVENT_MEDIUM, &oldest, &note);
}

/* Reserves when it fits. */
static bool try_room(struct quarantine *quarantine, uint64_t bytes, bool *ret_may_drop)
{
    bool fits;

    pthread_mutex_lock(&quarantine->mutex);
    fits = bytes <= quarantine->maximum_bytes &&
           quarantine->used_bytes + quarantine->reserved_bytes <= quarantine->maximum_bytes - bytes;
    if (fits)
        quarantine->reserved_bytes += bytes;
    *ret_may_drop = quarantine->drop_oldest && bytes <= quarantine->maximum_bytes;
    pthread_mutex_unlock(&quarantine->mutex);
    return fits;
}

int quarantine_take_room(struct quarantine *quarantine, uint64_t bytes)
{
    bool may_drop;

    while (!try_room(quarantine, bytes, &may_drop)) {
        if (!may_drop || drop_oldest(quarantine) < 0)
            return -EDQUOT;
    }
    return 0;
}

void quarantine_release_room(struct quarantine *quarantine, uint64_t bytes)
{
    pthread_mutex_lock(&quarantine->mutex);
    quarantine->reserved_bytes -= MIN(bytes, quarantine->reserved_bytes);
    pthread_mutex_unlock(&quarantine->mutex);
}
