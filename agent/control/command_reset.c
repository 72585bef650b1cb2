/* yaguractl reset: forgets which computer this is, before an image is made of it.
 *
 * Owns: the order of forgetting, the identity first. Must not: touch anything while an agent runs,
 * or drop the key of files that somebody may want back. */
#include "agent/control/commands.h"
#include "agent/control/instance_lock.h"
#include "agent/policy/agent_config.h"
#include "agent/protection/protection.h"
#include "agent/store/event_table.h"
#include "common/database/database.h"
#include "common/files/file.h"
#include "common/log/log.h"
#include "common/text/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Copies must not all be the one that a console knows: this goes before anything can fail. */
#define IDENTITY_FOLDER "console"
#define STORE_FILE      "events.db"
#define LOCK_FILE       "agent.lock" /* ours now; removing it would let two agents hold two of them */

static int count_rows(struct database *database, const char *sql, int64_t *ret_count)
{
    sqlite3_stmt *statement = NULL;

    int r = database_prepare(database, sql, &statement);
    if (r < 0)
        return r;
    r = sqlite3_step(statement);
    if (r == SQLITE_ROW)
        *ret_count = sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    return r == SQLITE_ROW ? 0 : database_errno(r);
}

/* Files sealed in the quarantine, and those on their way into it. */
static int count_sealed(const char *directory, int64_t *ret_count)
{
    AUTO_FREE char *path = text_format_new("%s/" STORE_FILE, directory);
    struct database_options options = {.path = path,
                                       .migrations = store_migrations,
                                       .migration_count = store_migration_count,
                                       .read_only = true};
    struct database *database = NULL;
    enum database_origin origin;
    char moved[4096];

    if (path == NULL)
        return -ENOMEM;
    int r = database_open(&options, &database, &origin, moved);
    if (r < 0)
        return r;
    r = count_rows(database,
                   "SELECT (SELECT COUNT(*) FROM quarantine) + (SELECT COUNT(*) FROM intent)",
                   ret_count);
    (void)database_close(database);
    return r;
}

static int may_forget(const struct invocation *invocation, const char *directory, int directory_fd)
{
    struct stat found;
    int64_t sealed = 0;

    if (fstatat(directory_fd, PROTECTION_FILE, &found, AT_SYMLINK_NOFOLLOW) == 0)
        return command_fail(PROTECTION_REFUSAL);
    if (command_has(invocation, "discard-quarantine"))
        return EXIT_CLEAN;
    bool has_store = fstatat(directory_fd, STORE_FILE, &found, AT_SYMLINK_NOFOLLOW) == 0;
    int r = has_store ? count_sealed(directory, &sealed) : 0;
    if (r < 0)
        return command_fail("what is in the quarantine cannot be told (%s): "
                            "--discard-quarantine forgets it all the same",
                            log_error_text(r));
    if (sealed > 0)
        return command_fail("the quarantine holds %lld files, which nobody can restore after this: "
                            "start the agent and restore, export or delete them, or give "
                            "--discard-quarantine",
                            (long long)sealed);
    return EXIT_CLEAN;
}

static void close_stream(DIR **stream)
{
    if (*stream != NULL)
        (void)closedir(*stream);
}

static int forget_rest(int directory_fd)
{
    int own_fd = fcntl(directory_fd, F_DUPFD_CLOEXEC, 0);
    if (own_fd < 0)
        return -errno;
    CLEANUP(close_stream) DIR *stream = fdopendir(own_fd);
    if (stream == NULL) {
        (void)close(own_fd);
        return -ENOMEM;
    }
    const struct dirent *entry;
    int r = 0;
    while (r == 0 && (entry = readdir(stream)) != NULL) {
        const char *name = entry->d_name;
        if (!text_equal(name, ".") && !text_equal(name, "..") && !text_equal(name, LOCK_FILE))
            r = file_remove_tree(directory_fd, name);
    }
    return r == 0 ? file_sync_directory(directory_fd) : r;
}

static int forget_all(int directory_fd)
{
    int r = file_remove_tree(directory_fd, IDENTITY_FOLDER);
    if (r < 0 && r != -ENOENT)
        return r;
    r = file_sync_directory(directory_fd);
    return r == 0 ? forget_rest(directory_fd) : r;
}

static int reset_directory(const struct invocation *invocation, const char *directory)
{
    AUTO_CLOSE int directory_fd = -1;
    struct instance_lock *lock = NULL;

    int r = file_open_directory(directory, true, &directory_fd);
    if (r == -ENOENT) {
        (void)printf("There is nothing to forget in %s.\n", directory);
        return EXIT_CLEAN;
    }
    if (r == 0)
        r = instance_lock_take(directory, &lock);
    if (r == -EBUSY)
        return command_fail("the agent runs (process %d): stop it first, systemctl stop "
                            "yagura-agent",
                            (int)instance_lock_holder(directory));
    if (r < 0)
        return command_fail("%s cannot be used: %s", directory, log_error_text(r));
    int exit_code = may_forget(invocation, directory, directory_fd);
    if (exit_code == EXIT_CLEAN && (r = forget_all(directory_fd)) < 0)
        exit_code = command_fail("%s could not be emptied (%s): make no image of this computer, "
                                 "and try again",
                                 directory, log_error_text(r));
    (void)instance_lock_release(lock);
    if (exit_code == EXIT_CLEAN)
        (void)printf("Forgotten: identity, keys, events, quarantine and verdicts of %s. The agent "
                     "joins as a new computer when it starts next: make the image before.\n",
                     directory);
    return exit_code;
}

static int run_reset(const struct invocation *invocation)
{
    if (invocation->config == NULL)
        return command_fail("reset needs the agent's configuration: leave --socket away");
    return reset_directory(invocation, invocation->config->state_directory);
}

static const struct command_option options[] = {
    {"discard-quarantine", 0, NULL, NULL, "also when files are in the quarantine: they are lost"},
    {NULL, 0, NULL, NULL, NULL},
};

const struct command command_reset = {
    .name = "reset",
    .arguments = "",
    .summary = "Forget which computer this is, before an image is made of it; the agent must not "
               "run",
    .options = options,
    .run = run_reset,
};
