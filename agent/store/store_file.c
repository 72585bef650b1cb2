/* Owns: the event file and its log: opening, moving aside, copying the log. Must not own: what is
 * written (store_writer.c). */
#include "agent/store/store_private.h"
#include "common/files/file.h"
#include "common/text/text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

/* Pages of the log after which it is copied into the file; when busy, only after the larger one. */
#define CHECKPOINT_PAGES      2000
#define CHECKPOINT_BUSY_PAGES 16000
/* What the log has grown to when CHECKPOINT_PAGES stand in it. */
#define LOG_BYTES    (CHECKPOINT_PAGES * (4096 + 24) + 32)
#define ROOM_FOR_LOG 16

/* Errors of the file rather than of one entry: the group is kept and tried again. */
bool store_is_file_problem(int error)
{
    switch (error) {
    case -ENOSPC:
    case -EIO:
    case -EROFS:
    case -EBUSY:
    case -ENOMEM:
    case -EBADMSG:
    case -EACCES:
    case -EDQUOT:
        return true;
    default:
        return false;
    }
}

void store_set_problem(struct store *store, int problem)
{
    pthread_mutex_lock(&store->mutex);
    store->status.problem = problem;
    pthread_mutex_unlock(&store->mutex);
}

static int count_log_pages(void *user, sqlite3 *database UNUSED, const char *name UNUSED, int pages)
{
    struct store *store = user;

    store->log_pages = pages;
    return SQLITE_OK;
}

void store_publish_status(struct store *store)
{
    uint64_t bytes = 0;
    int r = event_table_bytes(&store->table, &bytes);

    pthread_mutex_lock(&store->mutex);
    (void)text_copy(store->status.epoch, sizeof(store->status.epoch), store->table.epoch);
    store->status.last_number = store->table.next_number - 1;
    store->status.acknowledged_number = store->table.acknowledged;
    store->status.found_number = store->table.found_number;
    store->status.dropped = store->table.dropped;
    if (r == 0)
        store->status.bytes = bytes;
    store->status.problem = 0;
    (void)pthread_cond_broadcast(&store->published);
    pthread_mutex_unlock(&store->mutex);
}

static void tell_rebuilt(struct store *store, const char *moved_to)
{
    AUTO_FREE char *shown = text_escape_new(moved_to, strlen(moved_to));
    struct event_draft draft = {.module = "agent",
                                .kind = "store_rebuilt",
                                .severity = EVENT_HIGH,
                                .subject = shown,
                                .detail = "{\"why\":\"the event store was corrupt: it was moved "
                                          "aside and a new epoch begun\"}"};
    int r;

    r = store_append(store, &draft, NULL, NULL, NULL);
    (void)r; /* a full queue: the new epoch tells the same */
}

/* A log that grows costs the file system a commit of its journal with each sync; one that is
 * overwritten does not. SQLite takes zeros for frames that were never written. On a small disk
 * it grows as it goes. */
static void lengthen_log(const struct store *store)
{
    static const char zeros[65536];
    AUTO_FREE char *path = text_format_new("%s-wal", store->path);
    AUTO_CLOSE int fd = -1;
    struct statvfs room;
    struct stat status;

    if (statvfs(store->path, &room) < 0 ||
        room.f_bavail < (uint64_t)ROOM_FOR_LOG * LOG_BYTES / room.f_frsize)
        return;
    if (!path || file_open_at(AT_FDCWD, path, O_WRONLY | O_APPEND, 0, &fd) < 0 ||
        fstat(fd, &status) < 0)
        return;
    for (off_t size = status.st_size; size < LOG_BYTES; size += (off_t)sizeof(zeros))
        if (file_write(fd, zeros, sizeof(zeros)) < 0)
            break;
    (void)fdatasync(fd);
}

static void configure_log(struct store *store)
{
    sqlite3 *handle = database_handle(store->database);
    int keep = 1;

    /* The log is copied into the file between groups, not inside a commit that others wait for, and
     * kept at its size. */
    (void)sqlite3_wal_autocheckpoint(handle, 0);
    (void)sqlite3_wal_hook(handle, count_log_pages, store);
    (void)sqlite3_file_control(handle, "main", SQLITE_FCNTL_PERSIST_WAL, &keep);
}

int store_open_file(struct store *store, char ret_moved_to[static 4096])
{
    struct database_options options = {.path = store->path,
                                       .migrations = store_migrations,
                                       .migration_count = store_migration_count};
    enum database_origin origin;
    int r;

    r = database_open(&options, &store->database, &origin, ret_moved_to);
    if (r < 0)
        return r;
    configure_log(store);
    r = event_table_open(&store->table, store->database);
    if (r < 0) {
        store->database = database_close(store->database);
        return r;
    }
    lengthen_log(store);
    store_publish_status(store);
    if (origin == DATABASE_REBUILT)
        tell_rebuilt(store, ret_moved_to);
    return 0;
}

void store_close_file(struct store *store)
{
    struct database *reader;

    pthread_mutex_lock(&store->mutex);
    reader = TAKE_POINTER(store->reader);
    store->file_generation++;
    pthread_mutex_unlock(&store->mutex);
    database_close(reader);
    if (!store->database)
        return;
    event_table_close(&store->table);
    store->database = database_close(store->database);
}

/* Opens the file again after it was found corrupt or could not be opened. */
int store_ensure_open(struct store *store)
{
    char moved_to[4096];
    void (*rebuilt)(void *user) = NULL;
    void *user = NULL;
    int r;

    if (store->database)
        return 0;
    r = store_open_file(store, moved_to);
    if (r < 0)
        return r;
    pthread_mutex_lock(&store->mutex);
    if (moved_to[0] != '\0') {
        rebuilt = store->rebuilt;
        user = store->rebuilt_user;
    }
    pthread_mutex_unlock(&store->mutex);
    if (rebuilt)
        rebuilt(user);
    return 0;
}

bool store_log_is_long(const struct store *store, bool busy)
{
    return store->database && store->log_pages >= (busy ? CHECKPOINT_BUSY_PAGES : CHECKPOINT_PAGES);
}

void store_copy_log(struct store *store)
{
    /* Readers may hold back a part of the log; the next time copies it. */
    if (sqlite3_wal_checkpoint_v2(database_handle(store->database), NULL, SQLITE_CHECKPOINT_PASSIVE,
                                  NULL, NULL) == SQLITE_OK)
        store->log_pages = 0;
}
