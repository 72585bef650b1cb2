/* Owns: what an earlier run, or a store that was lost, left behind.
 *
 *   crashed after            | what is found                     | what is done
 *   -------------------------|-----------------------------------|-----------------------------
 *   intent committed         | intent; file in its place         | acted on as if just detected
 *   moved, disarmed          | intent; file in holding           | sealed
 *   sealed, synced           | intent; file in holding, sealed   | sealed again over the old one
 *   result committed         | told intent; file anywhere; the   | sealed from the store's bytes,
 *                            | sealed one perhaps not on the disk| the file found and removed
 *   any, and the store lost  | no intent, no row; file in holding| becomes a quarantined file
 *                            | no row; sealed file               | gets its row back
 *
 * Must not own: acting; it makes tasks for the acting thread, in which it runs. */
#include "agent/respond/detection_event.h"
#include "agent/respond/respond_move.h"
#include "agent/respond/respond_task.h"
#include "common/files/file.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define ORPHAN_SIGNATURE "Yagura.Unknown.RecoveredFile"

static bool is_alive(struct responder *responder, const char *id)
{
    bool alive = false;

    pthread_mutex_lock(&responder->mutex);
    for (const struct task *task = responder->alive; task && !alive; task = task->alive_next)
        alive = text_equal(task->intent.facts.id, id);
    pthread_mutex_unlock(&responder->mutex);
    return alive;
}

/* ---- open intents ---- */

static int copy_facts(const struct quarantine_facts *from, struct quarantine_facts *to)
{
    AUTO_BUFFER struct buffer encoded = BUFFER_WITH_MAXIMUM(LIMIT_QUARANTINE_HEADER);
    int r;

    r = quarantine_facts_encode(from, &encoded);
    if (r < 0)
        return r;
    quarantine_facts_done(to);
    return quarantine_facts_decode(encoded.data, encoded.length, to);
}

static int resume(struct responder *responder, const struct intent *intent)
{
    struct task *task;
    int r;

    if (is_alive(responder, intent->facts.id))
        return 0;
    task = task_new(responder, intent->facts.path, -1);
    if (!task)
        return -ENOMEM;
    r = copy_facts(&intent->facts, &task->intent.facts);
    task->intent.action = intent->action;
    task->intent.holding = strdup(intent->holding);
    if (r < 0 || !task->intent.holding) {
        task_end(task, -ENOMEM);
        return -ENOMEM;
    }
    task->resumed = true;
    task->intent.told = intent->told;
    task->intent.catalogued = intent->catalogued;
    task->identity = (struct file_identity){.device = intent->facts.device,
                                            .inode = intent->facts.inode,
                                            .size = intent->facts.size,
                                            .mtime_ns = intent->facts.modified_ns,
                                            .ctime_ns = intent->facts.changed_ns};
    if (intent->told) {
        pthread_mutex_lock(&responder->mutex);
        responder->finishing_count++;
        pthread_mutex_unlock(&responder->mutex);
        task_hand_over(task, &responder->finished);
        return 0;
    }
    /* The scan after the start may find it before it is acted on: it has been told. */
    detection_memory_note(responder->memory, &task->identity, intent->facts.signature, 0);
    task_hand_over(task, &responder->ready);
    return 0;
}

static int take_intent(void *user, const struct intent *intent)
{
    return resume(user, intent);
}

static int read_intents(void *user, sqlite3 *database)
{
    return intent_each(database, take_intent, user);
}

/* ---- action counts ---- */

static void take_count(void *user, const char *signature, uint64_t minute, uint64_t number)
{
    brake_add(user, signature, minute, number);
}

/* Once: a repeated recovery must not count them again. */
static int read_counts(void *user, sqlite3 *database)
{
    struct responder *responder = user;
    int r;

    if (responder->counts_loaded)
        return 0;
    r = action_counts_each(database, take_count, responder->brake);
    responder->counts_loaded = r == 0;
    return r;
}

static int trim_counts(void *user UNUSED, sqlite3 *database)
{
    return action_counts_trim(database);
}

/* ---- holding directories ---- */

struct sweep {
    struct responder *responder;
    const char *path; /* of the directory */
    int fd;
    const char *id;
    int known;
    int result;
};

static int ask_known(void *user, sqlite3 *database)
{
    struct sweep *sweep = user;

    sweep->known = intent_knows(database, sweep->id);
    return MIN(sweep->known, 0);
}

static int insert_intent(void *user, sqlite3 *database)
{
    return intent_insert(user, database);
}

/* A moved file that nothing knows: only its content, owner and times are left. It is kept. */
static int adopt(struct sweep *sweep)
{
    AUTO_FREE char *path = text_format_new("%s/%s", sweep->path, sweep->id);
    struct intent intent = {.action = RESPOND_QUARANTINE,
                            .holding = sweep->path,
                            .facts = {.path = path, .mode = 0600, .time_ns = clock_realtime_ns()}};
    struct detection_note note = {.reason = "a file that was moved away for the quarantine, and "
                                            "whose entry was lost with the event store"};
    struct stat status;
    int r;

    if (!path)
        return -ENOMEM;
    if (fstatat(sweep->fd, sweep->id, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (!S_ISREG(status.st_mode))
        return 0;
    intent.facts.uid = status.st_uid;
    intent.facts.gid = status.st_gid;
    intent.facts.size = (uint64_t)status.st_size;
    intent.facts.links = status.st_nlink;
    intent.facts.device = status.st_dev;
    intent.facts.inode = status.st_ino;
    intent.facts.accessed_ns = timespec_to_ns(status.st_atim);
    intent.facts.modified_ns = timespec_to_ns(status.st_mtim);
    intent.facts.changed_ns = timespec_to_ns(status.st_ctim);
    (void)text_copy(intent.facts.id, sizeof(intent.facts.id), sweep->id);
    (void)text_copy(intent.facts.signature, sizeof(intent.facts.signature), ORPHAN_SIGNATURE);
    r = detection_event_append_wait(sweep->responder->store, "quarantine", "quarantine_recovered",
                                    EVENT_HIGH, &intent.facts, &note, insert_intent, &intent);
    return r < 0 ? r : resume(sweep->responder, &intent);
}

static int sweep_name(struct sweep *sweep, const char *name)
{
    size_t length = strlen(name);
    bool deletes = length == UUID_TEXT_BYTES - 1 + strlen(DELETE_SUFFIX) &&
                   text_ends_with(name, DELETE_SUFFIX);
    char id[UUID_TEXT_BYTES];
    int r;

    (void)text_copy(id, sizeof(id), name);
    if ((length != UUID_TEXT_BYTES - 1 && !deletes) || !quarantine_id_valid(id) ||
        is_alive(sweep->responder, id))
        return 0;
    sweep->id = id;
    r = store_read(sweep->responder->store, ask_known, sweep);
    if (r < 0)
        return r;
    if (sweep->known == 0 && !deletes)
        return adopt(sweep);
    if (unlinkat(sweep->fd, name, 0) < 0 && errno != ENOENT)
        return -errno;
    return 0;
}

static int sweep_directory(struct responder *responder, const char *path)
{
    struct sweep sweep = {.responder = responder, .path = path};
    AUTO_CLOSE int fd = -1;
    struct dirent *entry;
    DIR *directory;
    int r;

    r = holdings_open(path, &fd);
    if (r < 0)
        return 0; /* not there now; perhaps its mount comes back */
    directory = fdopendir(fd);
    if (!directory)
        return -errno;
    sweep.fd = TAKE_FD(fd);
    while (r == 0 && (entry = readdir(directory)))
        r = sweep_name(&sweep, entry->d_name);
    (void)closedir(directory);
    return r;
}

struct places {
    struct responder *responder;
    int result;
};

static void sweep_place(void *user, const char *path)
{
    struct places *places = user;

    if (places->result == 0)
        places->result = sweep_directory(places->responder, path);
}

static int take_holding(void *user, const char *path)
{
    sweep_place(user, path);
    return ((struct places *)user)->result;
}

static int read_holdings(void *user, sqlite3 *database)
{
    return intent_each_holding(database, take_holding, user);
}

int respond_recover(struct responder *responder)
{
    struct places places = {responder, 0};
    int r;

    r = quarantine_recover(responder->quarantine);
    if (r == 0)
        r = store_read(responder->store, read_counts, responder);
    if (r == 0)
        r = store_read(responder->store, read_intents, responder);
    if (r == 0)
        r = store_read(responder->store, read_holdings, &places);
    if (r == 0)
        r = holdings_each_place(responder->holdings, sweep_place, &places);
    if (r == 0)
        r = places.result;
    return r < 0 ? r : store_run(responder->store, trim_counts, NULL, NULL);
}
