/* Owns: what an administrator does with quarantined files: restore, delete, export, allow.
 * Must not own: who may ask (the control socket), the catalogue's SQL beyond the allowed list. */
#include "agent/respond/quarantine.h"

#include "agent/respond/detection_event.h"
#include "agent/respond/quarantine_private.h"
#include "agent/respond/sealed_file.h"
#include "common/database/database.h"
#include "common/files/file.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

/* ---- a new file that has no name yet ---- */

struct new_file {
    int parent_fd, fd;
    const char *name; /* what it shall be called; inside path */
    char *path;
    char temporary[64]; /* its name meanwhile, where O_TMPFILE does not exist; "" otherwise */
};

static void new_file_done(struct new_file *file)
{
    if (file->fd >= 0 && file->temporary[0] != '\0')
        (void)unlinkat(file->parent_fd, file->temporary, 0);
    if (file->fd >= 0)
        (void)close(file->fd);
    if (file->parent_fd >= 0)
        (void)close(file->parent_fd);
    free(file->path);
}
#define AUTO_NEW_FILE CLEANUP(new_file_done)

/* Splits path and opens its directory, without following links. */
static int open_parent(struct new_file *file, const char *path)
{
    char *slash;
    int r;

    file->path = strdup(path);
    if (!file->path)
        return -ENOMEM;
    slash = strrchr(file->path, '/');
    if (file->path[0] != '/' || !slash || slash[1] == '\0')
        return -EINVAL;
    *slash = '\0';
    file->name = slash + 1;
    r = file_open_directory(slash == file->path ? "/" : file->path, true, &file->parent_fd);
    if (r < 0)
        return r;
    if (faccessat(file->parent_fd, file->name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return -EEXIST;
    return 0;
}

static int make_unnamed(struct new_file *file, const char *id)
{
    int r;

    r = file_open_at(file->parent_fd, ".", O_TMPFILE | O_RDWR, 0600, &file->fd);
    if (r != -EOPNOTSUPP && r != -EISDIR && r != -EINVAL)
        return r;
    r = text_format(file->temporary, sizeof(file->temporary), ".yagura-restore-%s", id);
    if (r < 0)
        return r;
    return file_open_at(file->parent_fd, file->temporary, O_RDWR | O_CREAT | O_EXCL, 0600,
                        &file->fd);
}

/* Gives it its name, never overwriting, and makes that durable. */
static int name_it(struct new_file *file)
{
    char link[FILE_LINK_BYTES];
    int r;

    if (file->temporary[0] != '\0') {
        r = renameat2(file->parent_fd, file->temporary, file->parent_fd, file->name,
                      RENAME_NOREPLACE);
    } else {
        file_link_of(file->fd, link);
        r = linkat(AT_FDCWD, link, file->parent_fd, file->name, AT_SYMLINK_FOLLOW);
    }
    if (r < 0)
        return -errno;
    file->temporary[0] = '\0';
    return file_sync_directory(file->parent_fd);
}

static int fill(struct quarantine *quarantine, struct new_file *file, int sealed_fd,
                const struct quarantine_facts *facts)
{
    int r;

    r = make_unnamed(file, facts->id);
    if (r < 0)
        return r;
    return sealed_file_read_content(quarantine->key, sealed_fd, facts, file->fd);
}

/* The owner first, because chown takes set-user-id and capabilities away; the mode after the ACL,
 * which has a say in it; the times last. */
static int dress(struct new_file *file, const struct quarantine_facts *facts, bool privileged,
                 int *ret_missing)
{
    struct timespec times[2] = {timespec_from_ns(facts->accessed_ns),
                                timespec_from_ns(facts->modified_ns)};
    mode_t mode = facts->mode & (privileged ? 07777 : 01777);

    if (fchown(file->fd, facts->uid, facts->gid) < 0)
        return -errno;
    *ret_missing = quarantine_facts_give_attributes(facts, file->fd, privileged);
    if (fchmod(file->fd, mode) < 0)
        return -errno;
    if (futimens(file->fd, times) < 0)
        return -errno;
    return fsync(file->fd) < 0 ? -errno : 0;
}

/* ---- allowed contents ---- */

struct allowance {
    const char *sha256, *path;
};

static int insert_allowed(void *user, sqlite3 *database)
{
    const struct allowance *allowance = user;
    sqlite3_stmt *insert;
    int r;

    r = sqlite3_prepare_v2(database, "INSERT OR REPLACE INTO allowed VALUES(?1, ?2, ?3)", -1,
                           &insert, NULL);
    if (r != SQLITE_OK)
        return database_errno(r);
    (void)sqlite3_bind_text(insert, 1, allowance->sha256, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(insert, 2, (int64_t)clock_realtime_ns());
    (void)sqlite3_bind_blob(insert, 3, allowance->path, (int)strlen(allowance->path),
                            SQLITE_STATIC);
    r = sqlite3_step(insert);
    (void)sqlite3_finalize(insert);
    return database_errno(r);
}

static int delete_allowed(void *user, sqlite3 *database)
{
    const struct allowance *allowance = user;
    sqlite3_stmt *statement;
    int r;

    r = sqlite3_prepare_v2(database, "DELETE FROM allowed WHERE sha256 = ?1", -1, &statement, NULL);
    if (r != SQLITE_OK)
        return database_errno(r);
    (void)sqlite3_bind_text(statement, 1, allowance->sha256, -1, SQLITE_STATIC);
    r = sqlite3_step(statement);
    (void)sqlite3_finalize(statement);
    if (r == SQLITE_DONE && sqlite3_changes(database) == 0)
        return -ENOENT;
    return database_errno(r);
}

/* The event's subject is the path, its detail the content. */
static int tell_allowance(struct quarantine *quarantine, const char *kind, store_work *work,
                          const struct allowance *allowance)
{
    struct quarantine_facts facts = {.path = (char *)allowance->path};

    (void)text_copy(facts.sha256, sizeof(facts.sha256), allowance->sha256);
    return detection_event_append_wait(quarantine->store, "quarantine", kind, EVENT_MEDIUM, &facts,
                                       NULL, work, (void *)allowance);
}

int quarantine_allow(struct quarantine *quarantine, const char *sha256, const char *path)
{
    struct allowance allowance = {sha256, path ?: ""};
    uint8_t digest[SHA256_BYTES];
    int r;

    r = text_parse_hex(sha256, digest, sizeof(digest));
    if (r < 0)
        return r;
    r = tell_allowance(quarantine, "content_allowed", insert_allowed, &allowance);
    if (r < 0)
        return r;
    pthread_mutex_lock(&quarantine->mutex);
    r = digest_set_add(&quarantine->allowed, sha256);
    pthread_mutex_unlock(&quarantine->mutex);
    return r;
}

int quarantine_disallow(struct quarantine *quarantine, const char *sha256)
{
    struct allowance allowance = {sha256, ""};
    int r;

    r = tell_allowance(quarantine, "content_disallowed", delete_allowed, &allowance);
    if (r < 0)
        return r;
    pthread_mutex_lock(&quarantine->mutex);
    digest_set_remove(&quarantine->allowed, sha256);
    pthread_mutex_unlock(&quarantine->mutex);
    return 0;
}

/* ---- restore, delete, export ---- */

/* Allowing is committed before the name appears: the watch may see the file at once. */
static int restore(struct quarantine *quarantine, const char *id,
                   const struct quarantine_restore *how, int *ret_missing)
{
    AUTO_FACTS struct quarantine_facts facts = {0};
    AUTO_NEW_FILE struct new_file file = {.parent_fd = -1, .fd = -1};
    AUTO_CLOSE int sealed_fd = -1;
    struct detection_note note = {.to = how->to, .excluded = how->exclude};
    int r;

    r = quarantine_open_sealed(quarantine, id, &sealed_fd, &facts);
    if (r < 0)
        return r;
    r = open_parent(&file, how->to ?: facts.path);
    if (r < 0)
        return r;
    r = fill(quarantine, &file, sealed_fd, &facts);
    if (r < 0)
        return r;
    r = dress(&file, &facts, how->privileged, ret_missing);
    if (r < 0)
        return r;
    if (how->exclude) {
        r = quarantine_allow(quarantine, facts.sha256, how->to ?: facts.path);
        if (r < 0)
            return r;
    }
    r = name_it(&file);
    if (r < 0)
        return r;
    return quarantine_remove(quarantine, "quarantine_restored", EVENT_MEDIUM, &facts, &note);
}

int quarantine_restore(struct quarantine *quarantine, const char *id,
                       const struct quarantine_restore *how, int *ret_missing)
{
    int r;

    *ret_missing = 0;
    pthread_mutex_lock(&quarantine->operation);
    r = restore(quarantine, id, how, ret_missing);
    pthread_mutex_unlock(&quarantine->operation);
    return r;
}

/* Also of a file that does not open any more: its row and remains go. */
static int delete_entry(struct quarantine *quarantine, const char *id)
{
    AUTO_FACTS struct quarantine_facts facts = {0};
    AUTO_CLOSE int fd = -1;
    int r;

    r = quarantine_open_sealed(quarantine, id, &fd, &facts);
    if (r == -EINVAL)
        return r;
    if (r < 0)
        (void)text_copy(facts.id, sizeof(facts.id), id);
    return quarantine_remove(quarantine, "quarantine_deleted", EVENT_MEDIUM, &facts, NULL);
}

int quarantine_delete(struct quarantine *quarantine, const char *id)
{
    int r;

    pthread_mutex_lock(&quarantine->operation);
    r = delete_entry(quarantine, id);
    pthread_mutex_unlock(&quarantine->operation);
    return r;
}

static int export(struct quarantine *quarantine, const char *id, const char *to)
{
    AUTO_FACTS struct quarantine_facts facts = {0};
    AUTO_NEW_FILE struct new_file file = {.parent_fd = -1, .fd = -1};
    AUTO_CLOSE int sealed_fd = -1;
    struct detection_note note = {.to = to};
    int r;

    r = quarantine_open_sealed(quarantine, id, &sealed_fd, &facts);
    if (r < 0)
        return r;
    r = open_parent(&file, to);
    if (r < 0)
        return r;
    r = fill(quarantine, &file, sealed_fd, &facts);
    if (r < 0)
        return r;
    if (fchmod(file.fd, 0400) < 0 || fsync(file.fd) < 0)
        return -errno;
    r = detection_event_append_wait(quarantine->store, "quarantine", "quarantine_exported",
                                    EVENT_MEDIUM, &facts, &note, NULL, NULL);
    return r < 0 ? r : name_it(&file);
}

int quarantine_export(struct quarantine *quarantine, const char *id, const char *to)
{
    int r;

    pthread_mutex_lock(&quarantine->operation);
    r = export(quarantine, id, to);
    pthread_mutex_unlock(&quarantine->operation);
    return r;
}
