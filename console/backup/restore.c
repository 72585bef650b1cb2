/* Owns putting a backup back. Must not run beside a console: the caller holds its lock. */
#include "common/files/file.h"
#include "common/text/text.h"
#include "console/backup/backup.h"
#include "console/backup/backup_files.h"
#include "console/people/audit.h"
#include "console/store/console_store.h"
#include "console/store/database_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

/* All that a restored console would look at. */
static const char *const OLD_FILES[] = {BACKUP_DATABASE, BACKUP_DATABASE "-wal",
                                        BACKUP_DATABASE "-shm", "signing.next", NULL};

static bool is_there(const char *data, const char *name)
{
    char path[BACKUP_PATH_BYTES];
    return backup_path(data, name, path) == 0 && access(path, F_OK) == 0;
}

static const char *find_old(const char *data)
{
    for (size_t i = 0; OLD_FILES[i]; i++)
        if (is_there(data, OLD_FILES[i]))
            return OLD_FILES[i];
    for (size_t i = 0; BACKUP_KEYS[i]; i++)
        if (is_there(data, BACKUP_KEYS[i]))
            return BACKUP_KEYS[i];
    return NULL;
}

static int move_list(const char *data, const char *aside, const char *const *names)
{
    for (size_t i = 0; names[i]; i++) {
        char from[BACKUP_PATH_BYTES], to[BACKUP_PATH_BYTES];
        int r = backup_path(data, names[i], from);
        if (r == 0)
            r = backup_path(aside, names[i], to);
        if (r == 0 && rename(from, to) < 0 && errno != ENOENT)
            r = -errno;
        if (r < 0)
            return r;
    }
    return 0;
}

static int move_aside(const char *data, char problem[static 512])
{
    char aside[BACKUP_PATH_BYTES];
    int r = text_format(aside, sizeof(aside), "%s/before-restore-%lld", data,
                        (long long)console_store_now_ms());
    if (r >= 0)
        r = mkdir(aside, 0700) < 0 ? -errno : 0;
    if (r == 0)
        r = move_list(data, aside, OLD_FILES);
    if (r == 0)
        r = move_list(data, aside, BACKUP_KEYS);
    return r < 0
               ? backup_fail(problem, r, "cannot move the old files aside: %s", strerrordesc_np(-r))
               : 0;
}

/* Under another name first, so that a half copied file is never taken for a whole one. */
static int put_file(const char *folder, const char *data, const char *name,
                    char problem[static 512])
{
    char source[BACKUP_PATH_BYTES], target[BACKUP_PATH_BYTES], part[BACKUP_PATH_BYTES];
    int r = backup_path(folder, name, source);
    if (r == 0)
        r = backup_path(data, name, target);
    if (r == 0)
        r = text_format(part, sizeof(part), "%s.restoring", target) < 0 ? -ENAMETOOLONG : 0;
    if (r < 0)
        return r;
    (void)unlink(part);
    r = backup_copy_file(source, part);
    if (r == 0 && rename(part, target) < 0)
        r = -errno;
    if (r < 0 && r != -ENOENT)
        (void)unlink(part);
    return r < 0 ? backup_fail(problem, r, "%s: %s", name, strerrordesc_np(-r)) : 0;
}

static int put_keys(const char *folder, const char *data, char problem[static 512])
{
    for (size_t i = 0; BACKUP_KEYS[i]; i++) {
        int r = put_file(folder, data, BACKUP_KEYS[i], problem);
        if (r < 0 && (r != -ENOENT || i < BACKUP_KEYS_NEEDED))
            return r;
    }
    problem[0] = '\0';
    return 0;
}

/* Agents take no policy with a revision they have seen: those given out since the backup was made
 * must be lower than the next. */
static int go_on_after(struct sql *sql, const struct backup_facts *facts)
{
    char actor[64], subject[96];
    (void)text_format(actor, sizeof(actor), "console:uid=%u", getuid());
    (void)text_format(subject, sizeof(subject), "made_ms=%lld", (long long)facts->made_ms);
    struct audit_entry entry = {actor, "", "backup_restored", subject, ""};
    int r = sql_begin(sql);
    if (r == 0)
        r = sql_run(sql, "UPDATE computers SET policy_revision = policy_revision + 1000000", NULL,
                    "");
    if (r == 0)
        r = audit_append(sql, &entry);
    if (r == 0)
        r = sql_commit(sql);
    if (r < 0)
        sql_rollback(sql);
    return r;
}

/* The backup's database in data, at the present schema. */
static int put_database(const char *folder, const char *data, const struct backup_facts *facts,
                        struct sql **ret_sql, char problem[static 512])
{
    char path[BACKUP_PATH_BYTES];
    int r = put_file(folder, data, BACKUP_DATABASE, problem);
    if (r == 0)
        r = backup_path(data, BACKUP_DATABASE, path);
    if (r == 0)
        r = sql_open_sqlite(path, false, ret_sql, problem);
    if (r == 0 && problem[0])
        r = -EBADMSG;
    return r == 0 ? go_on_after(*ret_sql, facts) : r;
}

static int put_sqlite(const char *folder, const char *data, const struct backup_facts *facts,
                      char problem[static 512])
{
    AUTO_SQL struct sql *sql = NULL;
    return put_database(folder, data, facts, &sql, problem);
}

/* It goes into the empty database whole, or not at all. */
static int fill_postgres(const char *folder, const char *data, const struct backup_facts *facts,
                         const char *url, char problem[static 512])
{
    AUTO_SQL struct sql *from = NULL;
    AUTO_SQL struct sql *to = NULL;
    char path[BACKUP_PATH_BYTES];
    int r = put_database(folder, data, facts, &from, problem);
    if (r == 0)
        r = sql_open_postgres(url, false, &to, problem);
    const struct database_copy copy = {.from = from, .to = to, .catalogue = from};
    if (r == 0)
        r = database_copy(&copy, problem);
    from = sql_close(from);
    for (size_t i = 0; OLD_FILES[i]; i++)
        if (backup_path(data, OLD_FILES[i], path) == 0)
            (void)unlink(path);
    return r;
}

static int sync_folder(const char *data)
{
    AUTO_CLOSE int fd = -1;
    int r = file_open_following(data, O_RDONLY | O_DIRECTORY, 0, &fd);
    return r == 0 ? file_sync_directory(fd) : r;
}

int backup_restore(const char *folder, const struct backup_facts *facts, const char *data,
                   const char *database, bool force, char ret_problem[static 512])
{
    ret_problem[0] = '\0';
    const char *old = find_old(data);
    if (old && !force)
        return backup_fail(ret_problem, -EEXIST,
                           "%s/%s is there already; with --force the old files are moved aside",
                           data, old);
    int r = old ? move_aside(data, ret_problem) : 0;
    if (r == 0)
        r = sql_is_postgres_url(database)
                ? fill_postgres(folder, data, facts, database, ret_problem)
                : put_sqlite(folder, data, facts, ret_problem);
    if (r == 0)
        r = put_keys(folder, data, ret_problem);
    if (r == 0)
        r = sync_folder(data);
    if (r < 0 && !ret_problem[0])
        (void)backup_fail(ret_problem, r, "%s", strerrordesc_np(-r));
    return r;
}
