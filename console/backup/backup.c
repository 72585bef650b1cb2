/* Owns making a backup and checking one. Must not change what it copies. */
#include "console/backup/backup.h"

#include "common/files/file.h"
#include "common/json/json_writer.h"
#include "common/text/text.h"
#include "console/backup/backup_files.h"
#include "console/store/console_store.h"
#include "console/store/database_copy.h"
#include "console/store/schema.h"
#include "console/store/sql.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/stat.h>

#define FORMAT           1
#define MANIFEST         "manifest.json"
#define MANIFEST_MAXIMUM 65536
#define ATTEMPTS         5

const char *const BACKUP_KEYS[] = {"authority.key", "authority.crt", "signing.key", "signing.links",
                                   "server.key",    "server.crt",    "secrets.key", NULL};

/* --- the database */

static int copy_sqlite(const char *database, const char *target, char problem[static 512])
{
    AUTO_SQL struct sql *sql = NULL;
    AUTO_STATEMENT struct sql_statement *statement = NULL;
    char notice[512];
    int r = sql_open_sqlite(database, true, &sql, notice);
    if (r == 0)
        r = sql_prepare_once(sql, "VACUUM INTO $1", &statement);
    if (r == 0) {
        sql_bind_text(statement, 1, target);
        r = sql_step(statement);
    }
    if (r < 0)
        return backup_fail(problem, r, "%s: %s", database,
                           sql ? sql_error(sql) : strerrordesc_np(-r));
    return chmod(target, 0600) < 0 ? -errno : 0;
}

static int copy_postgres(const char *url, const char *target, char problem[static 512])
{
    AUTO_SQL struct sql *from = NULL;
    AUTO_SQL struct sql *to = NULL;
    int r = sql_open_postgres(url, true, &from, problem);
    if (r == 0)
        r = sql_open_sqlite(target, false, &to, problem);
    if (r < 0)
        return r;
    const struct database_copy copy = {.from = from, .to = to, .catalogue = to};
    return database_copy(&copy, problem);
}

/* WAL companions of a database that was written go into the file. */
static int settle(const char *path, struct backup_facts *facts, char problem[static 512])
{
    AUTO_SQL struct sql *sql = NULL;
    AUTO_STATEMENT struct sql_statement *journal = NULL;
    int r = sql_open_sqlite(path, false, &sql, problem);
    if (r == 0 && problem[0])
        r = -EBADMSG; /* the copy is not sound */
    if (r == 0)
        r = database_count(sql, "computers", &facts->computers);
    if (r == 0)
        r = database_count(sql, "events", &facts->events);
    if (r == 0)
        r = sql_prepare_once(sql, "PRAGMA journal_mode=DELETE", &journal);
    if (r == 0)
        r = sql_step(journal);
    return r < 0 ? r : 0;
}

/* --- the keys */

static int read_file(const char *folder, const char *name, struct buffer *text)
{
    char path[BACKUP_PATH_BYTES];
    buffer_clear(text);
    int r = backup_path(folder, name, path);
    if (r == 0)
        r = file_read_all(path, text);
    return r == -ENOENT ? 0 : r;
}

static int copy_keys_once(const char *data, const char *folder, char problem[static 512])
{
    for (size_t i = 0; BACKUP_KEYS[i]; i++) {
        char source[BACKUP_PATH_BYTES], target[BACKUP_PATH_BYTES];
        int r = backup_path(data, BACKUP_KEYS[i], source);
        if (r == 0)
            r = backup_path(folder, BACKUP_KEYS[i], target);
        if (r == 0)
            (void)unlink(target);
        if (r == 0)
            r = backup_copy_file(source, target);
        if (r < 0 && (r != -ENOENT || i < BACKUP_KEYS_NEEDED))
            return backup_fail(problem, r, "%s: %s", source, strerrordesc_np(-r));
    }
    return 0;
}

/* A signing key that changes between two copies would not fit its links: then once more. */
static int copy_keys(const char *data, const char *folder, char problem[static 512])
{
    AUTO_BUFFER struct buffer before = BUFFER_WITH_MAXIMUM(1 << 17);
    AUTO_BUFFER struct buffer after = BUFFER_WITH_MAXIMUM(1 << 17);
    for (unsigned i = 0; i < ATTEMPTS; i++) {
        int r = read_file(data, "signing.links", &before);
        if (r == 0)
            r = copy_keys_once(data, folder, problem);
        if (r == 0)
            r = read_file(data, "signing.links", &after);
        if (r < 0)
            return r;
        if (text_equal(buffer_text(&before), buffer_text(&after)))
            return 0;
    }
    return backup_fail(problem, -EAGAIN, "the signing key changes all the time; try again");
}

/* --- the manifest */

static int write_hashes(struct json_writer *json, const char *folder, char problem[static 512])
{
    char path[BACKUP_PATH_BYTES], hash[SHA256_HEX_BYTES];
    int r = backup_path(folder, BACKUP_DATABASE, path);
    if (r == 0)
        r = backup_hash_file(path, hash);
    if (r == 0)
        json_write_field_string(json, BACKUP_DATABASE, hash);
    for (size_t i = 0; r == 0 && BACKUP_KEYS[i]; i++) {
        r = backup_path(folder, BACKUP_KEYS[i], path);
        if (r == 0)
            r = backup_hash_file(path, hash);
        if (r == 0)
            json_write_field_string(json, BACKUP_KEYS[i], hash);
        else if (r == -ENOENT)
            r = 0;
    }
    return r < 0 ? backup_fail(problem, r, "%s: %s", path, strerrordesc_np(-r)) : 0;
}

static int write_manifest(const char *folder, const struct backup_facts *facts,
                          char problem[static 512])
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(MANIFEST_MAXIMUM);
    char path[BACKUP_PATH_BYTES];
    struct json_writer json;
    json_writer_init(&json, &text);
    json_write_object_begin(&json);
    json_write_field_unsigned(&json, "format", FORMAT);
    json_write_field_string(&json, "version", facts->version);
    json_write_field_unsigned(&json, "schema", SCHEMA_VERSION);
    json_write_field_number(&json, "made_ms", facts->made_ms);
    json_write_field_number(&json, "computers", facts->computers);
    json_write_field_number(&json, "events", facts->events);
    json_write_key(&json, "files");
    json_write_object_begin(&json);
    int r = write_hashes(&json, folder, problem);
    json_write_object_end(&json);
    json_write_object_end(&json);
    if (r == 0)
        r = buffer_failed(&text);
    if (r == 0)
        r = backup_path(folder, MANIFEST, path);
    return r == 0 ? file_replace(path, text.data, text.length, 0600) : r;
}

static int fill(const char *data, const char *database, const char *folder,
                struct backup_facts *facts, char problem[static 512])
{
    char target[BACKUP_PATH_BYTES];
    int r = backup_path(folder, BACKUP_DATABASE, target);
    if (r == 0)
        r = sql_is_postgres_url(database) ? copy_postgres(database, target, problem)
                                          : copy_sqlite(database, target, problem);
    if (r == 0)
        r = settle(target, facts, problem);
    if (r == 0)
        r = copy_keys(data, folder, problem);
    return r == 0 ? write_manifest(folder, facts, problem) : r;
}

static int publish(const char *unfinished, const char *folder)
{
    AUTO_CLOSE int fd = -1;
    char parent[BACKUP_PATH_BYTES];
    if (renameat2(AT_FDCWD, unfinished, AT_FDCWD, folder, RENAME_NOREPLACE) < 0)
        return -errno;
    (void)text_copy(parent, sizeof(parent), folder);
    char *slash = strrchr(parent, '/');
    if (slash)
        slash[slash == parent ? 1 : 0] = '\0';
    int r = file_open_following(slash ? parent : ".", O_RDONLY | O_DIRECTORY, 0, &fd);
    return r == 0 ? file_sync_directory(fd) : r;
}

int backup_make(const char *data, const char *database, const char *folder,
                struct backup_facts *ret_facts, char ret_problem[static 512])
{
    char unfinished[BACKUP_PATH_BYTES];
    struct backup_facts facts = {.made_ms = console_store_now_ms(), .version = YAGURA_VERSION};
    ret_problem[0] = '\0';
    if (access(folder, F_OK) == 0)
        return backup_fail(ret_problem, -EEXIST, "%s is there already", folder);
    int r = text_format(unfinished, sizeof(unfinished), "%s.unfinished", folder);
    if (r < 0)
        return r;
    (void)!file_remove_tree(AT_FDCWD, unfinished); /* of one that was interrupted */
    if (mkdir(unfinished, 0700) < 0)
        return backup_fail(ret_problem, -errno, "%s: %s", unfinished, strerrordesc_np(errno));
    r = fill(data, database, unfinished, &facts, ret_problem);
    if (r == 0)
        r = publish(unfinished, folder);
    if (r < 0) {
        (void)!file_remove_tree(AT_FDCWD, unfinished);
        return ret_problem[0] ? r : backup_fail(ret_problem, r, "%s", strerrordesc_np(-r));
    }
    *ret_facts = facts;
    return 0;
}

/* --- check */

static int check_files(const char *folder, const json_t *files, char problem[static 512])
{
    const char *name;
    json_t *expected;
    if (!json_object_get(files, BACKUP_DATABASE))
        return backup_fail(problem, -EBADMSG, "%s names no %s", MANIFEST, BACKUP_DATABASE);
    for (size_t i = 0; i < BACKUP_KEYS_NEEDED; i++)
        if (!json_object_get(files, BACKUP_KEYS[i]))
            return backup_fail(problem, -EBADMSG, "%s names no %s", MANIFEST, BACKUP_KEYS[i]);
    json_object_foreach((json_t *)(uintptr_t)files, name, expected)
    {
        char path[BACKUP_PATH_BYTES], hash[SHA256_HEX_BYTES];
        int r = strchr(name, '/') ? -EBADMSG : backup_path(folder, name, path);
        if (r == 0)
            r = backup_hash_file(path, hash);
        if (r < 0)
            return backup_fail(problem, r, "%s: %s", name, strerrordesc_np(-r));
        if (!json_is_string(expected) || !text_equal(json_string_value(expected), hash))
            return backup_fail(problem, -EBADMSG, "%s is not what was backed up", name);
    }
    return 0;
}

static int check_manifest(const char *folder, const json_t *root, struct backup_facts *facts,
                          char problem[static 512])
{
    json_int_t format = json_integer_value(json_object_get(root, "format"));
    json_int_t schema = json_integer_value(json_object_get(root, "schema"));
    const char *version = json_string_value(json_object_get(root, "version"));
    if (format < 1 || schema < 1 || !version)
        return backup_fail(problem, -EBADMSG, "%s is not a backup's", MANIFEST);
    if (format > FORMAT || schema > SCHEMA_VERSION)
        return backup_fail(problem, -EPROTO, "made by yagura-console %s, which is newer", version);
    facts->made_ms = json_integer_value(json_object_get(root, "made_ms"));
    facts->computers = json_integer_value(json_object_get(root, "computers"));
    facts->events = json_integer_value(json_object_get(root, "events"));
    (void)text_copy(facts->version, sizeof(facts->version), version);
    return check_files(folder, json_object_get(root, "files"), problem);
}

int backup_check(const char *folder, struct backup_facts *ret_facts, char ret_problem[static 512])
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(MANIFEST_MAXIMUM);
    char path[BACKUP_PATH_BYTES];
    ret_problem[0] = '\0';
    int r = backup_path(folder, MANIFEST, path);
    if (r == 0)
        r = file_read_all(path, &text);
    if (r < 0)
        return backup_fail(ret_problem, r, "%s: %s", path, strerrordesc_np(-r));
    json_t *root = json_loadb(buffer_text(&text), text.length, JSON_REJECT_DUPLICATES, NULL);
    r = root ? check_manifest(folder, root, ret_facts, ret_problem)
             : backup_fail(ret_problem, -EBADMSG, "%s is not JSON", path);
    json_decref(root);
    return r;
}
